"""Selections of log entries that are put together: any of some, none of one, and those at some positions.

An index of the log leads to what has a term in it. What is not so, and what is at a position, has none: it narrows what
another condition finds, and is refused alone, because the log is never scanned.
"""

import functools
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from typing_extensions import override

from deepnode_ledger.finding import Selection


@dataclass(frozen=True, slots=True)
class OfAny(Selection):
    """The entries that at least one of some selections means; none of them without any."""

    parts: tuple[Selection, ...]

    @property
    @override
    def terms(self) -> tuple[tuple[int, ...], ...]:
        # Whatever a part means has a term of each of its groups: one group of each part is enough to find all.
        groups = [part.terms for part in self.parts]
        if not all(groups):
            return ()
        return (tuple(term for part in groups for term in min(part, key=len)),)

    @override
    def mask(self, batch: pa.RecordBatch) -> pa.BooleanArray:
        nothing = pa.array([False] * batch.num_rows, pa.bool_())
        return functools.reduce(pc.or_, (pc.fill_null(part.mask(batch), False) for part in self.parts), nothing)

    @property
    @override
    def condition(self) -> tuple[str, tuple[Any, ...]]:
        conditions = [part.condition for part in self.parts]
        text = " OR ".join(f"COALESCE(({text}), false)" for text, _ in conditions) or "false"
        return f"({text})", tuple(value for _, values in conditions for value in values)


@dataclass(frozen=True, slots=True)
class OfNone(Selection):
    """The entries that a selection does not mean."""

    part: Selection

    @property
    @override
    def terms(self) -> tuple[tuple[int, ...], ...]:
        return ()

    @override
    def mask(self, batch: pa.RecordBatch) -> pa.BooleanArray:
        return pc.invert(pc.fill_null(self.part.mask(batch), False))

    @property
    @override
    def condition(self) -> tuple[str, tuple[Any, ...]]:
        text, values = self.part.condition
        return f"(NOT COALESCE(({text}), false))", values


@dataclass(frozen=True, slots=True)
class OfPositions(Selection):
    """The entries from position ``first`` to ``last``, both included."""

    first: int
    last: int

    @property
    @override
    def terms(self) -> tuple[tuple[int, ...], ...]:
        return ()

    @override
    def mask(self, batch: pa.RecordBatch) -> pa.BooleanArray:
        positions = batch.column("position")
        return pc.and_(pc.greater_equal(positions, self.first), pc.less_equal(positions, self.last))

    @property
    @override
    def condition(self) -> tuple[str, tuple[Any, ...]]:
        return "position BETWEEN %s AND %s", (self.first, self.last)
