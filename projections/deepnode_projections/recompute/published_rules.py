"""The rulesets that come with the program, read from their TOML files as they are published (docs/rulesets.md).

A file gives what differs from ``default.toml``; lists are replaced as a whole. A ruleset is named on chain by the
SHA-256 of its rules as JSON (keys sorted, no white space, with the format's name), or by the keccak-256 of an alias.
"""

import hashlib
import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

from eth_utils.crypto import keccak

FORMAT: Final = "deepnode/ruleset-format/1"
DEFAULT: Final = "default"
ABOUT: Final = ("summary", "aliases")
"""What a file says about its ruleset, which is no rule."""


@dataclass(frozen=True, slots=True)
class PublishedRules:
    """A ruleset: its name, its rules as JSON, and the hashes (32 bytes each) by which a chain may name it."""

    name: str
    text: str
    hashes: tuple[bytes, ...]


def published() -> Iterator[PublishedRules]:
    """Yield the rulesets that come with the program, in the order of their names."""
    told = {}
    for each in (files("deepnode_projections.rulesets") / "data").iterdir():
        if each.name.endswith(".toml"):
            told[each.name.removesuffix(".toml")] = tomllib.loads(each.read_text("utf-8"))
    for name in sorted(told):
        rules = _merged(told[DEFAULT], told[name])
        aliases = told[name].get("aliases", [])
        rules = {key: value for key, value in rules.items() if key not in ABOUT}
        # The one field that a file may leave out: without it no weights are fixed.
        rules["emission"].setdefault("fixed_weights", None)
        text = json.dumps({"format": FORMAT, **rules}, sort_keys=True, separators=(",", ":"))
        hashes = (hashlib.sha256(text.encode()).digest(), *(bytes(keccak(text=alias)) for alias in aliases))
        yield PublishedRules(name, text, hashes)


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = {key: _merged(value, {}) if isinstance(value, dict) else value for key, value in below.items()}
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = _merged(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return merged
