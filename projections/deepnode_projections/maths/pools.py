"""Pools: how an epoch's emission is divided over domains, and a domain's part over the legs that have earned it.

Everything is by largest remainder, so every division sums to the base unit. A leg that nobody has earned is not spread
over the others: it goes to ``undistributed``, or to the foundation if the ruleset says so, and is seen there.

Sources: seeds/001 sections 1, 2 and 4, DESIGN section 6, "Epoch pools".
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from deepnode_ledger.errors import BadInput
from deepnode_projections.maths.apportion import Apportionment, largest_remainder
from deepnode_projections.rulesets.ruleset import LEG_NAMES, PPM, EmissionRules, Weights

_FOUNDATION: Final = len(LEG_NAMES)


class WeightsRefused(BadInput):
    """A domain's emission weights break the rules; the message names the weight and its bounds."""


@dataclass(frozen=True, slots=True)
class PoolLegs:
    """One domain's pool of one epoch and asset, in the chain's order of ``EpochAllocated`` (base units)."""

    miners: int
    stakers: int
    validators: int
    owner: int
    models: int
    foundation: int
    undistributed: int

    @property
    def total(self) -> int:
        """The whole pool."""
        return sum(getattr(self, leg) for leg in (*LEG_NAMES, "foundation", "undistributed"))


@dataclass(frozen=True, slots=True)
class DomainClaim:
    """What a domain is weighted by: its verified work of the epoch (vwu × difficulty) and what governance gives it."""

    domain: bytes
    work: int
    governed_weight: int = 0


def minted(rules: EmissionRules, scheduled: int, from_revenue: int) -> int:
    """Return how much is newly minted in an epoch (base units); the rest of its pool comes from revenue's leg z.

    With ``reinforce`` revenue is added to the schedule. With ``offset`` it takes the place of what would be minted;
    what of it is above the schedule stays in the pool all the same.

    Source: seeds/001 section 1, "reinforce or offset emissions".
    """
    assert scheduled >= 0, scheduled
    assert from_revenue >= 0, from_revenue
    return scheduled if rules.revenue_leg == "reinforce" else max(0, scheduled - from_revenue)


def over_domains(rules: EmissionRules, amount: int, claims: Iterable[DomainClaim]) -> Apportionment:
    """Divide an epoch's emission over the domains; keys are the domains' ids (32 bytes).

    Source: seeds/001 section 4, "emissions always follow value creation"; DESIGN section 6, "domain weighting".
    """
    match rules.domain_weighting:
        case "verified_work":
            return largest_remainder(amount, ((claim.domain, claim.work) for claim in claims))
        case "governed":
            return largest_remainder(amount, ((claim.domain, claim.governed_weight) for claim in claims))
        case "equal":
            return largest_remainder(amount, ((claim.domain, 1) for claim in claims))


def checked_weights(rules: EmissionRules, weights: Weights) -> Weights:
    """Return the weights that hold for a domain that has set these: the same, or the rules' fixed ones.

    Raises:
        WeightsRefused: a weight is out of governance's bounds, or they do not sum to 10**6 with the foundation's.

    Source: seeds/001 sections 2 and 4, DESIGN section 6: "sum with the foundation's 10 000 ppm to exactly 1 000 000".
    """
    if rules.fixed_weights is not None:
        return rules.fixed_weights
    for leg in LEG_NAMES:
        weight, bounds = getattr(weights, leg), rules.bounds_of(leg)
        if not bounds.floor_ppm <= weight <= bounds.ceiling_ppm:
            limits = f"{bounds.floor_ppm} to {bounds.ceiling_ppm}"
            raise WeightsRefused(f"weight of {leg} of {weight} ppm: governance allows {limits}")
    total = sum(msgspec.structs.astuple(weights)) + rules.foundation_ppm
    if total != PPM:
        raise WeightsRefused(f"weights and the foundation's {rules.foundation_ppm} ppm sum to {total}, not to {PPM}")
    return weights


def pool_legs(rules: EmissionRules, amount: int, weights: Weights, earned: Collection[str]) -> PoolLegs:
    """Divide a domain's pool over its legs, ties in the order of the legs, the foundation's last.

    Args:
        rules: of the ruleset in force.
        amount: the pool, base units: its emission, and z of revenue.
        weights: of the domain at the epoch's start.
        earned: the names of the legs that somebody has earned; the others are empty.

    Raises:
        WeightsRefused: as ``checked_weights``.

    Source: seeds/001 section 2, DESIGN section 6, "Epoch pools".
    """
    assert set(earned) <= set(LEG_NAMES), earned
    of_leg = msgspec.structs.astuple(checked_weights(rules, weights))
    found = largest_remainder(
        amount, ((bytes([leg]), weight) for leg, weight in enumerate((*of_leg, rules.foundation_ppm)))
    )
    amounts = {share.key[0]: share.amount for share in found.shares}
    legs = {name: amounts.get(leg, 0) for leg, name in enumerate(LEG_NAMES)}
    unearned = sum(legs[name] for name in LEG_NAMES if name not in earned)
    to_foundation = unearned if rules.empty_pool == "foundation" else 0
    made = PoolLegs(
        **{name: legs[name] if name in earned else 0 for name in LEG_NAMES},
        foundation=amounts.get(_FOUNDATION, 0) + to_foundation,
        undistributed=unearned - to_foundation,
    )
    assert made.total == amount, (made, amount)
    return made
