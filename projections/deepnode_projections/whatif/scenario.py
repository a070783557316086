"""Scenarios: the parameters under which a log is replayed, beside those that the chain has set.

A scenario names a ruleset (or keeps those that the chain has activated, epoch by epoch), changes single fields of it,
and sets otherwise what the chain itself sets. It holds from an epoch on. Its hash is over all of that, so a figure or a
file can say which scenario it is of.

Source: seeds/001 section 3 (the argument that a scenario is for).
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Final

from deepnode_ledger.errors import BadInput
from deepnode_ledger.manifest import Manifest
from deepnode_projections.rulesets import Ruleset, shipped
from deepnode_projections.whatif import chain_set
from deepnode_projections.whatif.chain_set import ChainSet
from deepnode_projections.whatif.fields import FieldSetting, known_fields, with_fields

FORMAT: Final = "deepnode/what-if/1"
SETTINGS_MAX: Final = 1_000
"""A scenario sets no more than so many values."""

_TEXT_MAX: Final = 200
_NUMBER: Final = re.compile(r"-?[0-9][0-9_]{0,40}\Z")
_NONE: Final = "none"


@dataclass(frozen=True, slots=True)
class Scenario:
    """Parameters. ``ruleset`` None keeps the chain's own; ``fields`` and ``chain_set`` change single values."""

    name: str = "unchanged"
    ruleset: Ruleset | None = None
    settings: Mapping[str, FieldSetting] = field(default_factory=dict)
    chain_set: ChainSet = field(default_factory=ChainSet)
    from_epoch: int = 0
    _made: dict[bytes, Ruleset] = field(default_factory=dict, repr=False, compare=False)

    @property
    def fields(self) -> dict[str, FieldSetting]:
        """The settings that are of fields of the ruleset."""
        return {name: value for name, value in self.settings.items() if not chain_set.is_chain_set(name)}

    @property
    def is_unchanged(self) -> bool:
        """Whether nothing is other than it was."""
        return self.ruleset is None and not self.settings

    @property
    def canonical(self) -> str:
        """Everything that decides the outcome, as JSON with sorted keys; the name does not."""
        ruleset = None if self.ruleset is None else json.loads(self.ruleset.canonical)
        said = {"format": FORMAT, "from_epoch": self.from_epoch, "ruleset": ruleset, "set": dict(self.settings)}
        return json.dumps(said, sort_keys=True, separators=(",", ":"), allow_nan=False)

    @property
    def digest(self) -> bytes:
        """SHA-256 of the canonical text (32 bytes)."""
        return hashlib.sha256(self.canonical.encode()).digest()

    def holds_in(self, epoch: int) -> bool:
        """Say whether an epoch is counted by the scenario."""
        return epoch >= self.from_epoch

    def rules(self, epoch: int, chains: Ruleset) -> Ruleset:
        """Return the ruleset of an epoch, given the one that the chain has activated.

        Raises:
            BadInput: the chain's ruleset with the scenario's fields is none.
        """
        if not self.holds_in(epoch):
            return chains
        base = chains if self.ruleset is None else self.ruleset
        key = base.spec_hash
        if key not in self._made:
            self._made[key] = with_fields(base, self.fields)
        return self._made[key]


def make(
    manifest: Manifest,
    *,
    name: str = "own",
    ruleset: Ruleset | None = None,
    settings: Mapping[str, FieldSetting] | None = None,
    from_epoch: int = 0,
) -> Scenario:
    """Make a scenario, all of which is checked as far as it can be without the log.

    Raises:
        BadInput: an unknown name, a value out of range, too many settings.
    """
    given = dict(settings or {})
    if len(given) > SETTINGS_MAX:
        raise BadInput(f"{len(given)} settings: a scenario has {SETTINGS_MAX} at most")
    known = known_fields()
    for each in given:
        if not chain_set.is_chain_set(each) and "[" not in each and each not in known:
            raise BadInput(f"{each!r:.80} cannot be set: there are {', '.join((*known, *chain_set.KNOWN))}")
    of_chain = {each: value for each, value in given.items() if chain_set.is_chain_set(each)}
    made = Scenario(name, ruleset, dict(sorted(given.items())), chain_set.read(of_chain, manifest), from_epoch)
    _check_fields(made.fields, list(shipped().values()) if ruleset is None else [ruleset])
    return made


def _check_fields(changed: Mapping[str, FieldSetting], bases: Sequence[Ruleset]) -> None:
    """Refuse what goes with none of the rulesets that it may be set over: it need not be replayed to find that out."""
    refusals = []
    for base in bases:
        try:
            with_fields(base, changed)
        except BadInput as refused:
            refusals.append(refused)
        else:
            return
    raise refusals[0]


def parse_settings(given: Sequence[str]) -> dict[str, FieldSetting]:
    """Read ``name=value`` texts: a whole number, ``none``, or a word.

    Raises:
        BadInput: one has no ``=`` or is too long, or a name is given twice.
    """
    found: dict[str, FieldSetting] = {}
    for each in given:
        name, equals, value = each.partition("=")
        name, value = name.strip(), value.strip()
        if not equals or not name or not value or len(each) > _TEXT_MAX:
            raise BadInput(f"--set takes KEY=VALUE of at most {_TEXT_MAX} characters, not {each!r:.80}")
        if name in found:
            raise BadInput(f"{name:.80} is set twice")
        found[name] = int(value.replace("_", "")) if _NUMBER.match(value) else None if value == _NONE else value
    return found


@dataclass(frozen=True, slots=True)
class Preset:
    """A scenario that comes with the program: what it sets, over whatever ruleset is replayed."""

    name: str
    summary: str
    settings: Mapping[str, FieldSetting]


def presets() -> dict[str, Preset]:
    """Return the presets by name, in the order of names."""
    folder = files("deepnode_projections.whatif") / "presets"
    found = {}
    for each in folder.iterdir():
        if each.name.endswith(".toml"):
            name, given = each.name.removesuffix(".toml"), tomllib.loads(each.read_text("utf-8"))
            found[name] = Preset(name, given["summary"], given["set"])
    return dict(sorted(found.items()))


def preset(name: str) -> Preset:
    """Return a preset.

    Raises:
        BadInput: there is none of this name.
    """
    known = presets()
    if name not in known:
        raise BadInput(f"{name!r:.80} is no preset: there are {', '.join(known)}")
    return known[name]
