"""Pools: what the rules make of an allocation, leg by leg and line by line, beside what the chain has made of it.

An allocation divides a pool of a domain for an epoch that is over. The rules divide the same pool by the weights and
the ruleset that held at the epoch's start, give nothing to a leg that nobody has earned, and compare all seven parts.
Each leg is then divided over those who earned it, and every line keeps the divisions that led to it, so that it can be
done again by hand.

Sources: seeds/000 step 4, seeds/001 sections 2 and 4, seeds/004 step 3, DESIGN section 6, "Epoch pools".
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from deepnode_ledger.decoding import ChainEvent
from deepnode_ledger.posting import Posting
from deepnode_projections.maths.pools import PoolLegs, pool_legs
from deepnode_projections.maths.rewards import (
    Holding,
    MinerWork,
    ModelUsage,
    RewardLine,
    Rewards,
    StakeHeld,
    to_miners,
    to_models,
    to_one,
    to_stakers,
    to_validators,
)
from deepnode_projections.maths.rewards import ValidatorWork as Validated
from deepnode_projections.registers.record import Amount
from deepnode_projections.registers.state import State
from deepnode_projections.rules.comparisons import compare
from deepnode_projections.rules.domains import Domain, weights_at
from deepnode_projections.rules.emission import Allocation
from deepnode_projections.rules.epochs import current
from deepnode_projections.rules.funding import RoundOfModel, backers_of
from deepnode_projections.rules.parameters import ruleset_at
from deepnode_projections.rules.pockets import token
from deepnode_projections.rules.powr import ModelRank, close_epoch
from deepnode_projections.rules.reading import number
from deepnode_projections.rules.registry import Model, Node
from deepnode_projections.rules.scene import NoEffect, Rules, Scene
from deepnode_projections.rules.staking import commission_at, stakes_at
from deepnode_projections.rules.work import ModelSales, ModelUse, ValidatorWork, Work
from deepnode_projections.rulesets.ruleset import PPM, Ruleset, Weights

DOMAIN: Final = 4
"""What stakers stake on to earn the stakers' leg of a domain (a target type of ``Staking``)."""


@dataclass(frozen=True, slots=True)
class Reward:
    """A line of a leg: what an earner gets of a pool for a subject (a node, a model, a domain; 32 bytes).

    ``path`` is the chain of divisions that led to ``amount`` (base units), each as ``of * weight / total + extra``, the
    first of the whole leg: each divides what the one before gave.
    """

    TABLE: ClassVar[str] = "reward"
    KEY: ClassVar[int] = 7
    FOUND_BY: ClassVar[tuple[str, ...]] = ("earner", "subject")

    epoch: int
    domain: bytes
    asset: bytes
    role: str
    kind: str
    subject: bytes
    earner: bytes
    amount: Amount
    path: str


@dataclass(frozen=True, slots=True)
class Earned:
    """All that an earner gets of an asset for one epoch (base units)."""

    TABLE: ClassVar[str] = "earned"
    KEY: ClassVar[int] = 3

    asset: bytes
    earner: bytes
    epoch: int
    amount: Amount


@dataclass(frozen=True, slots=True)
class OwnerAt:
    """Who owned a domain when an epoch began."""

    TABLE: ClassVar[str] = "owner_at"
    KEY: ClassVar[int] = 2

    epoch: int
    domain: bytes
    owner: bytes


@dataclass(frozen=True, slots=True)
class BackerAt:
    """The shares that a backer had of a model when an epoch began, in all rounds that had reached their target."""

    TABLE: ClassVar[str] = "backer_at"
    KEY: ClassVar[int] = 3

    epoch: int
    model: bytes
    backer: bytes
    shares: Amount


