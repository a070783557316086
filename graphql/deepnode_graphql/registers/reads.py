"""Reading records: one by its key, a list of them, and what they were before."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from sqlalchemy import ARRAY, BigInteger, Row, and_, bindparam, column, func, select, true

from deepnode_graphql.connections import Connection
from deepnode_graphql.cursors import Order
from deepnode_graphql.filters import text
from deepnode_graphql.moments import Moment
from deepnode_graphql.nodes import finality
from deepnode_graphql.reading import Reading
from deepnode_graphql.registers.filters import Conditions
from deepnode_graphql.registers.orders import is_by_key, sorted_rows
from deepnode_graphql.registers.register import Register
from deepnode_graphql.registers.states import state_at
from deepnode_graphql.registers.windows import Window, cursor_of
from deepnode_graphql.scalars import Long
from deepnode_graphql.together import Together

Version = tuple[Any, ...]
"""A key, and the position from which the record was so."""

_NUMBER: Final = "asked_number"
_BEFORE: Final = "asked_before"


class Records:
    """Makes the nodes of the rows of one statement; what they were before is fetched together, if it is asked for.

    Args:
        reading: of the request.
        register: which records.
        node: the type of the nodes.
        rows: with the record's fields and ``position``, and with ``until`` if they are of the past.
    """

    def __init__(self, reading: Reading, register: Register, node: type, rows: Sequence[Any]) -> None:
        self._reading, self._register, self._node = reading, register, node
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
            finality=finality(sealed=self._reading.sealed(row.position)),
            **{each.name: values[each.name] for each in self._register.fields},
        )

    def _version(self, node: Any) -> Version:
        return (*(getattr(node, each.name) for each in self._register.key), node.position)

    def _fetch(self, versions: Sequence[Version], window: Window) -> Mapping[Version, Connection[Any]]:
        found = earlier_rows(self._reading, self._register, versions, window)
        pages = [window.cut(rows) for rows in found]
        # All pages together are rows of one statement again: what these were before is fetched together, too.
        nodes = iter(Records(self._reading, self._register, self._node, [row for page in pages for row in page]).nodes)
        order = _newest_first(self._register)
        return {
            version: window.connect(
                [next(nodes) for _ in page], [cursor_of(order, row) for row in page], more=len(rows) > window.size
            )
            for version, rows, page in zip(versions, found, pages, strict=True)
        }


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
    statement = window.select(select(rows).where(Conditions(register, rows).of(where)), by)
    found = reading.database.execute(statement).all()
    page = window.cut(found)
    nodes = Records(reading, register, node, page).nodes
    return window.connect(nodes, [cursor_of(by, row) for row in page], more=len(found) > window.size)


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
    return Records(reading, register, node, rows).nodes[0] if rows else None


def earlier_rows(
    reading: Reading, register: Register, versions: Sequence[Version], window: Window
) -> list[list[Row[Any]]]:
    """Return what came before each version of a record: its window and one row more, by one statement.

    Raises:
        BadCursor: the window's cursor is none of a history.
    """
    table = register.table
    names = [*(each.name for each in register.key), _BEFORE]
    types = [*(table.c[each.name].type for each in register.key), BigInteger()]
    lists = zip(*versions, strict=True)
    asked = (
        func.unnest(
            *(bindparam(None, list(each), ARRAY(of), unique=True) for each, of in zip(lists, types, strict=True))
        )
        .table_valued(*(column(name, of) for name, of in zip(names, types, strict=True)), with_ordinality=_NUMBER)
        .render_derived(name="asked")
    )
    of_same_key = and_(*(table.c[each.name] == asked.c[each.name] for each in register.key))
    earlier = window.select(
        select(table).where(of_same_key, table.c.position < asked.c[_BEFORE]), _newest_first(register)
    ).lateral("earlier")
    rows = reading.database.execute(
        select(earlier, asked.c[_NUMBER])
        .select_from(asked.join(earlier, true()))
        .order_by(asked.c[_NUMBER], earlier.c.position.desc())
    )
    found: list[list[Row[Any]]] = [[] for _ in versions]
    for row in rows:
        found[getattr(row, _NUMBER) - 1].append(row)
    return found


def _newest_first(register: Register) -> Order:
    return Order(f"{register.names.one} history", (register.table.c.position,), descending=True)
