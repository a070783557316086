"""Windows on a list: the first rows behind a cursor, or the last rows before one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Row, Select

from deepnode_graphql.connections import FIRST_DEFAULT, FIRST_MAX, Connection, connection_of
from deepnode_graphql.cursors import Order
from deepnode_graphql.filters import given
from deepnode_ledger.errors import BadInput

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Window:
    """``size`` rows between two cursors: the first of them, or, ``from_end``, the last."""

    size: int
    after: str | None
    before: str | None
    from_end: bool

    def clauses(self, order: Order) -> list[ColumnElement[Any]]:
        """Return what ORDER BY takes: from the end, the rows come the other way round."""
        return (_reversed(order) if self.from_end else order).clauses()

    def bounds(self, order: Order) -> list[ColumnElement[bool]]:
        """Return the conditions that the cursors make.

        Raises:
            BadCursor: one of them is none of this order.
        """
        bounds = []
        if self.after is not None:
            bounds.append(order.beyond(order.decode(self.after)))
        if self.before is not None:
            bounds.append(_reversed(order).beyond(order.decode(self.before)))
        return bounds

    def select(self, statement: Select[Any], order: Order) -> Select[Any]:
        """Cut a statement to the window, and one row more: it tells whether there are more."""
        return statement.where(*self.bounds(order)).order_by(*self.clauses(order)).limit(self.size + 1)

    def cut(self, rows: Sequence[Row[Any]]) -> list[Row[Any]]:
        """Return the rows of the window in the list's order, of the rows that ``select`` gave."""
        page = list(rows[: self.size])
        return page[::-1] if self.from_end else page

    def connect(
        self,
        nodes: Sequence[T],
        cursors: Sequence[str],
        *,
        more: bool,
        counted: Callable[[], int | None] | None = None,
    ) -> Connection[T]:
        """Make the page; ``more`` if there was one row more than the window takes. ``counted`` counts the list."""
        # Behind a window that ends at a cursor stands at least the row of the cursor.
        behind = self.before is not None or (more and not self.from_end)
        ahead = self.after is not None or (more and self.from_end)
        return connection_of(nodes, cursors, more=behind, continued=ahead, counted=counted)


def window(
    first: int | None = None, after: str | None = None, last: int | None = None, before: str | None = None
) -> Window:
    """Read the arguments of a list.

    Raises:
        BadInput: both ``first`` and ``last``, or one that is out of bounds.
    """
    first, last = given(first), given(last)
    if first is not None and last is not None:
        raise BadInput("give first or last, not both")
    name, size = ("first", first) if last is None else ("last", last)
    size = FIRST_DEFAULT if size is None else size
    if not 1 <= size <= FIRST_MAX:
        raise BadInput(f"{name} must be between 1 and {FIRST_MAX}, not {size}")
    return Window(size, given(after), given(before), last is not None)


def cursor_of(order: Order, row: Row[Any]) -> str:
    """Return the cursor of a row."""
    return order.encode([row._mapping[str(column.key)] for column in order.key])


def _reversed(order: Order) -> Order:
    return replace(order, descending=not order.descending)
