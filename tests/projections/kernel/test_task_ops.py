"""The twins of the rules about tasks: what they do is what the rules do, and what they leave is as it was."""

from collections.abc import Sequence
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepnode_projections.kernel.state import ColumnState
from deepnode_projections.kernel.task_credit import credit
from deepnode_projections.kernel.task_params import CREDIT, FIRST, FULL, SPLIT, task_params
from deepnode_projections.maths.credit import credited
from deepnode_projections.rules.epochs import current
from deepnode_projections.rules.work import ModelSales
from deepnode_projections.rulesets import Ruleset
from deepnode_projections.rulesets.profiles import parse
from deepnode_projections.rulesets.ruleset import NodeCredit
from tests.projections.kernel.telling import Producer
from tests.projections.kernel.twice import Twice
from tests.projections.rules.lives import interleaved, lives
from tests.projections.rules.spoken import data_of, event
from tests.projections.rules.told import open_epoch


def _ruleset(text: str) -> Ruleset:
    return parse("other", f'summary = "Another one"\n{text}')


OTHERS = [
    _ruleset("""
        [work]
        credit = "split"
        late_events = "dropped"
        majority_ppm = 0
        [trust]
        start_ppm = 1
        expired = { alpha_ppm = 333_333, target_ppm = 7 }
        reported = [{ alpha_ppm = 100_001, target_ppm = 0 }, { alpha_ppm = 7, target_ppm = 9 }]
    """),
    _ruleset("""
        [work]
        credit = "first"
        quorum = 1
        slots = 1
        [trust]
        in_line = { alpha_ppm = 0, target_ppm = 0 }
    """),
    _ruleset("""
        [work]
        credit = "split"
        slots = 3
        majority_ppm = 666_666
    """),
]
"""Rulesets whose every answer differs from the default one's, between them."""


_UPPER = 10**38 >> 64 << 64
"""What 10**38 is without its lower 64 bits."""


def _ruling(epoch: int, given: Ruleset) -> Ruleset:
    return [given, *OTHERS][epoch % 4]


def _told(seed: int, length: int, *, errs: float, happens: float, every: int, watches: bool) -> Twice:
    """Tell a history twice, and hold the states against each other now and then."""
    random, twice = Random(seed), Twice(_ruling, watches=watches)
    producer = Producer(random, twice.memory, errs=errs)
    for place in range(length):
        if random.random() < happens:
            twice.does(producer.happening())
        twice.hear(producer.next())
        if place % every == 0:
            twice.check()
    twice.check()
    twice.check_history()
    return twice


@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_long_history_comes_to_the_same_by_the_twins_as_by_the_rules(seed: int) -> None:
    """1 200 events, of which few err, in several epochs under four rulesets; most that is plain is for the twins."""
    twice = _told(seed, 1_200, errs=0.04, happens=0.02, every=400, watches=False)
    plain = sum(twice.by_twins.values())
    left = sum(count for name, count in twice.by_rules.items() if name in twice.by_twins)
    assert len(twice.by_twins) >= 12, twice.by_twins
    assert plain > 800, (twice.by_twins, twice.by_rules, twice.refused)
    assert left < plain / 20, (twice.by_twins, twice.by_rules, twice.refused)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_what_errs_at_every_turn_is_left_to_the_rules(seed: int) -> None:
    """80 events of which half are wrong, and something else happens all the time; compared after every event."""
    _told(seed, 80, errs=0.5, happens=0.3, every=1, watches=True)


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_lives_of_tasks_in_any_order_come_to_the_same(data: st.DataObject) -> None:
    """Up to three lives, mixed, some events told twice or in another place; trust is stated as it began."""
    names = ("t1", "t2", "t3")[: data.draw(st.integers(1, 3))]
    told = data.draw(interleaved([data.draw(lives(name)) for name in names]))
    for _ in range(data.draw(st.integers(0, 4))):
        told.insert(data.draw(st.integers(0, len(told))), data.draw(st.sampled_from(told)))
    twice = Twice()
    for number, (kind, members) in enumerate(told, 1):
        twice.hear(event(kind, number, data_of(kind, **members)))
    twice.check()
    twice.check_history()


