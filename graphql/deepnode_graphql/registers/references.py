"""What the fields of records refer to, read off their declarations.

A record's field that is called as the key of another kind is the id of a thing of that kind: ``domain``, ``model``,
``node``, ``task``, ``epoch``; and several fields of its key together where a thing has a key of several: ``round`` and
``contract``. Where a field has another name (``validator`` is a node) or names things of several kinds (a ``subject``,
by its type), ``NAMED_OTHERWISE`` and ``OF_SEVERAL_KINDS`` say so. Nothing is declared twice: who has it as a field is
related to it, and the thing has a list of who refers to it, if the declaration of those gives an index for it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from deepnode_projections.registers.record import Record, Value, fields_of
from deepnode_projections.rules.collateral import CollateralCase
from deepnode_projections.rules.domains import Domain
from deepnode_projections.rules.emission import Allocation, Root
from deepnode_projections.rules.epochs import Epoch
from deepnode_projections.rules.funding import Round
from deepnode_projections.rules.governance import Proposal
from deepnode_projections.rules.registry import Model, ModelVersion, Node
from deepnode_projections.rules.revenue import Receipt
from deepnode_projections.rules.staking import StakeTotal
from deepnode_projections.rules.tasks import Slot, Task

THINGS: Final[tuple[type[Record], ...]] = (
    Domain, Model, Node, Task, Epoch, Slot, Round, Receipt, CollateralCase, Proposal, Allocation, Root,
)  # fmt: skip
"""The kinds that others name by the fields of their key."""

NAMED_OTHERWISE: Final[Mapping[str, tuple[type[Record], tuple[str, ...]]]] = {
    "validator": (Node, ("validator",)),
    "from_epoch": (Epoch, ("from_epoch",)),
    "before_epoch": (Epoch, ("before_epoch",)),
    "since_epoch": (Epoch, ("since_epoch",)),
    "left_epoch": (Epoch, ("left_epoch",)),
    "scope": (Domain, ("scope",)),
    "reverses": (CollateralCase, ("reverses", "contract")),
    "successor": (CollateralCase, ("successor", "contract")),
    "receipt.ref": (Task, ("ref",)),
    "commission.target": (Node, ("target",)),
    "task.version": (ModelVersion, ("model", "version")),
    "stake.target": (StakeTotal, ("target_type", "target")),
    "unbonding.target": (StakeTotal, ("target_type", "target")),
}
"""Fields that name a thing by another word, of any kind or (with its table) of one."""

OF_SEVERAL_KINDS: Final[Mapping[str, tuple[str, Mapping[type[Record], tuple[Value, ...]]]]] = {
    "trust.subject": ("subject_type", {Node: (1, 2), Model: (3,)}),
    "score_checkpoint.subject": ("subject_type", {Node: (1, 2), Model: (3,)}),
    "stake.target": ("target_type", {Node: (1, 2), Model: (3,), Domain: (4,)}),
    "stake_at.target": ("target_type", {Node: (1, 2), Model: (3,), Domain: (4,)}),
    "stake_total.target": ("target_type", {Node: (1, 2), Model: (3,), Domain: (4,)}),
    "unbonding.target": ("target_type", {Node: (1, 2), Model: (3,), Domain: (4,)}),
    "reward.subject": (
        "role",
        {
            Node: ("miner", "validator", "delegator"),
            Model: ("creator", "backer"),
            Domain: ("staker", "owner", "foundation"),
        },
    ),
}
"""Fields that name things of several kinds: which field tells the kind, and by what values."""

ADDRESSES: Final = frozenset({"operator", "creator", "backer", "earner", "staker", "voter"})
"""Fields that hold an address whose holder has lists of who names it."""

ARGUMENTS: Final = frozenset({"epoch", "asset"})
"""Fields that may stand before the reference in a key: they are then asked for."""


@dataclass(frozen=True, slots=True)
class Reference:
    """``fields`` of a ``source`` hold the key of a ``target``; with ``when``, only if that field has such a value.

    ``word`` is the field that names the thing, or the target's own table where several fields do.
    """

    source: type[Record]
    fields: tuple[str, ...]
    target: type[Record]
    word: str
    when: tuple[str, tuple[Value, ...]] | None = None

    @property
    def is_plain(self) -> bool:
        """Whether the thing is named by the names of its own key."""
        return self.fields == key_names(self.target)


@dataclass(frozen=True, slots=True)
class Way:
    """How the records of a kind are found by what they refer to.

    ``fixed`` is a field with its possible values, ``fields`` hold what is asked for, and ``argument`` is the field
    before them in the key, which must be given. ``found_by``: by an index of the field itself, not by the key's.
    """

    source: type[Record]
    fields: tuple[str, ...]
    fixed: tuple[str, tuple[Value, ...]] | None = None
    argument: str | None = None
    found_by: bool = False

    @property
    def is_one(self) -> bool:
        """Whether there is at most one: all of the key is known."""
        known = {*self.fields, *([self.argument] if self.argument else ())}
        return known == set(key_names(self.source)) and self.fixed is None


def key_names(kind: type[Record]) -> tuple[str, ...]:
    """Return the names of the fields of a kind's key."""
    return tuple(each.name for each in fields_of(kind)[: kind.KEY])


