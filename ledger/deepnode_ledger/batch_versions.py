"""The schemas of stored batches, every one that was ever written, and how an older one is read as the newest.

A stored batch is never rewritten: it is immutable, and its entries are committed to. So what was written in an older
schema stays readable for ever, by an upcaster that makes the newest schema's columns of it when it is read. A change
to the columns is a new topic here, a schema and an upcaster from the one before, and a golden file under
``tests/golden``; never an edit.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import pyarrow as pa

from deepnode_ledger.record import Kind
from deepnode_ledger.task import task_of

TOPIC_1: Final = "deepnode.log.batch/1"

SCHEMA_1: Final = pa.schema(
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
"""A chain log fills ``transaction_hash`` to ``topic3``, a task event ``producer`` to ``signature``; ``data`` is the
log's data or the task event's signed bytes. ``block_time`` is in seconds since 1970."""

TOPIC_2: Final = "deepnode.log.batch/2"

SCHEMA_2: Final = SCHEMA_1.append(pa.field("task", pa.string()))
"""Version 1 and ``task``: the task that a task event is about, if it names one. Found once when the event comes in,
so that looking for a task compares a column and parses no payload."""

TOPIC: Final = TOPIC_2
"""What is written today. The number is the schema's version."""

SCHEMA: Final = SCHEMA_2

COLUMNS: Final[tuple[str, ...]] = tuple(SCHEMA.names)

SCHEMAS: Final[Mapping[str, pa.Schema]] = MappingProxyType({TOPIC_1: SCHEMA_1, TOPIC_2: SCHEMA_2})
"""Every schema by its topic, oldest first."""


def upcast(topic: str, batch: pa.RecordBatch) -> pa.RecordBatch:
    """Give a batch that was read in its own schema the columns of ``SCHEMA``."""
    while topic != TOPIC:
        topic, step = _UPCASTERS[topic]
        batch = step(batch)
    assert batch.schema.equals(SCHEMA), batch.schema
    return batch


def _add_task(batch: pa.RecordBatch) -> pa.RecordBatch:
    is_task = batch.column("kind").to_pylist()
    payloads = batch.column("data")
    tasks = [task_of(payloads[row].as_py()) if kind == Kind.TASK_EVENT else None for row, kind in enumerate(is_task)]
    return pa.RecordBatch.from_arrays([*batch.columns, pa.array(tasks, pa.string())], schema=SCHEMA_2)


_UPCASTERS: Final[Mapping[str, tuple[str, Callable[[pa.RecordBatch], pa.RecordBatch]]]] = MappingProxyType(
    {TOPIC_1: (TOPIC_2, _add_task)}
)

assert set(_UPCASTERS) == set(SCHEMAS) - {TOPIC}, "each older schema has its upcaster"
