"""Reading records: one by its key, a list of them, and what they were before."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Row, and_, func, select, true

from deepnode_graphql.connections import Connection, count_of
from deepnode_graphql.cursors import Order
from deepnode_graphql.filters import text
from deepnode_graphql.moments import Moment
from deepnode_graphql.nodes import finality
from deepnode_graphql.reading import Reading
from deepnode_graphql.registers.asked import NUMBER, asked_for, by_number
from deepnode_graphql.registers.filters import Conditions
from deepnode_graphql.registers.orders import is_by_key, sorted_rows
from deepnode_graphql.registers.register import Register
from deepnode_graphql.registers.related import Page
from deepnode_graphql.registers.states import state_at
from deepnode_graphql.registers.windows import Window, cursor_of
from deepnode_graphql.scalars import Long
from deepnode_graphql.together import Together

Version = tuple[Any, ...]
"""A key, and the position from which the record was so."""

_BEFORE: Final = "asked_before"


class Records(Page):
    """Makes the nodes of the rows of one statement; what hangs on them is fetched together, if it is asked for.

    Args:
        reading: of the request.
        register: which records.
        node: the type of the nodes.
        rows: with the record's fields and ``position``, and with ``until`` if they are of the past.
        moment: of which what hangs on them is read.
    """

    def __init__(self, reading: Reading, register: Register, node: type, rows: Sequence[Any], moment: Moment) -> None:
        super().__init__(reading, moment)
        self._register, self._node = register, node
        self._histories: dict[Window, Together[Version, Connection[Any]]] = {}
        self.nodes = [self._node_of(row) for row in rows]

    def history(self, node: Any, window: Window) -> Connection[Any]:
        """Return a page of what the record of a node was before, the newest first."""
        together = self._histories.get(window)
        if together is None:
            versions = map(self._version, self.nodes)
            together = self._histories[window] = Together(versions, partial(self._fetch, window=window))
        return together.get(self._version(node), window.connect([], [], more=False))

    def _node_of(self, row: Row[Any]) -> Any:
        # By name and not as an attribute: a record's field may be called as one of the row's own.
        values = row._mapping
        return self._node(
            records_=self,
            position=Long(row.position),
            until=values.get("until"),
            finality=finality(sealed=self.reading.sealed(row.position)),
            **{each.name: values[each.name] for each in self._register.fields},
        )

    def _version(self, node: Any) -> Version:
        return (*(getattr(node, each.name) for each in self._register.key), node.position)

    def _fetch(self, versions: Sequence[Version], window: Window) -> Mapping[Version, Connection[Any]]:
        found = earlier_rows(self.reading, self._register, versions, window)
        pages = [window.cut(rows) for rows in found]
        # All pages together are rows of one statement again: what these were before is fetched together, too.
        rows = [row for page in pages for row in page]
        nodes = iter(Records(self.reading, self._register, self._node, rows, self.moment).nodes)
        order = _newest_first(self._register)
        return {
            version: window.connect(
                [next(nodes) for _ in page],
                [cursor_of(order, row) for row in page],
                more=len(rows) > window.size,
                counted=partial(self._count, version),
            )
            for version, rows, page in zip(versions, found, pages, strict=True)
        }

    def _count(self, version: Version) -> int:
        def fetch(versions: Sequence[Version]) -> Mapping[Version, int]:
            return dict(zip(versions, earlier_counts(self.reading, self._register, versions), strict=True))

        return self.together("history count", lambda: map(self._version, self.nodes), fetch).get(version, 0)


def list_records(
    reading: Reading, register: Register, node: type, where: Any, order: str, moment: Moment, window: Window
) -> Connection[Any]:
    """Return a page of the records that there were at a moment.

    Raises:
        BadInput: a cursor or a filter breaks a rule.
    """
    # Which way to the state is good depends on what is asked for; the columns are the same on both.
    named = Conditions(register, register.table)
    named.of(where)
    by_key = is_by_key(register, order) and named.named <= {each.name for each in register.key}
    state = state_at(register, moment, by_key=by_key)
    rows, by = sorted_rows(register, state, order)
    whole = select(rows).where(Conditions(register, rows).of(where))
    found = reading.database.execute(window.select(whole, by)).all()
    page = window.cut(found)
    nodes = Records(reading, register, node, page, moment).nodes
    return window.connect(
        nodes,
        [cursor_of(by, row) for row in page],
        more=len(found) > window.size,
        counted=lambda: count_of(reading.database, whole),
    )


def find_record(reading: Reading, register: Register, node: type, key: Mapping[str, Any], moment: Moment) -> Any:
    """Return the record of a key at a moment, or None if there was none.

    Raises:
        BadInput: a text of the key cannot be one.
    """
    table = register.table
    values = {
        name: text(value, name) if isinstance(value, str) else value
        for name, value in ((each.name, key[each.name]) for each in register.key)
    }
    statement = (
        select(*(table.c[each.name] for each in register.fields), table.c.position)
        .where(*(table.c[name] == value for name, value in values.items()))
        .where(table.c.position <= moment.position)
        .order_by(table.c.position.desc())
        .limit(1)
    )
    rows = reading.database.execute(statement).all()
    return Records(reading, register, node, rows, moment).nodes[0] if rows else None


def earlier_rows(
    reading: Reading, register: Register, versions: Sequence[Version], window: Window
) -> list[list[Row[Any]]]:
    """Return what came before each version of a record: its window and one row more, by one statement.

    Raises:
        BadCursor: the window's cursor is none of a history.
    """
    table, asked = register.table, _asked(register, versions)
    earlier = window.select(select(table).where(_is_earlier(register, asked)), _newest_first(register)).lateral(
        "earlier"
    )
    rows = reading.database.execute(
        select(earlier, asked.c[NUMBER])
        .select_from(asked.join(earlier, true()))
        .order_by(asked.c[NUMBER], earlier.c.position.desc())
    )
    return by_number(rows, len(versions))


def earlier_counts(reading: Reading, register: Register, versions: Sequence[Version]) -> list[int]:
    """Return how many versions came before each, by one statement."""
    asked = _asked(register, versions)
    counted = select(func.count().label("count")).select_from(register.table).where(_is_earlier(register, asked))
    each = counted.lateral("counted")
    rows = reading.database.execute(select(each.c.count, asked.c[NUMBER]).select_from(asked.join(each, true())))
    return [row._mapping["count"] for [row] in by_number(rows, len(versions))]


def _asked(register: Register, versions: Sequence[Version]) -> Any:
    types = {each.name: register.table.c[each.name].type for each in register.key}
    return asked_for({**types, _BEFORE: BigInteger()}, versions)


def _is_earlier(register: Register, asked: Any) -> ColumnElement[bool]:
    table = register.table
    of_same_key = (table.c[each.name] == asked.c[each.name] for each in register.key)
    return and_(*of_same_key, table.c.position < asked.c[_BEFORE])


def _newest_first(register: Register) -> Order:
    return Order(f"{register.names.one} history", (register.table.c.position,), descending=True)
