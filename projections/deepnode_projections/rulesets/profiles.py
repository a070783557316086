"""The rulesets that come with the program, and how one is read from TOML.

A file gives the fields by which its ruleset differs from ``default.toml``, which has them all. Nothing is guessed: an
unknown field, a wrong type, a number out of its limits and a fraction are refused with the value and the rule.
"""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import msgspec

from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import WORD_BYTES, to_hex
from deepnode_projections.rulesets.ruleset import SECTIONS, Ruleset, RulesetRefused

DEFAULT: Final = "default"
"""The name of the ruleset that holds unless another was activated."""

RULESET_BYTES_MAX: Final = 64 * 1024
"""A ruleset's file is no larger."""

_PLACE: Final = re.compile(r" - at `\$\.?([^`]*)`\Z")


class UnknownRuleset(BadInput):
    """No ruleset of this name comes with the program; the message names those that do."""


@cache
def default() -> Ruleset:
    """Return the ruleset that holds unless another was activated."""
    return parse(DEFAULT, (_folder() / f"{DEFAULT}.toml").read_text("utf-8"))


def by_name(name: str) -> Ruleset:
    """Return a ruleset that comes with the program.

    Raises:
        UnknownRuleset: there is none of this name.
    """
    if (found := shipped().get(name)) is None:
        raise UnknownRuleset(f"{name!r:.80} is no ruleset: there are {', '.join(shipped())}")
    return found


def by_hash(spec_hash: bytes) -> Ruleset | None:
    """Return the ruleset that a hash on chain stands for (32 bytes): its own, or that of an alias. None if unknown."""
    assert len(spec_hash) == WORD_BYTES, to_hex(spec_hash)
    return _by_hash().get(spec_hash)


@cache
def shipped() -> Mapping[str, Ruleset]:
    """Return the rulesets that come with the program, by name: the default, then the others in the order of names."""
    names = sorted(each.name.removesuffix(".toml") for each in _folder().iterdir() if each.name.endswith(".toml"))
    others = {name: parse(name, (_folder() / f"{name}.toml").read_text("utf-8")) for name in names if name != DEFAULT}
    return MappingProxyType({DEFAULT: default(), **others})


def load(path: Path) -> Ruleset:
    """Read a ruleset of one's own; the file's name without its ending becomes the ruleset's.

    Raises:
        RulesetRefused: it cannot be read, is too large, or ``parse`` refuses it.
    """
    try:
        if path.stat().st_size > RULESET_BYTES_MAX:
            raise RulesetRefused(f"{path} is larger than {RULESET_BYTES_MAX} bytes")
        text = path.read_text("utf-8")
    except OSError as error:
        raise RulesetRefused(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RulesetRefused(f"{path} is not UTF-8 text: {error}") from error
    return parse(path.stem, text)


def parse(name: str, text: str) -> Ruleset:
    """Read a ruleset from TOML that gives the fields by which it differs from the default.

    Raises:
        RulesetRefused: no TOML, an unknown field, a wrong type or a value that breaks a rule, with all of them named.
    """
    try:
        given = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise RulesetRefused(f"ruleset {name!r:.80} is not TOML: {error}") from error
    if "name" in given:
        raise RulesetRefused(f"ruleset {name!r:.80}: it is named by its file, not by a field")
    declared = {**(_overlaid(_default_rules(), given) if name != DEFAULT else given), "name": name}
    try:
        return msgspec.convert(declared, Ruleset)
    except msgspec.ValidationError as error:
        raise RulesetRefused(f"ruleset {name!r:.80}: {_with_value(str(error), declared)}") from error
    except RulesetRefused as error:
        raise RulesetRefused(f"ruleset {name!r:.80}: {error}") from error


def _folder() -> Traversable:
    return files("deepnode_projections.rulesets") / "data"


@cache
def _by_hash() -> Mapping[bytes, Ruleset]:
    found: dict[bytes, Ruleset] = {}
    for ruleset in shipped().values():
        for each in ruleset.hashes:
            assert each not in found, f"{ruleset.name} and {found[each].name} have the same rules or alias"
            found[each] = ruleset
    return MappingProxyType(found)


def _default_rules() -> dict[str, Any]:
    """What a ruleset has from the default: the rules, not what is said about them."""
    return {section: msgspec.to_builtins(getattr(default(), section)) for section in SECTIONS}


def _overlaid(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Return ``below`` with the fields of ``above`` in their places; lists are replaced as a whole."""
    merged = dict(below)
    for name, value in above.items():
        under = merged.get(name)
        merged[name] = _overlaid(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return merged


def _with_value(message: str, declared: dict[str, Any]) -> str:
    """Add to msgspec's message, which names the place and the rule, the value that stands there."""
    place = _PLACE.search(message)
    if place is None:
        return message
    value: Any = declared
    for name in place[1].split("."):
        # In a list the message does not say which element: the whole list is shown.
        value = value.get(name.partition("[")[0]) if isinstance(value, dict) else value
    shown = "" if isinstance(value, dict) else f" (it is {value!r:.200})"
    return f"{place[1]}: {message[: place.start()]}{shown}"
