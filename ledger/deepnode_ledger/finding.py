"""Finding entries by what they are about: a selection names it, and says how batches and pending rows are searched.

A selection has three faces that must agree: ``terms`` say which sealed batches to open (see ``segment``), ``mask``
which rows of a batch are meant, and ``condition`` the same for the pending table, where an index answers it.
"""

import functools
from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from typing_extensions import override

from deepnode_ledger.errors import BadInput
from deepnode_ledger.record import Kind
from deepnode_ledger.segment import hashed_term, kind_term, transaction_term


class Selection(ABC):
    """Which entries of the log are meant."""

    @property
    @abstractmethod
    def terms(self) -> tuple[tuple[int, ...], ...]:
        """Groups of terms: a sealed batch that lacks all terms of any group holds no such entry."""

    @abstractmethod
    def mask(self, batch: pa.RecordBatch) -> pa.BooleanArray:
        """Say of each row of a batch whether it is meant; null counts as no."""

    @property
    @abstractmethod
    def condition(self) -> tuple[str, tuple[Any, ...]]:
        """An SQL condition over ``log.pending``, and its parameters."""


@dataclass(frozen=True, slots=True)
class OfTransaction(Selection):
    """The chain logs of one transaction (``hash``: 32 bytes)."""

    hash: bytes

    def __post_init__(self) -> None:
        if len(self.hash) != 32:
            raise BadInput(f"a transaction's hash has 32 bytes, not {len(self.hash)}")

    @property
    @override
    def terms(self) -> tuple[tuple[int, ...], ...]:
        return ((transaction_term(self.hash),),)

    @override
    def mask(self, batch: pa.RecordBatch) -> pa.BooleanArray:
        return pc.equal(batch.column("transaction_hash"), pa.scalar(self.hash, pa.binary(32)))

    @property
    @override
    def condition(self) -> tuple[str, tuple[Any, ...]]:
        return "transaction_hash = %s", (self.hash,)


@dataclass(frozen=True, slots=True)
class OfType(Selection):
    """Chain logs with one of these first topics (32 bytes each), and task events of one of these types (text)."""

    topics: frozenset[bytes]
    event_types: frozenset[str]

    @classmethod
    def named(cls, types: Collection[bytes | str]) -> "OfType":
        """Sort first topics (bytes) and event types (text) apart.

        Raises:
            BadInput: none is given, or a topic has not 32 bytes.
        """
        topics = frozenset(each for each in types if isinstance(each, bytes))
        if not types:
            raise BadInput("a selection by type needs at least one type")
        for topic in topics:
            if len(topic) != 32:
                raise BadInput(f"a topic has 32 bytes, not {len(topic)}")
        return cls(topics, frozenset(each for each in types if isinstance(each, str)))

    @property
    @override
    def terms(self) -> tuple[tuple[int, ...], ...]:
        values = sorted(self.topics) + sorted(name.encode() for name in self.event_types)
        return (tuple(hashed_term("type", value) for value in values),)

    @override
    def mask(self, batch: pa.RecordBatch) -> pa.BooleanArray:
        return pc.or_(
            pc.is_in(batch.column("topic0"), pa.array(sorted(self.topics), pa.binary(32))),
            pc.is_in(batch.column("event_type"), pa.array(sorted(self.event_types), pa.string())),
        )

    @property
    @override
    def condition(self) -> tuple[str, tuple[Any, ...]]:
        return "(topic0 = ANY(%s) OR event_type = ANY(%s))", (sorted(self.topics), sorted(self.event_types))


@dataclass(frozen=True, slots=True)
class _OfColumn(Selection):
    value: Any

    @property
    @abstractmethod
    def _column(self) -> tuple[str, str]:
        """The kind of the terms, and the column."""

    @property
    @override
    def terms(self) -> tuple[tuple[int, ...], ...]:
        value = self.value if isinstance(self.value, bytes) else self.value.encode()
        return ((hashed_term(self._column[0], value),),)

    @override
    def mask(self, batch: pa.RecordBatch) -> pa.BooleanArray:
        column = batch.column(self._column[1])
        return pc.equal(column, pa.scalar(self.value, column.type))

    @property
    @override
    def condition(self) -> tuple[str, tuple[Any, ...]]:
        return f"{self._column[1]} = %s", (self.value,)


@dataclass(frozen=True, slots=True)
class OfTask(_OfColumn):
    """The task events that name this task (text) in their data."""

    value: str

    @property
    @override
    def _column(self) -> tuple[str, str]:
        return "task", "task"


@dataclass(frozen=True, slots=True)
class OfProducer(_OfColumn):
    """The task events of one producer (its id in the manifest)."""

    value: str

    @property
    @override
    def _column(self) -> tuple[str, str]:
        return "producer", "producer"


@dataclass(frozen=True, slots=True)
class OfContract(_OfColumn):
    """The chain logs that one contract (20 bytes) wrote."""

    value: bytes

    def __post_init__(self) -> None:
        if len(self.value) != 20:
            raise BadInput(f"an address has 20 bytes, not {len(self.value)}")

    @property
    @override
    def _column(self) -> tuple[str, str]:
        return "contract", "address"


@dataclass(frozen=True, slots=True)
class OfKind(Selection):
    """The entries that came in by one door."""

    kind: Kind

    @property
    @override
    def terms(self) -> tuple[tuple[int, ...], ...]:
        return ((kind_term(self.kind),),)

    @override
    def mask(self, batch: pa.RecordBatch) -> pa.BooleanArray:
        return pc.equal(batch.column("kind"), int(self.kind))

    @property
    @override
    def condition(self) -> tuple[str, tuple[Any, ...]]:
        return "kind = %s", (int(self.kind),)


@dataclass(frozen=True, slots=True)
class OfAll(Selection):
    """The entries that each of some selections means."""

    parts: tuple[Selection, ...]

    def __post_init__(self) -> None:
        assert self.parts, "all of nothing is everything: read it"

    @property
    @override
    def terms(self) -> tuple[tuple[int, ...], ...]:
        return tuple(group for part in self.parts for group in part.terms)

    @override
    def mask(self, batch: pa.RecordBatch) -> pa.BooleanArray:
        # A null is no; of two masks, and_ would let a null stand.
        masks = [pc.fill_null(part.mask(batch), False) for part in self.parts]
        return functools.reduce(pc.and_, masks)

    @property
    @override
    def condition(self) -> tuple[str, tuple[Any, ...]]:
        conditions = [part.condition for part in self.parts]
        return " AND ".join(text for text, _ in conditions), tuple(v for _, values in conditions for v in values)
