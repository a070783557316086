"""Rows of a table read one after the other, however many there are."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, Final, Self

from psycopg import ClientCursor, Connection
from psycopg.rows import TupleRow, tuple_row
from typing_extensions import override

ROWS_AT_ONCE: Final = 2_000

_names = itertools.count(1)


class Rows(Iterator[TupleRow]):
    """The rows of a query, through a cursor of the server; ``next`` is the one to come, None behind the last.

    The connection is in a transaction, which outlives this.
    """

    def __init__(
        self, connection: Connection[Any], query: str, values: Sequence[Any] = (), *, at_once: int = ROWS_AT_ONCE
    ) -> None:
        name = f"deepnode_rows_{next(_names)}"
        # The query is a constant of the caller's. DECLARE takes no parameters from the wire, so they are written out.
        declared = ClientCursor(connection)
        declared.execute(f"DECLARE {name} NO SCROLL CURSOR FOR {query}".encode(), values)
        declared.close()
        self._close = f"CLOSE {name}".encode()
        self._fetched = connection.cursor(row_factory=tuple_row, binary=True)
        self._fetch = f"FETCH FORWARD {at_once} FROM {name}".encode()
        self._rows = self._all()
        self.next: TupleRow | None = next(self._rows, None)

    @override
    def __iter__(self) -> Self:
        return self

    @override
    def __next__(self) -> TupleRow:
        if self.next is None:
            raise StopIteration
        return self.take()

    def _all(self) -> Iterator[TupleRow]:
        while rows := self._fetched.execute(self._fetch).fetchall():
            yield from rows
        self._fetched.execute(self._close)

    def take(self) -> TupleRow:
        """Return the row to come, which must be there, and go on to the one behind it."""
        taken = self.next
        assert taken is not None
        self.next = next(self._rows, None)
        return taken


def one(connection: Connection[Any], query: str, values: Sequence[Any] = ()) -> TupleRow | None:
    """Return a query's first row, if it has one."""
    cursor = connection.cursor(row_factory=tuple_row, binary=True)
    return cursor.execute(query.encode(), values).fetchone()


def every(connection: Connection[Any], query: str, values: Sequence[Any] = ()) -> list[TupleRow]:
    """Return all rows of a query that has few."""
    cursor = connection.cursor(row_factory=tuple_row, binary=True)
    return cursor.execute(query.encode(), values).fetchall()
