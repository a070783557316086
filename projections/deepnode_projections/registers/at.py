"""The state at a position: what the rules knew there, read from the books' record tables.

A row holds from its ``position`` until its ``until``, so the state at P is ``position <= P AND (until IS NULL OR
until > P)``. What is read this way is what ``registers.state.MemoryState`` would hold behind the entry at P. Besides,
each row tells which entry of the log made it, which is what an explanation needs.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, Self, TypeVar

from psycopg import Connection, sql
from psycopg.rows import tuple_row

from deepnode_projections.registers.record import COLUMN_TYPES, Record, Value, fields_of, key_names, of_row
from deepnode_projections.registers.state import Ruling

R = TypeVar("R", bound=Record)


class StateAt:
    """The newest records as they were behind the entry at ``position``. It can be read, and not written.

    Args:
        connection: whose ``search_path`` chooses the books. A transaction around all reads makes them one moment's.
        position: of the log, from 0 (nothing was known).
    """

    def __init__(self, connection: Connection[Any], position: int) -> None:
        assert position >= 0, position
        self.ruling: Ruling | None = None
        self.position = position
        self.connection = connection

    def at(self, position: int) -> Self:
        """Return the state at another position of the same books."""
        return type(self)(self.connection, position)

    def get(self, kind: type[R], *key: Value) -> R | None:
        """Return the newest record of a thing, or None if there was none."""
        assert len(key) == kind.KEY, (kind, key)
        found = self._standing(kind, key_names(kind)[: len(key)], key)
        return found[0][1] if found else None

    def every(self, kind: type[R], *prefix: Value) -> Sequence[R]:
        """Return the newest record of each thing whose key begins so, in the order of keys."""
        return [record for _, record in self._standing(kind, key_names(kind)[: len(prefix)], prefix)]

    def since(self, kind: type[R], *key: Value) -> int | None:
        """Return the position of the entry that made the newest record of a thing, or None if there was none."""
        assert len(key) == kind.KEY, (kind, key)
        found = self._standing(kind, key_names(kind)[: len(key)], key)
        return found[0][0] if found else None

    def found(self, kind: type[R], field: str, value: Value) -> Sequence[tuple[int, R]]:
        """Return the newest records in which a field holds a value, each with the position of the entry that made it.

        They come in the order of keys. ``field`` is one of the kind's ``FOUND_BY``, which have an index.
        """
        return self._standing(kind, (field,), (value,))

    def changes(self, kind: type[R], *prefix: Value) -> Sequence[tuple[int, R]]:
        """Return all records that ever were of the things whose key begins so, by the position that made each."""
        assert prefix, "not a whole table"
        return self._rows(kind, _statement(kind, key_names(kind)[: len(prefix)], ever=True), prefix)

    def put(self, record: Record) -> None:
        """Refuse: what was is not changed."""
        raise AssertionError(f"the past is read only: {record}")

    def attempt(self, position: int) -> AbstractContextManager[None]:
        """Refuse: nothing is applied to what was."""
        raise AssertionError(f"the past is read only: position {position}")

    def _standing(self, kind: type[R], named: tuple[str, ...], values: Sequence[Value]) -> list[tuple[int, R]]:
        return self._rows(kind, _statement(kind, named, ever=False), [*values, self.position])

    def _rows(self, kind: type[R], statement: bytes, values: Sequence[Value]) -> list[tuple[int, R]]:
        with self.connection.cursor(row_factory=tuple_row, binary=True) as cursor:
            rows = cursor.execute(statement, [*values, self.position]).fetchall()
        return [(int(row[0]), of_row(kind, row[1:])) for row in rows]


@cache
def _statement(kind: type[Record], named: tuple[str, ...], *, ever: bool) -> bytes:
    """Write the query of the records in which the named fields hold values, at a position or as they ever were.

    Its parameters are the values, for those of a position that position, and the position.
    """
    types = {each.name: COLUMN_TYPES[each.type] for each in fields_of(kind)}
    where: list[sql.Composable] = [
        sql.SQL("{} = " + f"%s::{types[name]}").format(sql.Identifier(name)) for name in named
    ]
    if not ever:
        where.append(sql.SQL("(until IS NULL OR until > %s::bigint)"))
    order = ("position",) if ever else key_names(kind)
    statement = sql.SQL("SELECT position, {} FROM {} WHERE {} ORDER BY {}").format(
        sql.SQL(", ").join(map(sql.Identifier, types)),
        sql.Identifier(kind.TABLE),
        sql.SQL(" AND ").join([*where, sql.SQL("position <= %s::bigint")]),
        sql.SQL(", ").join(map(sql.Identifier, order)),
    )
    return statement.as_bytes(None)
