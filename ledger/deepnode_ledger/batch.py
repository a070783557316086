"""A batch: an ordered run of log entries as one Arrow RecordBatch, and its bytes.

The sealed log is stored as batches, and a batch's bytes are what an auditor downloads. Which columns a batch has says
its topic (see ``batch_versions``).
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import zstandard

from deepnode_ledger.batch_versions import SCHEMA, SCHEMAS, upcast
from deepnode_ledger.errors import Damaged
from deepnode_ledger.record import BlockRef, ChainLog, Finality, Kind, LogEntry, TaskEvent
from deepnode_ledger.task import task_of
from deepnode_ledger.trays import Octets, Trays

ENTRIES_MAX: Final = 65_536
"""Entries in one batch, so that a reader's memory has a bound."""

RUN_BYTES: Final = 32 * 1024 * 1024
"""Bytes of data in one batch (more only if it is a single entry), so that a batch stays far below ``BYTES_MAX``."""

ZSTD_LEVEL: Final = 1
"""What is large are hashes, which no level makes smaller. On transfers, level 3 takes half as long again in vain."""

BYTES_MAX: Final = 256 * 1024 * 1024
"""A batch's size when decompressed; a stored message that claims more is refused before it is unpacked."""

TRAY_BYTES_MIN: Final = 256 * 1024
"""A batch below this is unpacked in memory of its own, which the allocator has at hand."""

_BLOCK_HEADER_BYTES: Final = 3
_CHECKSUM_BYTES: Final = 4
_REPEATED: Final = 1
"""The kind of a frame's block that is one byte, as many times as its size says."""

EMPTY: Final = pa.RecordBatch.from_pylist([], schema=SCHEMA)
"""No entries: what a range without logs has. It is never stored."""

Row = tuple[Any, ...]
"""One entry's values in the order of ``COLUMNS``."""


def row_of(position: int, chain_id: int, block: BlockRef, record: ChainLog | TaskEvent) -> Row:
    """Lay an entry out in the order of ``COLUMNS``."""
    place = (position, int(_kind(record)), chain_id, block.number, block.hash, block.time)
    if isinstance(record, ChainLog):
        topics = record.topics + (None,) * (4 - len(record.topics))
        origin = (record.transaction_hash, record.transaction_index, record.log_index, record.address)
        return (*place, *origin, *topics, record.data, None, None, None, None, None, None)
    origin_of_task = (record.producer, record.event_id, record.sequence, record.type, record.signature)
    return (*place, *(None,) * 8, record.payload, *origin_of_task, task_of(record.payload))


