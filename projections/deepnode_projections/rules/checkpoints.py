"""Score checkpoints: trust as the chain anchors it, held against trust as the books make it from signed events.

Scores are computed off-chain; now and then one is written to the chain, with the root of its evidence and the score
that it replaces. Neither changes the books' own: ``rules.trust`` alone moves a score. What is compared is the new score
with that of the books, and the replaced one with the checkpoint before (the ruleset's first score where there was
none), so that a checkpoint that is missing from the chain of them shows.

A checkpoint is of an epoch, and may come when the score has moved on: a difference then says so. Refused: a score above
the whole, a type of subject that there is not.

Sources: seeds/000 section 2 steps 2 and 3 (the trust score is recorded and reduced), DESIGN section 5 (Trust).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from deepnode_ledger.decoding import ChainEvent
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.posting import Posting
from deepnode_projections.rules import trust
from deepnode_projections.rules.comparisons import compare
from deepnode_projections.rules.epochs import Epoch, current
from deepnode_projections.rules.parameters import ruleset_at
from deepnode_projections.rules.reading import number
from deepnode_projections.rules.registry import MINER, PPM, VALIDATOR
from deepnode_projections.rules.scene import NoEffect, Rules, Scene

SUBJECT_TYPES: Final = (MINER, VALIDATOR, trust.MODEL)
"""Who has a score: the roles of nodes, and models."""


@dataclass(frozen=True, slots=True)
class ScoreCheckpoint:
    """The newest score of a miner (1), validator (2) or model (3) in a domain that was written to the chain.

    ``score`` is in ppm, of ``epoch``. ``reason`` is the scorer's number, which is not interpreted. ``evidence_root`` is
    the root (32 bytes) of what the score was computed from. ``checkpoints`` counts the subject's in this domain.
    """

    TABLE: ClassVar[str] = "score_checkpoint"
    KEY: ClassVar[int] = 3

    subject_type: int
    subject: bytes
    domain: bytes
    score: int
    epoch: int
    reason: int
    evidence_root: bytes
    checkpoints: int


def _anchored(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    subject_type, subject, domain = event.uint("subjectType"), event.word("subject"), event.word("domain")
    score, epoch = event.uint("new_"), number(event, "epoch")
    if subject_type not in SUBJECT_TYPES:
        raise NoEffect(f"subject {to_hex(subject)} is of type {subject_type}, and there are {SUBJECT_TYPES}")
    if score > PPM:
        raise NoEffect(f"score {score} of subject {to_hex(subject)} is more than {PPM} ppm")
    before = scene.state.get(ScoreCheckpoint, subject_type, subject, domain)
    first = ruleset_at(scene.state, current(scene.state)).trust.start_ppm
    key = subject + domain
    compare(scene, "ScoreCheckpoint", "old", key, first if before is None else before.score, event.uint("old"))
    computed = trust.score_of(scene.state, subject_type, subject, domain)
    compare(
        scene, "ScoreCheckpoint", "new", key, computed, score, _moved_on(scene, (subject_type, subject, domain), epoch)
    )
    count = 1 if before is None else before.checkpoints + 1
    scene.state.put(
        ScoreCheckpoint(
            subject_type, subject, domain, score, epoch, event.uint("reason"), event.word("evidenceRoot"), count
        )
    )
    return ()


def _moved_on(scene: Scene, subject: tuple[int, bytes, bytes], epoch: int) -> str:
    """Say whether a score has moved since the end of an epoch, as far as epochs were opened."""
    held, behind = scene.state.get(trust.Trust, *subject), scene.state.get(Epoch, epoch + 1)
    if held is None or behind is None or held.updated_position < behind.opened_position:
        return ""
    return f"the score has moved since epoch {epoch} ended"


RULES: Final[Rules] = {("Trust", "ScoreCheckpoint"): _anchored}
RECORDS: Final = (ScoreCheckpoint,)