@given(
    vwus=st.lists(st.integers(1, 10**12) | st.integers(1, 9) | st.just(10**12), min_size=1, max_size=64),
    policy=st.sampled_from(["full", "split", "first"]),
)
def test_what_counts_of_vwu_is_what_the_maths_say(vwus: Sequence[int], policy: NodeCredit) -> None:
    """Up to 64 outputs; equal ones among them, so that there are ties."""
    scratch, p = np.zeros((3, 64), np.int64), np.zeros(64, np.int64)
    p[CREDIT] = {"full": FULL, "split": SPLIT, "first": FIRST}[policy]
    scratch[1, : len(vwus)] = vwus
    credit(p, scratch, len(vwus))
    assert tuple(scratch[1, : len(vwus)].tolist()) == credited(policy, vwus)


def _judged_by_many(twice: Twice, validators: int) -> None:
    """Tell of a task with 64 slots, all answered, and of so many validations over them, from the last slot down."""
    number = 0

    def say(kind: str, **members: object) -> None:
        nonlocal number
        number += 1
        assert twice.hear(event(kind, number, data_of(kind, **members))) is None

    say("TaskCreated")
    for slot in range(1, 65):
        say("TaskAssigned", slot=slot, node=f"n{slot}")
        say("OutputSubmitted", slot=slot, node=f"n{slot}", output_hash=f"o{slot}")
    for place in range(validators):
        say("ValidationSubmitted", slot=64 - place % 64, validator=f"v{place // 64}")
    say("ConsensusReached", accepted=list(range(1, 65)))
    for slot in range(64, 0, -1):
        say("VWUAssigned", slot=slot, node=f"n{slot}", vwu=10**12 - slot)
    twice.check()


@pytest.mark.parametrize(("validators", "is_for_twins"), [(64, True), (65, False)])
def test_an_agreement_on_more_than_64_validations_is_left_to_the_rules(validators: int, is_for_twins: bool) -> None:
    """A task with as many slots as there can be, of which the last is the highest bit of what is accepted."""
    twice = Twice(lambda _epoch, _given: _ruleset('[work]\nslots = 64\nquorum = 1\ncredit = "split"'))
    _judged_by_many(twice, validators)
    assert ("ai.deepnode.consensus.reached.v1" in twice.by_twins) is is_for_twins
    assert twice.by_twins["ai.deepnode.vwu.assigned.v1"] == 64


@pytest.mark.parametrize("prices", [(10**38 - 2, 1, 1), (_UPPER - 2, 1, 10**38 - _UPPER + 1)])
def test_sales_that_the_books_cannot_hold_are_left_to_the_rules(prices: Sequence[int]) -> None:
    """Three tasks of one model that come to 10**38: the rules refuse the last one's credit."""
    twice, number = Twice(lambda _epoch, given: _ruleset("[work]\nslots = 1\nquorum = 1")), 0
    reasons = []
    for task, price in zip(("t1", "t2", "t3"), prices, strict=True):
        for kind, members in (
            ("TaskCreated", {"price": str(price)}),
            ("TaskAssigned", {"node": task}),
            ("OutputSubmitted", {"node": task}),
            ("ValidationSubmitted", {"validator": f"v{task}"}),
            ("ConsensusReached", {"accepted": [1]}),
            ("VWUAssigned", {"node": task}),
        ):
            number += 1
            reasons.append(twice.hear(event(kind, number, data_of(kind, task=task, **members))))
    assert reasons[:17] == [None] * 17
    assert "10**38 or more" in (reasons[17] or "")
    assert sum(twice.by_twins.values()) == 17
    twice.check()
    [sales] = twice.columns.every(ModelSales)
    assert sales.amount == prices[0] + prices[1]
    assert sum(prices) == 10**38


def test_an_asset_that_is_not_known_for_a_token_is_left_to_the_rules() -> None:
    """The parameters name no token."""
    state = ColumnState()
    assert task_params(state, [])[-1] == 0


def test_parameters_follow_the_epoch_and_its_ruleset() -> None:
    """Opens an epoch that has another ruleset."""
    state = ColumnState()
    state.ruling = _ruling
    before = task_params(state, [])
    open_epoch(state, 1)
    after = task_params(state, [])
    assert current(state) == 1
    assert before[CREDIT] == FULL
    assert after[CREDIT] == SPLIT
