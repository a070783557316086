"""What must hold of entries wherever they are stored: each by itself, and each with the one before it.

Bytes that decode can still say what no entry says: a chain log without an address, a gap between topics, a block that
has two hashes. Whoever reads entries that nobody vouches for looks at them here first; behind it, a leaf can be made of
every one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from deepnode_ledger.batch_versions import SCHEMA
from deepnode_ledger.leaf import ENTRY_BYTES_MAX, INLINE_BYTES_MAX
from deepnode_ledger.record import Kind
from deepnode_ledger.task import task_of

OF_CHAIN_LOGS: Final = ("transaction_hash", "transaction_index", "log_index", "address")
OF_TASK_EVENTS: Final = ("producer", "event_id", "sequence", "event_type", "signature")
TOPICS: Final = ("topic0", "topic1", "topic2", "topic3")
COUNTS: Final = (
    "position", "chain_id", "block_number", "block_time", "transaction_index", "log_index", "sequence",
)  # fmt: skip

_LEAF_FIXED_BYTES: Final = 65 + 65 + 8 + 6 + 5

_Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the entry in ``row`` of a batch, and in which column."""

    row: int
    column: str
    expected: object
    found: object


def faults(batch: pa.RecordBatch) -> Iterator[Fault]:
    """Yield the first fault of each kind that entries have by themselves."""
    assert batch.schema.equals(SCHEMA), batch.schema
    for field in SCHEMA:
        if not field.nullable and batch.column(field.name).null_count:
            yield _first(batch, field.name, ~_present(batch, field.name), "a value")
            return
    kinds = batch.column("kind").to_numpy()
    is_log, is_task = kinds == Kind.CHAIN_LOG, kinds == Kind.TASK_EVENT
    if not np.all(is_log | is_task):
        yield _first(batch, "kind", ~(is_log | is_task), "1 or 2")
        return
    wrong = list(_misplaced(batch, is_log, is_task))
    for name in COUNTS:
        negative = pc.fill_null(pc.less(batch.column(name), 0), False).to_numpy(zero_copy_only=False)
        if np.any(negative):
            wrong.append(_first(batch, name, negative, "no negative number"))
    yield from wrong
    if not wrong and np.any(is_task):
        yield from _of_tasks(batch, is_task)


def _misplaced(batch: pa.RecordBatch, is_log: _Mask, is_task: _Mask) -> Iterator[Fault]:
    """A column that the other kind of entry has, or one that this kind lacks."""
    for names, own in ((OF_CHAIN_LOGS, is_log), (OF_TASK_EVENTS, is_task)):
        for name in names:
            there = _present(batch, name)
            if np.any(there & ~own):
                yield _first(batch, name, there & ~own, "nothing in an entry of this kind")
            if np.any(own & ~there):
                yield _first(batch, name, own & ~there, "a value in an entry of this kind")
    may = is_log
    for name in TOPICS:
        there = _present(batch, name)
        if np.any(there & ~may):
            yield _first(batch, name, there & ~may, "nothing: no topic stands before it")
        may = there


def _of_tasks(batch: pa.RecordBatch, is_task: _Mask) -> Iterator[Fault]:
    named = _present(batch, "task")
    if np.any(named & ~is_task):
        yield _first(batch, "task", named & ~is_task, "nothing in a chain log")
    rows = np.flatnonzero(is_task)
    events = batch.take(pa.array(rows))
    for row, payload, task in zip(rows, events.column("data"), events.column("task").to_pylist(), strict=True):
        meant = task_of(payload.as_py())
        if meant != task:
            yield Fault(int(row), "task", meant, task)
            break
    names = sum(pc.binary_length(events.column(name)).to_numpy().astype(np.int64) for name in _NAMES)
    data = pc.binary_length(events.column("data")).to_numpy()
    size = _LEAF_FIXED_BYTES + names + np.where(data <= INLINE_BYTES_MAX, data, 32)
    if np.any(size > ENTRY_BYTES_MAX):
        longest = int(np.argmax(size))
        limit = f"an entry of {ENTRY_BYTES_MAX} bytes at most"
        yield Fault(int(rows[longest]), "event_id", limit, f"{size[longest]} bytes")


_NAMES: Final = ("producer", "event_id", "event_type")


class Order:
    """Checks that entries follow one another: positions without a gap; on each chain blocks upwards, one hash a block.

    ``blocks`` are the newest blocks so far by the ids of their chains: number, hash and time.
    """

    def __init__(self) -> None:
        self.position = 0
        self.blocks: dict[int, tuple[int, bytes, int]] = {}

    def faults(self, batch: pa.RecordBatch) -> Iterator[Fault]:
        """Yield the first fault of each kind in a batch whose entries are right by themselves, and go on behind it."""
        positions = batch.column("position").to_numpy()
        should = np.arange(self.position + 1, self.position + 1 + batch.num_rows)
        if not np.array_equal(positions, should):
            row = int(np.argmax(positions != should))
            yield Fault(row, "position", int(should[row]), int(positions[row]))
        for chain_id, rows, part in by_chain(batch):
            for fault in self._blocks(chain_id, part):
                yield replace(fault, row=int(rows[fault.row]))
            self.blocks[chain_id] = block_of(part, part.num_rows - 1)
        self.position = int(positions[-1])

    def _blocks(self, chain_id: int, batch: pa.RecordBatch) -> Iterator[Fault]:
        numbers = batch.column("block_number").to_numpy()
        before = self.blocks.get(chain_id) or block_of(batch, 0)
        behind = np.concatenate([[before[0]], numbers[:-1]])
        if np.any(numbers < behind):
            row = int(np.argmax(numbers < behind))
            yield Fault(row, "block_number", f"{behind[row]} or above", int(numbers[row]))
        same = numbers == behind
        for name, first in (("block_hash", before[1]), ("block_time", before[2])):
            column = batch.column(name)
            shifted = pa.concat_arrays([pa.array([first], column.type), column.slice(0, len(column) - 1)])
            other = same & pc.not_equal(column, shifted).to_numpy(zero_copy_only=False)
            if np.any(other):
                row = int(np.argmax(other))
                yield Fault(row, name, shifted[row].as_py(), column[row].as_py())


def by_chain(batch: pa.RecordBatch) -> Iterator[tuple[int, npt.NDArray[np.int64], pa.RecordBatch]]:
    """Yield the entries of each chain, in the order of the chains' ids: the id, their rows in the batch, and they."""
    chains = batch.column("chain_id").to_numpy()
    ids = np.unique(chains)
    for chain_id in ids:
        rows = np.flatnonzero(chains == chain_id)
        yield int(chain_id), rows, batch if len(ids) == 1 else batch.take(pa.array(rows))


def block_of(batch: pa.RecordBatch, row: int) -> tuple[int, bytes, int]:
    """Number, hash and time of the block of an entry."""
    return (
        batch.column("block_number")[row].as_py(),
        batch.column("block_hash")[row].as_py(),
        batch.column("block_time")[row].as_py(),
    )


def _present(batch: pa.RecordBatch, name: str) -> _Mask:
    there: _Mask = batch.column(name).is_valid().to_numpy(zero_copy_only=False)
    return there


def _first(batch: pa.RecordBatch, name: str, wrong: Any, expected: object) -> Fault:
    row = int(np.argmax(wrong))
    return Fault(row, name, expected, batch.column(name)[row].as_py())
