"""Finding entries by what they are about: a selection names it, and says how batches and pending rows are searched.

A selection has three faces that must agree: ``terms`` say which sealed batches to open (see ``segment``), ``mask``
which rows of a batch are meant, and ``condition`` the same for the pending table, where an index answers it.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from typing_extensions import override

from deepnode_ledger.errors import BadInput
from deepnode_ledger.segment import hashed_term, transaction_term


class Selection(ABC):
    """Which entries of the log are meant."""

    @property
    @abstractmethod
    def terms(self) -> tuple[int, ...]:
        """A sealed batch without any of these terms holds no such entry."""

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
    def terms(self) -> tuple[int, ...]:
        return (transaction_term(self.hash),)

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
    def terms(self) -> tuple[int, ...]:
        values = sorted(self.topics) + sorted(name.encode() for name in self.event_types)
        return tuple(hashed_term("type", value) for value in values)

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
    def terms(self) -> tuple[int, ...]:
        value = self.value if isinstance(self.value, bytes) else self.value.encode()
        return (hashed_term(self._column[0], value),)

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
