"""Who earns a leg of an epoch's pool, in the devnet's own hand: the oracle behind the roots that it submits.

Whole numbers only. Every division of an amount over several is by largest remainder: each gets ``amount * weight //
total``; the units that are left go one each to the largest remainders, among equal ones to the lower key. The books
have rules of their own for the same (``deepnode_projections.maths``) and share no line with this file. docs/devnet.md
tells it step by step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

PPM = 10**6
MINERS, STAKERS, VALIDATORS, OWNER, MODELS, FOUNDATION = LEGS = range(6)
"""The legs of a pool in the order of ``EpochAllocated``; their numbers are the bits of its mask of empty legs."""

ON_VALIDATOR, ON_MINER, ON_MODEL, ON_DOMAIN = range(1, 5)
"""What is staked upon: the types of targets of the staking contract."""


@dataclass(slots=True)
class ModelTerms:
    """A model's creator, and what it and its backers share (ppm)."""

    creator: bytes
    a: int
    b: int


@dataclass(slots=True)
class Standing:
    """How things stood at an epoch's start; ids are 32 bytes, addresses 20, amounts base units.

    Attributes:
        operators: the operator of each node.
        owners: the owner of each domain.
        stakes: by type of target and target, what each staker has there.
        commissions: each validator's, in ppm.
        models: the terms of each.
        shares: by model, what each backer holds in its rounds that have reached their target.
    """

    operators: dict[bytes, bytes] = field(default_factory=dict)
    owners: dict[bytes, bytes] = field(default_factory=dict)
    stakes: dict[tuple[int, bytes], Counter[bytes]] = field(default_factory=dict)
    commissions: dict[bytes, int] = field(default_factory=dict)
    models: dict[bytes, ModelTerms] = field(default_factory=dict)
    shares: dict[bytes, Counter[bytes]] = field(default_factory=dict)


@dataclass(slots=True)
class DomainWork:
    """What was done in one domain in an epoch, weighted by difficulty (ppm): by miners, validators and models.

    `ratings` counts what users said of each model, `stars` adds it up (1 to 5 each).
    """

    miners: Counter[bytes] = field(default_factory=Counter)
    validators: Counter[bytes] = field(default_factory=Counter)
    models: Counter[bytes] = field(default_factory=Counter)
    ratings: Counter[bytes] = field(default_factory=Counter)
    stars: Counter[bytes] = field(default_factory=Counter)

    @property
    def verified(self) -> int:
        """All verified work: the weight of the domain in the epoch's emission."""
        return sum(self.miners.values())

    def relevance(self, model: bytes) -> int:
        """The mean of a model's use, beside that of the most used one, and of its users' satisfaction (ppm).

        One star is no satisfaction, five are all; a model that nobody rated is in the middle.
        """
        use = self.models[model] * PPM // max(self.models.values())
        count = self.ratings[model]
        satisfaction = (self.stars[model] - count) * PPM // (4 * count) if count else PPM // 2
        return (use + satisfaction) // 2


def apportion(amount: int, weights: Mapping[bytes, int]) -> dict[bytes, int]:
    """Divide by largest remainder; nothing for nobody if all weights are zero."""
    total = sum(weights.values())
    if total == 0:
        return {}
    parts = {key: amount * weight // total for key, weight in weights.items()}
    left = amount - sum(parts.values())
    for key in sorted(weights, key=lambda key: (-(amount * weights[key] % total), key))[:left]:
        parts[key] += 1
    return parts


def empty_legs(standing: Standing, work: DomainWork, domain: bytes) -> int:
    """The mask of the legs that nobody has earned in a domain; the owner's and the foundation's never are."""
    has = {
        MINERS: work.miners.total(),
        STAKERS: standing.stakes.get((ON_DOMAIN, domain), Counter()).total(),
        VALIDATORS: work.validators.total(),
        MODELS: work.models.total(),
    }
    return sum(1 << leg for leg, weight in has.items() if weight == 0)


def earned(
    amounts: Mapping[int, int], standing: Standing, work: DomainWork, domain: bytes, foundation: bytes
) -> Counter[bytes]:
    """What each address earns of one domain's pool.

    Args:
        amounts: the pool's legs, as the chain has divided it.
        standing: at the start of the epoch.
        work: of the domain in the epoch.
        domain: its id.
        foundation: the address that has the foundation's leg.
    """
    found: Counter[bytes] = Counter({foundation: amounts[FOUNDATION]})
    found[standing.owners[domain]] += amounts[OWNER]
    for earner, amount in _by_key(amounts[MINERS], work.miners, standing.operators):
        found[earner[1]] += amount
    stakers = standing.stakes.get((ON_DOMAIN, domain), Counter())
    found.update(apportion(amounts[STAKERS], stakers))
    for (node, operator), amount in _by_key(amounts[VALIDATORS], work.validators, standing.operators):
        found.update(_of_validator(amount, node, operator, standing))
    creators = {model: terms.creator for model, terms in standing.models.items()}
    uses = {model: weight * work.relevance(model) for model, weight in work.models.items()}
    for (model, _), amount in _by_key(amounts[MODELS], uses, creators):
        found.update(_of_model(amount, model, standing))
    return +found


def _by_key(
    amount: int, weights: Mapping[bytes, int], addresses: Mapping[bytes, bytes]
) -> list[tuple[tuple[bytes, bytes], int]]:
    """Divide among nodes or models; ties go to the lower address, then to the lower id."""
    parts = apportion(amount, {addresses[subject] + subject: weight for subject, weight in weights.items()})
    return [((key[20:], key[:20]), part) for key, part in parts.items()]


def _of_validator(amount: int, node: bytes, operator: bytes, standing: Standing) -> Counter[bytes]:
    """Commission first, rounded down; the rest to who staked on the node, or to its operator if nobody did."""
    commission = amount * standing.commissions.get(node, 0) // PPM
    delegations = standing.stakes.get((ON_VALIDATOR, node), Counter())
    found = Counter({operator: commission})
    found.update(apportion(amount - commission, delegations) or {operator: amount - commission})
    return found


def _of_model(amount: int, model: bytes, standing: Standing) -> Counter[bytes]:
    """Parts b to the creator and a to the backers by shares; without backers all is the creator's."""
    terms = standing.models[model]
    creator, backers = b"\x00", b"\x01"
    rates = {creator: terms.b, backers: terms.a} if terms.a + terms.b else {creator: 1}
    parts = apportion(amount, rates)
    found = Counter({terms.creator: parts[creator]})
    theirs = parts.get(backers, 0)
    found.update(apportion(theirs, standing.shares.get(model, Counter())) or {terms.creator: theirs})
    return found
