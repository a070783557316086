"""One history told twice: to the rules on a state in memory, and to the twins, with the rules for what they leave.

What a statement is as cells is said here once more, by hand, so that nothing rests on the decoder.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from deepnode_ledger.compiled import Integer, compiled, inner
from deepnode_ledger.record import TaskEvent
from deepnode_ledger.statement import Statement, read
from deepnode_ledger.statement_data import (
    BadBehaviourReported,
    ConsensusReached,
    OutputSubmitted,
    PaymentProcessorSettled,
    PriceObserved,
    TaskAssigned,
    TaskCreated,
    TaskExpired,
    TaskReassigned,
    TaskRejected,
    Usage,
    UserFeedback,
    ValidationSubmitted,
    VWUAssigned,
)
from deepnode_projections.kernel import observation_ops, ops, task_ends, task_ops
from deepnode_projections.kernel.layout import NONE, values_of_cells
from deepnode_projections.kernel.maps import Maps
from deepnode_projections.kernel.state import HOT, ColumnState
from deepnode_projections.kernel.task_params import task_params
from deepnode_projections.kernel.task_tables import TaskTables, task_tables
from deepnode_projections.registers.record import Key, Record, Value, key_of, values_of
from deepnode_projections.registers.state import MemoryState, Ruling, State
from deepnode_projections.rules import book
from tests.projections.rules.told import DN, USDC, scene

Row = tuple[tuple[Value, ...], int, int | None]
"""A record's values, and the positions from which on and until which it held."""

Numbers = npt.NDArray[Any]

ROOM: Final = 512

_OPS: Final = {
    TaskCreated: ops.CREATED,
    TaskAssigned: ops.ASSIGNED,
    OutputSubmitted: ops.ANSWERED,
    ValidationSubmitted: ops.VALIDATED,
    ConsensusReached: ops.AGREED,
    VWUAssigned: ops.CREDITED,
    UserFeedback: ops.RATED,
    PaymentProcessorSettled: ops.SETTLED,
    BadBehaviourReported: ops.REPORTED,
    TaskReassigned: ops.RETRIED,
    TaskRejected: ops.REJECTED,
    TaskExpired: ops.EXPIRED,
    PriceObserved: ops.PRICED,
}


@inner
def _beside_the_way(
    op: Integer, cells: Numbers, at: Integer, position: Integer, m: Maps, p: Numbers, t: TaskTables
) -> Integer:
    if op == ops.RATED:
        return observation_ops.rated(cells, at, position, m, p, t)
    if op == ops.SETTLED:
        return observation_ops.settled(cells, at, position, m, p, t)
    if op == ops.PRICED:
        return observation_ops.priced(cells, at, position, m, p, t)
    if op == ops.REPORTED:
        return task_ends.reported(cells, at, position, m, p, t)
    if op == ops.RETRIED:
        return task_ends.retried(cells, at, position, m, p, t)
    if op == ops.REJECTED:
        return task_ends.rejected(cells, at, position, m, p, t)
    return task_ends.expired(cells, at, position, m, p, t)


@compiled
def _do(op: Integer, cells: Numbers, at: Integer, position: Integer, m: Maps, p: Numbers, t: TaskTables) -> Integer:
    if op == ops.CREATED:
        return task_ops.created(cells, at, position, m, p, t)
    if op == ops.ASSIGNED:
        return task_ops.assigned(cells, at, position, m, p, t, 1)
    if op == ops.ANSWERED:
        return task_ops.answered(cells, at, position, m, p, t)
    if op == ops.VALIDATED:
        return task_ops.validated(cells, at, position, m, p, t)
    if op == ops.AGREED:
        return task_ops.agreed(cells, at, position, m, p, t)
    if op == ops.CREDITED:
        return task_ops.credited(cells, at, position, m, p, t)
    return _beside_the_way(op, cells, at, position, m, p, t)


