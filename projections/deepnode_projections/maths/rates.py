"""The nine rates of a revenue split, from what the model, the route and the ruleset say.

The creator's b and the backers' a belong to the model (x = a + b, set at mint), the rest to the route of its domain and
asset. The emission's z is the balancing leg: what the others leave. What the router refuses is refused here.

Sources: seeds/001 section 1, seeds/004 steps 2 and 3, seeds/000 section 4, DESIGN section 6; ``RevenueRouter._rates``.
"""

from deepnode_ledger.errors import BadInput
from deepnode_ledger.vocabulary import LEGS
from deepnode_projections.rulesets.ruleset import PPM, RevenueRules

Rates = tuple[int, int, int, int, int, int, int, int, int]
"""Rates in ppm, in the order of the router's legs; they sum to 10**6."""


class RatesRefused(BadInput):
    """These rates make no split; the message names them and the rule."""


class RateOutOfRange(RatesRefused):
    """A rate is below 0 or above 10**6 ppm."""


class FixedRateChanged(RatesRefused):
    """Buyback or foundation is not what the ruleset fixes."""


class YieldAboveBackers(RatesRefused):
    """The yield is to come out of the backers' rate and is larger."""


class RatesAboveOne(RatesRefused):
    """The legs before the balancing one take more than everything."""


def nine_rates(
    rules: RevenueRules,
    *,
    a: int,
    b: int,
    fees: int,
    buyback: int,
    foundation: int,
    domain: int,
    variable_burn: int,
    yield_: int,
) -> Rates:
    """Return the rates of the nine legs: creator, backers, fees, buyback, foundation, domain, burn, yield, emission.

    Args:
        rules: of the ruleset in force.
        a: the backers' rate, of the model (ppm, as all).
        b: the creator's rate, of the model.
        fees: y, of the route, as are the following.
        buyback: fixed by the rules.
        foundation: fixed by the rules.
        domain: the domain's own rate.
        variable_burn: d; it counts unless the rules keep it to registration fees.
        yield_: c; it comes out of a unless the rules take it of gross.

    Raises:
        RatesRefused: a rate is out of range, a fixed one is another, the yield is above a, or the sum is above 10**6.

    Source: seeds/001 section 1, seeds/004 step 3, DESIGN section 6 (defaults of the rulesets).
    """
    given = {"a": a, "b": b, "fees": fees, "domain": domain, "variable_burn": variable_burn, "yield": yield_}
    for name, rate in given.items():
        if not 0 <= rate <= PPM:
            raise RateOutOfRange(f"{name} of {rate} ppm: a rate is from 0 to {PPM}")
    if (buyback, foundation) != (rules.buyback_ppm, rules.foundation_ppm):
        fixed = f"{rules.buyback_ppm} and {rules.foundation_ppm}"
        raise FixedRateChanged(f"buyback of {buyback} and foundation of {foundation} ppm: they are fixed at {fixed}")
    if rules.model_share_of == "net":
        # Rounded down to whole ppm: what is lost by it is left to the emission leg.
        net = max(0, PPM - fees - buyback - foundation)
        a, b = a * net // PPM, b * net // PPM
    backers = a
    if rules.yield_from == "backers":
        if yield_ > a:
            raise YieldAboveBackers(f"yield of {yield_} ppm: it is taken out of the backers' {a}")
        backers = a - yield_
    burn = 0 if rules.variable_burn_on == "registration_fee" else variable_burn
    before = (b, backers, fees, buyback, foundation, domain, burn, yield_)
    if sum(before) > PPM:
        raise RatesAboveOne(f"rates {before} sum to {sum(before)} ppm, which is above {PPM}")
    rates = (*before, PPM - sum(before))
    assert len(rates) == len(LEGS)
    assert sum(rates) == PPM
    assert min(rates) >= 0, rates
    return rates


def burned_of_fee(rules: RevenueRules, fee: int, rate_ppm: int) -> int:
    """Return how much of a registration's fee is burned (base units, rounded down).

    Source: seeds/000 step 0 and section 4, DESIGN section 6: "variable burn d on the registration fee".
    """
    assert fee >= 0, fee
    assert 0 <= rate_ppm <= PPM, rate_ppm
    burned = 0 if rules.variable_burn_on == "revenue" else fee * rate_ppm // PPM
    assert 0 <= burned <= fee, (burned, fee)
    return burned
