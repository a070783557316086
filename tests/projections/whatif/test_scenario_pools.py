"""Pools under a scenario: sums are kept to the unit whatever the weights are, and nothing set changes nothing."""

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections import rulesets
from deepnode_projections.rulesets.ruleset import LEG_NAMES
from deepnode_projections.whatif import Scenario, by_earner, by_role, make, of_pools, preset, spread
from deepnode_projections.whatif.comparison import changes
from deepnode_projections.whatif.division import Division, differing_lines, divide
from tests.projections.rules.told import DN, address
from tests.projections.whatif.two_domains import D1, D2, FOUNDATION, FROM_REVENUE, MANIFEST, MINTED, two_domains

POOLS = {D1: MINTED + FROM_REVENUE[D1], D2: FROM_REVENUE[D2]}


def divided(scenario: Scenario, work: tuple[int, int] = (4, 2)) -> tuple[Division, Division]:
    """The story as it was, and under a scenario."""
    state = two_domains(work)
    return divide(state, state, Scenario(), MANIFEST), divide(state, state, scenario, MANIFEST)


def earned(division: Division, domain: bytes) -> dict[str, int]:
    """What each role gets of a domain's pool."""
    found: Counter[str] = Counter()
    for line in division.pools[1, domain, DN].lines:
        found[line.role] += line.amount
    return dict(found)


@st.composite
def weights(draw: st.DrawFn) -> dict[str, int]:
    """Any weights of five legs that sum with the foundation's to the whole, within the default's bounds."""
    owner = draw(st.integers(0, 100_000))
    cuts = sorted(draw(st.lists(st.integers(0, 990_000 - owner), min_size=3, max_size=3)))
    edges = [0, *cuts, 990_000 - owner]
    miners, stakers, validators, models = (after - before for before, after in pairwise(edges))
    return dict(zip(LEG_NAMES, (miners, stakers, validators, owner, models), strict=True))


def test_nothing_set_gives_the_books_own_lines() -> None:
    """Divides the pools again as they were: every line is the one that the rules wrote when the chain allocated."""
    state = two_domains()
    same = divide(state, state, Scenario(), MANIFEST)
    assert differing_lines(state, same) == []
    assert {where[1]: pool.amount for where, pool in same.pools.items()} == POOLS
    other = divide(state, state, make(MANIFEST, settings=preset("41-41").settings), MANIFEST)
    assert {where[1] for where in differing_lines(state, other)} == {D1, D2}


@given(
    weights(),
    st.sampled_from(["verified_work", "equal"]),
    st.sampled_from(["undistributed", "foundation"]),
    st.booleans(),
    st.tuples(st.integers(0, 10**12), st.integers(0, 10**12)),
)
def test_any_weights_keep_every_sum(
    legs: dict[str, int], weighting: str, empty: str, is_fixed: bool, work: tuple[int, int]
) -> None:
    """Sets any weights, in the ruleset or for the domains: no unit is made or lost, nobody gets less than 0."""
    prefix = "emission.fixed_weights" if is_fixed else "weights.*"
    settings: dict[str, Any] = {f"{prefix}.{leg}": ppm for leg, ppm in legs.items()}
    settings |= {"emission.domain_weighting": weighting, "emission.empty_pool": empty}
    was, under = divided(make(MANIFEST, settings=settings), work)
    found = changes(was, under)
    assert sum(each.difference for each in found) == 0
    assert all(type(each.scenario) is int and each.scenario >= 0 for each in found)
    sums = of_pools(found)
    assert sum(before for before, _ in sums.values()) == sum(POOLS.values())
    assert sum(after for _, after in sums.values()) == sum(POOLS.values())
    for where, pool in under.pools.items():
        assert sums[where][1] == pool.amount
        assert pool.legs is not None
        assert pool.legs.total == pool.amount
        assert pool.undistributed >= pool.legs.undistributed >= 0
    if weighting == "equal" and sum(work) > 0:
        assert {where[1]: pool.amount for where, pool in under.pools.items()} == {
            domain: MINTED // 2 + FROM_REVENUE[domain] for domain in (D1, D2)
        }
    for totals in (by_role(found), by_earner(found)):
        assert all(each.was >= 0 <= each.scenario for each in totals)
    assert sum(each.difference for each in by_role(found)) == 0


