"""Headers and receipts read from their own bytes: real blocks' as a node tells them, and no other spelling of them."""

import random
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import rlp

from deepnode_indexer.evidence import bloom, header, header_bytes, kept, receipt, receipt_bytes, rlp_reading
from deepnode_indexer.evidence.counting import DECLARED, Counting, Counts
from deepnode_indexer.evidence.header import VerifiedHeader
from deepnode_indexer.evidence.kept_reading import Problems, read_headers, read_receipts
from deepnode_ledger.errors import Damaged
from deepnode_ledger.hexadecimal import from_hex
from deepnode_ledger.record import BlockRef, Header
from tests.indexer.evidence.real_blocks import LONDON, WITH_HEADER, WITH_RECEIPTS, RealBlock

MUTATIONS = 4_000


def decoded(encoded: bytes) -> VerifiedHeader:
    """A header as it is read from JSON, read from its bytes."""
    found = header_bytes.fields_of(encoded)
    block = Header(BlockRef(found.number, found.hash, found.time), found.parent_hash)
    return VerifiedHeader(block, found.receipts_root, found.logs_bloom, found.gas_used)


@pytest.mark.parametrize("block", WITH_HEADER, ids=lambda block: block.name)
def test_a_real_header_s_bytes_say_what_the_node_says(block: RealBlock) -> None:
    """Encodes it from JSON, reads the bytes, and compares with what was read from JSON."""
    assert block.header is not None
    assert decoded(header.rlp_of(block.header)) == block.verified()


@pytest.mark.parametrize("block", WITH_RECEIPTS, ids=lambda block: block.name)
def test_real_receipts_bytes_have_their_root_and_their_logs(block: RealBlock) -> None:
    """Encodes them from JSON, reads the bytes, and compares every log and the root with the header's."""
    assert block.receipts is not None
    encoded = [receipt.encoded(one) for one in block.receipts]
    assert receipt_bytes.root(encoded) == block.receipts_root
    for one, sent in zip(encoded, block.receipts, strict=True):
        assert [
            (from_hex(log["address"], 20), tuple(from_hex(topic, 32) for topic in log["topics"]), from_hex(log["data"]))
            for log in sent["logs"]
        ] == [(log.address, log.topics, log.data) for log in receipt_bytes.logs_of(one) if log is not None]


def mutations(seed: int, whole: bytes) -> Iterator[bytes]:
    """Bytes changed, cut off, put in, doubled."""
    draw = random.Random(seed)
    for _ in range(MUTATIONS):
        at = draw.randrange(len(whole))
        kind = draw.randrange(4)
        if kind == 0:
            yield whole[:at] + bytes((draw.randrange(256),)) + whole[at + 1 :]
        elif kind == 1:
            yield whole[:at]
        elif kind == 2:
            yield whole[:at] + draw.randbytes(draw.randrange(1, 9)) + whole[at:]
        else:
            yield whole[:at] + whole[at - draw.randrange(min(at + 1, 40)) :]


def test_a_changed_header_is_refused_or_has_another_hash() -> None:
    """4 000 seeded changes of a real header: none crashes, and none keeps the hash."""
    assert LONDON.header is not None
    whole = header.rlp_of(LONDON.header)
    refused = 0
    for changed in mutations(1, whole):
        try:
            found = decoded(changed)
        except Damaged:
            refused += 1
        else:
            assert (found.header.block.hash == LONDON.verified().header.block.hash) == (changed == whole)
    assert refused > MUTATIONS // 4


