"""PoWR: models are ranked by relevance, then accuracy, then id, once an epoch and within their domain."""

from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnode_projections.rules.parameters import RulesetInForce
from deepnode_projections.rules.powr import ModelRank, close_epoch, ranked, satisfaction_of
from deepnode_projections.rules.scene import Scene
from deepnode_projections.rules.trust import Trust
from deepnode_projections.rules.work import ModelUse
from deepnode_projections.rulesets.profiles import parse
from tests.projections.rules.spoken import Spoken, judged
from tests.projections.rules.told import word


def use(
    model: str, weighted: int = 0, *, judged: int = 0, correct: int = 0, ratings: int = 0, stars: int = 0
) -> ModelUse:
    """What was made of a model of domain d1 in epoch 1."""
    return ModelUse(1, word("d1"), word(model), 0, 0, weighted, judged, correct, ratings, stars)


def test_relevance_is_use_and_satisfaction_by_halves() -> None:
    """Three models: the most used and unrated, one used by a third and loved, one rated but never used.

    ::

        model  use       users    relevance
        m1     1 000 000 500 000    750 000
        m2       333 333 1 000 000  666 666
        m3             0 250 000    125 000
    """
    found = ranked([use("m1", 3), use("m2", 1, ratings=2, stars=10), use("m3", ratings=1, stars=2)])
    assert [(each.model, each.rank, each.relevance) for each in found] == [
        (word("m1"), 1, 750_000),
        (word("m2"), 2, 666_666),
        (word("m3"), 3, 125_000),
    ]


def test_equal_relevance_goes_by_accuracy_and_then_by_id() -> None:
    """Three models that are used alike: two with the same accuracy, one with more."""
    found = ranked(
        [use("m3", 5, judged=3, correct=2), use("m1", 5, judged=3, correct=2), use("m2", 5, judged=4, correct=3)]
    )
    assert [(each.model, each.accuracy) for each in found] == [
        (word("m2"), 750_000),
        (word("m1"), 666_666),
        (word("m3"), 666_666),
    ]


USES = st.builds(
    lambda weighted, judged, correct, stars: (weighted, judged, min(judged, correct), stars),
    *(st.integers(0, 10**20), st.integers(0, 50), st.integers(0, 50), st.lists(st.integers(1, 5), max_size=4)),
)


@given(st.lists(USES, max_size=6), st.randoms(use_true_random=False))
def test_ranks_are_a_permutation_that_no_order_changes(
    drawn: list[tuple[int, int, int, list[int]]], random: object
) -> None:
    """Any uses, in their order and shuffled: ranks are 1 to n, better is never behind, and everything is in range."""
    uses = [
        use(f"m{number}", weighted, judged=judged, correct=correct, ratings=len(stars), stars=sum(stars))
        for number, (weighted, judged, correct, stars) in enumerate(drawn)
    ]
    shuffled = list(uses)
    random.shuffle(shuffled)  # type: ignore[attr-defined] # hypothesis gives a random.Random
    found = ranked(uses)
    assert found == ranked(shuffled)
    assert [each.rank for each in found] == list(range(1, len(uses) + 1))
    marks = [(-each.relevance, -each.accuracy, each.model) for each in found]
    assert marks == sorted(marks)
    assert all(0 <= part <= 1_000_000 for each in found for part in (each.relevance, each.accuracy, each.use))


def test_an_epochs_end_ranks_each_domain_by_that_epoch_alone() -> None:
    """Two domains, and a model that was used in an earlier epoch: it is not ranked again.

    ::

        epoch 1  m0 of d1
        epoch 2  m1 and m2 of d1, m3 of d2; m2 has five stars
    """
    story = Spoken().epoch(1)
    for number, (model, domain) in enumerate((("m0", "d1"), ("m1", "d1"), ("m2", "d1"), ("m3", "d2"))):
        task = f"t{number}"
        story.epoch(1 if model == "m0" else 2)
        story.say("TaskCreated", task=task, model=model, domain=domain).hear(judged(task))
        story.say("ConsensusReached", task=task)
        story.say("VWUAssigned", task=task).say("VWUAssigned", task=task, slot=2, node="n2")
    story.say("UserFeedback", task="t2", rating=5)
    story.does(lambda scene: close_epoch(scene, 2))
    assert story.reasons == []
    ranks = story.state.every(ModelRank)
    assert [(each.epoch, each.domain, each.model, each.rank) for each in ranks] == [
        (2, word("d1"), word("m1"), 2),
        (2, word("d1"), word("m2"), 1),
        (2, word("d2"), word("m3"), 1),
    ]
    assert ranks[1] == ModelRank(2, word("d1"), word("m2"), 1_000_000, 1_000_000, 1, 1_000_000, 1_000_000)


def test_a_models_trust_learns_from_its_users_at_the_epochs_end() -> None:
    """Two ratings, 1 and 2 stars: an eighth of the way up; one step towards it. An unrated model learns nothing."""
    story = Spoken()
    story.state.put(use("m1", 1, ratings=2, stars=3))
    story.state.put(use("m2", 1))
    story.does(lambda scene: close_epoch(scene, 1))
    assert satisfaction_of(use("m1", 1, ratings=2, stars=3)) == 125_000
    assert list(story.state.every(Trust)) == [
        Trust(3, word("m1"), word("d1"), (500_000 * 950_000 + 125_000 * 50_000) // 10**6, 1, "feedback", 1)
    ]


def test_an_epoch_ends_by_its_own_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules with steps of a half hold from epoch 2, which begins as epoch 1 ends: the step of epoch 1 is of 5 %."""
    rules = parse("bold", 'summary = "bold"\n[trust]\napproved = {alpha_ppm = 500_000, target_ppm = 1_000_000}\n')
    monkeypatch.setattr("deepnode_projections.rules.parameters.by_hash", {rules.spec_hash: rules}.get)
    story = Spoken().epoch(2)
    story.state.put(RulesetInForce(1, rules.spec_hash, 2))
    for epoch in (1, 2):
        story.state.put(replace(use("m1", 1, ratings=1, stars=1), epoch=epoch))
        story.does(partial(_closes, epoch))
        (found,) = story.state.every(Trust)
        assert found.score == {1: 475_000, 2: 237_500}[epoch]


def _closes(epoch: int, scene: Scene) -> None:
    close_epoch(scene, epoch)


def test_an_epoch_without_work_has_no_ranks() -> None:
    """Ends an epoch in which nothing happened."""
    story = Spoken().does(lambda scene: close_epoch(scene, 7))
    assert (list(story.state.every(ModelRank)), story.reasons) == ([], [])
