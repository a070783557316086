"""Score checkpoints: what the chain anchors, held against the trust that the books have computed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnode_ledger.decoding import ChainEvent
from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.rules import checkpoints
from deepnode_projections.rules.checkpoints import ScoreCheckpoint
from deepnode_projections.rules.comparisons import Checked, Difference
from deepnode_projections.rules.registry import MINER
from deepnode_projections.rules.trust import Trust
from tests.projections.rules.told import Story, anything, told, word

START = 500_000


def anchored(new: int, old: int = START, *, epoch: int = 0, subject: str = "n1", subject_type: int = 1) -> ChainEvent:
    said = {"subjectType": subject_type, "subject": subject, "domain": "vision", "epoch": epoch, "old": old}
    return told("Trust", "ScoreCheckpoint", new_=new, reason=4, evidenceRoot="evidence", **said)


def story(*events: ChainEvent) -> Story:
    return Story(checkpoints.RULES).tell(*events)


def scored(tale: Story, score: int, subject: str = "n1") -> Story:
    """Let the books have computed a score at the story's next position."""
    tale.does(lambda scene: scene.state.put(Trust(MINER, word(subject), word("vision"), score, 1, "r", scene.position)))
    return tale


def differences(tale: Story) -> list[tuple[str, int, int | None, int | None, str]]:
    found = tale.state.every(Difference)
    return [(each.what, each.reported_position, each.expected, each.fact, each.reason) for each in found]


def test_a_checkpoint_of_the_score_that_the_books_have_agrees() -> None:
    """The books give n1 480 000, and so does the chain; the next checkpoint follows upon it."""
    tale = scored(story(), 480_000).tell(anchored(480_000))
    scored(tale, 470_000).tell(anchored(470_000, 480_000, epoch=1))
    assert tale.state.every(ScoreCheckpoint) == [
        ScoreCheckpoint(MINER, word("n1"), word("vision"), 470_000, 1, 4, word("evidence"), 2)
    ]
    assert differences(tale) == []
    assert tale.state.get(Checked, "ScoreCheckpoint", "new") == Checked("ScoreCheckpoint", "new", 2, 0)


def test_a_subject_of_which_nothing_is_known_has_the_first_score() -> None:
    """A checkpoint that lowers n1 without an event that says why is a difference; one that leaves it is none."""
    assert differences(story(anchored(START))) == []
    assert differences(story(anchored(400_000))) == [("new", 1, START, 400_000, "")]


def test_a_checkpoint_that_is_missing_shows_in_the_next() -> None:
    """The second names 490 000 as the score that it replaces; the books have seen none that set it."""
    tale = scored(story(), 480_000).tell(anchored(480_000), anchored(480_000, 490_000))
    assert differences(tale) == [("old", 3, 480_000, 490_000, "")]


def test_a_checkpoint_of_an_epoch_that_is_over_may_be_overtaken() -> None:
    """The score of epoch 1 is anchored in epoch 2, when it has moved again: the difference says so."""
    tale = scored(story().opens(1), 480_000).opens(2)
    scored(tale, 470_000).tell(anchored(480_000, epoch=1))
    assert differences(tale) == [("new", 3, 470_000, 480_000, "the score has moved since epoch 1 ended")]


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (anchored(1_000_001), f"score 1000001 of subject {to_hex(word('n1'))} is more than 1000000 ppm"),
        (anchored(1, subject_type=4), f"subject {to_hex(word('n1'))} is of type 4, and there are (1, 2, 3)"),
        (anchored(1, epoch=2**63), f"epoch {2**63}: the books hold numbers below 2**63"),
    ],
)
def test_what_checkpoints_refuse(event: ChainEvent, reason: str) -> None:
    """Says it to empty books."""
    tale = story(event)
    assert (tale.reasons, [*tale.state.every(ScoreCheckpoint)]) == ([reason], [])


@given(st.permutations([subject for subject in ("n1", "n2", "n3") for _ in range(3)]))
def test_subjects_do_not_depend_on_each_other(turns: list[str]) -> None:
    """Interleaves three unbroken chains of checkpoints in any way: none of them shows a gap."""
    tale, held = story(), {"n1": START, "n2": START, "n3": START}
    for subject in turns:
        scored(tale, held[subject] - 1_000, subject)
        tale.tell(anchored(held[subject] - 1_000, held[subject], subject=subject))
        held[subject] -= 1_000
    assert differences(tale) == []
    assert [(each.score, each.checkpoints) for each in tale.state.every(ScoreCheckpoint)] == [(497_000, 3)] * 3


@given(st.lists(anything(["Trust"]), max_size=25))
def test_garbage_is_anchored_or_refused_and_moves_no_score(events: list[ChainEvent]) -> None:
    """Tells any checkpoints: scores stay within the whole, and the books' own trust is never touched."""
    tale = story(*events)
    assert all(tale.reasons)
    assert all(0 <= each.score <= 1_000_000 for each in tale.state.every(ScoreCheckpoint))
    assert not tale.state.every(Trust)
