"""Reading what records refer to, and who refers to them: for all rows of a page by one statement.

What is found is of the moment of the page. A thing is looked up by the primary key of its table; a list goes through
the index that its way names (the beginning of the key, or a field of ``FOUND_BY``), for each row of the page by itself.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, FromClause, Row, func, select, true

from deepnode_graphql.connections import Connection
from deepnode_graphql.cursors import Order
from deepnode_graphql.moments import Moment
from deepnode_graphql.reading import Reading
from deepnode_graphql.registers.asked import NUMBER, asked_for, by_number
from deepnode_graphql.registers.filters import Conditions
from deepnode_graphql.registers.orders import is_by_key, sorted_rows
from deepnode_graphql.registers.references import Way
from deepnode_graphql.registers.register import Register
from deepnode_graphql.registers.states import state_at
from deepnode_graphql.registers.windows import Window, cursor_of
from deepnode_graphql.together import Together
from deepnode_projections.registers.record import Key

V = TypeVar("V")


class Page:
    """The rows of one statement, and what was fetched for all of them together."""

    def __init__(self, reading: Reading, moment: Moment) -> None:
        self.reading, self.moment = reading, moment
        self._fetched: dict[Hashable, Together[Any, Any]] = {}

    def together(
        self, name: Hashable, keys: Callable[[], Iterable[Key]], fetch: Callable[[Sequence[Key]], Mapping[Key, V]]
    ) -> Together[Key, V]:
        """Return what is fetched under a name: for all ``keys`` at once, when the first of them is looked at."""
        held = self._fetched.get(name)
        if held is None:
            held = self._fetched[name] = Together(keys(), fetch)
        return held


@dataclass(frozen=True)
class Wanted:
    """Which records are wanted of each thing: along which way, of which moment, with what conditions and order."""

    register: Register
    way: Way
    argument: Any
    where: Any
    order: str
    window: Window

    @property
    def name(self) -> Hashable:
        """What tells it from others: the types of conditions have no hash, but a complete text."""
        return (self.register.kind, self.way, self.argument, repr(self.where), self.order, self.window)


def newest_rows(reading: Reading, register: Register, keys: Sequence[Key], moment: Moment) -> list[Row[Any] | None]:
    """Return the record of each key at a moment, or None where there was none."""
    table = register.table
    asked = asked_for({each.name: table.c[each.name].type for each in register.key}, keys)
    newest = (
        select(*(table.c[each.name] for each in register.fields), table.c.position)
        .where(*(table.c[each.name] == asked.c[each.name] for each in register.key))
        .where(table.c.position <= moment.position)
        .order_by(table.c.position.desc())
        .limit(1)
        .lateral("newest")
    )
    rows = reading.database.execute(select(newest, asked.c[NUMBER]).select_from(asked.join(newest, true())))
    return [found[0] if found else None for found in by_number(rows, len(keys))]


def pages_of(
    page: Page, wanted: Wanted, keys: Sequence[Key], nodes_of: Callable[[Sequence[Row[Any]]], Sequence[Any]]
) -> dict[Key, Connection[Any]]:
    """Return a page of the wanted records for each key.

    Raises:
        BadInput: a cursor or a condition breaks a rule.
    """
    window, asked = wanted.window, _asked(wanted, keys)
    rows, by = _sorted(page.moment, wanted, asked)
    one = window.select(select(rows).where(*_conditions(wanted, rows, asked)), by).lateral("page")
    outer = Order(by.name, tuple(one.c[str(column.key)] for column in by.key), by.descending)
    statement = (
        select(one, asked.c[NUMBER])
        .select_from(asked.join(one, true()))
        .order_by(asked.c[NUMBER], *window.clauses(outer))
    )
    found = by_number(page.reading.database.execute(statement), len(keys))
    pages = [window.cut(each) for each in found]
    # All pages together are rows of one statement: what hangs on these is fetched together, too.
    nodes = iter(nodes_of([row for each in pages for row in each]))
    return {
        key: window.connect(
            [next(nodes) for _ in cut],
            [cursor_of(by, row) for row in cut],
            more=len(each) > window.size,
            counted=lambda key=key: _counted(page, wanted, keys, key),  # type: ignore[misc] # a key of its own
        )
        for key, each, cut in zip(keys, found, pages, strict=True)
    }


def _counted(page: Page, wanted: Wanted, keys: Sequence[Key], key: Key) -> int:
    def fetch(keys: Sequence[Key]) -> Mapping[Key, int]:
        asked = _asked(wanted, keys)
        rows, _ = _sorted(page.moment, wanted, asked)
        one = select(func.count().label("count")).select_from(rows).where(*_conditions(wanted, rows, asked))
        each = one.lateral("counted")
        found = page.reading.database.execute(
            select(each.c.count, asked.c[NUMBER]).select_from(asked.join(each, true()))
        )
        return {keys[getattr(row, NUMBER) - 1]: row._mapping["count"] for row in found}

    return page.together(("count", wanted.name), lambda: keys, fetch).get(key, 0)


def _asked(wanted: Wanted, keys: Sequence[Key]) -> Any:
    table = wanted.register.table
    return asked_for({name: table.c[name].type for name in wanted.way.fields}, keys)


def _sorted(moment: Moment, wanted: Wanted, asked: Any) -> tuple[FromClause, Order]:
    register, way = wanted.register, wanted.way
    named = Conditions(register, register.table)
    named.of(wanted.where)
    known = named.named | {*way.fields} | ({way.fixed[0]} if way.fixed else set())
    by_key = is_by_key(register, wanted.order) and known <= {each.name for each in register.key}
    state = state_at(register, moment, by_key=by_key)
    if way.found_by:
        # Those who name a thing are found by their own index and then sorted. Left to itself, the server may go through
        # the whole table in the order of the key instead, in the hope that it soon meets enough of them.
        found = select(state).where(*(state.c[name] == asked.c[name] for name in way.fields))
        state = found.offset(0).correlate(asked).lateral("found")
    return sorted_rows(register, state, wanted.order)


def _conditions(wanted: Wanted, rows: FromClause, asked: Any) -> list[ColumnElement[bool]]:
    way = wanted.way
    conditions = [rows.c[name] == asked.c[name] for name in way.fields]
    if way.fixed is not None:
        conditions.append(rows.c[way.fixed[0]].in_(way.fixed[1]))
    if way.argument is not None:
        conditions.append(rows.c[way.argument] == wanted.argument)
    return [*conditions, Conditions(wanted.register, rows).of(wanted.where)]
