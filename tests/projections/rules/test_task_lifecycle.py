"""Tasks: each step follows the one before it, and whatever else is said has no effect and a reason."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.rules import collateral, registry
from deepnode_projections.rules.collateral import Collateral
from deepnode_projections.rules.comparisons import Checked, Difference
from deepnode_projections.rules.registry import Model, Node
from deepnode_projections.rules.tasks import Slot, Task
from deepnode_projections.rules.trust import Trust
from tests.projections.rules.spoken import PRODUCER, Said, Spoken, judged
from tests.projections.rules.told import BLOCK_HASH, DN, told, word

RULES = (registry.RULES, collateral.RULES)


def stage(story: Spoken, task: str = "t1") -> tuple[str, int]:
    """A task's stage and attempt."""
    found = story.state.get(Task, word(task))
    assert found is not None
    return found.stage, found.attempt


def slot(story: Spoken, number: int, attempt: int = 1) -> Slot:
    """A slot of task t1."""
    found = story.state.get(Slot, word("t1"), attempt, number)
    assert found is not None
    return found


def test_a_task_goes_from_its_creation_to_its_credit() -> None:
    """Tells an ordinary life and looks at the stage after each part of it.

    ::

        created   by a consumer, for 1000 DN
        assigned  to n1 and n2, who answer and are judged by v1 and v2
        approved  both correct
        credited  both have their VWU
    """
    story = Spoken().say("TaskCreated")
    assert stage(story) == ("created", 1)
    story.hear(judged())
    assert stage(story) == ("assigned", 1)
    story.say("ConsensusReached")
    assert stage(story) == ("approved", 1)
    story.say("VWUAssigned")
    assert stage(story) == ("approved", 1)
    story.say("VWUAssigned", slot=2, node="n2", vwu=900)
    assert stage(story) == ("credited", 1)
    assert story.reasons == []
    made = story.state.get(Task, word("t1"))
    assert made == Task(
        task=word("t1"),
        domain=word("d1"),
        model=word("m1"),
        version=1,
        consumer_hash=word("c"),
        price=1000,
        asset=DN,
        difficulty_ppm=1_000_000,
        input_hash=word("in"),
        producer=PRODUCER,
        epoch=0,
        stage="credited",
        attempt=1,
        created_position=1,
        event_id="e1",
        judged_epoch=0,
        credited_epoch=0,
    )


def test_a_slot_tells_the_whole_of_a_nodes_part() -> None:
    """Tells one with all that may be said of it, and compares every field."""
    story = Spoken().say("TaskCreated").say("TaskAssigned", trust_ppm=400_000, collateral="77")
    story.say("OutputSubmitted", latency_ms=12, usage={"input_tokens": 3, "output_tokens": 4})
    assert slot(story, 1) == Slot(
        task=word("t1"),
        attempt=1,
        slot=1,
        node=word("n1"),
        trust_ppm=500_000,
        stated_trust_ppm=400_000,
        collateral=None,
        stated_collateral=77,
        assigned_position=2,
        output_hash=word("out"),
        output_position=3,
        latency_ms=12,
        input_tokens=3,
        output_tokens=4,
    )


def test_a_failed_attempt_is_followed_by_another_with_slots_of_its_own() -> None:
    """Both outputs are wrong, the task is tried again by the same nodes and then comes to an end.

    ::

        attempt 1  n1, n2   both incorrect → reassigned
        attempt 2  n2, n1   one correct    → approved
    """
    wrong = {1: (False, False), 2: (False, False)}
    story = Spoken().say("TaskCreated").hear(judged(correct=wrong))
    story.say("ConsensusReached", verdict="rejected", accepted=[])
    assert stage(story) == ("failed", 1)
    story.say("TaskReassigned")
    assert stage(story) == ("created", 2)
    story.hear(judged(correct={1: (True, True), 2: (False, False)}, nodes=("n2", "n1"), attempt=2))
    story.say("ConsensusReached", attempt=2, accepted=[1])
    assert stage(story) == ("approved", 2)
    assert story.reasons == []
    assert [slot(story, 1).verdict, slot(story, 2).verdict] == ["incorrect", "incorrect"]
    assert [slot(story, 1, 2).verdict, slot(story, 2, 2).verdict] == ["correct", "incorrect"]