def _allocated(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    state, epoch, domain, asset = scene.state, number(event, "epoch"), event.word("domain"), token(event, scene)
    if epoch >= current(state):
        raise NoEffect(f"an allocation of epoch {epoch}, which is not over: epoch {current(state)} is open")
    fact = state.get(Allocation, epoch, domain, asset)
    assert fact is not None, "rules.emission has a rule for the same event, and comes first"
    weights, rules = weights_at(state, domain, epoch), ruleset_at(state, epoch)
    if weights is None:
        compare(scene, "EpochAllocated", "weights", domain, None, 0, "the domain had set no weights for the epoch")
        return ()
    of_leg = Weights(**{leg: getattr(weights, leg) for leg in Weights.__struct_fields__})
    earners = Earners(scene, rules, epoch, domain, asset)
    expected = pool_legs(rules.emission, fact.pool, of_leg, earners.earned)
    for part in _PARTS:
        compare(scene, "EpochAllocated", part, domain + asset, getattr(expected, part), getattr(fact, part))
    _keep(scene, epoch, domain, asset, earners.lines(expected))
    return ()


def _epoch_opened(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    state, epoch = scene.state, number(event, "epoch")
    close_epoch(scene, epoch - 1)
    for domain in state.every(Domain):
        state.put(OwnerAt(epoch, domain.domain, domain.owner))
    # In the order of models: a model may have had several rounds.
    for model in dict.fromkeys(each.model for each in state.every(RoundOfModel)):
        for backer, shares in backers_of(state, model):
            state.put(BackerAt(epoch, model, backer, shares))
    return ()


class Earners:
    """Who has earned what of a domain in an epoch that is over, and what of an asset that comes to."""

    def __init__(self, scene: Scene, rules: Ruleset, epoch: int, domain: bytes, asset: bytes) -> None:
        """Read from ``scene.state`` who has earned what; nothing of it changes once the epoch is over."""
        state = scene.state
        self._rules = rules.emission
        self._domain = domain
        owner = state.get(OwnerAt, epoch, domain)
        self._owner = None if owner is None else owner.owner
        self._foundation = scene.manifest.foundation
        self._miners = [
            MinerWork(each.node, node.operator, each.weighted)
            for each in state.every(Work, epoch, domain)
            if (node := state.get(Node, each.node)) is not None
        ]
        self._validators = [
            Validated(
                each.validator,
                node.operator,
                each.weighted,
                commission_at(state, each.validator, epoch),
                tuple(Holding(*held) for held in stakes_at(state, 1, each.validator, epoch)),
            )
            for each in state.every(ValidatorWork, epoch, domain)
            if (node := state.get(Node, each.validator)) is not None
        ]
        self._stakers = [StakeHeld(staker, domain, held) for staker, held in stakes_at(state, DOMAIN, domain, epoch)]
        self._models = [
            ModelUsage(
                each.model,
                model.creator,
                _usage(state, rules, each, asset),
                PPM if (rank := state.get(ModelRank, epoch, domain, each.model)) is None else rank.relevance,
                model.a,
                model.b,
                tuple(Holding(held.backer, held.shares) for held in state.every(BackerAt, epoch, each.model)),
            )
            for each in state.every(ModelUse, epoch, domain)
            if (model := state.get(Model, each.model)) is not None
        ]

    @property
    def earned(self) -> list[str]:
        """The legs that somebody has earned."""
        found = {
            "miners": any(each.weighted for each in self._miners),
            "stakers": any(each.amount for each in self._stakers),
            "validators": any(each.weighted for each in self._validators),
            "owner": self._owner is not None,
            "models": any(each.usage * each.relevance_ppm for each in self._models),
        }
        return [leg for leg, is_earned in found.items() if is_earned]

    def lines(self, legs: PoolLegs) -> Iterable[RewardLine]:
        """Divide the legs over those who have earned them."""
        divided: list[Rewards] = [
            to_miners(legs.miners, self._miners),
            to_stakers(legs.stakers, self._stakers),
            to_validators(self._rules, legs.validators, self._validators),
            to_models(self._rules, legs.models, self._models),
        ]
        if self._owner is not None:
            divided.append(to_one("owner", "owner", legs.owner, self._owner, self._domain))
        # Where the manifest does not say who the foundation is, nobody can be entitled to its leg.
        if self._foundation is not None:
            divided.append(to_one("foundation", "fixed", legs.foundation, self._foundation, self._domain))
        return [line for rewards in divided for line in rewards.lines]


def _usage(state: State, rules: Ruleset, use: ModelUse, asset: bytes) -> int:
    match rules.emission.model_use:
        case "weighted":
            return use.weighted
        case "tasks":
            return use.tasks
        case "revenue":
            sales = state.get(ModelSales, use.epoch, use.domain, use.model, asset)
            return 0 if sales is None else sales.amount


def _keep(scene: Scene, epoch: int, domain: bytes, asset: bytes, lines: Iterable[RewardLine]) -> None:
    for line in lines:
        if not line.amount:
            continue
        path = "; ".join(f"{s.of} * {s.weight} / {s.total_weight} + {s.extra}" for s in line.path)
        where = (epoch, domain, asset, line.role, line.kind, line.subject, line.earner)
        scene.state.put(Reward(*where, line.amount, path))
        before = scene.state.get(Earned, asset, line.earner, epoch) or Earned(asset, line.earner, epoch, 0)
        scene.state.put(Earned(asset, line.earner, epoch, before.amount + line.amount))


_PARTS: Final = ("miners", "stakers", "validators", "owner", "models", "foundation", "undistributed")

RULES: Final[Rules] = {
    ("Emission", "EpochAllocated"): _allocated,
    ("Emission", "EpochOpened"): _epoch_opened,
}
RECORDS: Final = (Reward, Earned, OwnerAt, BackerAt)
