"""An epoch's emission over domains and legs: it sums to the unit, within bounds, and shows what nobody earned."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnode_projections import rulesets
from deepnode_projections.maths import DomainClaim, PoolLegs, checked_weights, minted, over_domains, pool_legs
from deepnode_projections.maths.pools import WeightsRefused
from deepnode_projections.rulesets.ruleset import LEG_NAMES, PPM, EmissionRules, Weights
from tests.projections.maths.drawn_weights import weights

DEFAULT = rulesets.default().emission
FOUNDATION = rulesets.parse("to_foundation", 'summary = "x"\n[emission]\nempty_pool = "foundation"').emission
HALVES = Weights(miners=495_000, stakers=0, validators=495_000, owner=0, models=0)

amounts = st.one_of(st.integers(0, 300), st.integers(0, 10**38 - 1))
earned = st.sets(st.sampled_from(LEG_NAMES))
claims = st.lists(
    st.builds(DomainClaim, st.binary(min_size=32, max_size=32), st.integers(0, 10**20), st.integers(0, PPM)),
    max_size=12,
    unique_by=lambda claim: claim.domain,
)


def test_a_pool_by_hand() -> None:
    """Divides 101 units into halves of 99 %: 49.995 each and 1.01, so the two larger remainders get what is left."""
    assert pool_legs(DEFAULT, 101, HALVES, LEG_NAMES) == PoolLegs(50, 0, 50, 0, 0, 1, 0)


def test_the_smallest_pools_go_by_the_order_of_the_legs() -> None:
    """Divides a single unit between equal legs: the first has it, and the foundation is last in the order."""
    assert pool_legs(DEFAULT, 1, HALVES, LEG_NAMES) == PoolLegs(1, 0, 0, 0, 0, 0, 0)
    assert pool_legs(DEFAULT, 0, HALVES, LEG_NAMES) == PoolLegs(0, 0, 0, 0, 0, 0, 0)


def test_an_empty_leg_is_seen() -> None:
    """Divides a pool in which nobody validated: its part is undistributed, or the foundation's if the rules say so."""
    assert pool_legs(DEFAULT, 1_000_000, HALVES, ["miners"]) == PoolLegs(495_000, 0, 0, 0, 0, 10_000, 495_000)
    assert pool_legs(FOUNDATION, 1_000_000, HALVES, ["miners"]) == PoolLegs(495_000, 0, 0, 0, 0, 505_000, 0)


@pytest.mark.parametrize("rules", [DEFAULT, FOUNDATION])
@given(amount=amounts, of_domain=weights(), who=earned)
def test_a_pool_sums_to_the_unit(rules: EmissionRules, amount: int, of_domain: Weights, who: set[str]) -> None:
    """Draws pools to 10**38, weights and which legs were earned; only a leg that was earned gets anything."""
    found = pool_legs(rules, amount, of_domain, who)
    assert found.total == amount
    assert all(getattr(found, leg) == 0 for leg in LEG_NAMES if leg not in who)
    assert found.foundation >= amount * 10_000 // PPM
    for leg in who:
        assert getattr(found, leg) - amount * getattr(of_domain, leg) // PPM in (0, 1)


@pytest.mark.parametrize("profile", sorted(rulesets.shipped()))
@given(amount=amounts, over=claims)
def test_an_epoch_is_divided_to_the_unit_over_domains(profile: str, amount: int, over: list[DomainClaim]) -> None:
    """Draws domains, and divides by each weighting; order does not matter, and nothing disappears."""
    rules = rulesets.by_name(profile).emission
    found = over_domains(rules, amount, over)
    assert sum(share.amount for share in found.shares) + found.undistributed == amount
    assert over_domains(rules, amount, reversed(over)) == found


def test_emission_follows_what_the_ruleset_says() -> None:
    """Divides 100 units over a domain that works and one that governance prefers, under the three weightings."""
    over = [DomainClaim(b"w" * 32, 3, 1), DomainClaim(b"g" * 32, 1, 4)]
    parts = {
        name: {share.key[:1]: share.amount for share in over_domains(each.emission, 100, over).shares}
        for name, each in rulesets.shipped().items()
    }
    assert parts["default"] == {b"w": 75, b"g": 25}
    assert parts["equal_domains"] == parts["fixed_41_41"] == {b"w": 50, b"g": 50}
    assert parts["governed_domains"] == {b"w": 20, b"g": 80}


def test_without_verified_work_nothing_is_distributed() -> None:
    """Divides over domains that did nothing: all of it is undistributed, unless domains are equal."""
    idle = [DomainClaim(b"a" * 32, 0), DomainClaim(b"b" * 32, 0)]
    assert over_domains(DEFAULT, 9, idle).undistributed == 9
    assert over_domains(rulesets.by_name("equal_domains").emission, 9, idle).undistributed == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"owner": 100_001, "models": 0}, "weight of owner of 100001 ppm: governance allows 0 to 100000"),
        ({"miners": 990_001}, "weight of miners of 990001"),
        ({"stakers": 1}, "sum to 1000001, not to 1000000"),
        ({"miners": 0}, "sum to 505000"),
    ],
)
def test_weights_out_of_bounds_are_refused(change: dict[str, int], message: str) -> None:
    """Changes one weight; the message names it, its bounds, or the sum."""
    with pytest.raises(WeightsRefused, match=message):
        checked_weights(DEFAULT, msgspec.structs.replace(HALVES, **change))


def test_fixed_weights_hold_whatever_the_domain_has_set() -> None:
    """Divides a pool of a domain that gives miners everything, under the rules of the 41/41 argument."""
    all_to_miners = Weights(miners=990_000, stakers=0, validators=0, owner=0, models=0)
    found = pool_legs(rulesets.by_name("fixed_41_41").emission, 100, all_to_miners, LEG_NAMES)
    assert found == PoolLegs(41, 41, 7, 10, 0, 1, 0)


def test_revenue_reinforces_or_offsets() -> None:
    """Mints an epoch of 100 beside 30 and beside 130 of revenue, under both rules."""
    offset = rulesets.by_name("offset_emission").emission
    assert [minted(DEFAULT, 100, revenue) for revenue in (0, 30, 130)] == [100, 100, 100]
    assert [minted(offset, 100, revenue) for revenue in (0, 30, 130)] == [100, 70, 0]
