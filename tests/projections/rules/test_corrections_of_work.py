"""Corrections of work: before an epoch is over its totals follow, afterwards nothing that was counted changes."""

from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.registers.record import values_of
from deepnode_projections.rules.comparisons import Difference
from deepnode_projections.rules.corrections import Correction
from deepnode_projections.rules.tasks import Slot, Task
from deepnode_projections.rules.work import ModelSales, ModelUse, ValidatorWork, Work
from tests.projections.rules.spoken import PRODUCER, Said, Spoken, data_of, judged, statement
from tests.projections.rules.spoken import put as put_to_rules
from tests.projections.rules.told import word

OTHER = "urn:producer:2"

TASK: dict[str, Any] = {"task": "t1"}
SLOT_1: dict[str, Any] = {"task": "t1", "attempt": 1, "slot": 1}


def ordinary() -> Spoken:
    """A story of task t1 (e1), of difficulty 1 and price 1000, that both nodes did right; nobody has VWU yet."""
    return Spoken().say("TaskCreated").hear(judged()).say("ConsensusReached")


def credited(story: Spoken) -> tuple[str, str]:
    """Give the two nodes 1000 and 500 VWU; return the events' ids."""
    story.say("VWUAssigned", vwu=1000).say("VWUAssigned", slot=2, node="n2", vwu=500)
    return f"e{story.position - 1}", f"e{story.position}"


def work(story: Spoken, epoch: int = 0) -> dict[str, tuple[int, int, int]]:
    """VWU, weighted VWU and tasks of each node in an epoch."""
    found = story.state.every(Work, epoch)
    return {each.node.rstrip(b"\0").decode(): (each.vwu, each.weighted, each.tasks) for each in found}


def totals(story: Spoken) -> list[tuple[Any, ...]]:
    """Everything that an epoch's end reads."""
    return [values_of(each) for kind in (Work, ValidatorWork, ModelUse, ModelSales) for each in story.state.every(kind)]


def corrections(story: Spoken) -> list[tuple[str, int, int | None, int, bool]]:
    """What was corrected: the member, what was told, the right value, the epoch, and whether it was still open."""
    return [(c.value_name, c.told, c.value, c.epoch, c.in_time) for c in story.state.every(Correction)]


def test_a_wrong_vwu_is_counted_anew_while_its_epoch_is_open() -> None:
    """Corrects 1000 VWU to 100; the ruleset credits both nodes in full.

    ::

        n1  1000 → 100 VWU
        n2   500
    """
    story = ordinary()
    first, _ = credited(story)
    before = work(story)
    story.say("Correction", corrects=first, vwu=100, **SLOT_1)
    assert story.reasons == []
    assert before["n1"] == (1000, 1000 * 10**6, 1)
    assert work(story) == {"n1": (100, 100 * 10**6, 1), "n2": (500, 500 * 10**6, 1)}
    (use,) = story.state.every(ModelUse)
    assert (use.tasks, use.vwu, use.weighted) == (1, 600, 600 * 10**6)
    slot = story.state.get(Slot, word("t1"), 1, 1)
    assert slot is not None
    assert (slot.vwu, slot.credited_vwu, slot.vwu_event) == (100, 100, first)
    assert corrections(story) == [("vwu", 1000, 100, 0, True)]


def test_a_wrong_vwu_of_an_epoch_that_is_over_changes_nothing_but_is_kept() -> None:
    """Corrects in epoch 2 what was counted in epoch 1: every total is as before, and there is a record of all of it."""
    story = Spoken().epoch(1).say("TaskCreated").hear(judged()).say("ConsensusReached")
    first, _ = credited(story)
    before = totals(story)
    story.epoch(2).say("Correction", corrects=first, vwu=100, reason="counted twice", **SLOT_1)
    assert story.reasons == []
    assert totals(story) == before
    assert story.state.every(Correction) == [
        Correction(
            producer=PRODUCER,
            corrects=first,
            sequence=story.position,
            event_id=f"e{story.position}",
            value_name="vwu",
            told=1000,
            value=100,
            epoch=1,
            in_time=False,
            corrected_epoch=2,
            corrected_position=story.position,
            reason="counted twice",
            task=word("t1"),
            attempt=1,
            slot=1,
        )
    ]