def test_the_quick_way_reads_what_the_strict_way_reads() -> None:
    """Seeded changes of each real header: where the quick way finds places, the strict way finds the same."""
    quick = 0
    for block in WITH_HEADER:
        assert block.header is not None
        whole = header.rlp_of(block.header)
        assert header_bytes.quick_places(whole) == header_bytes.strict_places(whole)
        for changed in islice(mutations(block.verified().header.block.number, whole), MUTATIONS // 4):
            found = header_bytes.quick_places(changed)
            if found is not None:
                quick += 1
                assert found == header_bytes.strict_places(changed)
    assert quick > MUTATIONS // 10


def outcome_of(read: Callable[..., object], *arguments: object) -> Any:
    """What a reader returns, None if it refuses."""
    try:
        return read(*arguments)
    except Damaged:
        return None


def test_the_quick_way_reads_the_logs_that_the_strict_way_reads() -> None:
    """Logs of 0 to 4 topics and data of many lengths, and seeded changes of each: what is read quickly is the same."""
    quick = 0
    draw = random.Random(4)
    for topics in range(5):
        for length in (0, 1, 31, 32, 55, 56, 300):
            whole = rlp.encode([bytes(20), [draw.randbytes(32) for _ in range(topics)], draw.randbytes(length)])
            for changed in [whole, *islice(mutations(topics * 1_000 + length, whole), 200)]:
                item = outcome_of(rlp_reading.whole, changed)
                if item is None:
                    continue
                found = outcome_of(receipt_bytes.quick_log, changed, item)
                quick += found is not None
                assert found in (None, outcome_of(receipt_bytes.strict_log, changed, item))
                assert changed != whole or found is not None
    assert quick > 500


def test_logs_of_others_are_counted_and_not_read() -> None:
    """Of a real block's logs those of one address are wanted: the others' places are kept."""
    assert LONDON.receipts is not None
    tether = from_hex("0xdac17f958d2ee523a2206206994597c13d831ec7", 20)
    encoded = [receipt.encoded(one) for one in LONDON.receipts]
    every = [log for one in encoded for log in receipt_bytes.logs_of(one)]
    some = [log for one in encoded for log in receipt_bytes.logs_of(one, {tether})]
    assert some == [log if log is not None and log.address == tether else None for log in every]
    assert len([log for log in some if log is not None]) == 6


def test_a_changed_receipt_is_refused_or_reads_like_the_library_s() -> None:
    """4 000 seeded changes of a real receipt: what is still read, another implementation of RLP reads alike."""
    assert LONDON.receipts is not None
    whole = max((receipt.encoded(one) for one in LONDON.receipts), key=len)
    read = 0
    for changed in mutations(2, whole):
        try:
            logs = receipt_bytes.logs_of(changed)
        except Damaged:
            continue
        read += 1
        prefix = 1 if changed[0] < 0x80 else 0
        theirs = rlp.decode(changed[prefix:], strict=True)[3]
        assert [[log.address, [*log.topics], log.data] for log in logs if log is not None] == [
            [a, [*t], d] for a, t, d in theirs
        ]
    assert read > MUTATIONS // 10


def test_only_one_spelling_of_rlp_is_read() -> None:
    """Longer prefixes than needed, leading zeros, bytes behind the item, and items that reach over their list."""
    wrong = [
        "8101",
        "b800",
        "b837" + "00" * 55,
        "b90038" + "00" * 56,
        "f800",
        "8180" + "00",
        "c1",
        "c28180" + "80",
        "b8",
    ]
    for text in wrong:
        with pytest.raises(Damaged):
            rlp_reading.whole(bytes.fromhex(text))
    assert rlp_reading.whole(bytes.fromhex("8180")) == (False, 1, 2)
    with pytest.raises(Damaged, match="ends at byte"):
        rlp_reading.items(bytes.fromhex("82ff"), 0, 2)
    for text in ("820001", "a1" + "01" * 33, "c0"):
        item = rlp_reading.whole(bytes.fromhex(text))
        with pytest.raises(Damaged, match="no quantity"):
            rlp_reading.quantity(bytes.fromhex(text), item, "gas")


def test_a_header_with_fields_that_nobody_knows_is_refused() -> None:
    """Appends fields behind the last known one."""
    assert LONDON.header is not None
    fields = rlp.decode(header.rlp_of(LONDON.header))
    for count in (14, 24, 40):
        with pytest.raises(Damaged, match="fields"):
            decoded(rlp.encode([*fields, *[b"\x01"] * 30][:count]))


def test_who_counts_from_where() -> None:
    """A contract of the manifest may have logs before its first block; a child has none before it was announced."""
    contract, child, stranger = (bytes((n,)) * 20 for n in (1, 2, 3))
    counting = Counting([(contract, 10, DECLARED), (child, 12, 5)])
    assert counting.of(contract, 9, 99) is Counts.MAY
    assert counting.of(contract, 10, 0) is Counts.MUST
    assert counting.of(child, 12, 5) is Counts.NOT
    assert counting.of(child, 12, 6) is Counts.MUST
    assert counting.of(child, 11, 9) is Counts.NOT
    assert counting.of(stranger, 50, 0) is Counts.NOT


def test_blooms_of_many_blocks_are_asked_together() -> None:
    """Random blooms of 300 blocks: the same blocks as one by one, and none before an address counts."""
    draw = random.Random(3)
    addresses = [draw.randbytes(20) for _ in range(40)]
    blooms = [bloom.of_logs((each, ()) for each in draw.sample(addresses, draw.randrange(3))) for _ in range(300)]
    rows = [(address, draw.randrange(900, 1_300), DECLARED) for address in addresses[:20]]
    found = Counting(rows).spoken_of(np.frombuffer(b"".join(blooms), np.uint8).reshape(-1, 256), 1_000)
    expected = [
        any(start <= number and bloom.may_hold(each, address) for address, start, _ in rows)
        for number, each in enumerate(blooms, start=1_000)
    ]
    assert found.tolist() == expected
    assert any(expected)
    assert not all(expected)


def file_of(schema: pa.Schema, rows: Sequence[tuple[object, ...]]) -> bytes:
    """The bytes of an evidence file."""
    made = BytesIO()
    writer = kept.Writer(made, schema)
    for row in rows:
        writer.add(row, 600)
    writer.close()
    return made.getvalue()


def test_a_file_of_evidence_is_the_same_bytes_and_any_arrow_reads_it() -> None:
    """Writes 3 000 rows twice; pyarrow's own reader finds them in record batches of a bounded size."""
    rows = [(8453, number, bytes(32), random.Random(number).randbytes(600)) for number in range(3_000)]
    made = file_of(kept.HEADERS, rows)
    assert made == file_of(kept.HEADERS, rows)
    reader = pa.ipc.open_file(made)
    assert [reader.get_batch(n).num_rows for n in range(reader.num_record_batches)] == [1_024, 1_024, 952]
    assert [tuple(row.values()) for row in reader.read_all().to_pylist()] == rows


def test_kept_bytes_of_a_real_block_are_read_and_held_against_each_other() -> None:
    """One block's header and receipts; then with one receipt less, and with a header of another number."""
    assert LONDON.header is not None
    assert LONDON.receipts is not None
    known = LONDON.verified()
    number = known.header.block.number
    encoded = [receipt.encoded(one) for one in LONDON.receipts]
    part = kept.Part(0, 1, number, number)
    rows = [(1, number, known.header.block.hash, header.rlp_of(LONDON.header))]
    problems = Problems()
    headers = read_headers(part, batches_of(kept.HEADERS, rows), problems)
    assert problems.count == 0
    assert headers.of(number) == known
    assert headers.last_hash == known.header.block.hash
    placed = [(1, number, index, one, bytes(32)) for index, one in enumerate(encoded)]
    [shown] = read_receipts(headers, batches_of(kept.RECEIPTS, placed), problems)
    assert shown.proven
    assert problems.count == 0
    [shown] = read_receipts(headers, batches_of(kept.RECEIPTS, placed[:-1]), problems)
    assert not shown.proven
    assert [each.block for each in problems.found] == [number]
    other = kept.Part(0, 1, number + 1, number + 1)
    problems = Problems()
    read_headers(other, batches_of(kept.HEADERS, [(1, number + 1, *rows[0][2:])]), problems)
    assert any("says that it is block" in each.said for each in problems.found)


def batches_of(schema: pa.Schema, rows: Sequence[tuple[object, ...]]) -> Iterator[pa.RecordBatch]:
    reader = pa.ipc.open_file(file_of(schema, rows))
    return (reader.get_batch(n) for n in range(reader.num_record_batches))


def test_ranges_are_cut_into_files_chain_by_chain() -> None:
    """Two chains: numbers go on, and every block is in one file."""
    size = kept.FILE_BLOCKS
    covered = [kept.Covered(1, 5, 5 + 2 * size, bytes(32)), kept.Covered(10, 0, 9, bytes(32))]
    assert list(kept.parts(covered)) == [
        kept.Part(0, 1, 5, 4 + size),
        kept.Part(1, 1, 5 + size, 4 + 2 * size),
        kept.Part(2, 1, 5 + 2 * size, 5 + 2 * size),
        kept.Part(3, 10, 0, 9),
    ]
