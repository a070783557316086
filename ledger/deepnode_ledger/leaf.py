"""Leaves: the bytes of an entry that the Merkle tree commits to.

The tree over the log has a leaf an entry; the entry at position p is leaf p - 1. Its bytes are made from the stored
columns alone, so they come out the same whichever way and in whichever batch an entry was stored. All numbers are
unsigned and big-endian:

====================  =====  ====================================================================
chain log or task     bytes
====================  =====  ====================================================================
kind                  1      1 chain log, 2 task event
position              8
chain id              8
block number          8
block time            8      seconds since 1970
block hash            32
--------------------  -----  --------------------------------------------------------------------
chain log
transaction hash      32
transaction index     4
log index             4
address               20
number of topics      1      0 to 4
topics                32 n
--------------------  -----  --------------------------------------------------------------------
task event
signature             65
sequence              8
producer              2 + n  length, UTF-8
event id              2 + n  length, UTF-8
event type            2 + n  length, UTF-8
--------------------  -----  --------------------------------------------------------------------
both
form                  1      0: the data follow; 1: their SHA-256 follows
length of the data    4
data, or SHA-256      n, 32
====================  =====  ====================================================================

A bundle of entries (C2SP tlog-tiles, "Log entries") has room for 65 535 bytes an entry. A contract may log more than
that, so data above ``INLINE_BYTES_MAX`` enter as their hash.
"""

import hashlib
import struct
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from deepnode_ledger import batch as batches
from deepnode_ledger.batch_versions import SCHEMA
from deepnode_ledger.record import ChainLog, Finality, Kind, LogEntry

INLINE_BYTES_MAX: Final = 60 * 1024

ENTRY_BYTES_MAX: Final = 65_535

COLUMNWISE_MIN: Final = 8
"""Rows of one shape from which on it pays to lay them out column by column."""

CHUNK_BYTES: Final = 8 * 1024 * 1024
"""Bytes laid out at once, so that memory has a bound."""

_Bytes = npt.NDArray[np.uint8]

_HEAD: Final = struct.Struct(">BQQQQ32s")
_CHAIN_LOG: Final = struct.Struct(">32sII20sB")
_TASK_EVENT: Final = struct.Struct(">65sQ")
_DATA: Final = struct.Struct(">BI")


