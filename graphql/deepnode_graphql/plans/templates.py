"""Templates: a statement as PostgreSQL takes it, with the places of the values that requests give."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Numeric, Select, Text, cast
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from deepnode_graphql.cursors import Order
from deepnode_graphql.moments import Moment
from deepnode_graphql.plans.capturing import PRESENT, Resolver, past
from deepnode_graphql.plans.marks import EXACT, Slot, Unsupported, altered, marked, marked_cursor
from deepnode_ledger.errors import BadInput

_DIALECT: Final = PGDialect_psycopg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call] # dialects are untyped
_PLACE: Final = re.compile(r"\$(\d+)\b(::INTEGER)?")

KEY: Final = "(key)"
"""Among the columns that are wanted, this stands for those of the list's order: cursors are written of them."""

Parameter = bytes | None
Cursors = Mapping[str, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Template:
    """``sql`` with $1, $2, … and what goes there: a slot, or bytes that are always the same.

    ``columns`` names the values of a row, in their order. Amounts come as decimal text. ``order`` is that of a list.
    """

    sql: bytes
    parameters: tuple[Slot | Parameter, ...]
    columns: tuple[str, ...]
    order: Order | None

    @property
    def names_assets(self) -> bool:
        """Whether the arguments name assets, whose ids the statement takes."""
        return any(isinstance(each, Slot) and each.source == "asset" for each in self.parameters)

    def filled(
        self, leaves: Sequence[Any], cursors: Cursors, position: int, asset_id: Callable[[str], int]
    ) -> list[Parameter]:
        """Return the parameters of one request, as PostgreSQL's text format has them.

        ``asset_id`` finds an asset by its symbol or address; what it raises is passed on.
        """
        given: list[Parameter] = []
        for each in self.parameters:
            if not isinstance(each, Slot):
                given.append(each)
            elif each.source == "argument":
                given.append(_dumped(leaves[each.number]))
            elif each.source == "asset":
                given.append(_dumped(asset_id(leaves[each.number])))
            elif each.source == "position":
                given.append(b"%d" % position)
            else:
                given.append(_dumped(cursors[each.source][each.number]))
        return given


def make_template(
    resolver: Resolver, arguments: dict[str, Any], columns: Sequence[str], known_by: frozenset[str], *, present: bool
) -> Template:
    """Ask a resolver for its statement and keep it, with the columns that are wanted and those of the order.

    Args:
        resolver: of a root field.
        arguments: coerced, some of the shape that the template is for.
        columns: the names that are wanted.
        known_by: columns that the statement must have, or it is another one than the field's own.
        present: whether it is for the books' end or for moments before it.

    Raises:
        BadInput: the arguments break a rule.
        Unsupported: the statement depends on the values otherwise than by holding them.
    """
    order = resolver.order(_marked(arguments), moment=PRESENT) if resolver.takes("after") else None
    names = [name for name in columns if name != KEY]
    if KEY in columns and order is not None:
        names += [str(column.key) for column in order.key]
    made = _made(resolver, arguments, names, known_by, PRESENT if present else past(1))
    try:
        other = _made(resolver, altered(arguments), names, known_by, PRESENT if present else past(2))
    except BadInput as error:
        raise Unsupported from error
    if made != other:
        raise Unsupported
    sql, parameters, read = made
    return Template(sql.encode(), parameters, read, order)


def _made(
    resolver: Resolver, arguments: dict[str, Any], columns: Sequence[str], known_by: frozenset[str], moment: Moment
) -> tuple[str, tuple[Slot | Parameter, ...], tuple[str, ...]]:
    statement = resolver.statement(_marked(arguments), moment=moment)
    there = statement.selected_columns
    names = tuple(dict.fromkeys(columns))
    if not known_by.union(names) <= set(there.keys()):
        raise Unsupported
    return (*_written(_narrowed(statement, names)), names)


def _marked(arguments: dict[str, Any]) -> dict[str, Any]:
    cursors = {name: marked_cursor(name) for name in ("after", "before") if arguments.get(name) is not None}
    rest = {name: value for name, value in arguments.items() if name not in cursors}
    sized: dict[str, Any] = {name: rest.pop(name) for name in EXACT if name in rest}
    return {**marked(rest, [0]), **sized, **cursors}


def _narrowed(statement: Select[Any], names: Sequence[str]) -> Select[Any]:
    there = statement.selected_columns
    wanted = [
        cast(there[name], Text).label(name) if isinstance(there[name].type, Numeric) else there[name] for name in names
    ]
    return statement.with_only_columns(*wanted, maintain_column_froms=True)


def _written(statement: Select[Any]) -> tuple[str, tuple[Slot | Parameter, ...]]:
    compiled: Any = statement.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
    values = compiled.construct_params(escape_names=False)
    given = [values[name] for name in compiled.positiontup]
    parameters: list[Slot | Parameter] = []
    numbers: dict[int, str] = {}
    for number, value in enumerate(given, 1):
        slot = getattr(value, "slot", None)
        if slot is None and type(value) is int and value >= 0:
            # What never changes is better known to the planner, which costs a LIMIT by it.
            numbers[number] = str(value)
        else:
            parameters.append(slot if slot is not None else _dumped(value))
            numbers[number] = f"${len(parameters)}"

    def place(found: re.Match[str]) -> str:
        own = numbers[int(found[1])]
        return own if not own.startswith("$") else own + (found[2] or "")

    return _PLACE.sub(place, compiled.string), tuple(parameters)


def _dumped(value: Any) -> Parameter:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return b"\\x" + value.hex().encode()
    if isinstance(value, bool):
        return b"t" if value else b"f"
    if isinstance(value, int):
        return b"%d" % value
    if value is None:
        return None
    raise Unsupported
