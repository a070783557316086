"""The nine rates: what the router gives is given, what it refuses is refused, and the ruleset decides what is open."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnode_projections import rulesets
from deepnode_projections.maths import burned_of_fee, nine_rates
from deepnode_projections.maths.rates import FixedRateChanged, RateOutOfRange, RatesAboveOne, YieldAboveBackers
from deepnode_projections.rulesets.ruleset import PPM

DEFAULT = rulesets.default().revenue
SPLIT: dict[str, Any] = {
    "a": 300_000,
    "b": 400_000,
    "fees": 30_000,
    "buyback": 10_000,
    "foundation": 10_000,
    "domain": 5_000,
    "variable_burn": 2_000,
    "yield_": 1_000,
}
rate = st.integers(0, 150_000)


def test_the_default_takes_yield_from_the_backers() -> None:
    """Writes the nine rates out: creator b, backers a - c, the route's five, c, and what is left to the emission."""
    legs = (400_000, 299_000, 30_000, 10_000, 10_000, 5_000, 2_000, 1_000, 243_000)
    assert nine_rates(DEFAULT, **SPLIT) == legs


@pytest.mark.parametrize(
    ("profile", "changed"),
    [
        ("yield_of_gross", {1: 300_000, 8: 242_000}),
        ("burn_of_fee", {6: 0, 8: 245_000}),
        ("burn_of_revenue", {}),
        # 95 % are left by fees, buyback and foundation: b = 380 000, a = 285 000 less the yield.
        ("net_shares", {0: 380_000, 1: 284_000, 8: 278_000}),
    ],
)
def test_a_profile_changes_the_legs_that_it_names(profile: str, changed: dict[int, int]) -> None:
    """Compares the nine rates under a profile with the default's, leg by leg."""
    expected = [changed.get(leg, value) for leg, value in enumerate(nine_rates(DEFAULT, **SPLIT))]
    assert [*nine_rates(rulesets.by_name(profile).revenue, **SPLIT)] == expected


@pytest.mark.parametrize("profile", sorted(rulesets.shipped()))
@given(a=rate, b=rate, fees=rate, domain=rate, variable_burn=rate, yield_=rate)
def test_rates_sum_to_everything_or_are_refused(profile: str, **drawn: int) -> None:
    """Draws rates under every ruleset: nine that are not negative and sum to a million, or one of two refusals."""
    rules = rulesets.by_name(profile).revenue
    try:
        found = nine_rates(rules, **drawn, buyback=10_000, foundation=10_000)
    except YieldAboveBackers:
        assert rules.yield_from == "backers"
    except RatesAboveOne:
        pytest.fail("six rates of at most 15 % and two of 1 % fit")
    else:
        assert sum(found) == PPM
        assert min(found) >= 0
        assert len(found) == 9


@pytest.mark.parametrize(
    ("change", "refusal", "message"),
    [
        ({"yield_": 300_001}, YieldAboveBackers, "yield of 300001 ppm: it is taken out of the backers' 300000"),
        ({"fees": 273_001}, RatesAboveOne, "sum to 1000001 ppm"),
        ({"buyback": 9_999}, FixedRateChanged, "buyback of 9999 and foundation of 10000 ppm: they are fixed at"),
        ({"foundation": 10_001}, FixedRateChanged, "fixed at 10000 and 10000"),
        ({"domain": -1}, RateOutOfRange, "domain of -1 ppm"),
        ({"b": PPM + 1}, RateOutOfRange, "b of 1000001 ppm"),
    ],
)
def test_what_the_router_refuses_is_refused(change: dict[str, int], refusal: type[Exception], message: str) -> None:
    """Changes one rate over its limit; the message names it and the rule."""
    with pytest.raises(refusal, match=message):
        nine_rates(DEFAULT, **{**SPLIT, **change})


def test_the_last_possible_rate_is_taken() -> None:
    """Raises fees and yield to exactly their limits: the emission gets nothing, the backers nothing."""
    assert nine_rates(DEFAULT, **{**SPLIT, "fees": 273_000})[8] == 0
    assert nine_rates(DEFAULT, **{**SPLIT, "yield_": 300_000})[1] == 0


def test_the_burn_of_a_fee_depends_on_its_base() -> None:
    """Burns 2.5 % of a fee of 1 001 base units: rounded down, and nothing where only revenue is burned of."""
    burned = {name: burned_of_fee(each.revenue, 1_001, 25_000) for name, each in rulesets.shipped().items()}
    assert {name for name, amount in burned.items() if amount == 0} == {"burn_of_revenue"}
    assert set(burned.values()) == {0, 25}
