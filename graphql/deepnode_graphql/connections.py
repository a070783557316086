"""Pages of a list, as Relay's connections have them: edges with cursors, and whether there is more."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, TypeVar

import strawberry
from sqlalchemy import Connection as DatabaseConnection
from sqlalchemy import Row, Select, func, select

from deepnode_graphql.cursors import Order
from deepnode_graphql.scalars import Long
from deepnode_ledger.errors import BadInput

FIRST_DEFAULT: Final = 50
FIRST_MAX: Final = 1_000

T = TypeVar("T")


@strawberry.type
class PageInfo:
    """Where a page begins and ends.

    Attributes:
        has_next_page: whether rows stand behind this page.
        has_previous_page: whether rows stand before it, as far as the page was asked for with `after` or `last`.
        start_cursor: the cursor of the first edge; what to give as `before`, where a list takes it.
        end_cursor: what to give as `after` for the next page.
    """

    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@strawberry.type
class Edge(Generic[T]):
    """A row and the cursor of its place.

    Attributes:
        node: the row.
        cursor: the place of the row in this list and order.
    """

    node: T
    cursor: str


@strawberry.type
class Connection(Generic[T]):
    """A page of a list.

    Attributes:
        edges: the rows in order.
        page_info: where the page begins and ends.
    """

    edges: list[Edge[T]]
    page_info: PageInfo
    counted: strawberry.Private[Callable[[], int | None] | None] = None

    @strawberry.field
    def total_count(self) -> Long | None:
        """How many rows the whole list has, with the same conditions and moment. It is counted only if it is asked for.

        Null where a count would have to read much of the log: see what its list says.
        """
        counted = None if self.counted is None else self.counted()
        return None if counted is None else Long(counted)


@dataclass(frozen=True, slots=True)
class Slice:
    """The rows of a page as the database gave them, each with its cursor."""

    rows: Sequence[Row[Any]]
    cursors: Sequence[str]
    more: bool
    continued: bool
    counted: Callable[[], int | None] | None = None

    def connect(self, nodes: Sequence[T]) -> Connection[T]:
        """Make the page of nodes that were made of the rows, one each."""
        return connection_of(nodes, self.cursors, more=self.more, continued=self.continued, counted=self.counted)


def check_first(first: int) -> int:
    """Check the size of a page.

    Raises:
        BadInput: below 1 or above ``FIRST_MAX``.
    """
    if not 1 <= first <= FIRST_MAX:
        raise BadInput(f"first must be between 1 and {FIRST_MAX}, not {first}")
    return first


def read_slice(
    database: DatabaseConnection, statement: Select[Any], order: Order, first: int, after: str | None
) -> Slice:
    """Read the page of ``first`` rows behind the cursor ``after``.

    Raises:
        BadInput: ``first`` is out of bounds, or ``after`` is no cursor of this order.
    """
    check_first(first)
    page = statement if after is None else statement.where(order.beyond(order.decode(after)))
    # One row more than asked tells whether there is a next page.
    rows = database.execute(page.order_by(*order.clauses()).limit(first + 1)).all()
    return replace(slice_of(rows, order, first, after), counted=lambda: count_of(database, statement))


def count_of(database: DatabaseConnection, statement: Select[Any]) -> int:
    """Return how many rows a statement has, by a statement of its own."""
    return int(database.execute(select(func.count()).select_from(statement.subquery("counted"))).scalar_one())


def slice_of(rows: Sequence[Row[Any]], order: Order, first: int, after: str | None) -> Slice:
    """Cut rows that are in order, of which one more than ``first`` was asked for, to a page."""
    page = rows[:first]
    names = [column.key for column in order.key]
    assert all(isinstance(name, str) for name in names), names
    cursors = [order.encode([getattr(row, str(name)) for name in names]) for row in page]
    return Slice(page, cursors, len(rows) > first, after is not None)


def connection_of(
    nodes: Sequence[T],
    cursors: Sequence[str],
    *,
    more: bool,
    continued: bool,
    counted: Callable[[], int | None] | None = None,
) -> Connection[T]:
    """Put nodes and cursors together, and what counts the whole list, if it is asked."""
    make_edge: Callable[..., Edge[T]] = Edge
    return Connection(
        edges=[make_edge(node=node, cursor=cursor) for node, cursor in zip(nodes, cursors, strict=True)],
        page_info=PageInfo(
            has_next_page=more,
            has_previous_page=continued,
            start_cursor=cursors[0] if cursors else None,
            end_cursor=cursors[-1] if cursors else None,
        ),
        counted=counted,
    )