def test_a_wrong_vwu_that_waits_for_the_other_nodes_is_simply_right_then() -> None:
    """Corrects between the two assignments, in a later epoch: nothing has counted the value yet."""
    story = ordinary().say("VWUAssigned", vwu=1000)
    first = f"e{story.position}"
    story.epoch(1).say("Correction", corrects=first, vwu=7, **SLOT_1).say("VWUAssigned", slot=2, node="n2", vwu=5)
    assert work(story, 1) == {"n1": (7, 7 * 10**6, 1), "n2": (5, 5 * 10**6, 1)}
    assert corrections(story) == [("vwu", 1000, 7, 1, True)]


def test_a_wrong_difficulty_weighs_work_and_judgements_anew() -> None:
    """Corrects a difficulty of 1 to 3 when all is counted: the same totals as those of a task of difficulty 3."""
    story, right = ordinary(), Spoken().say("TaskCreated", difficulty_ppm=3_000_000)
    credited(story)
    story.say("Correction", corrects="e1", difficulty_ppm=3_000_000, **TASK)
    right.hear(judged()).say("ConsensusReached")
    for slot, node, vwu in ((1, "n1", 1000), (2, "n2", 500)):
        right.say("VWUAssigned", slot=slot, node=node, vwu=vwu, difficulty_ppm=3_000_000)
    assert story.reasons == right.reasons == []
    assert totals(story) == totals(right)
    assert corrections(story) == [("difficulty_ppm", 1_000_000, 3_000_000, 0, True)]


def test_a_difficulty_that_judgements_were_weighted_by_stays_for_the_rest_of_the_task() -> None:
    """The consensus is of epoch 1, the correction and the VWU of epoch 2: VWU come at the difficulty that was told."""
    story = Spoken().epoch(1).say("TaskCreated").hear(judged()).say("ConsensusReached").epoch(2)
    story.say("Correction", corrects="e1", difficulty_ppm=2_000_000, **TASK)
    credited(story)
    assert story.reasons == []
    assert work(story, 2)["n1"] == (1000, 1000 * 10**6, 1)
    assert corrections(story) == [("difficulty_ppm", 1_000_000, 2_000_000, 1, False)]


def test_a_wrong_price_is_sold_and_settled_anew() -> None:
    """Corrects a price of 1000 to 990 after a settlement of 990, which was a difference and is none any more."""
    story = ordinary().say("PaymentProcessorSettled", amount="990")
    credited(story)
    story.say("Correction", corrects="e1", price="990", **TASK)
    (sales,) = story.state.every(ModelSales)
    assert story.reasons == []
    assert (sales.tasks, sales.amount) == (1, 990)
    assert [(each.expected, each.fact) for each in story.state.every(Difference)] == [(1000, 990)]
    assert corrections(story) == [("price", 1000, 990, 0, True)]


@pytest.mark.parametrize("order", [(4, 5, 6), (4, 6, 5), (5, 4, 6), (5, 6, 4), (6, 4, 5), (6, 5, 4)])
def test_the_newest_correction_by_its_producer_holds_in_whatever_order_they_come(order: tuple[int, ...]) -> None:
    """Delivers three corrections, of sequence 104 to 106, in every order: all are kept, and the last one is counted."""
    story = ordinary()
    first, _ = credited(story)
    for number in order:
        spoken = statement("Correction", 100 + number, corrects=first, vwu=number, **SLOT_1)
        story.does(partial(put_to_rules, spoken))
    assert story.reasons == []
    assert work(story)["n1"] == (6, 6 * 10**6, 1)
    assert [(c.told, c.value) for c in story.state.every(Correction)] == [(1000, 4), (1000, 5), (1000, 6)]


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"corrects": "e99", "vwu": 5, **SLOT_1}, f"event 'e99' of '{PRODUCER}' has assigned no VWU to slot 1"),
        ({"corrects": "FIRST", "vwu": 5, **SLOT_1, "slot": 2}, "has assigned no VWU to slot 2"),
        ({"corrects": "FIRST", "vwu": 5, **SLOT_1, "task": "t9"}, "was never created"),
        ({"corrects": "FIRST", "vwu": 5, "producer": OTHER, **SLOT_1}, f"event 'FIRST' of '{OTHER}' has assigned no"),
        ({"corrects": "FIRST", "vwu": 5, **TASK}, "a correction of VWU must name attempt and slot"),
        ({"corrects": "FIRST", "vwu": 5}, "this one has vwu and no task"),
        ({"corrects": "FIRST", **SLOT_1}, "this one has no value"),
        ({"corrects": "FIRST", "vwu": 5, "price": "3", **SLOT_1}, "this one has vwu and price"),
        ({"corrects": "FIRST", "rating": 5, **SLOT_1}, "this one has rating"),
        ({"corrects": "FIRST", "price": "3", **TASK}, f"has not created task {to_hex(word('t1'))}: that was 'e1'"),
        ({"corrects": "e1", "price": "3", "producer": OTHER, **TASK}, f"event 'e1' of '{OTHER}' has not created"),
        ({"corrects": "e2"}, "is no price, rating or settlement in the books"),
    ],
)
def test_a_correction_that_names_no_event_of_its_producer_is_refused(members: dict[str, Any], reason: str) -> None:
    """Corrects an unknown event, another slot's, an unknown task's, another producer's, and with too little in it."""
    story = ordinary()
    first, _ = credited(story)
    before = totals(story)
    told = {name: first if value == "FIRST" else value for name, value in members.items()}
    story.say("Correction", **told)
    assert len(story.reasons) == 1
    assert reason.replace("FIRST", first) in story.reasons[0]
    assert totals(story) == before
    assert story.state.every(Correction) == []


