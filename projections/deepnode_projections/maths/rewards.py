"""Rewards: who earns a leg of a pool, line by line, with every integer that led to the amount.

A line's ``path`` is the chain of divisions from the leg to the earner: a miner's is one (work), a delegator's two (work
of the validator, then stake), a backer's three (usage of the model, the backers' part, shares). Each division divides
exactly what the one before gave, so whoever reads a line can do it again by hand.

Ties go to the lower address of the earner, then to the lower id of what it earned with.

Sources: seeds/000 step 4, seeds/001 section 4, seeds/004 step 3, DESIGN section 6, "Epoch pools".
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeVar

from deepnode_ledger.hexadecimal import ADDRESS_BYTES, WORD_BYTES
from deepnode_projections.maths.apportion import Share, largest_remainder
from deepnode_projections.rulesets.ruleset import PPM, EmissionRules

Role = Literal["miner", "validator", "delegator", "staker", "owner", "creator", "backer", "foundation"]
"""As what somebody earns."""

Kind = Literal["work", "commission", "no_delegators", "delegation", "stake", "owner", "royalty", "backing", "fixed"]
"""For what: commission and delegation divide a validator's part, royalty (b) and backing (a) a model's."""

EARNER, REST = b"\x00", b"\x01"
"""Keys of a division in two: first the commission or the royalty, then what delegators or backers share."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RewardLine:
    """What ``earner`` (an address) gets for ``subject``: a node, a model, a domain, or what it staked on (32 bytes)."""

    role: Role
    kind: Kind
    earner: bytes
    subject: bytes
    path: tuple[Share, ...]

    def __post_init__(self) -> None:
        assert len(self.earner) == ADDRESS_BYTES, self
        assert len(self.subject) == WORD_BYTES, self
        assert self.path, self
        assert all(share.amount == following.of for share, following in pairwise(self.path)), self

    @property
    def of(self) -> int:
        """What the last division divides (base units)."""
        return self.path[-1].of

    @property
    def weight(self) -> int:
        """The earner's weight in the last division."""
        return self.path[-1].weight

    @property
    def total_weight(self) -> int:
        """All weights of the last division."""
        return self.path[-1].total_weight

    @property
    def floor(self) -> int:
        """``of * weight // total_weight``."""
        return self.path[-1].floor

    @property
    def extra(self) -> int:
        """1 if the earner has got one of the units that the floors left, else 0."""
        return self.path[-1].extra

    @property
    def amount(self) -> int:
        """What the earner gets (base units)."""
        return self.path[-1].amount


@dataclass(frozen=True, slots=True)
class Rewards:
    """The lines of a leg, and what of it nobody has earned (base units)."""

    lines: tuple[RewardLine, ...]
    undistributed: int

    @property
    def total(self) -> int:
        """The whole leg."""
        return sum(line.amount for line in self.lines) + self.undistributed


@dataclass(frozen=True, slots=True)
class MinerWork:
    """A miner's node, its operator's address, and the sum of vwu × difficulty (ppm) that was verified in the epoch."""

    node: bytes
    operator: bytes
    weighted: int


@dataclass(frozen=True, slots=True)
class Holding:
    """What an address holds of something: stake on a node or domain (base units), or a model's backer shares."""

    holder: bytes
    amount: int


@dataclass(frozen=True, slots=True)
class ValidatorWork:
    """A validator's node: in-line validations × difficulty of the epoch, and commission and stakes at its start."""

    node: bytes
    operator: bytes
    weighted: int
    commission_ppm: int
    delegations: tuple[Holding, ...]


@dataclass(frozen=True, slots=True)
class StakeHeld:
    """What an address had staked on a target (32 bytes) at the epoch's start (base units)."""

    staker: bytes
    target: bytes
    amount: int


@dataclass(frozen=True, slots=True)
class ModelUsage:
    """A model: its usage of the epoch as the ruleset measures it, its relevance (ppm), rates a and b, its backers."""

    model: bytes
    creator: bytes
    usage: int
    relevance_ppm: int
    a: int
    b: int
    backers: tuple[Holding, ...]


def to_miners(amount: int, work: Iterable[MinerWork]) -> Rewards:
    """Divide the miners' leg by verified work.

    Source: seeds/000 step 4, "rewards based on VWU and task difficulty"; DESIGN section 6.
    """
    found, undistributed = _divided(amount, work, lambda each: (each.operator, each.node, each.weighted))
    lines = (RewardLine("miner", "work", each.operator, each.node, (share,)) for each, share in found)
    return _rewards(amount, lines, undistributed)