class Noting(MemoryState):
    """A state in memory that writes down what its records were, as the books' tables would have it."""

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[type[Record], dict[Key, list[tuple[int, Record]]]] = {}
        self._first: dict[tuple[type[Record], Key], Record | None] = {}

    @override
    def put(self, record: Record) -> None:
        kind, key = type(record), key_of(record)
        self._first.setdefault((kind, key), self.get(kind, *key))
        super().put(record)

    @override
    @contextmanager
    def attempt(self, position: int = 0) -> Iterator[None]:
        self._first = {}
        with super().attempt(position):
            yield
        for (kind, key), before in self._first.items():
            record = self.get(kind, *key)
            assert record is not None
            if record != before:
                self.history.setdefault(kind, {}).setdefault(key, []).append((position, record))

    def rows(self, kind: type[Record]) -> list[Row]:
        """Return all rows of a kind's table."""
        found: list[Row] = []
        for changes in self.history.get(kind, {}).values():
            ends = [position for position, _ in changes[1:]]
            for (position, record), until in zip(changes, [*ends, None], strict=True):
                found.append((values_of(record), position, until))
        return found


class Twice:
    """Two states to which the same is told. ``by_twins`` and ``by_rules`` count what had an effect, by its type.

    ``refused`` counts what the rules refused. With ``watches``, what a twin leaves to the rules must be as it was.
    """

    def __init__(self, ruling: Ruling | None = None, *, watches: bool = True) -> None:
        self.memory = Noting()
        self.columns = ColumnState(keeps=True)
        self.memory.ruling = self.columns.ruling = ruling
        self.position = 0
        self._watches = watches
        self.by_twins: dict[str, int] = {}
        self.by_rules: dict[str, int] = {}
        self.refused = 0

    def does(self, step: Callable[[State], None]) -> None:
        """Let something happen to both states that is no statement."""
        self.position += 1
        for state in (self.memory, self.columns):
            with state.attempt(self.position):
                step(state)

    def hear(self, event: TaskEvent) -> str | None:
        """Tell both what a producer states; return why the rules refuse it, if they do."""
        self.position += 1
        refused = book.hear(event, scene(self.memory, self.position))
        statement = read(event)
        is_done = False
        if isinstance(statement, Statement) and type(statement.data) in _OPS:
            before = self._arrays()
            is_done = self._try(statement)
            if not is_done:
                assert all(map(np.array_equal, before, self._arrays())), statement
        if is_done:
            assert refused is None, (event, refused)
        else:
            assert book.hear(event, scene(self.columns, self.position)) == refused, event
        counts = self.by_twins if is_done else self.by_rules
        if refused is None:
            counts[event.type] = counts.get(event.type, 0) + 1
        else:
            self.refused += 1
        return None if refused is None else refused.reason

    def _arrays(self) -> list[Numbers]:
        """Return what stands in the tables, if that is watched."""
        tables = self.columns.tables.values() if self._watches else ()
        found = []
        for table in tables:
            rows, old = table.rows, int(table.counts[1])
            index = (np.flatnonzero(table.slots), np.flatnonzero(table.firsts))
            found += [table.cells[:rows].copy(), table.old[:old].copy(), table.counts.copy(), *index]
        return found

    def _try(self, statement: Statement) -> bool:
        own = Cells(self.columns)
        cells = [7, *own.of(statement)]
        for table in self.columns.tables.values():
            table.make_room(ROOM, ROOM)
        params = task_params(self.columns, [DN, USDC])
        op, given = _OPS[type(statement.data)], np.array(cells, np.int64)
        return bool(_do(op, given, 1, self.position, own.maps(), params, task_tables(self.columns)))

    def check(self) -> None:
        """Check that both states have the same records."""
        for kind in book.RECORDS:
            assert self.columns.every(kind) == self.memory.every(kind), kind

    def check_history(self) -> None:
        """Check that the tables have kept what the books would have, for the kinds that the twins write."""
        for kind in HOT:
            table = self.columns.tables[kind]
            rows: list[Row] = []
            for *cells, until in table.take_old().tolist():
                rows.append(self._row(kind, cells, until))
            rows += [self._row(kind, cells, None) for cells in table.cells[: table.rows].tolist()]
            assert sorted(rows, key=repr) == sorted(self.memory.rows(kind), key=repr), kind

    def _row(self, kind: type[Record], cells: list[int], until: int | None) -> Row:
        layout = self.columns.tables[kind].layout
        values = values_of_cells(layout, cells, self.columns.words, self.columns.texts)
        return tuple(values), cells[layout.since], until


