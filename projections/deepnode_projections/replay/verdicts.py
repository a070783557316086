"""Verdicts: what the chain reports of every distribution, held against what the rules make of the same log.

A replay compares as it goes (``rules.comparisons``): each root with the tree of all that was earned, each allocation
with the division by the epoch's ruleset, each split with the rates of its route, each claim with what was earned. Here
the outcome is put together by distribution, with the entries that it rests on and both integers. A root has no amounts
in it: where it differs, ``altered_earners`` says whose amounts would have made it, as far as that can be found.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from deepnode_ledger.vocabulary import LEGS
from deepnode_projections.registers.state import State
from deepnode_projections.replay.altered import Altered, altered_earners
from deepnode_projections.replay.fed import Happened
from deepnode_projections.replay.replaying import Replay
from deepnode_projections.rules.claims import claim_tree
from deepnode_projections.rules.comparisons import Checked, Difference
from deepnode_projections.rules.emission import Allocation
from deepnode_projections.rules.epochs import Epoch
from deepnode_projections.rules.parameters import ruleset_hash_in_force
from deepnode_projections.rules.revenue import Receipt

SEARCHES_MAX: Final = 16
"""Roots that differ for which the altered amounts are searched: a search takes seconds."""

SUBJECTS: Final = ("RootSubmitted", "EpochAllocated", "RevenueSplit", "Claimed")
"""The reports that distribute something."""

_PARTS: Final = ("miners", "stakers", "validators", "owner", "models", "foundation", "undistributed")


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a distribution in base units: what the rules give (None: nothing can be said) and what was reported.

    ``reason`` says why they may differ, where that is known.
    """

    name: str
    expected: int | None
    fact: int | None
    reason: str = ""

    @property
    def agrees(self) -> bool:
        """Whether the two are the same."""
        return self.expected == self.fact


@dataclass(frozen=True, slots=True)
class RootVerdict:
    """A root of rewards that was submitted by the entry at ``position``, beside the tree of all that was earned.

    ``root`` and ``expected_root`` are 32 bytes, ``asset`` the token (20 bytes), ``total`` and ``expected_total`` base
    units. ``ruleset`` is the hash that the submission names, ``ruleset_in_force`` that of the epoch (None: the default
    one). ``earners`` are in the tree. ``altered`` says whose amounts must have been others for the submitted root;
    empty if the roots agree, or if that was not found.
    """

    position: int
    epoch: int
    asset: bytes
    root: bytes
    expected_root: bytes
    total: int
    expected_total: int
    earners: int
    ruleset: bytes
    ruleset_in_force: bytes | None
    altered: tuple[Altered, ...]

    @property
    def agrees(self) -> bool:
        """Whether root and total are those of the tree."""
        return (self.root, self.total) == (self.expected_root, self.expected_total)


@dataclass(frozen=True, slots=True)
class AllocationVerdict:
    """A pool of a domain (32 bytes) that the entry at ``position`` divided for an epoch, in a token (20 bytes).

    ``opened`` and ``closed`` are the entries that opened the epoch and the next one: what was earned lies between
    them. ``parts`` are all seven, or ``weights`` alone where the domain had set none.
    """

    position: int
    epoch: int
    domain: bytes
    asset: bytes
    pool: int
    opened: int | None
    closed: int | None
    parts: tuple[Part, ...]

    @property
    def agrees(self) -> bool:
        """Whether every part is what the rules give."""
        return all(part.agrees for part in self.parts)


@dataclass(frozen=True, slots=True)
class SplitVerdict:
    """A payment that was split otherwise than the rules give, by the entry at ``position``.

    ``receipt`` is its id (32 bytes), ``received`` the entry that brought the money, if one did. ``parts`` are those
    that differ.
    """

    position: int
    receipt: bytes
    received: int | None
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class ClaimVerdict:
    """A claim by the entry at ``position`` that was paid otherwise than was earned (cumulative, base units)."""

    position: int
    earner: bytes
    asset: bytes
    part: Part