def from_rows(rows: Sequence[Row], *, gapless: bool = True) -> pa.RecordBatch:
    """Turn rows into columns. The positions must follow one another without a gap, unless said otherwise."""
    assert rows, "an empty batch is never made"
    assert not gapless or rows[-1][0] - rows[0][0] == len(rows) - 1, (rows[0][0], rows[-1][0], len(rows))
    columns = [pa.array(values, type=field.type) for values, field in zip(zip(*rows, strict=True), SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def placed_behind(batch: pa.RecordBatch, position: int) -> pa.RecordBatch:
    """Give entries the positions that follow ``position``."""
    positions = pa.array(np.arange(position + 1, position + 1 + batch.num_rows, dtype=np.int64))
    return batch.set_column(0, SCHEMA.field(0), positions)


def blocks_by_chain(batch: pa.RecordBatch) -> dict[int, npt.NDArray[np.int64]]:
    """Return the block numbers of each chain's entries, in their order, by the chain's id."""
    blocks, chains = batch.column("block_number").to_numpy(), batch.column("chain_id").to_numpy()
    first = int(chains[0])
    if np.all(chains == first):
        return {first: blocks}
    return {int(each): blocks[chains == each] for each in np.unique(chains)}


def check_range(batch: pa.RecordBatch, chain_id: int, first: int, last: int) -> None:
    """Assert that a batch holds chain logs of blocks ``first`` to ``last`` alone, in the order of the chain."""
    assert batch.schema.equals(SCHEMA), batch.schema
    assert pc.all(pc.equal(batch.column("kind"), int(Kind.CHAIN_LOG))).as_py(), "a task event in a range of blocks"
    assert pc.all(pc.equal(batch.column("chain_id"), chain_id)).as_py(), "a log of another chain"
    for name in ("transaction_hash", "transaction_index", "log_index", "address"):
        assert batch.column(name).null_count == 0, name
    blocks, logs = batch.column("block_number").to_numpy(), batch.column("log_index").to_numpy()
    assert first <= blocks[0], (first, blocks[0])
    assert blocks[-1] <= last, (blocks[-1], last)
    further, deeper = np.diff(blocks), np.diff(logs)
    assert bool(np.all((further > 0) | ((further == 0) & (deeper > 0)))), "not in the order of the chain"


def entries(batch: pa.RecordBatch, finality: Finality) -> Iterator[LogEntry]:
    """Read a batch's rows back as log entries, in order."""
    for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
        yield entry_of(row, finality)


def entry_of(row: Row, finality: Finality) -> LogEntry:
    """Read one row in the order of ``COLUMNS`` back as a log entry."""
    position, kind, chain_id, number, block_hash, block_time = row[:6]
    record: ChainLog | TaskEvent
    if kind == Kind.CHAIN_LOG:
        topics = tuple(topic for topic in row[10:14] if topic is not None)
        record = ChainLog(row[6], row[7], row[8], row[9], topics, row[14])
    else:
        assert kind == Kind.TASK_EVENT, kind
        record = TaskEvent(row[15], row[16], row[17], row[18], row[14], row[19])
    return LogEntry(position, finality, chain_id, BlockRef(number, block_hash, block_time), record)


def encode(batch: pa.RecordBatch) -> bytes:
    """Write a batch as one zstd frame around its Arrow RecordBatch message (the schema is implied by ``TOPIC``)."""
    assert batch.schema.equals(SCHEMA), batch.schema
    assert 0 < batch.num_rows <= ENTRIES_MAX, batch.num_rows
    return zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_checksum=True).compress(batch.serialize())


def decode(topic: str, stored: bytes, trays: Trays | None = None) -> pa.RecordBatch:
    """Read the bytes that ``encode`` wrote, today or in an older version, as a batch of ``SCHEMA``.

    Args:
        topic: of the stored event.
        stored: its bytes.
        trays: where the batch is unpacked; None: in memory of its own. Who reads many saves half of the time by them.

    Raises:
        Damaged: the topic is none of ours, or the bytes are not those of one batch: cut off, changed, or too large.
    """
    schema = SCHEMAS.get(topic)
    if schema is None:
        raise Damaged(f"{topic!r} is no topic of a batch; known are {', '.join(SCHEMAS)}")
    try:
        size_bytes = zstandard.frame_content_size(stored)
        if not 0 < size_bytes <= BYTES_MAX:
            raise Damaged(f"a batch of {len(stored)} bytes claims to hold {size_bytes}, of 1 to {BYTES_MAX}")
        message = pa.BufferReader(pa.py_buffer(_unpacked(stored, size_bytes, trays)))
        batch = pa.ipc.read_record_batch(pa.ipc.read_message(message), schema)
        if message.tell() != message.size() or not 0 < batch.num_rows <= ENTRIES_MAX:
            raise Damaged(f"a batch of {batch.num_rows} entries ends at byte {message.tell()} of {message.size()}")
        batch.validate(full=True)
    except (zstandard.ZstdError, pa.ArrowException, OSError, EOFError, UnicodeDecodeError) as error:
        raise Damaged(f"a batch of {len(stored)} bytes cannot be read as {topic}: {error}") from error
    return upcast(topic, batch)


def _unpacked(stored: bytes, size_bytes: int, trays: Trays | None) -> Octets | bytes:
    if trays is None or size_bytes < TRAY_BYTES_MIN:
        return zstandard.ZstdDecompressor().decompress(stored, allow_extra_data=False)
    _check_frame(stored)
    tray, at = trays.lend(size_bytes), 0
    with zstandard.ZstdDecompressor().stream_reader(stored, read_size=len(stored)) as frame:
        while at < size_bytes and (count := frame.readinto(tray[at:].data)):
            at += count
        # Only at its end a frame has shown that its checksum is right.
        if at < size_bytes or frame.read(1):
            raise Damaged(f"a batch of {len(stored)} bytes holds other than the {size_bytes} that it claims")
    return tray


def _check_frame(stored: bytes) -> None:
    """Check that there is one frame and nothing behind it: a reader of streams does not look."""
    has_checksum = zstandard.get_frame_parameters(stored).has_checksum
    at, is_last = zstandard.frame_header_size(stored), False
    while not is_last and at + _BLOCK_HEADER_BYTES <= len(stored):
        header = int.from_bytes(stored[at : at + _BLOCK_HEADER_BYTES], "little")
        is_last, kind, size_bytes = bool(header & 1), header >> 1 & 3, header >> 3
        at += _BLOCK_HEADER_BYTES + (1 if kind == _REPEATED else size_bytes)
    if not is_last or at + _CHECKSUM_BYTES * has_checksum != len(stored):
        raise Damaged(f"a batch of {len(stored)} bytes is not one frame")


def runs(batch: pa.RecordBatch, *, bytes_max: int = RUN_BYTES) -> Iterator[pa.RecordBatch]:
    """Cut rows of any number into runs that a stored batch may hold: by entries, and by the bytes of their data."""
    starts = np.frombuffer(batch.column("data").buffers()[1], np.int32)[batch.column("data").offset :]
    first = 0
    while first < batch.num_rows:
        by_bytes = int(np.searchsorted(starts[: batch.num_rows + 1], starts[first] + bytes_max, side="right")) - 1
        length = min(ENTRIES_MAX, batch.num_rows - first, max(1, by_bytes - first))
        yield batch.slice(first, length)
        first += length


def _kind(record: ChainLog | TaskEvent) -> Kind:
    return Kind.CHAIN_LOG if isinstance(record, ChainLog) else Kind.TASK_EVENT
