"""What ``where`` takes for a kind of record, and the SQL of it.

A condition on a field is an object of comparisons (``stage: { _in: ["open"] }``), and conditions are put together by
``_and``, ``_or`` and ``_not``. Every condition is true or false, also of a value that is null: null is not equal to
anything, not less and not greater, so ``_neq`` and ``_notIn`` hold for it, and ``_not`` is always the opposite.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any, Final

import strawberry
from sqlalchemy import ColumnElement, FromClause, and_, bindparam, false, not_, or_, true

from deepnode_graphql.filters import at_most, given, text
from deepnode_graphql.registers.names import field_name
from deepnode_graphql.registers.register import POSITION, Register, scalar_of
from deepnode_ledger.errors import BadInput
from deepnode_projections.registers.record import Field

CONDITIONS_MAX: Final = 100
"""Comparisons and objects in one ``where``."""


@dataclass(frozen=True, slots=True)
class _Operator:
    """A comparison: its name, what it is true of, and the condition on a column and a value."""

    name: str
    description: str
    condition: Callable[[ColumnElement[Any], Any], ColumnElement[bool]]
    takes_list: bool = False
    of_ordered: bool = False
    holds_for_null: bool = False


_OPERATORS: Final = (
    _Operator("_eq", "Equal to this.", lambda column, value: column == value),
    _Operator("_neq", "Not equal to this.", lambda column, value: column != value, holds_for_null=True),
    _Operator("_in", "One of these, 1000 at most.", lambda column, values: column.in_(values), takes_list=True),
    _Operator(
        "_notIn", "None of these, 1000 at most.", lambda column, values: column.not_in(values), takes_list=True,
        holds_for_null=True,
    ),
    _Operator("_gt", "Greater than this.", lambda column, value: column > value, of_ordered=True),
    _Operator("_gte", "This or greater.", lambda column, value: column >= value, of_ordered=True),
    _Operator("_lt", "Less than this.", lambda column, value: column < value, of_ordered=True),
    _Operator("_lte", "This or less.", lambda column, value: column <= value, of_ordered=True),
)  # fmt: skip

_LINKS: Final = {"_and": "All of these hold.", "_or": "At least one of these holds.", "_not": "This does not hold."}


@cache
def where_type(register: Register) -> type:
    """Make the input type ``…Where`` of a kind."""
    name, fields = f"{register.names.type}Where", (*register.fields, POSITION)
    members: dict[str, tuple[Any, str]] = {
        each.name: (_comparison(each), f"What `{field_name(each)}` must be.") for each in fields
    }
    members |= {link: (str, description) for link, description in _LINKS.items()}
    shown = {each.name: field_name(each) for each in fields}
    made: Any = _input(name, f"Which records of `{register.names.many}`; all that is given must hold.", members, shown)
    # The type names itself, so these wait until it is there.
    definition = made.__strawberry_definition__
    definition.get_field("_and").type = list[made] | None
    definition.get_field("_or").type = list[made] | None
    definition.get_field("_not").type = made | None
    return made  # type: ignore[no-any-return] # a class that was made here


@dataclass(slots=True)
class Conditions:
    """Turns a ``where`` into SQL, and tells which fields it names."""

    register: Register
    columns: FromClause
    named: set[str] = field(default_factory=set)
    _count: int = 0

    def of(self, where: Any) -> ColumnElement[bool]:
        """Return what a ``where`` says of the columns; everything, if it is null or left out.

        Raises:
            BadInput: more than ``CONDITIONS_MAX`` conditions or 1000 values of one, or a text that cannot be.
        """
        self._count_one()
        where = given(where)
        if where is None:
            return true()
        parts = [part for each in (*self.register.fields, POSITION) for part in self._of_field(each, where)]
        if (each_of := given(where._and)) is not None:
            parts += [self.of(each) for each in each_of]
        if (any_of := given(where._or)) is not None:
            parts.append(or_(false(), *(self.of(each) for each in any_of)))
        if (none_of := given(where._not)) is not None:
            parts.append(not_(self.of(none_of)))
        return and_(true(), *parts)

    def _of_field(self, each: Field, where: Any) -> Iterator[ColumnElement[bool]]:
        name = field_name(each)
        comparisons = given(getattr(where, each.name))
        if comparisons is None:
            return
        column = self.columns.c[each.name]
        for operator in _operators(each):
            value = given(getattr(comparisons, operator.name))
            if value is None:
                continue
            self._count_one()
            self.named.add(each.name)
            # Of the column's own type: a number alone would pass for a BIGINT, which an amount may be too large for.
            bound = bindparam(
                None, _checked(value, name, operator), column.type, unique=True, expanding=operator.takes_list
            )
            condition = operator.condition(column, bound)
            if each.may_be_unknown:
                known = column.is_not(None)
                condition = or_(~known, condition) if operator.holds_for_null else and_(known, condition)
            yield condition
        if each.may_be_unknown and (is_null := given(comparisons._isNull)) is not None:
            self._count_one()
            self.named.add(each.name)
            yield column.is_(None) if is_null else column.is_not(None)

    def _count_one(self) -> None:
        self._count += 1
        if self._count > CONDITIONS_MAX:
            raise BadInput(f"where takes at most {CONDITIONS_MAX} conditions")


def _checked(value: Any, name: str, operator: _Operator) -> Any:
    if operator.takes_list:
        return [_checked_one(each, name) for each in at_most(value, f"{name}: {operator.name}")]
    return _checked_one(value, name)


def _checked_one(value: Any, name: str) -> Any:
    return text(value, name) if isinstance(value, str) else value


def _operators(each: Field) -> tuple[_Operator, ...]:
    return tuple(operator for operator in _OPERATORS if each.type is not bool or not operator.of_ordered)


def _comparison(each: Field) -> type:
    return _comparison_type(scalar_of(each), each.type is not bool, each.may_be_unknown)


@cache
def _comparison_type(scalar: Any, is_ordered: bool, may_be_null: bool) -> type:
    of = {str: "String", bool: "Boolean"}.get(scalar) or scalar.__name__
    fields: dict[str, tuple[Any, str]] = {
        operator.name: (list[scalar] if operator.takes_list else scalar, operator.description)
        for operator in _OPERATORS
        if is_ordered or not operator.of_ordered
    }
    if may_be_null:
        fields["_isNull"] = (bool, "Whether it is null.")
    name = f"{'Optional' if may_be_null else ''}{of}Comparison"
    null = ", or null" if may_be_null else ""
    return _input(name, f"What a {of}{null} must be; all that is given must hold.", fields)


def _input(
    name: str, description: str, fields: dict[str, tuple[Any, str]], shown: Mapping[str, str] = MappingProxyType({})
) -> type:
    # A name that the schema should show as it is must be given, or the rule for names would change it.
    members: dict[str, Any] = {
        each: strawberry.field(name=shown.get(each, each), default=strawberry.UNSET, description=said)
        for each, (_, said) in fields.items()
    }
    members["__annotations__"] = {each: scalar | None for each, (scalar, _) in fields.items()}
    members["__module__"] = __name__
    return strawberry.input(type(name, (), members), name=name, description=description)
