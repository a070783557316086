"""Layouts: which columns the statements of a type have, by the members and forms of ``statement_data``.

Nothing is said twice: a layout is read off the kind's own fields. Only what a form allows is put here as numbers and
words, which code over arrays can compare with; a test holds each against its form at the bounds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Final, get_args, get_origin, get_type_hints

import msgspec

from deepnode_ledger.hexadecimal import ADDRESS_BYTES, WORD_BYTES
from deepnode_ledger.statement_data import DATA_OF
from deepnode_ledger.statement_form import (
    PPM,
    RATING_MAX,
    SEVERITY_MAX,
    SLOTS_MAX,
    Address,
    AmountText,
    Attempt,
    Consensus,
    Count,
    Difficulty,
    Form,
    Id,
    Ppm,
    Rating,
    Score,
    Severity,
    Slot,
    SlotList,
    Verdict,
    Version,
    Vwu,
)


@dataclass(frozen=True, slots=True)
class Octets:
    """``0x`` and ``size`` bytes in hexadecimal digits: a column of fixed bytes."""

    size: int


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number from ``low`` to ``high``: a column of int64."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Amount:
    """Decimal text of up to 38 digits: a column of wide numbers."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One of two words: a column of int64, 1 where it is ``yes`` and 0 where it is ``no``."""

    no: str
    yes: str


@dataclass(frozen=True, slots=True)
class Slots:
    """An ascending list of slots: a column of uint64, whose bit ``slot - 1`` is set if the slot is in it."""


Shape = Octets | Whole | Amount | Choice | Slots


@dataclass(frozen=True, slots=True)
class Member:
    """A member ``name`` of the data, or of the object ``within`` the data, its form and what a column of it is."""

    name: str
    within: str | None
    form: Form
    shape: Shape
    may_be_left_out: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """The ``members`` of a type's data in the order of its fields; those of an object stand in the object's place."""

    type: str
    members: tuple[Member, ...]
    objects: tuple[str, ...]


@cache
def layout_of(event_type: str) -> Layout:
    """Return a type's layout; all of its members must be of forms that have a shape."""
    kind = DATA_OF[event_type]
    members: list[Member] = []
    objects: list[str] = []
    for name, form, may_be_left_out in _fields(kind):
        if isinstance(form, Form):
            members.append(Member(name, None, form, _SHAPES[form], may_be_left_out))
            continue
        assert may_be_left_out, (event_type, name)
        objects.append(name)
        for inner, own, optional in _fields(form):
            assert isinstance(own, Form), (name, inner)
            assert optional, (name, inner)
            members.append(Member(inner, name, own, _SHAPES[own], optional))
    names = [*objects, *(member.name for member in members)]
    assert len(set(names)) == len(names), names
    return Layout(event_type, tuple(members), tuple(objects))


def _fields(kind: type[msgspec.Struct]) -> list[tuple[str, Form | type[msgspec.Struct], bool]]:
    """Return each field's name, what it is, and whether it may be left out."""
    hints = get_type_hints(kind, include_extras=True)
    return [(name, *_field(hints[name])) for name in kind.__struct_fields__]


def _field(hint: Any) -> tuple[Form | type[msgspec.Struct], bool]:
    may_be_left_out = get_origin(hint) is not None and type(None) in get_args(hint)
    own = next(part for part in get_args(hint) if part is not type(None)) if may_be_left_out else hint
    return own if isinstance(own, type) else _form(own), may_be_left_out


def _form(annotated: Any) -> Form:
    form = annotated.__metadata__[0]
    assert isinstance(form, Form), annotated
    return form


_SHAPES: Final[Mapping[Form, Shape]] = MappingProxyType(
    {
        _form(Id): Octets(WORD_BYTES),
        _form(Address): Octets(ADDRESS_BYTES),
        _form(AmountText): Amount(),
        _form(Ppm): Whole(0, PPM),
        _form(Difficulty): Whole(1, 10 * PPM),
        _form(Attempt): Whole(1, 2**31 - 1),
        _form(Slot): Whole(1, SLOTS_MAX),
        _form(Score): Whole(0, 100),
        _form(Severity): Whole(1, SEVERITY_MAX),
        _form(Rating): Whole(1, RATING_MAX),
        _form(Vwu): Whole(1, 10**12),
        _form(Version): Whole(0, 2**32 - 1),
        _form(Count): Whole(0, 2**53),
        _form(SlotList): Slots(),
        _form(Verdict): Choice("incorrect", "correct"),
        _form(Consensus): Choice("rejected", "approved"),
    }
)
