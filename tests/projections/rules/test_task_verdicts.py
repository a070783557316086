"""Verdicts: a consensus is what the validations say, however it is claimed."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnode_projections.rules.parameters import RulesetInForce
from deepnode_projections.rules.registry import Node
from deepnode_projections.rules.tasks import Slot, Task
from deepnode_projections.rules.verdicts import Report, Validation
from deepnode_projections.rulesets.profiles import parse
from tests.projections.rules.spoken import Spoken, judged
from tests.projections.rules.told import word

T1 = f"task 0x{word('t1').hex()}"


def verdicts(story: Spoken) -> list[str | None]:
    """The verdicts of the slots of attempt 1."""
    return [slot.verdict for slot in story.state.every(Slot, word("t1"), 1)]


@given(
    first=st.lists(st.booleans(), max_size=4),
    second=st.lists(st.booleans(), max_size=4),
    claimed=st.sampled_from([[], [1], [2], [1, 2]]),
    verdict=st.sampled_from(["approved", "rejected"]),
)
def test_a_consensus_counts_if_and_only_if_it_claims_what_the_validations_say(
    first: Sequence[bool], second: Sequence[bool], claimed: list[int], verdict: str
) -> None:
    """Any votes on two outputs, any claim: compared with the majority counted here. Two votes are the quorum."""
    story = Spoken().say("TaskCreated").hear(judged(correct={1: first, 2: second}))
    story.say("ConsensusReached", verdict=verdict, accepted=claimed)
    right = [slot for slot, votes in ((1, first), (2, second)) if votes.count(True) > votes.count(False)]
    enough = len(first) >= 2 and len(second) >= 2
    counts = enough and claimed == right and verdict == ("approved" if right else "rejected")
    task = story.state.get(Task, word("t1"))
    assert task is not None
    assert task.stage == ("assigned" if not counts else "approved" if right else "failed")
    assert bool(story.reasons) is not counts
    for given_ in story.state.every(Validation, word("t1"), 1):
        is_right = (given_.slot in right) == (given_.verdict == "correct")
        assert given_.in_consensus is (is_right if counts else None)


def test_a_slot_whose_node_never_answered_is_missing() -> None:
    """Only n2 answers; the consensus is about its output alone."""
    story = Spoken().say("TaskCreated").hear(judged(answers=(2,))).say("ConsensusReached", accepted=[2])
    assert story.reasons == []
    assert verdicts(story) == ["missing", "correct"]


def test_without_any_output_or_slot_there_is_nothing_to_agree_on() -> None:
    """Claims a consensus with one slot assigned, then with both, none of which has an output."""
    story = Spoken().say("TaskCreated").say("TaskAssigned")
    story.say("ConsensusReached", verdict="rejected", accepted=[])
    story.say("TaskAssigned", slot=2, node="n2").say("ConsensusReached", verdict="rejected", accepted=[])
    assert story.reasons == [f"1 of 2 slots of {T1} are assigned", f"attempt 1 of {T1} has no output to agree on"]


def test_the_reasons_name_what_was_claimed_and_what_is_so() -> None:
    """Claims too early, then too much, then a verdict that does not fit its slots."""
    story = Spoken().say("TaskCreated").hear(judged(correct={1: (True,), 2: (False, False)})).say("ConsensusReached")
    story.say("ValidationSubmitted", validator="v2").say("ConsensusReached")
    story.say("ConsensusReached", verdict="rejected", accepted=[1])
    assert story.reasons == [
        f"slot 1 in attempt 1 of {T1} has 1 validations of the 2 that it needs",
        f"approved with slots [1, 2] is claimed, but the validations accept [1] in attempt 1 of {T1}",
        f"rejected with slots [1] is claimed, but the validations accept [1] in attempt 1 of {T1}",
    ]


def test_a_validator_judges_an_output_once_and_before_the_consensus() -> None:
    """Judges before there is an output, twice, and after the consensus."""
    story = Spoken().say("TaskCreated").say("TaskAssigned").say("ValidationSubmitted")
    story.hear(judged()[1:]).say("ValidationSubmitted", verdict="incorrect")
    story.say("ConsensusReached").say("ValidationSubmitted", validator="v3")
    v1 = f"0x{word('v1').hex()}"
    assert story.reasons[0] == f"slot 1 in attempt 1 of {T1} has no output yet"
    assert story.reasons[1] == f"validator {v1} has found slot 1 in attempt 1 of {T1} correct already"
    assert story.reasons[2] == f"{T1} is approved, not assigned"


@pytest.mark.parametrize(
    ("node", "part"),
    [
        (Node(word("v1"), word("d1"), bytes(20), 1, True, 0, 0, 0, None, None), "has role 1, not 2"),
        (Node(word("v1"), word("d2"), bytes(20), 2, True, 0, 0, 0, None, None), "is of domain"),
        (Node(word("v1"), word("d1"), bytes(20), 2, False, 0, 0, 0, 2, 1), "has left in epoch 1, for reason 2"),
    ],
)
def test_only_an_active_validator_of_the_domain_judges(node: Node, part: str) -> None:
    """Registers v1 as a miner, elsewhere, or as one that left in the epoch before."""
    story = Spoken().epoch(2).say("TaskCreated").say("TaskAssigned").say("OutputSubmitted")
    story.state.put(node)
    story.say("ValidationSubmitted")
    assert part in story.reasons[0]


def test_bad_behaviour_is_reported_by_who_found_the_output_incorrect() -> None:
    """Reports by a stranger, by one that found it correct, and twice; the worst severity stays with the slot.

    ::

        v1, v2  found slot 1 incorrect   report it with severity 1 and 3
        v3      found it correct         may not
        v4      did not judge it         may not
    """
    story = Spoken().say("TaskCreated").hear(judged(correct={1: (False, False, True), 2: (True, True)}))
    for validator, severity in (("v4", 3), ("v3", 3), ("v1", 1), ("v2", 3), ("v1", 2)):
        story.say("BadBehaviourReported", validator=validator, severity=severity)
    assert [reason.split(" ", 2)[2][:24] for reason in story.reasons] == [
        "has not judged what it r",
        "has found correct what i",
        "has reported this with s",
    ]
    assert [(each.validator, each.severity) for each in story.state.every(Report, word("t1"))] == [
        (word("v1"), 1),
        (word("v2"), 3),
    ]
    story.say("BadBehaviourReported", validator="v1", node="n2")
    assert "is node" in story.reasons[-1]
    slot = story.state.get(Slot, word("t1"), 1, 1)
    assert slot is not None
    assert slot.reported_severity == 3


def test_quorum_and_majority_are_the_rulesets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Activates rules with a quorum of 3 and a majority of two thirds; two of three are then not enough."""
    rules = parse("strict", 'summary = "strict"\n[work]\nquorum = 3\nmajority_ppm = 666_667\n')
    monkeypatch.setattr("deepnode_projections.rules.parameters.by_hash", {rules.spec_hash: rules}.get)
    story = Spoken().say("TaskCreated")
    story.state.put(RulesetInForce(1, rules.spec_hash, 0))
    story.hear(judged(correct={1: (True, True, False), 2: (True, True)})).say("ConsensusReached", accepted=[1])
    story.say("ValidationSubmitted", slot=2, validator="v3").say("ConsensusReached", accepted=[2])
    assert story.reasons == [f"slot 2 in attempt 1 of {T1} has 2 validations of the 3 that it needs"]
    assert verdicts(story) == ["incorrect", "correct"]
