"""Work: totals of an epoch are sums over tasks, whatever the order of the tasks and whatever garbage lies between."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnode_projections.registers.state import MemoryState
from deepnode_projections.rules.comparisons import Checked
from deepnode_projections.rules.observations import RECORDS as OBSERVATION_RECORDS
from deepnode_projections.rules.observations import Feedback
from deepnode_projections.rules.parameters import RulesetInForce
from deepnode_projections.rules.powr import close_epoch
from deepnode_projections.rules.scene import NoEffect
from deepnode_projections.rules.tasks import RECORDS as TASK_RECORDS
from deepnode_projections.rules.tasks import Slot, Task
from deepnode_projections.rules.trust import RECORDS as TRUST_RECORDS
from deepnode_projections.rules.trust import Trust
from deepnode_projections.rules.verdicts import RECORDS as VERDICT_RECORDS
from deepnode_projections.rules.work import ModelSales, ModelUse, ValidatorWork, Work
from deepnode_projections.rulesets import by_name
from deepnode_projections.rulesets.profiles import parse
from tests.projections.rules.lives import interleaved, lives
from tests.projections.rules.spoken import ORDINARY, Said, Spoken, judged, put, statement
from tests.projections.rules.told import DN, scene, word

TOTALS = (Work, ValidatorWork, ModelUse, ModelSales)
ALL = (*OBSERVATION_RECORDS, *TASK_RECORDS, *VERDICT_RECORDS, *TRUST_RECORDS, *TOTALS, Checked)
CREDIT = ("default", "split_credit", "first_credit")


def totals(state: MemoryState) -> dict[str, list[Any]]:
    """Everything that the totals hold."""
    return {kind.__name__: list(state.every(kind)) for kind in TOTALS}


def under(ruleset: str) -> Spoken:
    """An empty story in which a ruleset is in force."""
    story = Spoken()
    story.state.put(RulesetInForce(1, by_name(ruleset).spec_hash, 0))
    return story


def works(story: Spoken) -> dict[bytes, tuple[int, int, int]]:
    """The miners' VWU, weighted VWU and tasks by the text of their node."""
    return {each.node.rstrip(b"\0"): (each.vwu, each.weighted, each.tasks) for each in story.state.every(Work)}


@pytest.mark.parametrize(
    ("ruleset", "first", "second"),
    [("default", 1000, 900), ("split_credit", 450, 500), ("first_credit", 0, 900)],
)
def test_credit_goes_to_the_nodes_as_the_ruleset_says(ruleset: str, first: int, second: int) -> None:
    """Slot 2 answers first; 1000 and 900 VWU at a difficulty of 2.

    ::

        full   each as assigned
        split  the mean, 950, by what was assigned: 500 and 450, an odd unit to the earlier
        first  slot 2 alone
    """
    story = under(ruleset).say("TaskCreated", difficulty_ppm=2_000_000)
    story.hear(judged(answers=(2, 1))).say("ConsensusReached")
    story.say("VWUAssigned", vwu=1000, difficulty_ppm=2_000_000)
    assert works(story) == {}, "nothing counts before the last correct output has its VWU"
    story.say("VWUAssigned", slot=2, node="n2", vwu=900, difficulty_ppm=2_000_000)
    assert story.reasons == []
    found = works(story)
    if ruleset == "split_credit":
        assert sum(vwu for vwu, _, _ in found.values()) == 950
        first, second = (vwu for vwu, _, _ in (found[b"n1"], found[b"n2"]))
    assert found == {b"n1": (first, first * 2_000_000, 1), b"n2": (second, second * 2_000_000, 1)}
    use = story.state.get(ModelUse, 0, word("d1"), word("m1"))
    assert use == ModelUse(0, word("d1"), word("m1"), 1, first + second, (first + second) * 2_000_000, 2, 2)
    sold = story.state.every(ModelSales)
    assert list(sold) == [ModelSales(0, word("d1"), word("m1"), DN, 1, 1000)]


def test_a_correct_output_alone_has_the_whole_credit() -> None:
    """One of two outputs is correct: under every policy its VWU count in full."""
    for ruleset in CREDIT:
        story = under(ruleset).say("TaskCreated").hear(judged(correct={1: (False, False), 2: (True, True)}))
        story.say("ConsensusReached", accepted=[2]).say("VWUAssigned", slot=2, node="n2", vwu=7)
        assert works(story) == {b"n2": (7, 7_000_000, 1)}, ruleset


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"slot": 2, "node": "n2"}, "was found incorrect: VWU are for correct outputs"),
        ({"node": "n2"}, "is node"),
        ({"difficulty_ppm": 5}, "has difficulty 1000000, not 5"),
        ({"attempt": 2}, "is in attempt 1, not in 2"),
    ],
)
def test_vwu_are_for_correct_outputs_of_the_task_as_it_is(members: dict[str, Any], reason: str) -> None:
    """Slot 1 is correct, slot 2 is not: claims VWU for the wrong slot, node, difficulty and attempt."""
    story = Spoken().say("TaskCreated").hear(judged(correct={1: (True, True), 2: (False, False)}))
    story.say("ConsensusReached", accepted=[1]).say("VWUAssigned", **members)
    assert len(story.reasons) == 1
    assert reason in story.reasons[0]
    assert works(story) == {}


