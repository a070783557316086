"""The state at a position: what the rules knew there, read from the books' record tables.

A row holds from its ``position`` until its ``until``, so the state at P is ``position <= P AND (until IS NULL OR
until > P)``. What is read this way is what ``registers.state.MemoryState`` would hold behind the entry at P. Besides,
each row tells which entry of the log made it, which is what an explanation needs.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Self, TypeVar

from psycopg import Connection, sql
from psycopg.rows import tuple_row

from deepnode_projections.registers.record import COLUMN_TYPES, Field, Record, Value, fields_of, of_row

R = TypeVar("R", bound=Record)


class StateAt:
    """The newest records as they were behind the entry at ``position``. It can be read, and not written.

    Args:
        connection: whose ``search_path`` chooses the books. A transaction around all reads makes them one moment's.
        position: of the log, from 0 (nothing was known).
    """

    def __init__(self, connection: Connection[Any], position: int) -> None:
        assert position >= 0, position
        self.position = position
        self.connection = connection

    def at(self, position: int) -> Self:
        """Return the state at another position of the same books."""
        return type(self)(self.connection, position)

    def get(self, kind: type[R], *key: Value) -> R | None:
        """Return the newest record of a thing, or None if there was none."""
        assert len(key) == kind.KEY, (kind, key)
        found = self._standing(kind, _match(kind, len(key)), key)
        return found[0][1] if found else None

    def every(self, kind: type[R], *prefix: Value) -> Sequence[R]:
        """Return the newest record of each thing whose key begins so, in the order of keys."""
        return [record for _, record in self._standing(kind, _match(kind, len(prefix)), prefix)]

    def since(self, kind: type[R], *key: Value) -> int | None:
        """Return the position of the entry that made the newest record of a thing, or None if there was none."""
        assert len(key) == kind.KEY, (kind, key)
        found = self._standing(kind, _match(kind, len(key)), key)
        return found[0][0] if found else None

    def found(self, kind: type[R], field: str, value: Value) -> Sequence[tuple[int, R]]:
        """Return the newest records in which a field holds a value, each with the position of the entry that made it.

        They come in the order of keys. ``field`` is one of the kind's ``FOUND_BY``, which have an index.
        """
        by = next(each for each in fields_of(kind) if each.name == field)
        return self._standing(kind, [_equal(by)], (value,))

    def changes(self, kind: type[R], *prefix: Value) -> Sequence[tuple[int, R]]:
        """Return all records that ever were of the things whose key begins so, by the position that made each."""
        assert prefix, "not a whole table"
        return self._rows(kind, _match(kind, len(prefix)), prefix, [sql.Identifier("position")])

    def put(self, record: Record) -> None:
        """Refuse: what was is not changed."""
        raise AssertionError(f"the past is read only: {record}")

    def attempt(self, position: int) -> AbstractContextManager[None]:
        """Refuse: nothing is applied to what was."""
        raise AssertionError(f"the past is read only: position {position}")

    def _standing(self, kind: type[R], where: Sequence[sql.Composable], values: Sequence[Value]) -> list[tuple[int, R]]:
        still = sql.SQL("(until IS NULL OR until > {})").format(sql.Literal(self.position))
        key = [sql.Identifier(each.name) for each in fields_of(kind)[: kind.KEY]]
        return self._rows(kind, [*where, still], values, key)

    def _rows(
        self,
        kind: type[R],
        where: Sequence[sql.Composable],
        values: Sequence[Value],
        order: Sequence[sql.Composable],
    ) -> list[tuple[int, R]]:
        fields = fields_of(kind)
        statement = sql.SQL("SELECT position, {} FROM {} WHERE {} ORDER BY {}").format(
            sql.SQL(", ").join(sql.Identifier(each.name) for each in fields),
            sql.Identifier(kind.TABLE),
            sql.SQL(" AND ").join([*where, sql.SQL("position <= {}").format(sql.Literal(self.position))]),
            sql.SQL(", ").join(order),
        )
        with self.connection.cursor(row_factory=tuple_row, binary=True) as cursor:
            rows = cursor.execute(statement, values).fetchall()
        return [(int(row[0]), of_row(kind, row[1:])) for row in rows]


def _match(kind: type[Record], length: int) -> list[sql.Composable]:
    return [_equal(each) for each in fields_of(kind)[:length]]


def _equal(field: Field) -> sql.Composable:
    return sql.SQL("{} = " + f"%s::{COLUMN_TYPES[field.type]}").format(sql.Identifier(field.name))