def test_a_task_is_tried_three_times_at_most() -> None:
    """Reassigns an assigned task again and again."""
    story = Spoken().say("TaskCreated")
    for attempt in (1, 2):
        story.say("TaskAssigned", attempt=attempt)
        story.say("TaskReassigned", attempt=attempt, next_attempt=attempt + 1)
    story.say("TaskAssigned", attempt=3).say("TaskReassigned", attempt=3, next_attempt=4)
    assert stage(story) == ("assigned", 3)
    assert story.reasons == [f"task 0x{word('t1').hex()} cannot be tried 4 times: 3 at most"]


def test_what_was_judged_does_not_expire() -> None:
    """Lets a failed and an approved task expire."""
    story = Spoken().say("TaskCreated").hear(judged(correct={1: (False, False), 2: (False, False)}))
    story.say("ConsensusReached", verdict="rejected", accepted=[]).say("TaskExpired")
    story.say("TaskCreated", task="t2").hear(judged("t2")).say("ConsensusReached", task="t2")
    story.say("TaskExpired", task="t2")
    told = [reason.partition(" is ")[2] for reason in story.reasons]
    assert told == ["failed, not created or assigned", "approved, not created or assigned"]


@pytest.mark.parametrize("end", ["credited", "rejected", "expired"])
def test_nothing_follows_the_end_of_a_task(end: str) -> None:
    """Brings a task to each of its ends, then says everything that moves a task: all of it is refused."""
    story = Spoken().say("TaskCreated")
    if end == "credited":
        story.hear(judged()).say("ConsensusReached").say("VWUAssigned").say("VWUAssigned", slot=2, node="n2")
    elif end == "rejected":
        story.hear(judged(correct={1: (False, False), 2: (False, False)}))
        story.say("ConsensusReached", verdict="rejected", accepted=[]).say("TaskRejected")
    else:
        story.say("TaskAssigned").say("TaskExpired")
    assert (stage(story)[0], story.reasons) == (end, [])
    after: list[Said] = [*judged(), ("TaskCreated", {}), ("ConsensusReached", {}), ("VWUAssigned", {})]
    after += [(kind, {}) for kind in ("TaskReassigned", "TaskRejected", "TaskExpired", "BadBehaviourReported")]
    story.hear(after)
    assert (stage(story)[0], len(story.reasons)) == (end, len(after))


@pytest.mark.parametrize(
    ("before", "kind", "members", "reason"),
    [
        ([], "TaskAssigned", {"task": "t2"}, "task T2 was never created"),
        ([], "TaskCreated", {"producer": "urn:other"}, "task T1 is there already: created, by urn:producer:1"),
        ([], "TaskCreated", {"task": "t2", "asset": "0x" + "ee" * 20}, "is no token of the manifest"),
        ([], "TaskAssigned", {"attempt": 2}, "task T1 is in attempt 1, not in 2"),
        ([], "TaskAssigned", {"slot": 3}, "slot 3 of task T1: an attempt has 2 slots"),
        ([], "OutputSubmitted", {}, "task T1 is created, not assigned"),
        ([], "TaskRejected", {}, "task T1 is created, not failed"),
        ([], "TaskReassigned", {}, "task T1 is created, not assigned or failed"),
        ([("TaskAssigned", {})], "TaskAssigned", {"node": "n2"}, "slot 1 in attempt 1 of task T1 is node N1's already"),
        ([("TaskAssigned", {})], "TaskAssigned", {"slot": 2}, "slot 1 in attempt 1 of task T1 is node N1's already"),
        ([("TaskAssigned", {})], "OutputSubmitted", {"node": "n2"}, "is node N1's, not N2's"),
        ([("TaskAssigned", {})], "OutputSubmitted", {"slot": 2}, "slot 2 in attempt 1 of task T1 is not assigned"),
        ([("TaskAssigned", {})], "TaskReassigned", {"next_attempt": 3}, "attempt 3 cannot follow attempt 1"),
        ([("TaskAssigned", {}), ("OutputSubmitted", {})], "OutputSubmitted", {}, "has output 0x"),
    ],
)
def test_what_does_not_follow_is_refused_with_its_values(
    before: Sequence[Said], kind: str, members: dict[str, Any], reason: str
) -> None:
    """Says one thing that the state does not allow; ids stand in the reason, here by their texts in capitals."""
    story = Spoken().say("TaskCreated").hear(before)
    assert story.reasons == []
    held = stage(story)
    story.say(kind, **members)
    for text in ("t1", "t2", "n1", "n2"):
        reason = reason.replace(text.upper(), f"0x{word(text).hex()}")
    assert len(story.reasons) == 1
    assert reason in story.reasons[0]
    assert stage(story) == held


def registered(node: str, *, role: int = 1, domain: str = "d1") -> Any:
    """The registration of a node."""
    return told("Nodes", "Registered", domain=domain, node=node, operator="op", role=role)


