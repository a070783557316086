"""A batch's bytes read back as what was written, or not at all."""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from deepnode_ledger import batch as batches
from deepnode_ledger.batch import BYTES_MAX, Row, encode, entries, from_rows, row_of
from deepnode_ledger.batch_versions import SCHEMA_1, SCHEMA_2, TOPIC, TOPIC_1
from deepnode_ledger.errors import Damaged
from deepnode_ledger.record import BlockRef, ChainLog, Finality, LogEntry, TaskEvent
from deepnode_ledger.trays import Trays
from tests.ledger.histories import CHAIN_ID, chain_log, ref, task

words = st.binary(min_size=32, max_size=32)
addresses = st.binary(min_size=20, max_size=20)
counts = st.integers(0, 2**31 - 1)
long_counts = st.integers(0, 2**63 - 1)
blocks = st.builds(BlockRef, long_counts, words, long_counts)
chain_logs = st.builds(
    ChainLog, words, counts, counts, addresses, st.lists(words, max_size=4).map(tuple), st.binary(max_size=200)
)
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
task_events = st.builds(
    TaskEvent, names, names, st.integers(1, 2**53), names, st.binary(max_size=200), st.binary(min_size=65, max_size=65)
)
histories = st.lists(st.tuples(blocks, chain_logs | task_events), min_size=1, max_size=20)


def rows_of(first: int, placed: Sequence[tuple[BlockRef, ChainLog | TaskEvent]]) -> list[Row]:
    return [row_of(position, CHAIN_ID, *each) for position, each in enumerate(placed, first)]


@pytest.fixture(autouse=True, scope="module")
def small_trays() -> Iterator[None]:
    """Let batches of any size be unpacked in a tray."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "TRAY_BYTES_MIN", 0)
        yield


def decode(stored: bytes) -> pa.RecordBatch:
    """Read in memory of its own and in a tray: both read the same, or both refuse."""
    found: list[pa.RecordBatch | Damaged] = []
    for trays in (None, Trays()):
        try:
            found.append(batches.decode(TOPIC, stored, trays))
        except Damaged as error:
            found.append(error)
    own, in_tray = found
    if isinstance(own, Damaged):
        assert isinstance(in_tray, Damaged), own
        raise own
    assert own == in_tray
    return in_tray


def small() -> bytes:
    return encode(from_rows(rows_of(1, [(ref(9), chain_log(ref(9), 0)), (ref(9), task(1))])))


@given(st.integers(1, 2**62), histories)
def test_a_batch_reads_back_as_it_was_written(first: int, placed: list[tuple[BlockRef, ChainLog | TaskEvent]]) -> None:
    """Encodes and decodes any entries; each comes back with its position, block and bytes."""
    read = list(entries(decode(encode(from_rows(rows_of(first, placed)))), Finality.SEALED))
    assert read == [LogEntry(position, Finality.SEALED, CHAIN_ID, *each) for position, each in enumerate(placed, first)]


def test_the_same_entries_make_the_same_bytes() -> None:
    """Encodes twice: a batch's bytes are committed to."""
    assert small() == small()


def test_the_columns_of_each_version_are_a_promise() -> None:
    """Spells the schemas out: a change must be a new topic beside them."""
    told = [
        [f"{field.name} {field.type}{'' if field.nullable else ' not null'}" for field in schema]
        for schema in (SCHEMA_1, SCHEMA_2)
    ]
    assert told[1] == [*told[0], "task string"]
    assert told[0] == [
        "position int64 not null", "kind uint8 not null", "chain_id int64 not null", "block_number int64 not null",
        "block_hash fixed_size_binary[32] not null", "block_time int64 not null",
        "transaction_hash fixed_size_binary[32]", "transaction_index int32", "log_index int32",
        "address fixed_size_binary[20]", "topic0 fixed_size_binary[32]", "topic1 fixed_size_binary[32]",
        "topic2 fixed_size_binary[32]", "topic3 fixed_size_binary[32]", "data binary not null", "producer string",
        "event_id string", "sequence int64", "event_type string", "signature fixed_size_binary[65]",
    ]  # fmt: skip


@pytest.mark.parametrize("positions", [[1, 3], [1, 2, 4], [5, 7, 8]])
def test_a_gap_in_the_positions_is_a_bug_of_ours(positions: list[int]) -> None:
    """Leaves a position out."""
    with pytest.raises(AssertionError):
        from_rows([row_of(position, CHAIN_ID, ref(9), chain_log(ref(9), position)) for position in positions])


