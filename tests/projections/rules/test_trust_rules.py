"""Trust: each outcome takes one step, as long as the ruleset says, and in the order of the log."""

from typing import Any

import pytest

from deepnode_projections.rules import collateral, registry, trust
from deepnode_projections.rules.parameters import RulesetInForce
from deepnode_projections.rules.trust import Trust, learn, ruleset_of, score_of
from deepnode_projections.rulesets import by_name, default
from deepnode_projections.rulesets.profiles import parse
from tests.projections.rules.spoken import Spoken, judged
from tests.projections.rules.told import Story, scene, told, word

UP, DOWN = 525_000, 475_000
"""One step of 5 % from the middle."""


def scores(story: Story) -> dict[str, tuple[int, int, str]]:
    """Score, steps and last outcome by the text of the subject."""
    return {
        each.subject.rstrip(b"\0").decode(): (each.score, each.updates, each.reason)
        for each in story.state.every(Trust)
    }


def test_a_consensus_moves_nodes_and_validators() -> None:
    """One output of two is correct; v3 disagrees on it.

    ::

        n1  correct     n2  incorrect
        v1  in line twice       v3  out of line once
    """
    story = Spoken().say("TaskCreated").hear(judged(correct={1: (True, True, False), 2: (False, False)}))
    assert scores(story) == {}
    story.say("ConsensusReached", accepted=[1])
    twice = (UP * 950_000 + 10**6 * 50_000) // 10**6
    assert scores(story) == {
        "n1": (UP, 1, "approved"),
        "n2": (DOWN, 1, "rejected"),
        "v1": (twice, 2, "in_line"),
        "v2": (twice, 2, "in_line"),
        "v3": (DOWN, 1, "out_of_line"),
    }


def test_the_default_rules_take_silence_and_reports_for_claims() -> None:
    """A node lets a task expire, another is reported with the worst severity: only the verdict counts."""
    story = Spoken().say("TaskCreated").say("TaskAssigned").say("TaskExpired")
    assert scores(story) == {}
    wrong = {1: (False, False), 2: (False, False)}
    story.say("TaskCreated", task="t2").hear(judged("t2", correct=wrong))
    story.say("BadBehaviourReported", task="t2", severity=3)
    story.say("ConsensusReached", task="t2", verdict="rejected", accepted=[])
    assert story.reasons == []
    assert scores(story)["n1"] == scores(story)["n2"] == (DOWN, 1, "rejected")


def test_a_ruleset_may_count_silence_and_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules by which both count: silent nodes lose when the attempt ends, a reported one behind its verdict.

    ::

        t1  n1 answers, n2 does not → expired
        t2  n3 does not answer      → reassigned
        t3  n4 found incorrect, reported with severity 1 and 2; n5 correct, reported by who was outvoted
    """
    text = "[trust]\nexpired = {alpha_ppm = 100_000, target_ppm = 0}\nreported = "
    text += "[{alpha_ppm = 1, target_ppm = 0}, {alpha_ppm = 500_000, target_ppm = 0}]\n"
    rules = parse("strict", 'summary = "strict"\n' + text)
    monkeypatch.setattr("deepnode_projections.rules.parameters.by_hash", {rules.spec_hash: rules}.get)
    story = Spoken()
    story.state.put(RulesetInForce(1, rules.spec_hash, 0))
    story.say("TaskCreated").hear(judged(answers=(1,))).say("TaskExpired")
    story.say("TaskCreated", task="t2").say("TaskAssigned", task="t2", node="n3").say("TaskReassigned", task="t2")
    votes = {1: (False, False), 2: (True, True, False)}
    story.say("TaskCreated", task="t3").hear(judged("t3", nodes=("n4", "n5"), correct=votes))
    for validator, slot, node, severity in (("v1", 1, "n4", 2), ("v2", 1, "n4", 1), ("v3", 2, "n5", 2)):
        members: dict[str, Any] = {"validator": validator, "slot": slot, "node": node, "severity": severity}
        story.say("BadBehaviourReported", task="t3", **members)
    story.say("ConsensusReached", task="t3", accepted=[2])
    assert story.reasons == []
    found = scores(story)
    assert "n1" not in found
    assert found["n2"] == found["n3"] == (450_000, 1, "expired")
    assert found["n4"] == (DOWN // 2, 2, "reported")
    assert found["n5"] == (UP, 1, "approved")


@pytest.mark.parametrize(("verdict", "severity", "score"), [(0, 3, None), (1, 1, 450_000), (2, 2, 375_000), (2, 9, 0)])
def test_a_case_that_is_upheld_moves_trust_by_its_severity(verdict: int, severity: int, score: int | None) -> None:
    """Decides a case against a registered node: dismissed, minor or harmful, of several severities."""
    story = Story(registry.RULES, collateral.RULES, trust.RULES)
    story.tell(told("Nodes", "Registered", domain="d1", node="n1", operator="op", role=1))
    story.tell(told("Collateral", "Flagged", caseId="c1", node="n1", taskId="t1", severity=severity))
    story.tell(told("Collateral", "ReviewOpened", caseId="c1"))
    story.tell(told("Collateral", "ReviewDecided", caseId="c1", verdict=verdict))
    assert story.reasons == []
    assert scores(story) == ({} if score is None else {"n1": (score, 1, "upheld")})


def test_a_case_of_a_node_that_nobody_registered_moves_no_trust() -> None:
    """Decides a case against a stranger: there is no domain in which it could be trusted less."""
    story = Story(collateral.RULES, trust.RULES)
    story.tell(told("Collateral", "Flagged", caseId="c1", node="n1"))
    story.tell(told("Collateral", "ReviewOpened", caseId="c1"))
    story.tell(told("Collateral", "ReviewDecided", caseId="c1", verdict=2))
    assert story.reasons == []
    assert scores(story) == {}


def test_trust_is_of_a_domain_and_a_role() -> None:
    """Lets one subject learn as a miner here and a validator there: elsewhere it is a stranger still."""
    story = Story()
    learn(scene(story.state), 1, word("n1"), word("d1"), "approved")
    learn(scene(story.state), 2, word("n1"), word("d2"), "out_of_line")
    found = [score_of(story.state, kind, word("n1"), word(domain)) for kind in (1, 2) for domain in ("d1", "d2")]
    assert found == [UP, 500_000, 500_000, DOWN]


def test_the_rules_are_those_of_the_epoch() -> None:
    """Activates a ruleset from epoch 3 and one that nobody knows from epoch 4."""
    story = Story()
    assert ruleset_of(story.state) == default()
    story.state.put(RulesetInForce(1, by_name("split_credit").spec_hash, 3))
    story.state.put(RulesetInForce(2, b"\xee" * 32, 4))
    names = [ruleset_of(story.opens(epoch).state).name for epoch in (2, 3, 4)]
    assert names == ["default", "split_credit", "default"]