def to_validators(rules: EmissionRules, amount: int, work: Iterable[ValidatorWork]) -> Rewards:
    """Divide the validators' leg by in-line validations: commission first, the rest to who has staked on the node.

    The commission is rounded down. If nobody has staked, the rest is the validator's or nobody's, as the rules say.

    Source: seeds/001 section 4, "rewarded for active validation, not passive uptime"; DESIGN section 6.
    """
    found, undistributed = _divided(amount, work, lambda each: (each.operator, each.node, each.weighted))
    lines: list[RewardLine] = []
    for each, share in found:
        assert 0 <= each.commission_ppm <= PPM, each
        commission, rest = _in_two(share.amount, each.commission_ppm, PPM)
        lines.append(RewardLine("validator", "commission", each.operator, each.node, (share, commission)))
        holders = _by_holding("delegator", "delegation", each.delegations, each.node, (share, rest))
        if holders:
            lines += holders
        elif rules.no_delegators == "validator":
            lines.append(RewardLine("validator", "no_delegators", each.operator, each.node, (share, rest)))
        else:
            undistributed += rest.amount
    return _rewards(amount, lines, undistributed)


def to_stakers(amount: int, stakes: Iterable[StakeHeld]) -> Rewards:
    """Divide the stakers' leg by stake at the epoch's start, a line for each target that an address has staked on.

    Source: seeds/001 section 4; DESIGN section 6, "stakers by stake at the epoch's start".
    """
    found, undistributed = _divided(amount, stakes, lambda each: (each.staker, each.target, each.amount))
    lines = (RewardLine("staker", "stake", each.staker, each.target, (share,)) for each, share in found)
    return _rewards(amount, lines, undistributed)


def to_models(rules: EmissionRules, amount: int, uses: Iterable[ModelUsage]) -> Rewards:
    """Divide the models' leg by usage × relevance: b / (a + b) to the creator, a / (a + b) to the backers by shares.

    Without any rate all is the creator's. A unit that cannot be divided between the two is the creator's if the
    remainders are equal. The part of backers that there are none of is the creator's or nobody's, as the rules say.

    Source: seeds/002 section 2, seeds/004 steps 2 and 3; DESIGN section 6, "usage × PoWR relevance, then b and a".
    """
    found, undistributed = _divided(
        amount, uses, lambda each: (each.creator, each.model, each.usage * each.relevance_ppm)
    )
    lines: list[RewardLine] = []
    for each, share in found:
        b, both = (each.b, each.a + each.b) if each.a + each.b else (1, 1)
        parts = {part.key: part for part in largest_remainder(share.amount, {EARNER: b, REST: both - b}).shares}
        if EARNER in parts:
            lines.append(RewardLine("creator", "royalty", each.creator, each.model, (share, parts[EARNER])))
        if REST not in parts:
            continue
        path = (share, parts[REST])
        if holders := _by_holding("backer", "backing", each.backers, each.model, path):
            lines += holders
        elif rules.no_backers == "creator":
            lines.append(RewardLine("creator", "backing", each.creator, each.model, path))
        else:
            undistributed += parts[REST].amount
    return _rewards(amount, lines, undistributed)


def to_one(role: Role, kind: Kind, amount: int, earner: bytes, subject: bytes) -> Rewards:
    """Give a whole leg to one: the domain's owner, or the foundation.

    Source: seeds/001 section 2.
    """
    lines = [RewardLine(role, kind, earner, subject, (Share(earner, amount, 1, 1, 0),))]
    return _rewards(amount, lines, 0)


def _divided(
    amount: int, earners: Iterable[T], told: Callable[[T], tuple[bytes, bytes, int]]
) -> tuple[Iterator[tuple[T, Share]], int]:
    """Divide by what ``told`` says of each: address, subject, weight. Return who has a share, in the order of keys."""
    by_key: dict[bytes, T] = {}
    weights = []
    for each in earners:
        address, subject, weight = told(each)
        by_key[address + subject] = each
        weights.append((address + subject, weight))
    found = largest_remainder(amount, weights)
    return ((by_key[share.key], share) for share in found.shares), found.undistributed


def _in_two(amount: int, first_weight: int, total_weight: int) -> tuple[Share, Share]:
    """Divide in two, the first rounded down: the second has the extra unit, if there is a remainder."""
    first = Share(EARNER, amount, first_weight, total_weight, 0)
    second = Share(REST, amount, total_weight - first_weight, total_weight, int(first.remainder > 0))
    assert first.amount + second.amount == amount, (first, second)
    return first, second


def _by_holding(
    role: Role, kind: Kind, holdings: Sequence[Holding], subject: bytes, path: tuple[Share, ...]
) -> list[RewardLine]:
    """Divide what a path has come to by holdings; nothing if nobody holds anything."""
    found = largest_remainder(path[-1].amount, ((each.holder, each.amount) for each in holdings))
    return [RewardLine(role, kind, share.key, subject, (*path, share)) for share in found.shares]


def _rewards(amount: int, lines: Iterable[RewardLine], undistributed: int) -> Rewards:
    made = Rewards(tuple(lines), undistributed)
    assert made.total == amount, (made.total, amount)
    return made
