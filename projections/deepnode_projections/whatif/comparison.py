"""Comparison: what everybody got as it was, what they would have got under a scenario, and who gains and loses by it.

Every amount is in base units of its asset, and every sum is exact: within a pool that is the same, the differences of
all earners and of what stays undistributed sum to zero.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from deepnode_ledger.vocabulary import LEGS
from deepnode_projections.whatif.division import Division, Where
from deepnode_projections.whatif.recording import SplitNote

UNDISTRIBUTED: Final = "undistributed"

ROLES: Final = (
    "miner", "staker", "validator", "delegator", "creator", "backer", "owner", "foundation", UNDISTRIBUTED,
)  # fmt: skip
"""As what somebody gets a part of a pool; the last is nobody."""

NOBODY: Final = b""


class _Differing:
    """Has an amount as it ``was``, and as it is under a ``scenario``."""

    __slots__ = ()

    was: int
    scenario: int

    @property
    def difference(self) -> int:
        """What the scenario gives more; negative if less."""
        return self.scenario - self.was


@dataclass(frozen=True, slots=True)
class Change(_Differing):
    """What an earner (20 bytes; none if undistributed) gets in a role of a domain's pool of an epoch (base units)."""

    epoch: int
    domain: bytes
    asset: bytes
    role: str
    earner: bytes
    was: int
    scenario: int


@dataclass(frozen=True, slots=True)
class Total(_Differing):
    """A sum of changes: of a role, or of an earner, in an asset (base units)."""

    name: str | bytes
    asset: bytes
    was: int
    scenario: int


@dataclass(frozen=True, slots=True)
class SplitChange(_Differing):
    """A leg of a domain's revenue in an epoch and asset (base units).

    ``paid`` is what the router made of it, ``was`` what the rules gave, ``scenario`` what they would give. The leg
    ``suspense`` is what waits for a later payment, so that all of them are the gross.
    """

    epoch: int
    domain: bytes
    asset: bytes
    leg: str
    paid: int
    was: int
    scenario: int


@dataclass(frozen=True, slots=True)
class Spread:
    """How unequally an asset is spread over those who earn it: the Gini coefficient as a ratio of whole numbers.

    0 is everybody the same, 1 one for all. ``earners`` counts those with more than nothing.
    """

    earners: int
    over: int
    under: int

    @property
    def ppm(self) -> int:
        """The coefficient in ppm, rounded down."""
        return self.over * 1_000_000 // self.under if self.under else 0


def changes(was: Division, scenario: Division) -> tuple[Change, ...]:
    """Hold two divisions against each other, in the order of epochs, domains, assets, roles and earners."""
    before, after = _amounts(was), _amounts(scenario)
    return tuple(
        Change(*key, before.get(key, 0), after.get(key, 0))
        for key in sorted(before.keys() | after.keys(), key=lambda key: (*key[:3], ROLES.index(key[3]), key[4]))
    )


def by_role(found: Iterable[Change]) -> tuple[Total, ...]:
    """Sum changes by asset and role, in the order of ``ROLES``."""
    sums = _sums(((each.role, each.asset), each) for each in found)
    return tuple(Total(role, asset, *sums[role, asset]) for role, asset in sorted(sums, key=_by_asset_and_role))


def by_earner(found: Iterable[Change]) -> tuple[Total, ...]:
    """Sum changes by asset and earner: who gains most first, equal ones by address."""
    sums = _sums(((each.earner, each.asset), each) for each in found if each.earner)
    totals = [Total(earner, asset, *held) for (earner, asset), held in sums.items()]
    return tuple(sorted(totals, key=lambda each: (each.asset, -each.difference, each.name)))


def of_pools(found: Iterable[Change]) -> dict[Where, tuple[int, int]]:
    """Sum changes by pool: what it held as it was, and what under the scenario."""
    return _sums(((each.epoch, each.domain, each.asset), each) for each in found)


def spread(amounts: Iterable[int]) -> Spread:
    """Measure how unequal amounts are; those of nothing are left out."""
    held = sorted(each for each in amounts if each > 0)
    count, total = len(held), sum(held)
    return Spread(count, sum((2 * place - count - 1) * each for place, each in enumerate(held, 1)), count * total)


def splits(was: Mapping[Where, SplitNote], scenario: Mapping[Where, SplitNote]) -> tuple[SplitChange, ...]:
    """Hold the legs of revenue against each other: only domains' epochs in which the rules gave legs in both."""
    found = []
    for where in sorted(was):
        one, other = was[where], scenario[where]
        assert one.gross == other.gross, where
        names = (*LEGS, "suspense")
        paid = (*one.paid, one.gross - sum(one.paid))
        before, after = (*one.expected, one.suspended), (*other.expected, other.suspended)
        found += [SplitChange(*where, leg, *amounts) for leg, *amounts in zip(names, paid, before, after, strict=True)]
    return tuple(found)


K = TypeVar("K")

_Key = tuple[int, bytes, bytes, str, bytes]


def _amounts(division: Division) -> dict[_Key, int]:
    found: dict[_Key, int] = defaultdict(int)
    for where, pool in division.pools.items():
        for line in pool.lines:
            found[(*where, line.role, line.earner)] += line.amount
        if pool.undistributed:
            found[(*where, UNDISTRIBUTED, NOBODY)] += pool.undistributed
    return found


def _sums(told: Iterable[tuple[K, Change]]) -> dict[K, tuple[int, int]]:
    sums: dict[K, tuple[int, int]] = {}
    for key, each in told:
        was, scenario = sums.get(key, (0, 0))
        sums[key] = (was + each.was, scenario + each.scenario)
    return sums


def _by_asset_and_role(key: tuple[str, bytes]) -> tuple[bytes, int]:
    return key[1], ROLES.index(key[0])