def test_equal_domains_give_stakers_without_work_their_part() -> None:
    """Under 41-41 half of what was minted goes to d2, where nobody worked: staker and owner are paid all the same."""
    was, under = divided(make(MANIFEST, settings=preset("41-41").settings))
    assert earned(was, D2) == {"staker": 14, "owner": 3, "foundation": 1}
    assert under.pools[1, D2, DN].amount == 570
    assert earned(under, D2) == {"staker": 234, "owner": 57, "foundation": 5}
    assert under.pools[1, D2, DN].undistributed == 570 - 296
    assert under.kept == ()


def test_a_scenario_leaves_the_epochs_before_it_as_they_were() -> None:
    """Lets 41-41 hold from epoch 2 on: the only epoch with pools is the first."""
    was, under = divided(make(MANIFEST, settings=preset("41-41").settings, from_epoch=2))
    assert not any(each.difference for each in changes(was, under))
    assert was == under


def test_what_governance_gives_divides_the_mint() -> None:
    """Weights the domains 3 to 1 by governance; without any weight the scenario is refused."""
    settings: dict[str, Any] = {"emission.domain_weighting": "governed", f"governed.{to_hex(D1)}": 3, "governed.*": 1}
    _, under = divided(make(MANIFEST, settings=settings))
    assert {where[1]: pool.amount for where, pool in under.pools.items()} == {D1: 780, D2: 320}
    with pytest.raises(BadInput, match=r"domain_weighting = governed.*set governed\.DOMAIN"):
        divided(make(MANIFEST, ruleset=rulesets.by_name("governed_domains")))


def test_weights_that_the_rules_do_not_allow_are_refused() -> None:
    """Sets one leg without another, and a ceiling below what a domain has set: both name domain, epoch, value, rule."""
    with pytest.raises(BadInput, match=rf"domain {to_hex(D1)} in epoch 1: .* sum to 1010000, not to 1000000"):
        divided(make(MANIFEST, settings={"weights.*.miners": 510_000}))
    with pytest.raises(BadInput, match="weight of miners of 500000 ppm: governance allows 0 to 400000"):
        divided(make(MANIFEST, settings={"emission.miners.ceiling_ppm": 400_000}))


def test_a_model_that_pays_its_backers_more_moves_their_part_alone() -> None:
    """Sets a = b for the model: the models' leg of 92 is halved; nothing else changes."""
    was, under = divided(make(MANIFEST, settings={"model.*.a": 300_000}))
    moved = {(each.role, each.earner): each.difference for each in changes(was, under) if each.difference}
    assert moved == {("creator", address("cleo")): -23, ("backer", address("bea")): 23}


def test_an_epoch_that_the_books_cannot_redo_is_kept_and_said() -> None:
    """Gives d1 less than its part of the mint, as an allocation does that is not whole yet: its pools stay."""
    from deepnode_projections.rules.emission import EmissionMint

    state = two_domains()
    state.put(EmissionMint(1, MINTED * 2, 0))
    found = divide(state, state, make(MANIFEST, settings=preset("41-41").settings), MANIFEST)
    assert found.kept == (1,)
    assert {where[1]: pool.amount for where, pool in found.pools.items()} == POOLS


def test_the_foundation_gets_what_nobody_earned_if_the_rules_say_so() -> None:
    """Sends empty legs to the foundation: nothing stays undistributed in d2."""
    _, under = divided(make(MANIFEST, settings={"emission.empty_pool": "foundation"}))
    pool = under.pools[1, D2, DN]
    assert pool.undistributed == 0
    assert {line.earner: line.amount for line in pool.lines if line.role == "foundation"} == {FOUNDATION: 53}


@given(st.lists(st.integers(0, 10**20), max_size=9))
def test_the_spread_is_a_ratio_of_whole_numbers(amounts: list[int]) -> None:
    """Compares the Gini coefficient with its definition: the mean difference of all pairs, over twice the mean."""
    held = [each for each in amounts if each]
    found = spread(amounts)
    assert found.earners == len(held)
    pairs = sum(abs(one - other) for one in held for other in held)
    # G = pairs / (2 n total)
    assert found.over * 2 * len(held) * sum(held) == pairs * found.under
    assert 0 <= found.ppm < 10**6 or not held
    assert spread([5, 5, 5]).over == 0