@settings(max_examples=300)
@given(st.data())
def test_a_changed_byte_is_refused(data: st.DataObject) -> None:
    """Changes one byte anywhere: the batch is refused, or (in the frame's own settings) still reads as it was."""
    stored = small()
    place = data.draw(st.integers(0, len(stored) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != stored[place]))
    changed = stored[:place] + bytes([other]) + stored[place + 1 :]
    try:
        read = decode(changed)
    except Damaged:
        return
    assert read.equals(decode(stored))


def test_a_truncated_batch_is_refused() -> None:
    """Cuts the bytes off at every place."""
    stored = small()
    for length in range(len(stored)):
        with pytest.raises(Damaged):
            decode(stored[:length])


@pytest.mark.parametrize("added", [b"\x00", b"more", small()])
def test_bytes_behind_a_batch_are_refused(added: bytes) -> None:
    """Adds bytes, and a whole second frame, behind a good one: what is sealed is those bytes and no others."""
    with pytest.raises(Damaged):
        decode(small() + added)


def test_a_frame_that_claims_more_than_the_limit_is_not_unpacked() -> None:
    """Writes the frame's header by hand with a size of a tebibyte; then one that does not tell its size."""
    for claimed in (BYTES_MAX + 1, 2**40, 2**63):
        bomb = b"\x28\xb5\x2f\xfd" + b"\xe0" + struct.pack("<Q", claimed) + b"\x03\x00\x00\x00"
        assert zstandard.frame_content_size(bomb) == claimed
        with pytest.raises(Damaged):
            decode(bomb)
    untold = zstandard.ZstdCompressor(write_content_size=False).compress(b"\x00" * 1000)
    with pytest.raises(Damaged):
        decode(untold)


def test_a_frame_that_holds_more_than_it_claims_is_refused() -> None:
    """Packs a mebibyte and rewrites the claimed size to a kibibyte."""
    honest = zstandard.ZstdCompressor().compress(b"\x00" * 2**20)
    at = honest.index(struct.pack("<I", 2**20))
    lying = honest[:at] + struct.pack("<I", 1024) + honest[at + 4 :]
    assert zstandard.frame_content_size(lying) == 1024
    with pytest.raises(Damaged):
        decode(lying)


@pytest.mark.parametrize("message", [b"", b"\x00" * 8, b"\xff" * 64, b"not an Arrow message at all"])
def test_a_good_frame_around_something_else_is_refused(message: bytes) -> None:
    """Packs what is no Arrow message."""
    with pytest.raises(Damaged):
        decode(zstandard.ZstdCompressor().compress(message))


@pytest.mark.parametrize(
    "topic", ["", "deepnode.log.batch/0", "deepnode.log.batch/3", "deepnode.log.batch/1 ", "x" * 300]
)
def test_a_batch_of_an_unknown_topic_is_refused(topic: str) -> None:
    """Reads good bytes under a wrong name; the message says which names are known."""
    with pytest.raises(Damaged, match=f"{TOPIC_1}, {TOPIC}"):
        batches.decode(topic, small())


def test_an_older_batch_is_not_read_as_a_newer_one() -> None:
    """Reads the golden bytes of version 1 as version 2: they lack a column."""
    stored = (Path(__file__).parents[1] / "golden" / "log_batch_1.bin").read_bytes()
    assert batches.decode(TOPIC_1, stored).num_rows == 8
    with pytest.raises(Damaged):
        batches.decode(TOPIC, stored)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), st.integers(0, 3))
def test_runs_hold_every_row_once_and_keep_to_the_limits(sizes: list[int], cut: int) -> None:
    """Cuts rows whose data are up to nine sixteenths of a run's bytes, once from within a longer batch."""
    data = [bytes(size * 100) for size in sizes]
    whole = from_rows(rows_of(1, [(ref(9), chain_log(ref(9), index, each)) for index, each in enumerate(data)]))
    whole = whole.slice(min(cut, len(sizes) - 1))
    runs = list(batches.runs(whole, bytes_max=1_600))
    assert pa.Table.from_batches(runs).combine_chunks().to_batches()[0].equals(whole)
    for run in runs:
        assert sum(len(each) for each in run.column("data").to_pylist()) <= 1_600