def test_a_missing_output_says_nothing_of_the_model() -> None:
    """One node never answers, the other is wrong: one output was judged."""
    story = Spoken().say("TaskCreated").hear(judged(answers=(2,), correct={2: (False, False)}))
    story.say("ConsensusReached", verdict="rejected", accepted=[])
    (use,) = story.state.every(ModelUse)
    assert (use.judged, use.correct) == (1, 0)


def test_vwu_are_assigned_once() -> None:
    """Assigns slot 1's VWU again while slot 2's are still to come, and again when all are there."""
    story = Spoken().say("TaskCreated").hear(judged()).say("ConsensusReached").say("VWUAssigned").say("VWUAssigned")
    story.say("VWUAssigned", slot=2, node="n2").say("VWUAssigned", slot=2, node="n2")
    assert "has 1000 VWU already" in story.reasons[0]
    assert story.reasons[1].endswith("is credited, not approved")
    assert works(story) == {b"n1": (1000, 10**9, 1), b"n2": (1000, 10**9, 1)}


def test_work_counts_in_the_epoch_in_which_it_was_verified() -> None:
    """A task begins in epoch 1, its consensus comes in epoch 2, its VWU in epoch 3.

    ::

        epoch 2  the validators' work, and what was found of the model's outputs
        epoch 3  the miners' work, and the model's use
    """
    story = Spoken().epoch(1).say("TaskCreated").hear(judged()).epoch(2).say("ConsensusReached").epoch(3)
    story.say("VWUAssigned").say("VWUAssigned", slot=2, node="n2")
    assert [each.epoch for each in story.state.every(ValidatorWork)] == [2, 2]
    assert [each.epoch for each in story.state.every(Work)] == [3, 3]
    uses = story.state.every(ModelUse)
    assert [(each.epoch, each.judged, each.correct, each.tasks) for each in uses] == [(2, 2, 2, 0), (3, 0, 0, 1)]


