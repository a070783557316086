"""Reward lines: they sum to their leg, and each can be worked out again by hand from what it holds."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnode_projections import rulesets
from deepnode_projections.maths import (
    Holding,
    MinerWork,
    ModelUsage,
    RewardLine,
    Rewards,
    StakeHeld,
    ValidatorWork,
    to_miners,
    to_models,
    to_one,
    to_stakers,
    to_validators,
)
from deepnode_projections.rulesets.ruleset import PPM, EmissionRules

DEFAULT = rulesets.default().emission
STRICT = rulesets.parse(
    "strict", 'summary = "x"\n[emission]\nno_delegators = "undistributed"\nno_backers = "undistributed"'
).emission

ANNE, BEN, CLEO = (bytes([number]) * 20 for number in (0xA1, 0xB2, 0xC3))
NODE_1, NODE_2, MODEL = (bytes([number]) * 32 for number in (1, 2, 9))

amounts = st.one_of(st.integers(0, 100), st.integers(0, 10**38 - 1))
addresses = st.sampled_from([bytes([number]) * 20 for number in range(5)])
ids = st.binary(min_size=32, max_size=32)
weights = st.integers(0, 10**24)
ppm = st.integers(0, PPM)
holdings = st.lists(st.builds(Holding, addresses, weights), max_size=4, unique_by=lambda each: each.holder).map(tuple)
miners = st.lists(st.builds(MinerWork, ids, addresses, weights), max_size=8, unique_by=lambda each: each.node)
stakes = st.lists(
    st.builds(StakeHeld, addresses, ids, weights), max_size=8, unique_by=lambda each: (each.staker, each.target)
)
validators = st.lists(
    st.builds(ValidatorWork, ids, addresses, weights, ppm, holdings), max_size=6, unique_by=lambda each: each.node
)
models = st.lists(
    st.builds(ModelUsage, ids, addresses, weights, ppm, ppm, ppm, holdings),
    max_size=6,
    unique_by=lambda each: each.model,
)


def told(rewards: Rewards) -> list[tuple[str, str, bytes, int]]:
    return [(line.role, line.kind, line.earner, line.amount) for line in rewards.lines]


def worked_out(line: RewardLine, leg: int) -> int:
    """The amount again, from the leg and the integers of the line alone."""
    amount = leg
    for share in line.path:
        amount = amount * share.weight // share.total_weight + share.extra
    return amount


def holds(rewards: Rewards, leg: int) -> None:
    """What is true of every division of a leg."""
    assert sum(line.amount for line in rewards.lines) + rewards.undistributed == leg == rewards.total
    for line in rewards.lines:
        assert line.path[0].of == leg
        assert line.amount == line.floor + line.extra == worked_out(line, leg)
        assert line.floor == line.of * line.weight // line.total_weight
    keys = [(line.role, line.kind, line.earner, line.subject) for line in rewards.lines]
    assert len(set(keys)) == len(keys)


def test_miners_by_verified_work() -> None:
    """Gives 100 units to work of 2 and of 1: 66.7 and 33.3, so the first has the unit that is left."""
    found = to_miners(100, [MinerWork(NODE_2, BEN, 1), MinerWork(NODE_1, ANNE, 2)])
    assert told(found) == [("miner", "work", ANNE, 67), ("miner", "work", BEN, 33)]
    first = found.lines[0]
    assert (first.of, first.weight, first.total_weight, first.floor, first.extra, first.subject) == (
        100,
        2,
        3,
        66,
        1,
        NODE_1,
    )


def test_a_tie_goes_to_the_lower_address_then_to_the_lower_node() -> None:
    """Gives single units to equal work: the address decides before the node does."""
    same = [MinerWork(NODE_1, BEN, 5), MinerWork(NODE_2, ANNE, 5), MinerWork(NODE_1, ANNE, 5)]
    assert [line.amount for line in to_miners(1, same).lines] == [1, 0, 0]
    assert [(line.earner, line.subject, line.amount) for line in to_miners(2, same).lines] == [
        (ANNE, NODE_1, 1),
        (ANNE, NODE_2, 1),
        (BEN, NODE_1, 0),
    ]


def test_commission_comes_first() -> None:
    """Gives 1 000 units to one validator of 7.5 %, on whose node Ben has staked 2 and Cleo 1."""
    work = ValidatorWork(NODE_1, ANNE, 4, 75_000, (Holding(CLEO, 1), Holding(BEN, 2)))
    found = to_validators(DEFAULT, 1_000, [work])
    assert told(found) == [
        ("validator", "commission", ANNE, 75),
        ("delegator", "delegation", BEN, 617),
        ("delegator", "delegation", CLEO, 308),
    ]
    assert [share.amount for share in found.lines[1].path] == [1_000, 925, 617]


def test_a_validator_without_delegators_keeps_the_rest_or_nobody_does() -> None:
    """Gives to a validator on whose node nobody has staked, under both rules."""
    work = [ValidatorWork(NODE_1, ANNE, 4, 100_000, (Holding(BEN, 0),))]
    assert told(to_validators(DEFAULT, 99, work)) == [
        ("validator", "commission", ANNE, 9),
        ("validator", "no_delegators", ANNE, 90),
    ]
    strict = to_validators(STRICT, 99, work)
    assert (told(strict), strict.undistributed) == ([("validator", "commission", ANNE, 9)], 90)


def test_a_model_pays_its_creator_and_its_backers() -> None:
    """Gives 1 000 units to a model of b = 10 % and a = 30 %: a quarter to Anne, the rest to Ben and Cleo by shares."""
    use = ModelUsage(MODEL, ANNE, 7, 500_000, 300_000, 100_000, (Holding(BEN, 1), Holding(CLEO, 4)))
    found = to_models(DEFAULT, 1_000, [use])
    assert told(found) == [
        ("creator", "royalty", ANNE, 250),
        ("backer", "backing", BEN, 150),
        ("backer", "backing", CLEO, 600),
    ]
    assert [(share.weight, share.total_weight) for share in found.lines[1].path] == [
        (3_500_000, 3_500_000),
        (300_000, 400_000),
        (1, 5),
    ]


@pytest.mark.parametrize(
    ("a", "b", "default", "strict"),
    [
        (0, 0, [("royalty", 10)], [("royalty", 10)]),
        (0, 5, [("royalty", 10)], [("royalty", 10)]),
        (1, 1, [("royalty", 5), ("backing", 5)], [("royalty", 5)]),
        (5, 0, [("backing", 10)], []),
    ],
)
def test_a_model_without_backers_is_its_creators_or_nobodys(
    a: int, b: int, default: list[tuple[str, int]], strict: list[tuple[str, int]]
) -> None:
    """Gives ten units to a model that nobody backs, by its rates, under both rules."""
    use = [ModelUsage(MODEL, ANNE, 1, PPM, a, b, ())]
    for rules, expected in ((DEFAULT, default), (STRICT, strict)):
        found = to_models(rules, 10, use)
        assert [(line.kind, line.amount) for line in found.lines] == expected
        assert all(line.earner == ANNE for line in found.lines)
        assert found.total == 10


def test_relevance_weighs_usage() -> None:
    """Compares two models used alike, one of which is twice as relevant, and one that is not relevant at all."""
    uses = [
        ModelUsage(bytes([number]) * 32, ANNE, 10, relevance, 0, 1, ())
        for number, relevance in ((1, 300_000), (2, 600_000), (3, 0))
    ]
    assert [line.amount for line in to_models(DEFAULT, 90, uses).lines] == [30, 60]


@pytest.mark.parametrize("rules", [DEFAULT, STRICT])
def test_an_empty_leg_is_undistributed(rules: EmissionRules) -> None:
    """Divides legs that nobody earned, or that are earned with a weight of zero alone."""
    nothing = [
        to_miners(5, []),
        to_miners(5, [MinerWork(NODE_1, ANNE, 0)]),
        to_stakers(5, []),
        to_validators(rules, 5, [ValidatorWork(NODE_1, ANNE, 0, PPM, (Holding(BEN, 1),))]),
        to_models(rules, 5, [ModelUsage(MODEL, ANNE, 3, 0, 1, 1, ())]),
    ]
    assert nothing == [Rewards((), 5)] * len(nothing)


@given(leg=amounts, work=miners, held=stakes, rng=st.randoms(use_true_random=False))
def test_legs_of_one_division_sum_in_any_order(
    leg: int, work: list[MinerWork], held: list[StakeHeld], rng: Random
) -> None:
    """Draws miners and stakers, divides legs to 10**38, and again with the input shuffled."""
    holds(to_miners(leg, work), leg)
    holds(to_stakers(leg, held), leg)
    assert to_miners(leg, rng.sample(work, len(work))) == to_miners(leg, work)
    assert to_stakers(leg, rng.sample(held, len(held))) == to_stakers(leg, held)


@pytest.mark.parametrize("rules", [DEFAULT, STRICT])
@given(leg=amounts, work=validators, uses=models, rng=st.randoms(use_true_random=False))
def test_legs_of_several_divisions_sum_in_any_order(
    rules: EmissionRules, leg: int, work: list[ValidatorWork], uses: list[ModelUsage], rng: Random
) -> None:
    """Draws validators with delegators and models with backers, under both rules, and again shuffled."""
    holds(to_validators(rules, leg, work), leg)
    holds(to_models(rules, leg, uses), leg)
    assert to_validators(rules, leg, rng.sample(work, len(work))) == to_validators(rules, leg, work)
    assert to_models(rules, leg, rng.sample(uses, len(uses))) == to_models(rules, leg, uses)


@given(leg=amounts)
def test_one_earner_gets_all(leg: int) -> None:
    """Gives a whole leg to the owner of a domain."""
    found = to_one("owner", "owner", leg, ANNE, NODE_1)
    holds(found, leg)
    assert told(found) == [("owner", "owner", ANNE, leg)]
