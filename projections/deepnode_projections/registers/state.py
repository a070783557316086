"""The state that rules read and write, as they see it: the newest record of each thing.

Rules know nothing of tables. ``MemoryState`` is a state by itself: what an auditor replays a log with, and what tests
use; the projector's (``registers.kept``) reads from the books and keeps what is written until the rows are.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TypeVar, cast

from deepnode_projections.registers.record import Key, Record, Value, fields_of, key_of
from deepnode_projections.rulesets.ruleset import Ruleset

R = TypeVar("R", bound=Record)

Ruling = Callable[[int, Ruleset], Ruleset]
"""Says which ruleset holds in an epoch, given the one that the chain has activated for it (or the default one)."""


class State(Protocol):
    """What is known now. ``ruling``, where there is one, has the last word on the rules: a what-if sets it."""

    ruling: Ruling | None

    def get(self, kind: type[R], *key: Value) -> R | None:
        """Return the newest record of a thing, or None if there is none."""

    def put(self, record: Record) -> None:
        """Let a record be the newest of its thing, from the event that is being applied on."""

    def every(self, kind: type[R], *prefix: Value) -> Sequence[R]:
        """Return the newest record of each thing whose key begins so, in the order of keys; all without a prefix.

        Bytes and text are ordered by their bytes, numbers by size.
        """

    def attempt(self, position: int) -> AbstractContextManager[None]:
        """Apply the event at a position: take back what is put within, if it ends in an exception."""


class MemoryState:
    """All newest records in dictionaries."""

    def __init__(self) -> None:
        self.ruling: Ruling | None = None
        self._records: dict[type[Record], dict[Key, Record]] = {}
        self._keys: dict[type[Record], list[Key]] = {}
        self._before: list[tuple[type[Record], Key, Record | None]] | None = None

    def get(self, kind: type[R], *key: Value) -> R | None:
        """Return the newest record of a thing, or None if there is none."""
        assert len(key) == kind.KEY, (kind, key)
        return cast("R | None", self._records.get(kind, {}).get(key))

    def put(self, record: Record) -> None:
        """Let a record be the newest of its thing."""
        kind, key = type(record), key_of(record)
        fields_of(kind)
        held = self._records.setdefault(kind, {})
        if self._before is not None:
            self._before.append((kind, key, held.get(key)))
        if key not in held:
            insort(self._keys.setdefault(kind, []), key)
        held[key] = record

    def every(self, kind: type[R], *prefix: Value) -> Sequence[R]:
        """Return the newest records whose key begins with ``prefix``, in the order of keys."""
        keys, held = self._keys.get(kind, []), self._records.get(kind, {})
        found = []
        for key in keys[bisect_left(keys, prefix) :]:
            if key[: len(prefix)] != prefix:
                break
            found.append(cast("R", held[key]))
        return found

    @contextmanager
    def attempt(self, position: int = 0) -> Iterator[None]:
        """Apply one event: take back what is put within, if it ends in an exception."""
        assert self._before is None, "one event at a time"
        assert position >= 0, position
        self._before = []
        try:
            yield
        except BaseException:
            for kind, key, record in reversed(self._before):
                if record is None:
                    del self._records[kind][key]
                    self._keys[kind].remove(key)
                else:
                    self._records[kind][key] = record
            raise
        finally:
            self._before = None