def test_a_ruleset_may_drop_what_comes_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules that drop late work: of two tasks of epoch 1, the one verified in epoch 2 is credited with nothing."""
    rules = parse("hasty", 'summary = "hasty"\n[work]\nlate_events = "dropped"\n')
    monkeypatch.setattr("deepnode_projections.rules.parameters.by_hash", {rules.spec_hash: rules}.get)
    story = Spoken().epoch(1)
    story.state.put(RulesetInForce(1, rules.spec_hash, 0))
    for task in ("t1", "t2"):
        story.say("TaskCreated", task=task).hear(judged(task)).say("ConsensusReached", task=task)
        story.epoch(1 if task == "t2" else 2)
        story.say("VWUAssigned", task=task).say("VWUAssigned", task=task, slot=2, node="n2")
        story.epoch(1)
    assert works(story) == {b"n1": (1000, 10**9, 1), b"n2": (1000, 10**9, 1)}, "of t2 alone"
    slots = story.state.every(Slot, word("t1"), 1)
    assert [(slot.vwu, slot.credited_vwu) for slot in slots] == [(1000, 0), (1000, 0)]


def test_validators_are_credited_for_judging_as_the_majority_did() -> None:
    """v3 finds a correct output incorrect: its judgement counts, and is not in line. Difficulty is half."""
    story = Spoken().say("TaskCreated", difficulty_ppm=500_000)
    story.hear(judged(correct={1: (True, True, False), 2: (True, True)})).say("ConsensusReached")
    found = {
        each.validator[:2]: (each.validations, each.in_line, each.weighted) for each in story.state.every(ValidatorWork)
    }
    assert found == {b"v1": (2, 2, 1_000_000), b"v2": (2, 2, 1_000_000), b"v3": (1, 0, 0)}


def test_sales_never_reach_what_the_books_can_hold() -> None:
    """A task of the largest price and one of a single unit: the second is not credited, and the reason says why."""
    story = Spoken()
    for task, price in (("t1", 10**38 - 1), ("t2", 1)):
        story.say("TaskCreated", task=task, price=str(price)).hear(judged(task)).say("ConsensusReached", task=task)
        story.say("VWUAssigned", task=task).say("VWUAssigned", task=task, slot=2, node="n2")
    assert len(story.reasons) == 1
    assert "10**38 or more" in story.reasons[0]
    assert works(story)[b"n1"] == (1000, 10**9, 1)


@given(
    told=st.integers(1, 4).flatmap(lambda count: st.tuples(*(lives(f"t{number}") for number in range(count)))),
    ruleset=st.sampled_from(CREDIT),
    order=st.data(),
)
def test_the_order_of_tasks_changes_no_total(told: Sequence[list[Said]], ruleset: str, order: st.DataObject) -> None:
    """Tells drawn lives one after the other, and mixed: nothing is refused, and all totals and ranks are the same."""
    one_by_one = under(ruleset).hear([each for life in told for each in life])
    mixed = under(ruleset).hear(order.draw(interleaved(told)))
    assert one_by_one.reasons == mixed.reasons == []
    assert totals(one_by_one.state) == totals(mixed.state)
    for story in (one_by_one, mixed):
        story.does(lambda scene: close_epoch(scene, 0))
    check(one_by_one.state)


def check(state: MemoryState) -> None:
    """What holds of any state: uses and works are the same VWU, and credits are theirs; trust is a part of one."""
    for total in ("vwu", "weighted"):
        assert sum(getattr(each, total) for each in state.every(Work)) == sum(
            getattr(each, total) for each in state.every(ModelUse)
        )
    slots = state.every(Slot)
    assert sum(slot.credited_vwu or 0 for slot in slots) == sum(each.vwu for each in state.every(Work))
    assert all(slot.verdict == "correct" for slot in slots if slot.vwu is not None)
    tasks = state.every(Task)
    credited = [task for task in tasks if task.stage == "credited"]
    assert sum(each.tasks for each in state.every(ModelUse)) == len(credited)
    assert sum(each.amount for each in state.every(ModelSales)) == sum(task.price for task in credited)
    given = [each.rating for each in state.every(Feedback) if each.rating is not None]
    uses = state.every(ModelUse)
    assert (sum(use.ratings for use in uses), sum(use.stars for use in uses)) == (len(given), sum(given))
    assert all(0 <= each.in_line <= each.validations for each in state.every(ValidatorWork))
    assert all(0 <= each.score <= 1_000_000 for each in state.every(Trust))


FEW = {
    "task": st.sampled_from(["t1", "t2"]),
    "domain": st.sampled_from(["d1", "d2"]),
    "model": st.sampled_from(["m1", "m2"]),
    "node": st.sampled_from(["n1", "n2"]),
    "validator": st.sampled_from(["v1", "v2", "v3"]),
    "attempt": st.sampled_from([1, 1, 1, 2]),
    "next_attempt": st.sampled_from([2, 2, 3]),
    "slot": st.integers(1, 2),
    "verdict": st.booleans(),
    "accepted": st.sampled_from([[], [1], [2], [1, 2]]),
    "severity": st.integers(1, 3),
    "vwu": st.integers(1, 3),
    "rating": st.integers(1, 5),
    "corrects": st.integers(0, 9),
    "price": st.sampled_from(["1", str(10**38 - 1)]),
}
RIGHT: st.SearchStrategy[dict[str, Any]] = st.sampled_from([{}, {"price_ppm": "5"}, {"rating": 1}, {"amount": "7"}])
"""What a correction may say to be right."""


OBSERVED = ("PriceObserved", "UserFeedback", "PaymentProcessorSettled")
KINDS = [*sorted(ORDINARY), *OBSERVED, *["Correction"] * 4]


@st.composite
def garbage(draw: st.DrawFn) -> Said:
    """Any statement about few things, most often one that does not fit."""
    kind = draw(st.sampled_from(KINDS))
    members = {name: draw(FEW[name]) for name in ORDINARY[kind] if name in FEW}
    if isinstance(is_good := members.get("verdict"), bool):
        words = ("approved", "rejected") if kind == "ConsensusReached" else ("correct", "incorrect")
        members["verdict"] = words[0 if is_good else 1]
    if kind == "Correction":
        members |= draw(RIGHT)
    return kind, members


@given(st.lists(garbage(), max_size=60), st.data())
def test_garbage_is_refused_and_leaves_nothing(said: list[Said], draw: st.DataObject) -> None:
    """Mixes any statements into drawn lives; each that is refused changes nothing, even if nothing is taken back."""
    history = draw.draw(interleaved([said, draw.draw(lives("t1")), draw.draw(lives("t2"))]))
    state = MemoryState()
    observed = [0]
    for number, (kind, members) in enumerate(history, 1):
        if kind == "Correction":
            members["corrects"] = f"e{observed[members['corrects'] % len(observed)]}"
        before = {each: list(state.every(each)) for each in ALL}
        try:
            put(statement(kind, number, **members), scene(state, number))
            observed += [number] if kind in OBSERVED else []
        except NoEffect:
            assert {each: list(state.every(each)) for each in ALL} == before
    close_epoch(scene(state, len(history) + 1), 0)
    check(state)