def references_of(kind: type[Record], known: Iterable[type[Record]]) -> Sequence[Reference]:
    """Return what a kind refers to among the kinds that are known, in the order of its fields."""
    names, targets = [each.name for each in fields_of(kind)], set(known)
    found: list[Reference] = []
    for name in names:
        others = OF_SEVERAL_KINDS.get(f"{kind.TABLE}.{name}")
        if others is not None:
            by, values = others
            found += [Reference(kind, (name,), target, name, (by, each)) for target, each in values.items()]
        otherwise = NAMED_OTHERWISE.get(f"{kind.TABLE}.{name}") or NAMED_OTHERWISE.get(name)
        if otherwise is not None and set(otherwise[1]) <= set(names):
            target, fields = otherwise
            found.append(Reference(kind, fields, target, name if fields[0] == name else target.TABLE))
    for thing in THINGS:
        key = key_names(thing)
        among = names if len(key) == 1 else key_names(kind)
        if thing is not kind and set(key) <= set(among):
            found.append(Reference(kind, key, thing, key[0] if len(key) == 1 else thing.TABLE))
    return [each for each in found if each.target in targets and _types(kind, each.fields) == _key_types(each.target)]


def way_back(reference: Reference) -> Way | None:
    """Return how the records of a reference are found by what they refer to, or None if no index serves that."""
    kind, key = reference.source, key_names(reference.source)
    found_by = getattr(kind, "FOUND_BY", ())
    fixed = reference.when
    prefix = ((fixed[0],) if fixed is not None and fixed[0] in key else ()) + reference.fields
    if key[: len(prefix)] == prefix or reference.fields == key[: len(reference.fields)]:
        return Way(kind, reference.fields, fixed)
    if len(reference.fields) == 1 and reference.fields[0] in found_by:
        return Way(kind, reference.fields, fixed, found_by=True)
    if key[0] in ARGUMENTS and key[1 : 1 + len(reference.fields)] == reference.fields and fixed is None:
        return Way(kind, reference.fields, argument=key[0])
    return None


def ways_to_addresses(kinds: Iterable[type[Record]]) -> Sequence[Way]:
    """Return how records are found by an address that they name, in the order of the kinds."""
    found = []
    for kind in kinds:
        for field in fields_of(kind):
            if field.name in ADDRESSES:
                way = way_back(Reference(kind, (field.name,), kind, field.name))
                found += [] if way is None else [way]
    return found


def _types(kind: type[Record], names: Sequence[str]) -> list[tuple[type, bool]]:
    # A field of another type is called so by chance, such as the domain's part of a split.
    by_name = {each.name: (each.type, each.is_amount) for each in fields_of(kind)}
    return [by_name[name] for name in names]


def _key_types(kind: type[Record]) -> list[tuple[type, bool]]:
    return _types(kind, key_names(kind))
