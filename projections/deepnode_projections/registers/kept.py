"""The state over the books' tables: reads what it is asked for, and holds what is put until ``write``.

One projector works on it at a time. What was read once stays in memory, across steps, up to ``RECORDS_MAX``; whoever
takes the books back, or fails, begins with a new one.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Final, TypeVar, cast

from psycopg import Cursor, sql
from psycopg.rows import DictRow, tuple_row

from deepnode_projections.registers.record import COLUMN_TYPES, Key, Record, Value, fields_of, key_of, of_row, values_of
from deepnode_projections.registers.state import Ruling

R = TypeVar("R", bound=Record)

RECORDS_MAX: Final = 200_000
"""Records in memory between two steps, of all kinds together."""


@dataclass(slots=True)
class _Known:
    """What was read or put of one kind: the newest records (None: there is none), and the keys of those there are."""

    records: dict[Key, Record | None] = field(default_factory=dict)
    keys: list[Key] = field(default_factory=list)
    complete: set[Key] = field(default_factory=set)
    """Prefixes of keys under which nothing is unknown."""

    def note(self, key: Key, record: Record | None) -> None:
        held = self.records.get(key)
        self.records[key] = record
        if held is None and record is not None:
            insort(self.keys, key)
        elif held is not None and record is None:
            self.keys.remove(key)

    def is_complete(self, prefix: Key) -> bool:
        return any(prefix[:length] in self.complete for length in range(len(prefix) + 1))


class Kept:
    """The newest records, as the books have them and the events since have changed them.

    Args:
        cursor: of the projector's connection, whose ``search_path`` chooses the books.
    """

    def __init__(self, cursor: Cursor[DictRow]) -> None:
        self.ruling: Ruling | None = None
        self._cursor = cursor.connection.cursor(row_factory=tuple_row, binary=True)
        self._known: dict[type[Record], _Known] = {}
        self._changes: dict[type[Record], dict[Key, list[tuple[int, Record]]]] = {}
        self._before: dict[tuple[type[Record], Key], Record | None] | None = None

    def get(self, kind: type[R], *key: Value) -> R | None:
        """Return the newest record of a thing, or None if there is none."""
        assert len(key) == kind.KEY, (kind, key)
        known = self._of(kind)
        if key not in known.records:
            known.note(key, None if known.is_complete(key) else self._read_one(kind, key))
        return cast("R | None", known.records[key])

    def put(self, record: Record) -> None:
        """Let a record be the newest of its thing, from the event that is being applied on."""
        assert self._before is not None, "a record is put by an event: attempt() comes first"
        kind, key = type(record), key_of(record)
        held = self.get(kind, *key)
        self._before.setdefault((kind, key), held)
        self._of(kind).note(key, record)

    def every(self, kind: type[R], *prefix: Value) -> Sequence[R]:
        """Return the newest records whose key begins with ``prefix``, in the order of keys."""
        known = self._of(kind)
        if not known.is_complete(prefix):
            for record in self._read_every(kind, prefix):
                key = key_of(record)
                if key not in known.records:
                    known.note(key, record)
            known.complete.add(prefix)
        found = []
        for key in known.keys[bisect_left(known.keys, prefix) :]:
            if key[: len(prefix)] != prefix:
                break
            found.append(cast("R", known.records[key]))
        return found

    @contextmanager
    def attempt(self, position: int) -> Iterator[None]:
        """Apply the event at a position: what is put within is taken back if it ends in an exception."""
        assert self._before is None, "one event at a time"
        self._before = {}
        try:
            yield
        except BaseException:
            for (kind, key), record in self._before.items():
                self._of(kind).note(key, record)
            raise
        else:
            for (kind, key), before in self._before.items():
                record = self._of(kind).records[key]
                assert record is not None
                if record != before:
                    self._changes.setdefault(kind, {}).setdefault(key, []).append((position, record))
        finally:
            self._before = None

    def write(self) -> None:
        """Write what the events since the last time changed, in the caller's transaction."""
        for kind in sorted(self._changes, key=lambda each: each.TABLE):
            self._write(kind, self._changes[kind])
        self._changes = {}
        if sum(len(known.records) for known in self._known.values()) > RECORDS_MAX:
            self._known = {}

    def _of(self, kind: type[Record]) -> _Known:
        return self._known.setdefault(kind, _Known())

    def _read_one(self, kind: type[R], key: Key) -> R | None:
        self._cursor.execute(_select(kind, kind.KEY, "until IS NULL"), key)
        row = self._cursor.fetchone()
        return None if row is None else of_row(kind, row)

    def _read_every(self, kind: type[R], prefix: Key) -> list[R]:
        self._cursor.execute(_select(kind, len(prefix), "until IS NULL"), prefix)
        return [of_row(kind, row) for row in self._cursor.fetchall()]

    def _write(self, kind: type[Record], changes: dict[Key, list[tuple[int, Record]]]) -> None:
        fields, keys = fields_of(kind), sorted(changes)
        firsts = [changes[key][0][0] for key in keys]
        names = [sql.Identifier(each.name) for each in fields[: kind.KEY]]
        matches = sql.SQL(" AND ").join(sql.SQL("t.{0} = n.{0}").format(name) for name in names)
        arrays = sql.SQL(", ").join(sql.SQL(f"%s::{COLUMN_TYPES[each.type]}[]") for each in fields[: kind.KEY])
        self._cursor.execute(
            sql.SQL(
                "UPDATE {table} t SET until = n.since FROM unnest({arrays}, %s::bigint[]) n({names}, since)"
                " WHERE {matches} AND t.until IS NULL"
            ).format(table=sql.Identifier(kind.TABLE), arrays=arrays, names=sql.SQL(", ").join(names), matches=matches),
            [*([key[place] for key in keys] for place in range(kind.KEY)), firsts],
        )
        columns = sql.SQL(", ").join(sql.Identifier(each.name) for each in fields)
        target = sql.SQL("COPY {} ({}, position, until) FROM STDIN").format(sql.Identifier(kind.TABLE), columns)
        with self._cursor.copy(target) as rows:
            for key in keys:
                history = changes[key]
                ends = [position for position, _ in history[1:]]
                for (position, record), until in zip(history, [*ends, None], strict=True):
                    rows.write_row((*values_of(record), position, until))


def roll_back(cursor: Cursor[DictRow], kinds: Sequence[type[Record]], kept_position: int) -> None:
    """Take back every change above a position."""
    statement = sql.SQL(
        "DELETE FROM {table} WHERE position > {kept}; UPDATE {table} SET until = NULL WHERE until > {kept}; "
    )
    # All in one: there are many kinds, and each trip to the server costs as much as what is done there.
    every = [statement.format(table=sql.Identifier(kind.TABLE), kept=sql.Literal(kept_position)) for kind in kinds]
    cursor.execute(sql.Composed(every))


@cache
def _select(kind: type[Record], key_length: int, condition: str) -> bytes:
    """Write a query, once: names are those of the program's own declarations."""
    fields = fields_of(kind)
    columns = ", ".join(f'"{each.name}"' for each in fields)
    conditions = [f'"{each.name}" = %s::{COLUMN_TYPES[each.type]}' for each in fields[:key_length]]
    where = " AND ".join([*conditions, condition])
    return f'SELECT {columns} FROM "{kind.TABLE}" WHERE {where}'.encode()  # noqa: S608 - nothing of it comes from outside