class Cells:
    """The cells of a statement, and the maps of a batch that has nothing else in it."""

    def __init__(self, state: ColumnState) -> None:
        self._state = state
        # Something is before them in any batch.
        self._ids, self._names = [bytes(32)], ["nobody"]
        self._hashes, self._events = [bytes(32)], [""]

    def maps(self) -> Maps:
        """Enter what the cells name into the state, and say which number is which."""
        words, texts = self._state.words, self._state.texts
        hashes = [words.enter(each) for each in self._hashes]
        events = [texts.enter(each) for each in self._events]
        return Maps(
            np.array([words.number(each) for each in self._ids], np.int64),
            np.array([texts.number(each) for each in self._names], np.int64),
            np.zeros(0, np.int64),
            np.array([hashes[0], events[0]], np.int64),
        )

    def of(self, statement: Statement) -> list[int]:
        """Write down what a statement says."""
        match statement.data:
            case TaskCreated() as d:
                cells = [*map(self._id, (d.task, d.domain, d.model)), d.version, self._hash(d.consumer_hash)]
                cells += [*_amount(d.price), self._id(d.asset), d.difficulty_ppm, self._hash(d.input_hash)]
                return [*cells, *self._told(statement)]
            case TaskAssigned() as d:
                return [*self._own(d), self._id(d.node), d.trust_ppm, *_amount(d.collateral)]
            case OutputSubmitted() as d:
                usage = d.usage or Usage()
                counts = (d.latency_ms, usage.input_tokens, usage.output_tokens)
                numbers = [NONE if each is None else each for each in counts]
                return [*self._own(d), self._id(d.node), self._hash(d.output_hash), *numbers]
            case ValidationSubmitted() as d:
                said = (int(d.verdict == "correct"), d.score, self._hash(d.report_hash))
                return [*self._own(d), self._id(d.validator), *said]
            case ConsensusReached() as d:
                mask = sum(1 << (slot - 1) for slot in d.accepted)
                return [self._id(d.task), d.attempt, int(d.verdict == "approved"), mask - ((mask >> 63) << 64)]
            case VWUAssigned() as d:
                return [*self._own(d), self._id(d.node), d.vwu, d.difficulty_ppm, *self._told(statement)]
        return self._beside_the_way(statement)

    def _beside_the_way(self, statement: Statement) -> list[int]:
        match statement.data:
            case UserFeedback() as d:
                return [self._id(d.task), d.rating, self._hash(d.comment_hash), *self._named(statement)]
            case PaymentProcessorSettled() as d:
                cells = [self._id(d.task), self._id(d.asset), *_amount(d.amount), self._id(d.processor)]
                return [*cells, self._hash(d.reference_hash), *self._named(statement)]
            case BadBehaviourReported() as d:
                who = (self._id(d.node), self._id(d.validator))
                return [*self._own(d), *who, d.severity, self._hash(d.evidence_hash)]
            case TaskReassigned() as d:
                return [self._id(d.task), d.attempt, d.next_attempt]
            case TaskRejected() | TaskExpired() as d:
                return [self._id(d.task), d.attempt]
            case PriceObserved() as d:
                self._events.append(statement.time)
                self._names += [d.fiat, d.source]
                what = (self._id(d.asset), len(self._names) - 2, len(self._names) - 1, *_amount(d.price_ppm))
                return [*what, *self._named(statement), len(self._events) - 1]
        raise AssertionError(statement)

    def _own(
        self, data: TaskAssigned | OutputSubmitted | ValidationSubmitted | VWUAssigned | BadBehaviourReported
    ) -> list[int]:
        return [self._id(data.task), data.attempt, data.slot]

    def _told(self, statement: Statement) -> list[int]:
        self._names.append(statement.producer)
        self._events.append(statement.event_id)
        return [len(self._names) - 1, len(self._events) - 1]

    def _named(self, statement: Statement) -> list[int]:
        self._names += [statement.producer, statement.event_id]
        return [len(self._names) - 2, len(self._names) - 1]

    def _id(self, word: bytes) -> int:
        self._ids.append(word)
        return len(self._ids) - 1

    def _hash(self, word: bytes | None) -> int:
        if word is None:
            return NONE
        self._hashes.append(word)
        return len(self._hashes) - 1


def _amount(amount: int) -> tuple[int, int]:
    low = amount & (2**64 - 1)
    return low - ((low >> 63) << 64), amount >> 64
