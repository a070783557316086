"""A ruleset field by field: for people who read one, and for comparing two.

A field goes by its path, such as ``revenue.rounding`` or ``trust.upheld[2].alpha_ppm`` (elements count from 1, as
severities do), and comes with the seed document that leaves it open.
"""

import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec

from deepnode_projections.rulesets.ruleset import SECTIONS, Rules, Ruleset

Value = int | str | None
"""What a field holds; None where there is no such field, as with weights that nothing fixes."""


@dataclass(frozen=True, slots=True)
class FieldValue:
    """A field of a ruleset, what it means, and the seed that it comes from."""

    path: str
    value: Value
    meaning: str
    seed: str


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """A field that two rulesets answer otherwise."""

    path: str
    left: Value
    right: Value
    seed: str


def fields_of(ruleset: Ruleset) -> tuple[FieldValue, ...]:
    """Return every field of a ruleset that holds a rule, in the order of their definition."""
    return tuple(
        field for section in SECTIONS for field in _within(section, getattr(ruleset, section), type_meaning="", seed="")
    )


def differences(left: Ruleset, right: Ruleset) -> tuple[FieldDifference, ...]:
    """Return the fields in which two rulesets differ: those of ``left`` in their order, then what only ``right`` has.

    There are none if and only if both have the same hash.
    """
    lefts, rights = ({field.path: field for field in fields_of(each)} for each in (left, right))
    found = []
    for path in lefts | rights:
        one, other = lefts.get(path), rights.get(path)
        known = one or other
        assert known is not None
        values = (None if one is None else one.value, None if other is None else other.value)
        if values[0] != values[1]:
            found.append(FieldDifference(path, *values, known.seed))
    assert bool(found) == (left.spec_hash != right.spec_hash), (left.name, right.name)
    return tuple(found)


def _within(path: str, value: Any, *, type_meaning: str, seed: str) -> Iterator[FieldValue]:
    if isinstance(value, tuple):
        for number, each in enumerate(value, 1):
            yield from _within(f"{path}[{number}]", each, type_meaning=type_meaning, seed=seed)
    elif isinstance(value, Rules):
        hints = get_type_hints(type(value), include_extras=True)
        for name in value.__struct_fields__:
            told = _told(hints[name])
            meaning = told.description or ""
            # The group's own words come first: "a review found a node at fault: how far a step goes".
            meaning = f"{type_meaning}: {meaning}" if type_meaning else meaning
            source = seed or str((told.extra or {})["seed"])
            yield from _within(f"{path}.{name}", getattr(value, name), type_meaning=meaning, seed=source)
    else:
        assert value is None or isinstance(value, int | str), (path, value)
        yield FieldValue(path, value, type_meaning, seed)


def _told(hint: Any) -> msgspec.Meta:
    """Return what is said of a field beside its type."""
    if get_origin(hint) in (Union, types.UnionType):
        hint = next(each for each in get_args(hint) if get_origin(each) is Annotated)
    assert get_origin(hint) is Annotated, hint
    # Of nested annotations the outermost, which is the last, is the field's own.
    found = get_args(hint)[-1]
    assert isinstance(found, msgspec.Meta), hint
    return found