def test_who_the_registry_knows_must_fit() -> None:
    """Registers a miner elsewhere, a validator and one that left: none is given the task; a stranger and a miner are.

    ::

        n1  miner of d1        gets slot 1
        n2  miner of d2        refused
        n3  validator of d1    refused
        n4  left an epoch ago  refused
        n5  nobody knows it    gets slot 2
    """
    story = Spoken()
    story.tables = (*story.tables, *RULES)
    story.tell(registered("n1"), registered("n2", domain="d2"), registered("n3", role=2), registered("n4"))
    story.tell(told("Nodes", "Deregistered", domain="d1", node="n4", reason=1))
    story.epoch(1).say("TaskCreated")
    assert story.reasons == []
    for node in ("n1", "n2", "n3", "n4", "n5"):
        story.say("TaskAssigned", node=node, slot=1 if node == "n1" else 2)
    assert [reason.partition(" ")[2].partition(" ")[2][:14] for reason in story.reasons] == [
        "is of domain 0",
        "has role 2, no",
        "has left in ep",
    ]
    assert [slot(story, 1).node, slot(story, 2).node] == [word("n1"), word("n5")]


@given(st.permutations(["leaves", "is given the task"]))
def test_a_node_works_to_the_end_of_the_epoch_in_which_it_leaves(order: list[str]) -> None:
    """The producer gives n1 a task, and the chain tells that it has left: whichever is heard first, it has the task."""
    story = Spoken()
    story.tables = (*story.tables, *RULES)
    story.epoch(3).say("TaskCreated").tell(registered("n1"))
    for what in order:
        if what == "leaves":
            story.tell(told("Nodes", "Deregistered", domain="d1", node="n1", reason=2))
        else:
            story.say("TaskAssigned")
    story.say("OutputSubmitted")
    assert story.reasons == []
    story.epoch(4).say("TaskCreated", task="t2").say("TaskAssigned", task="t2")
    assert story.reasons == [f"node {to_hex(word('n1'))} has left in epoch 3, for reason 2"]


def test_a_model_is_used_in_its_own_domain() -> None:
    """Puts a model of another domain into the state, then asks it for work."""
    story = Spoken()
    story.state.put(Model(word("m1"), word("d2"), bytes(20), 0, 0, 0, 2, 1, bytes(32)))
    story.say("TaskCreated")
    assert "is of domain" in story.reasons[0]
    story.say("TaskCreated", domain="d2")
    assert len(story.reasons) == 1


def test_what_the_producer_states_of_a_node_is_held_against_the_books() -> None:
    """The books know trust 600 000 and 50 of collateral; the producer states 500 000 and 50: one difference."""
    story = Spoken()
    story.state.put(Trust(1, word("n1"), word("d1"), 600_000, 1, "approved", 0))
    story.state.put(Collateral(word("n1"), 50, 7))
    story.say("TaskCreated").say("TaskAssigned", collateral="50")
    found = slot(story, 1)
    assert (found.trust_ppm, found.stated_trust_ppm) == (600_000, 500_000)
    assert (found.collateral, found.stated_collateral) == (50, 50)
    assert [(each.what, each.expected, each.fact) for each in story.state.every(Difference)] == [
        ("trust", 600_000, 500_000)
    ]
    assert [(each.what, each.comparisons, each.differing) for each in story.state.every(Checked, "TaskAssigned")] == [
        ("collateral", 1, 0),
        ("trust", 1, 1),
    ]


def test_a_snapshot_of_another_block_says_why_it_differs() -> None:
    """States a wrong trust by the block that it stands behind, by another block, and by none: one reason."""
    story, other = Spoken(), "0x" + "ee" * 32
    for task, by in (("t1", {}), ("t2", {"block_hash": to_hex(BLOCK_HASH)}), ("t3", {"block_hash": other})):
        story.say("TaskCreated", task=task).say("TaskAssigned", task=task, trust_ppm=1, **by)
    reasons = sorted(each.reason for each in story.state.every(Difference))
    assert reasons == ["", "", f"it states what was so by block {other}, and stands behind {to_hex(BLOCK_HASH)}"]


def test_a_node_that_left_may_still_answer() -> None:
    """A node is assigned, leaves, and submits its output: it was given the slot before."""
    story = Spoken().say("TaskCreated").say("TaskAssigned")
    story.state.put(Node(word("n1"), word("d1"), bytes(20), 1, False, 0, 0, 0, 1, 0))
    story.say("OutputSubmitted")
    assert story.reasons == []
