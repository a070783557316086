"""The state that rules read and write, as they see it: the newest record of each thing.

Rules know nothing of tables. ``MemoryState`` is a state by itself: what an auditor replays a log with, and what tests
use; the projector's (``registers.kept``) reads from the books and keeps what is written until the rows are.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TypeVar, cast

from deepnode_projections.registers.record import Key, Record, Value, fields_of, key_of
from deepnode_projections.rulesets.ruleset import Ruleset

R = TypeVar("R", bound=Record)

Lines = bytes | memoryview
"""A line of the state root, or many; memory may be used again for those that come next."""

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
        self._known: dict[type[Record], _Newest] = {}
        self._before: list[tuple[type[Record], Key, Record | None]] | None = None

    def get(self, kind: type[R], *key: Value) -> R | None:
        """Return the newest record of a thing, or None if there is none."""
        assert len(key) == kind.KEY, (kind, key)
        known = self._known.get(kind)
        return None if known is None else cast("R | None", known.records.get(key))

    def put(self, record: Record) -> None:
        """Let a record be the newest of its thing."""
        kind, key = type(record), key_of(record)
        known = self._known.get(kind)
        if known is None:
            fields_of(kind)
            known = self._known[kind] = _Newest()
        held = known.records.get(key)
        if self._before is not None:
            self._before.append((kind, key, held))
        if held is None:
            known.enter(key)
        else:
            known.written.pop(key, None)
        known.records[key] = record

    def every(self, kind: type[R], *prefix: Value) -> Sequence[R]:
        """Return the newest records whose key begins with ``prefix``, in the order of keys."""
        known = self._known.get(kind)
        return [] if known is None else cast("list[R]", known.under(prefix))

    def records(self) -> Iterator[Record]:
        """Yield all newest records, kind by kind."""
        for known in self._known.values():
            yield from known.records.values()

    def lines(self, kinds: Sequence[type[R]], write: Callable[[R], bytes]) -> Iterator[Lines]:
        """Yield every record of some kinds as ``write`` puts it, in the order of kinds and keys.

        One that stays is written once: ``write`` is the same function for as long as the state lives. What is yielded
        holds until the next is taken, and nothing may be put meanwhile.
        """
        return (line for kind in kinds for line in self._written(kind, write))

    def _written(self, kind: type[R], write: Callable[[R], bytes]) -> Iterator[bytes]:
        known = self._known.get(kind)
        if known is None:
            return
        kept = known.written
        for key in known.keys_under(()):
            line = kept.get(key)
            if line is None:
                line = kept[key] = write(cast("R", known.records[key]))
            yield line

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
                known = self._known[kind]
                known.written.pop(key, None)
                if record is None:
                    del known.records[key]
                    known.leave(key)
                else:
                    known.records[key] = record
            raise
        finally:
            self._before = None


class _Newest:
    """The newest records of a kind by key; and keys by their beginnings, of the lengths that were ever asked for.

    Of millions of keys, to keep all in order would cost more with every one that comes. So those of one beginning are
    put in order when they are asked for, which takes as long as it takes to read them.
    """

    __slots__ = ("_by_length", "records", "written")

    def __init__(self) -> None:
        self.records: dict[Key, Record] = {}
        self.written: dict[Key, bytes] = {}
        self._by_length: dict[int, tuple[dict[Key, list[Key]], set[Key]]] = {}

    def enter(self, key: Key) -> None:
        """Take note of a new key."""
        for length, (found, unordered) in self._by_length.items():
            beginning = key[:length]
            keys = found.get(beginning)
            if keys is None:
                found[beginning] = [key]
                continue
            if key < keys[-1]:
                unordered.add(beginning)
            keys.append(key)

    def leave(self, key: Key) -> None:
        """Forget a key, one of the last to be entered."""
        for length, (found, unordered) in self._by_length.items():
            beginning = key[:length]
            keys = found[beginning]
            if beginning in unordered:
                place = next(place for place in reversed(range(len(keys))) if keys[place] == key)
            else:
                place = bisect_left(keys, key)
            del keys[place]
            if not keys:
                del found[beginning]
                unordered.discard(beginning)

    def under(self, prefix: Key) -> list[Record]:
        """Return the records whose key begins with ``prefix``, in the order of keys."""
        return [self.records[key] for key in self.keys_under(prefix)]

    def keys_under(self, prefix: Key) -> list[Key]:
        """Return the keys that begin with ``prefix``, in their order."""
        made = self._by_length.get(len(prefix))
        if made is None:
            made = self._by_length[len(prefix)] = self._divided(len(prefix))
        found, unordered = made
        keys = found.get(prefix)
        if keys is None:
            return []
        if prefix in unordered:
            keys.sort()
            unordered.discard(prefix)
        return keys

    def _divided(self, length: int) -> tuple[dict[Key, list[Key]], set[Key]]:
        found: dict[Key, list[Key]] = {}
        for key in self.records:
            found.setdefault(key[:length], []).append(key)
        return found, set(found)