class Verdicts:
    """The verdicts of a replay. It is made before the replay is fed, and asked at any time."""

    def __init__(self, replay: Replay) -> None:
        assert replay.position == 0, "what has been folded already cannot be judged"
        self.roots: list[RootVerdict] = []
        self.allocations: list[AllocationVerdict] = []
        self._searches_left = SEARCHES_MAX
        self._replay = replay
        replay.watch("Rewards", "RootSubmitted", self._submitted)
        replay.watch("Emission", "EpochAllocated", self._allocated)

    def splits(self) -> list[SplitVerdict]:
        """Return the payments that were split otherwise than the rules give, in the order of the log."""
        return list(_splits(self._replay.state))

    def claims(self) -> list[ClaimVerdict]:
        """Return the claims that were paid otherwise than was earned, in the order of the log."""
        found = [
            ClaimVerdict(each.reported_position, each.key[:20], each.key[20:], _part(each))
            for each in self._replay.state.every(Difference, "Claimed")
        ]
        return sorted(found, key=lambda each: each.position)

    def others(self) -> list[Difference]:
        """Return what differs in reports that distribute nothing: old values, stated trust, settlements."""
        found = self._replay.state.every(Difference)
        return sorted(
            (each for each in found if each.subject not in SUBJECTS),
            key=lambda each: (each.reported_position, each.what),
        )

    def counts(self) -> Sequence[Checked]:
        """Return how many comparisons there were of each part of each kind of report, and how many differed."""
        return self._replay.state.every(Checked)

    def _submitted(self, happened: Happened) -> None:
        if happened.refused is not None:
            return
        event, state = happened.event, self._replay.state
        epoch, asset = event.uint("epoch"), event.address("asset")
        tree = claim_tree(state, asset, epoch)
        root, total = event.word("root"), event.uint("total")
        altered: tuple[Altered, ...] = ()
        if tree.root != root and self._searches_left:
            self._searches_left -= 1
            altered = altered_earners(tree.entitlements, root, total)
        self.roots.append(
            RootVerdict(
                happened.position,
                epoch,
                asset,
                root,
                tree.root,
                total,
                tree.total,
                len(tree.entitlements),
                event.word("ruleset"),
                ruleset_hash_in_force(state, epoch),
                altered,
            )
        )

    def _allocated(self, happened: Happened) -> None:
        if happened.refused is not None:
            return
        event, state = happened.event, self._replay.state
        epoch, domain, asset = event.uint("epoch"), event.word("domain"), event.address("asset")
        fact = state.get(Allocation, epoch, domain, asset)
        assert fact is not None, "an allocation that was not refused is in the books"
        differing = {
            each.what: _part(each)
            for what in (*_PARTS, "weights")
            for key in (domain + asset, domain)
            if (each := state.get(Difference, "EpochAllocated", what, key, happened.position)) is not None
        }
        parts: Iterable[Part] = [differing["weights"]] if "weights" in differing else _all_parts(fact, differing)
        begun, ended = state.get(Epoch, epoch), state.get(Epoch, epoch + 1)
        self.allocations.append(
            AllocationVerdict(
                happened.position,
                epoch,
                domain,
                asset,
                fact.pool,
                None if begun is None else begun.opened_position,
                None if ended is None else ended.opened_position,
                tuple(parts),
            )
        )


def _all_parts(fact: Allocation, differing: dict[str, Part]) -> Iterable[Part]:
    for name in _PARTS:
        amount: int = getattr(fact, name)
        yield differing.get(name, Part(name, amount, amount))


def _splits(state: State) -> Iterable[SplitVerdict]:
    by_split: dict[tuple[int, bytes], list[Difference]] = {}
    for each in state.every(Difference, "RevenueSplit"):
        by_split.setdefault((each.reported_position, each.key), []).append(each)
    rank = {name: number for number, name in enumerate((*LEGS, "suspense", "gross"))}
    for (position, receipt), found in sorted(by_split.items()):
        received = [
            each.received_position for each in state.every(Receipt, receipt) if each.closed_position == position
        ]
        parts = tuple(_part(each) for each in sorted(found, key=lambda each: rank[each.what]))
        yield SplitVerdict(position, receipt, received[0] if received else None, parts)


def _part(difference: Difference) -> Part:
    return Part(difference.what, difference.expected, difference.fact, difference.reason)