@given(
    vwu=st.tuples(*[st.integers(1, 10**12)] * 2),
    wrong=st.tuples(*[st.integers(1, 10**12)] * 2),
    difficulty=st.integers(1, 10_000_000),
    told=st.integers(1, 10_000_000),
    place=st.sampled_from(["at once", "behind all"]),
)
def test_what_is_corrected_in_time_is_counted_as_if_it_had_been_told_rightly(
    vwu: tuple[int, int], wrong: tuple[int, int], difficulty: int, told: int, place: str
) -> None:
    """Tells a task with three wrong values and corrects each, at once or in the end; the totals are those of the truth.

    Another task of the same nodes stands beside it, so that totals are sums.
    """
    right = Spoken()
    _tell(right, "t2", 5, (3, 4), at=5)
    _tell(right, "t1", difficulty, vwu, at=difficulty)
    amiss = Spoken()
    _tell(amiss, "t2", 5, (3, 4), at=5)
    created, assigned = _tell(amiss, "t1", told, wrong, at=told, soon=difficulty if place == "at once" else None)
    for slot, event in enumerate(assigned, 1):
        amiss.say("Correction", corrects=event, vwu=vwu[slot - 1], task="t1", attempt=1, slot=slot)
    if place == "behind all":
        amiss.say("Correction", corrects=created, difficulty_ppm=difficulty, task="t1")
    assert amiss.reasons == right.reasons == []
    assert totals(amiss) == totals(right)
    for kind in (Task, Slot):
        assert [_without_events(each) for each in amiss.state.every(kind)] == [
            _without_events(each) for each in right.state.every(kind)
        ]


def _tell(
    story: Spoken, task: str, told: int, vwu: tuple[int, int], *, at: int, soon: int | None = None
) -> tuple[str, list[str]]:
    """Tell a task of a difficulty to its credit; with ``soon`` its difficulty is corrected at once."""
    story.say("TaskCreated", task=task, difficulty_ppm=told)
    created = f"e{story.position}"
    if soon is not None:
        story.say("Correction", corrects=created, difficulty_ppm=soon, task=task)
    story.hear(judged(task)).say("ConsensusReached", task=task)
    assigned = []
    for slot, units in enumerate(vwu, 1):
        story.say("VWUAssigned", task=task, slot=slot, node=f"n{slot}", vwu=units, difficulty_ppm=soon or at)
        assigned.append(f"e{story.position}")
    return created, assigned


def _without_events(record: Any) -> dict[str, Any]:
    names = [name for name in record.__slots__ if not name.endswith("position") and "event" not in name]
    return {name: getattr(record, name) for name in names}


def test_corrections_of_work_can_be_said() -> None:
    """The members of a correction's data, as JSON has them: this is what docs/corrections.md shows."""
    said: Said = ("Correction", {"corrects": "e7", "vwu": 5, **SLOT_1})
    data = data_of(said[0], **said[1])
    assert data == {
        "corrects": "e7",
        "reason": "a slip",
        "vwu": 5,
        "task": to_hex(word("t1")),
        "attempt": 1,
        "slot": 1,
    }
