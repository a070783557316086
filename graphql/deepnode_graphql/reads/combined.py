"""Conditions that are put together by ``_and``, ``_or`` and ``_not``, of every list that is not one of records.

Each condition is true or false for every row, also where a value is null, so ``_not`` is always the opposite.
"""

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import strawberry
from sqlalchemy import ColumnElement, and_, bindparam, false, not_, or_, true

from deepnode_graphql.filters import at_most, given, text
from deepnode_ledger.errors import BadInput

CONDITIONS_MAX: Final = 100
"""Objects of conditions in one ``where``."""

LINKS: Final = {
    "_and": "All of these hold, too.",
    "_or": "At least one of these holds, too.",
    "_not": "This does not hold.",
}


@dataclass(frozen=True, slots=True)
class Parts:
    """What a ``where`` is put together of, beside its own conditions; None where nothing was given."""

    all_of: Sequence[Any]
    any_of: Sequence[Any] | None
    none_of: Any | None


def link(name: str) -> Any:
    """Make the field ``_and``, ``_or`` or ``_not`` of an input type."""
    return strawberry.field(name=name, default=strawberry.UNSET, description=LINKS[name])


def parts(where: Any) -> Parts:
    """Return what a ``where`` is put together of."""
    return Parts(given(where.all_of) or (), given(where.any_of), given(where.none_of))


def check_size(where: Any) -> None:
    """Check how many objects a ``where`` holds.

    Raises:
        BadInput: more than ``CONDITIONS_MAX``.
    """
    if sum(1 for _ in _objects(where)) > CONDITIONS_MAX:
        raise BadInput(f"where takes at most {CONDITIONS_MAX} objects of conditions")


def combined(where: Any, own: Callable[[Any], Sequence[ColumnElement[bool]]]) -> ColumnElement[bool]:
    """Return what a ``where`` says.

    Args:
        where: with the three fields that ``link`` makes.
        own: the conditions of one object by itself, each of which is true or false for every row.
    """
    return and_(true(), *own(where), *linked(where, own))


def linked(where: Any, own: Callable[[Any], Sequence[ColumnElement[bool]]]) -> Iterator[ColumnElement[bool]]:
    """Yield what a ``where`` says beside its own conditions."""
    of = parts(where)
    yield from (combined(each, own) for each in of.all_of)
    if of.any_of is not None:
        yield or_(false(), *(combined(each, own) for each in of.any_of))
    if of.none_of is not None:
        yield not_(combined(of.none_of, own))


def known(column: ColumnElement[Any], condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return a condition on a column that may be null: it does not hold for null."""
    return and_(column.is_not(None), condition)


def one_of(where: Any, name: str, column: ColumnElement[Any]) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions on a text and ``…_in`` of a ``where``."""
    if (exact := given(getattr(where, name))) is not None:
        yield column == text(exact, name)
    if (some := given(getattr(where, f"{name}_in"))) is not None:
        yield column.in_([text(each, f"{name}_in") for each in at_most(some, f"{name}_in")])


def compared(where: Any, name: str, column: ColumnElement[Any]) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions ``…_gt``, ``…_gte``, ``…_lt`` and ``…_lte`` of a ``where`` on a column of whole numbers."""
    for comparison, condition in _COMPARISONS.items():
        if (value := given(getattr(where, f"{name}_{comparison}"))) is not None:
            # Of the column's own type: a number alone would pass for a BIGINT, which an amount may be too large for.
            yield condition(column, bindparam(None, value, column.type, unique=True))


_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], ColumnElement[bool]]]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


def _objects(where: Any) -> Iterator[Any]:
    # The nesting is bounded by the depth of a document and of a body of JSON.
    yield where
    of = parts(where)
    for each in (*of.all_of, *(of.any_of or ()), *([of.none_of] if of.none_of is not None else [])):
        yield from _objects(each)
