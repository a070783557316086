"""A batch: an ordered run of log entries as one Arrow RecordBatch, and its bytes.

The sealed log is stored as batches, and a batch's bytes are what an auditor downloads, so the columns below are a
promise: a change to them is a new ``TOPIC`` with its own schema beside this one, never an edit.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import pyarrow as pa
import zstandard

from deepnode_ledger.record import BlockRef, ChainLog, Finality, Kind, LogEntry, TaskEvent

TOPIC: Final = "deepnode.log.batch/1"
"""Names the schema of a stored batch; its number is the schema's version."""

ENTRIES_MAX: Final = 65_536
"""Entries in one batch, so that a reader's memory has a bound."""

BYTES_MAX: Final = 256 * 1024 * 1024
"""A batch's size when decompressed; a stored message that claims more is refused before it is unpacked."""

SCHEMA: Final = pa.schema(
    [
        pa.field("position", pa.int64(), nullable=False),
        pa.field("kind", pa.uint8(), nullable=False),
        pa.field("chain_id", pa.int64(), nullable=False),
        pa.field("block_number", pa.int64(), nullable=False),
        pa.field("block_hash", pa.binary(32), nullable=False),
        pa.field("block_time", pa.int64(), nullable=False),
        pa.field("transaction_hash", pa.binary(32)),
        pa.field("transaction_index", pa.int32()),
        pa.field("log_index", pa.int32()),
        pa.field("address", pa.binary(20)),
        pa.field("topic0", pa.binary(32)),
        pa.field("topic1", pa.binary(32)),
        pa.field("topic2", pa.binary(32)),
        pa.field("topic3", pa.binary(32)),
        pa.field("data", pa.binary(), nullable=False),
        pa.field("producer", pa.string()),
        pa.field("event_id", pa.string()),
        pa.field("sequence", pa.int64()),
        pa.field("event_type", pa.string()),
        pa.field("signature", pa.binary(65)),
    ]
)
"""Columns of version 1. A chain log fills ``transaction_hash`` to ``topic3``, a task event ``producer`` to
``signature``; ``data`` is the log's data or the task event's signed bytes. ``block_time`` is in seconds since 1970."""

COLUMNS: Final[tuple[str, ...]] = tuple(SCHEMA.names)

Row = tuple[Any, ...]
"""One entry's values in the order of ``COLUMNS``."""


def row_of(position: int, chain_id: int, block: BlockRef, record: ChainLog | TaskEvent) -> Row:
    """Lay an entry out in the order of ``COLUMNS``."""
    place = (position, int(_kind(record)), chain_id, block.number, block.hash, block.time)
    if isinstance(record, ChainLog):
        topics = record.topics + (None,) * (4 - len(record.topics))
        origin = (record.transaction_hash, record.transaction_index, record.log_index, record.address)
        return (*place, *origin, *topics, record.data, None, None, None, None, None)
    origin_of_task = (record.producer, record.event_id, record.sequence, record.type, record.signature)
    return (*place, *(None,) * 8, record.payload, *origin_of_task)


def from_rows(rows: Sequence[Row]) -> pa.RecordBatch:
    """Turn rows into columns. The positions must follow one another without a gap."""
    assert rows, "an empty batch is never made"
    assert rows[-1][0] - rows[0][0] == len(rows) - 1, (rows[0][0], rows[-1][0], len(rows))
    columns = [pa.array(values, type=field.type) for values, field in zip(zip(*rows, strict=True), SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


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
    return zstandard.ZstdCompressor(level=3, write_checksum=True).compress(batch.serialize())


def decode(stored: bytes) -> pa.RecordBatch:
    """Read the bytes that ``encode`` wrote.

    Raises:
        AssertionError: the frame or the message is not one of ours; sealed bytes were changed behind our back.
    """
    try:
        size_bytes = zstandard.frame_content_size(stored)
        assert 0 < size_bytes <= BYTES_MAX, size_bytes
        frame = zstandard.ZstdDecompressor().decompressobj()
        message = pa.BufferReader(frame.decompress(stored))
        assert frame.eof, "the frame is cut off"
        assert not frame.unused_data, "something stands behind the frame"
        batch = pa.ipc.read_record_batch(pa.ipc.read_message(message), SCHEMA)
        assert message.tell() == message.size(), "something stands behind the message"
        batch.validate(full=True)
    except (zstandard.ZstdError, pa.ArrowException, OSError, EOFError, UnicodeDecodeError) as error:
        raise AssertionError(f"a stored batch of {len(stored)} bytes cannot be read: {error}") from error
    return batch


def _kind(record: ChainLog | TaskEvent) -> Kind:
    return Kind.CHAIN_LOG if isinstance(record, ChainLog) else Kind.TASK_EVENT