def entries(batch: pa.RecordBatch) -> list[bytes]:
    """Return the leaf bytes of a batch's entries (``batch_versions.SCHEMA``), in order."""
    assert batch.schema.equals(SCHEMA), batch.schema
    made: list[bytes] = [b""] * batch.num_rows
    rest: list[int] = []
    for rows, topics, length in _shapes(batch):
        if len(rows) < COLUMNWISE_MIN:
            rest += rows.tolist()
            continue
        step = max(1, CHUNK_BYTES // (300 + length))
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            for row, entry in zip(part.tolist(), _chain_logs(batch, part, topics, length), strict=True):
                made[row] = entry
    kinds = _numbers(batch, "kind", np.uint8)
    rest += np.flatnonzero(kinds != Kind.CHAIN_LOG).tolist()
    if rest:
        rest.sort()
        logged = batches.entries(batch.take(pa.array(rest, pa.int64())), Finality.SEALED)
        for row, each in zip(rest, logged, strict=True):
            made[row] = entry_bytes(each)
    return made


def entry_bytes(logged: LogEntry) -> bytes:
    """Return the leaf bytes of one entry: the definition, which ``entries`` follows column by column."""
    block, record = logged.block, logged.record
    kind = Kind.CHAIN_LOG if isinstance(record, ChainLog) else Kind.TASK_EVENT
    head = _HEAD.pack(kind, logged.position, logged.chain_id, block.number, block.time, block.hash)
    if isinstance(record, ChainLog):
        origin = _CHAIN_LOG.pack(
            record.transaction_hash, record.transaction_index, record.log_index, record.address, len(record.topics)
        ) + b"".join(record.topics)
        data = record.data
    else:
        names = (record.producer.encode(), record.event_id.encode(), record.type.encode())
        origin = _TASK_EVENT.pack(record.signature, record.sequence) + b"".join(
            struct.pack(">H", len(name)) + name for name in names
        )
        data = record.payload
    if len(data) <= INLINE_BYTES_MAX:
        made = head + origin + _DATA.pack(0, len(data)) + data
    else:
        made = head + origin + _DATA.pack(1, len(data)) + hashlib.sha256(data).digest()
    assert len(made) <= ENTRY_BYTES_MAX, len(made)
    return made


def _shapes(batch: pa.RecordBatch) -> Iterator[tuple[npt.NDArray[np.intp], int, int]]:
    """Yield the rows of chain logs that have as many topics and as much data, with both numbers."""
    topics = sum(_present(batch, f"topic{n}").astype(np.int64) for n in range(4))
    starts = _starts(batch)
    lengths = np.diff(starts)
    is_log = _numbers(batch, "kind", np.uint8) == Kind.CHAIN_LOG
    columnwise = is_log & (lengths <= INLINE_BYTES_MAX)
    shape = np.where(columnwise, lengths * 8 + topics, np.where(is_log, -1, -2))
    order = np.argsort(shape, kind="stable")
    values, firsts = np.unique(shape[order], return_index=True)
    for value, first, last in zip(values.tolist(), firsts, [*firsts[1:], len(order)], strict=True):
        rows = order[first:last]
        if value >= 0:
            yield rows, value % 8, value // 8
        elif value == -1:
            # Data that enter as their hash: few, and each is hashed by itself.
            for row in rows:
                yield np.array([row]), 0, 0


def _chain_logs(batch: pa.RecordBatch, rows: npt.NDArray[np.intp], topics: int, length: int) -> list[bytes]:
    parts: list[_Bytes] = [
        np.full((len(rows), 1), int(Kind.CHAIN_LOG), np.uint8),
        *(_big_endian(_numbers(batch, name, np.int64)[rows], ">u8") for name in ("position", "chain_id")),
        *(_big_endian(_numbers(batch, name, np.int64)[rows], ">u8") for name in ("block_number", "block_time")),
        _words(batch, "block_hash", 32)[rows],
        _words(batch, "transaction_hash", 32)[rows],
        *(_big_endian(_numbers(batch, name, np.int32)[rows], ">u4") for name in ("transaction_index", "log_index")),
        _words(batch, "address", 20)[rows],
        np.full((len(rows), 1), topics, np.uint8),
        *(_words(batch, f"topic{n}", 32)[rows] for n in range(topics)),
        np.zeros((len(rows), 1), np.uint8),
        _big_endian(np.full(len(rows), length), ">u4"),
    ]
    if length:
        values = np.frombuffer(batch.column("data").buffers()[2], np.uint8)
        parts.append(values[_starts(batch)[rows][:, None] + np.arange(length)])
    laid_out = np.concatenate(parts, axis=1)
    size, run = laid_out.shape[1], laid_out.tobytes()
    return [run[start : start + size] for start in range(0, len(run), size)]


def _numbers(batch: pa.RecordBatch, name: str, dtype: type[np.generic]) -> npt.NDArray[np.generic]:
    column = batch.column(name)
    return np.frombuffer(column.buffers()[1], dtype)[column.offset : column.offset + batch.num_rows]


def _words(batch: pa.RecordBatch, name: str, width: int) -> _Bytes:
    column = batch.column(name)
    cells = np.frombuffer(column.buffers()[1], np.uint8)
    return cells[column.offset * width : (column.offset + batch.num_rows) * width].reshape(-1, width)


def _starts(batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
    """Where each row's data begin in the values' buffer, and behind the last one where they end."""
    column = batch.column("data")
    starts = np.frombuffer(column.buffers()[1], np.int32)[column.offset : column.offset + batch.num_rows + 1]
    return starts.astype(np.int64)


def _present(batch: pa.RecordBatch, name: str) -> npt.NDArray[np.bool_]:
    column = batch.column(name)
    if column.null_count == 0:
        return np.ones(batch.num_rows, np.bool_)
    bits = np.unpackbits(np.frombuffer(column.buffers()[0], np.uint8), bitorder="little")
    return bits[column.offset : column.offset + batch.num_rows].astype(np.bool_)


def _big_endian(numbers: npt.NDArray[np.generic], dtype: str) -> _Bytes:
    return np.ascontiguousarray(numbers.astype(dtype)).view(np.uint8).reshape(len(numbers), -1)
