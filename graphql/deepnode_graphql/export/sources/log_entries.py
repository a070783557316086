"""The log itself: every entry with the bytes as they came in.

It is read as the Arrow batches that it is stored in. Where those end depends on when entries were sealed, so rows are
put together anew: the same entries make the same batches everywhere.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from deepnode_graphql.export import filters
from deepnode_graphql.export.rows import finality
from deepnode_graphql.export.source import NAME, TEXT, TIME, Selection, Source
from deepnode_graphql.export.wire import hexadecimal, named
from deepnode_graphql.reading import Reading
from deepnode_ledger.errors import BadInput
from deepnode_ledger.finding import OfAll, OfContract, OfKind, OfProducer, OfTask, OfTransaction, OfType
from deepnode_ledger.finding import Selection as Condition
from deepnode_ledger.hexadecimal import WORD_BYTES
from deepnode_ledger.record import Kind

SCHEMA: Final = pa.schema(
    [
        pa.field("position", pa.int64(), nullable=False),
        pa.field("kind", NAME, nullable=False),
        pa.field("finality", NAME, nullable=False),
        pa.field("chain_id", pa.int64(), nullable=False),
        pa.field("block_number", pa.int64(), nullable=False),
        pa.field("block_hash", NAME, nullable=False),
        pa.field("block_time", TIME, nullable=False),
        pa.field("transaction_hash", TEXT),
        pa.field("transaction_index", pa.int32()),
        pa.field("log_index", pa.int32()),
        pa.field("address", NAME),
        pa.field("topic0", NAME),
        pa.field("topic1", NAME),
        pa.field("topic2", NAME),
        pa.field("topic3", NAME),
        pa.field("data", TEXT),
        pa.field("producer", NAME),
        pa.field("event_id", TEXT),
        pa.field("sequence", pa.int64()),
        pa.field("event_type", NAME),
        pa.field("task", TEXT),
        pa.field("payload", TEXT),
        pa.field("signature", TEXT),
    ]
)
"""A log of a contract fills ``transaction_hash`` to ``data``, a task event ``producer`` to ``signature``.

``payload`` is the text that was signed; if it is no UTF-8, it stands in ``data``."""

BATCH_ENTRIES: Final = 16_384
BATCH_DATA_BYTES: Final = 64 * 2**20
"""A batch ends with the entry that reaches one of these."""

_FILTERS: Final = ("kind", "address", "transaction_hash", "topic0", "event", "producer", "task")


def _batches(reading: Reading, selection: Selection) -> Iterator[pa.RecordBatch]:
    return _pages(reading, selection, _condition(reading, selection))


LOG_ENTRIES: Final = Source(
    name="log_entries",
    said="The log: every entry with the bytes as they came in.",
    schema=SCHEMA,
    filters=_FILTERS,
    batches=_batches,
)


def _condition(reading: Reading, selection: Selection) -> Condition | None:
    parts: list[Condition] = []
    for name, value in selection.filters.items():
        match name:
            case "kind":
                if value not in Kind.__members__:
                    raise BadInput(f"kind must be one of {', '.join(Kind.__members__)}, not {value!r:.80}")
                parts.append(OfKind(Kind[value]))
            case "address":
                parts.append(OfContract(filters.address(name, value)))
            case "transaction_hash":
                parts.append(OfTransaction(filters.octets(name, value, WORD_BYTES)))
            case "topic0":
                parts.append(OfType.named([filters.octets(name, value, WORD_BYTES)]))
            case "event":
                event = filters.text(name, value)
                parts.append(OfType.named([event, *reading.manifest.topics_of(event)]))
            case "producer":
                parts.append(OfProducer(filters.text(name, value)))
            case _:
                parts.append(OfTask(filters.text(name, value)))
    return OfAll(tuple(parts)) if parts else None


def _pages(reading: Reading, selection: Selection, condition: Condition | None) -> Iterator[pa.RecordBatch]:
    first, last = max(1, selection.from_position), min(selection.moment.position, reading.snapshot.head.last_position)
    if first > last:
        return
    if condition is None:
        found = reading.snapshot.read(first, last)
    else:
        found = (each.entries for each in reading.snapshot.find(condition, first, last) if each.entries.num_rows)
    for batch in _together(found):
        yield _batch(batch, reading.checkpoint.sealed_position)


def _together(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Put rows together to batches that depend on the rows alone."""
    waiting: list[pa.RecordBatch] = []
    rows = octets = 0
    for batch in batches:
        start, sizes = 0, np.cumsum(pc.binary_length(batch.column("data")).to_numpy().astype(np.int64))
        while start < batch.num_rows:
            passed = int(sizes[start - 1]) if start else 0
            # The first row with which the bytes that may be in a batch are reached is its last.
            by_bytes = int(np.searchsorted(sizes, passed + BATCH_DATA_BYTES - octets)) + 1
            stop = min(batch.num_rows, start + BATCH_ENTRIES - rows, by_bytes)
            waiting.append(batch.slice(start, stop - start))
            rows, octets = rows + stop - start, octets + int(sizes[stop - 1]) - passed
            start = stop
            if rows == BATCH_ENTRIES or octets >= BATCH_DATA_BYTES:
                yield _one(waiting)
                waiting, rows, octets = [], 0, 0
    if waiting:
        yield _one(waiting)


def _one(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    return pa.Table.from_batches(batches).combine_chunks().to_batches()[0]


def _batch(entries: pa.RecordBatch, sealed_position: int) -> pa.RecordBatch:
    kinds = entries.column("kind").dictionary_encode()
    names = pa.array([Kind(each).name for each in kinds.dictionary.to_pylist()], pa.string())
    of_task = pc.equal(entries.column("kind"), Kind.TASK_EVENT.value)
    payload = _readable(pc.if_else(of_task, entries.column("data"), pa.scalar(None, pa.binary())))
    columns = {
        "kind": pa.DictionaryArray.from_arrays(kinds.indices, names),
        "finality": finality(entries.column("position"), sealed_position),
        "payload": payload,
        "data": hexadecimal(pc.if_else(payload.is_null(), entries.column("data"), pa.scalar(None, pa.binary()))),
    }
    for field in SCHEMA:
        if field.name not in columns:
            columns[field.name] = _as(entries.column(field.name), field.type)
    return pa.RecordBatch.from_arrays([columns[name] for name in SCHEMA.names], schema=SCHEMA)


def _as(array: pa.Array, to: pa.DataType) -> pa.Array:
    if to == NAME:
        return named(array)
    if to == TEXT and not pa.types.is_string(array.type):
        return hexadecimal(array)
    return array if array.type == to else array.cast(to)


def _readable(payloads: pa.Array) -> pa.Array:
    """Return what was signed as text, or null where it is none."""
    try:
        return payloads.cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array([_decoded(each) for each in payloads.to_pylist()], pa.string())


def _decoded(payload: bytes | None) -> str | None:
    try:
        return None if payload is None else payload.decode()
    except UnicodeDecodeError:
        return None
