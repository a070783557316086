"""A ruleset with some of its fields changed, by their dotted names: ``work.credit``, ``trust.upheld[2].alpha_ppm``."""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from deepnode_ledger.errors import BadInput
from deepnode_projections.rulesets import Ruleset, RulesetRefused, default, fields_of
from deepnode_projections.rulesets.ruleset import LEG_NAMES, SECTIONS

FieldSetting = int | str | None
"""What a field is set to: a whole number, a word, or None for a field that may be left out."""

_STEP: Final = re.compile(r"([a-z_]+)(?:\[(\d{1,3})\])?\Z")
_FIXED: Final = "emission.fixed_weights"


def known_fields(ruleset: Ruleset | None = None) -> tuple[str, ...]:
    """Return the dotted names of all fields of a ruleset that can be set; of the default one if none is given."""
    found = [each.path for each in fields_of(ruleset or default())]
    weights = [_FIXED, *(f"{_FIXED}.{leg}" for leg in LEG_NAMES)]
    return tuple(dict.fromkeys([*found, *weights]))


def with_fields(ruleset: Ruleset, changed: Mapping[str, FieldSetting]) -> Ruleset:
    """Return a ruleset with some of its fields changed; the same one if none is.

    Args:
        ruleset: what the others are taken from.
        changed: by dotted name.

    Raises:
        BadInput: a field that there is not, or a value that breaks a rule; the message names both.
    """
    if not changed:
        return ruleset
    rules: dict[str, Any] = {section: msgspec.to_builtins(getattr(ruleset, section)) for section in SECTIONS}
    known = known_fields(ruleset)
    for name, value in changed.items():
        if name not in known:
            raise BadInput(f"{name!r:.80} is no field of a ruleset: there are {', '.join(known)}")
        _put(rules, name, value)
    named = {"name": ruleset.name, "summary": ruleset.summary, "aliases": list(ruleset.aliases)}
    try:
        return msgspec.convert({**rules, **named}, Ruleset)
    except (msgspec.ValidationError, RulesetRefused) as error:
        told = ", ".join(f"{name} = {value}" for name, value in changed.items())
        raise BadInput(f"{told:.400}: {error}") from error


def _put(rules: dict[str, Any], name: str, value: FieldSetting) -> None:
    *way, last = name.split(".")
    place: Any = rules
    for step in way:
        found = _STEP.match(step)
        assert found is not None, name
        inner = place.get(found[1])
        if found[2] is not None:
            # Elements count from 1, as severities do.
            inner = inner[int(found[2]) - 1]
        elif inner is None:
            # Weights that nothing has fixed yet: the legs that are not named get nothing.
            inner = place[found[1]] = dict.fromkeys(LEG_NAMES, 0)
        place = inner
    place[last] = value
