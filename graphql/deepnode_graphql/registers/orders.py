"""How a list of records can be sorted: by any field, and then by the key.

Texts and bytes are sorted by their first 64 characters or bytes, so that a cursor that holds one stays short; in the
key they count whole. What is null comes last, and in the other direction first.
"""

from enum import Enum
from functools import cache
from typing import Any, Final

import strawberry
from sqlalchemy import ColumnElement, FromClause, LargeBinary, Select, Text, func, literal, select

from deepnode_graphql.cursors import Order
from deepnode_graphql.registers.names import field_name
from deepnode_graphql.registers.register import POSITION, Register
from deepnode_projections.registers.record import Field

START_LENGTH: Final = 64
"""Characters or bytes of a long value by which it is sorted."""

_DESCENDING: Final = "_DESC"
_IS_NULL, _VALUE = "ordered_by_null", "ordered_by"


@cache
def order_type(register: Register) -> type[Enum]:
    """Make the enum ``…Order`` of a kind."""
    name = f"{register.names.type}Order"
    members = {}
    for field in _fields(register):
        shown = f"`{field_name(field)}`"
        nulls = (", null last", ", null first") if field.may_be_unknown else ("", "")
        members[f"{_constant(field)}_ASC"] = f"By {shown}, the smallest first{nulls[0]}; then by the key."
        members[f"{_constant(field)}{_DESCENDING}"] = f"By {shown}, the largest first{nulls[1]}; then by the key."
    made = Enum(name, {member: strawberry.enum_value(member, description=said) for member, said in members.items()})  # type: ignore[misc] # made of the declaration
    return strawberry.enum(made, name=name, description=f"How `{register.names.many}` are sorted.")


def default_order(register: Register) -> str:
    """Return the name of the order by the key."""
    return f"{_constant(register.fields[0])}_ASC"


def is_by_key(register: Register, order: str) -> bool:
    """Say whether an order is that of the key, in either direction."""
    return order in (default_order(register), f"{_constant(register.fields[0])}{_DESCENDING}")


def sorted_rows(register: Register, state: FromClause, order: str) -> tuple[FromClause, Order]:
    """Return the rows with what they are sorted by, and their order."""
    [field] = [each for each in _fields(register) if order.removeprefix(_constant(each)) in ("_ASC", _DESCENDING)]
    name, descending = f"{register.names.many} {order}", order.endswith(_DESCENDING)
    if field in register.key:
        key = [field, *(each for each in register.key if each != field)]
        return state, Order(name, tuple(state.c[each.name] for each in key), descending)
    rows: Select[Any] = select(state, _value(state.c[field.name], field).label(_VALUE))
    names = [_VALUE, *(each.name for each in register.key)]
    if field.may_be_unknown:
        rows = rows.add_columns(state.c[field.name].is_(None).label(_IS_NULL))
        names = [_IS_NULL, *names]
    listed = rows.subquery("listed")
    return listed, Order(name, tuple(listed.c[each] for each in names), descending)


def _value(column: ColumnElement[Any], field: Field) -> ColumnElement[Any]:
    # A comparison of rows is not true of a null on either side, so null stands aside and its place holds nothing.
    nothing = {bytes: b"", str: "", bool: False, int: 0}[field.type]
    known = func.coalesce(column, literal(nothing, column.type)) if field.may_be_unknown else column
    if field.type is str:
        return func.left(known, START_LENGTH, type_=Text())
    if field.type is bytes:
        return func.substring(known, 1, START_LENGTH, type_=LargeBinary())
    return known


def _fields(register: Register) -> tuple[Field, ...]:
    return (*register.fields, POSITION)


def _constant(field: Field) -> str:
    return field.name.strip("_").upper()
