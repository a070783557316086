"""Trust: checkpoints of a subject form an unbroken chain of scores, and only scorers add to it."""

from collections.abc import Iterator

import pytest

from deepnode_indexer.devnet.anvil import Anvil
from deepnode_ledger.vocabulary import KINDS
from tests.indexer.devnet.lone_contracts import LoneContracts, Refusal, Said, declared_events, word

ADMIN, SCORER, STRANGER = 0, 1, 2
MINER, VALIDATOR, MODEL = 1, 2, 3
"""The types of subjects."""
SUBJECT, DOMAIN, EVIDENCE = word("miner"), word("vision"), word("evidence")
START = 500_000


@pytest.fixture(scope="module")
def node() -> Iterator[Anvil]:
    """A bare node, on which each test has contracts of its own."""
    with Anvil.start() as started:
        yield started


@pytest.fixture
def chain(node: Anvil) -> LoneContracts:
    """Trust with one scorer, who is not its admin."""
    contracts = LoneContracts(node)
    contracts.create("Trust", contracts.accounts[ADMIN])
    contracts.grant("Trust", "SCORER_ROLE", contracts.accounts[SCORER])
    return contracts


def checkpoint(old: int, new: int, subject_type: int = MINER) -> tuple[object, ...]:
    """The arguments of a checkpoint of the subject in epoch 3."""
    return (subject_type, SUBJECT, DOMAIN, 3, old, new, 4, EVIDENCE)


def test_the_trust_contracts_events_are_the_vocabularys() -> None:
    """Compares the artifact's ABI with the vocabulary: names, types, order and what is indexed."""
    assert declared_events("Trust") == set(KINDS["Trust"])


def test_a_checkpoint_replaces_the_score_and_says_so(chain: LoneContracts) -> None:
    """Moves a score from the start value to zero and up to one, reading it and the event each time."""
    assert chain.read("Trust", "scoreOf", MINER, SUBJECT, DOMAIN) == START
    for old, new in ((START, 0), (0, 10**6), (10**6, 10**6)):
        told = {"subjectType": MINER, "subject": SUBJECT, "domain": DOMAIN, "epoch": 3}
        told |= {"old": old, "new_": new, "reason": 4, "evidenceRoot": EVIDENCE}
        assert chain.send(SCORER, "Trust", "checkpoint", *checkpoint(old, new)) == [
            Said("Trust", "ScoreCheckpoint", told)
        ]
        assert chain.read("Trust", "scoreOf", MINER, SUBJECT, DOMAIN) == new


def test_a_score_belongs_to_a_type_a_subject_and_a_domain(chain: LoneContracts) -> None:
    """Moves one score and reads those that differ from it in one part of the key."""
    chain.send(SCORER, "Trust", "checkpoint", *checkpoint(START, 1))
    others = [(VALIDATOR, SUBJECT, DOMAIN), (MINER, word("x"), DOMAIN), (MINER, SUBJECT, word("x"))]
    assert [chain.read("Trust", "scoreOf", *key) for key in others] == [START] * 3


def test_a_checkpoint_must_start_from_the_stored_score(chain: LoneContracts) -> None:
    """A score that was computed from another one is refused, before the first checkpoint and after a fall to zero."""
    assert chain.refusal(SCORER, "Trust", "checkpoint", *checkpoint(0, 1)) == Refusal(
        "NotTheScore", (SUBJECT, 0, START)
    )
    chain.send(SCORER, "Trust", "checkpoint", *checkpoint(START, 0))
    assert chain.refusal(SCORER, "Trust", "checkpoint", *checkpoint(START, 1)) == Refusal(
        "NotTheScore", (SUBJECT, START, 0)
    )


def test_miners_validators_and_models_have_scores(chain: LoneContracts) -> None:
    """Anchors a score of each type of subject; the types below and above them are refused."""
    for subject_type in (MINER, VALIDATOR, MODEL):
        chain.send(SCORER, "Trust", "checkpoint", *checkpoint(START, 1, subject_type))
    for unknown in (0, 4):
        refusal = chain.refusal(SCORER, "Trust", "checkpoint", *checkpoint(START, 1, unknown))
        assert refusal == Refusal("UnknownSubjectType", (unknown,))


def test_a_score_is_at_most_one(chain: LoneContracts) -> None:
    """One millionth above one is refused, and so is the largest number of the type."""
    for new in (10**6 + 1, 2**32 - 1):
        assert chain.refusal(SCORER, "Trust", "checkpoint", *checkpoint(START, new)) == Refusal("ScoreAboveOne", (new,))


@pytest.mark.parametrize("sender", [ADMIN, STRANGER])
def test_only_a_scorer_submits_checkpoints(chain: LoneContracts, sender: int) -> None:
    """Lets a stranger, and the admin who only gives out roles, try."""
    refusal = chain.refusal(sender, "Trust", "checkpoint", *checkpoint(START, 1))
    assert refusal.error == "AccessControlUnauthorizedAccount"
    assert chain.read("Trust", "scoreOf", MINER, SUBJECT, DOMAIN) == START
