"""Trust: what a node's outcomes, a validator's judgements and a model's users say of it, as one number in a domain.

A score goes from 0 to 1 000 000 ppm. Each outcome moves it a part of the way towards where that outcome leads; parts
and targets are the ruleset's, the arithmetic is ``maths.trust``. A case that a review decides against a node (minor or
harmful) moves its trust by the case's severity. What was learned is not unlearned: a step cannot be taken back out of
those behind it, so a reversed review leaves trust as it is.

Sources: seeds/000 section 2 steps 2 and 3 and section 3, DESIGN section 6.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from deepnode_ledger.decoding import ChainEvent
from deepnode_ledger.posting import Posting
from deepnode_projections.maths import trust
from deepnode_projections.maths.trust import SEVERITY_DEFAULT
from deepnode_projections.registers.state import State
from deepnode_projections.rules.collateral import CollateralCase
from deepnode_projections.rules.epochs import current
from deepnode_projections.rules.parameters import ruleset_at
from deepnode_projections.rules.registry import Node
from deepnode_projections.rules.scene import Rules, Scene
from deepnode_projections.rulesets import Outcome, Ruleset
from deepnode_projections.rulesets.ruleset import TrustStep

MODEL: Final = 3
"""The type of a subject that is no node; nodes go by their role (``registry.MINER``, ``registry.VALIDATOR``)."""

FEEDBACK: Final = "feedback"
"""The reason of a model's score: what its users said in an epoch."""


@dataclass(frozen=True, slots=True)
class Trust:
    """How much a miner, a validator or a model is trusted in a domain.

    ``subject_type`` is 1 for a miner, 2 for a validator, 3 for a model. ``subject`` is its id. ``score`` goes from
    0 to 1 000 000 ppm. ``updates`` counts the steps that it took. ``reason`` is the outcome behind the last step.
    ``updated_position`` is the entry that brought that outcome.
    """

    TABLE: ClassVar[str] = "trust"
    KEY: ClassVar[int] = 3
    FOUND_BY: ClassVar[tuple[str, ...]] = ("subject",)

    subject_type: int
    subject: bytes
    domain: bytes
    score: int
    updates: int
    reason: str
    updated_position: int


def ruleset_of(state: State) -> Ruleset:
    """Return the ruleset of the current epoch, as ``parameters.ruleset_at`` finds it."""
    return ruleset_at(state, current(state))


def score_of(state: State, subject_type: int, subject: bytes, domain: bytes) -> int:
    """Return a score in ppm; a subject that nothing is known of has the ruleset's first one."""
    found = state.get(Trust, subject_type, subject, domain)
    return ruleset_of(state).trust.start_ppm if found is None else found.score


def learn(
    scene: Scene,
    subject_type: int,
    subject: bytes,
    domain: bytes,
    outcome: Outcome,
    severity: int = SEVERITY_DEFAULT,
) -> None:
    """Let a score take the step of an outcome; one that the ruleset gives no weight leaves no trace."""
    rules = ruleset_of(scene.state).trust
    step = trust.step_of(rules, outcome, severity)
    if step.alpha_ppm:
        _move(scene, rules.start_ppm, (subject_type, subject, domain), step, outcome)


def learn_from_users(scene: Scene, epoch: int, model: bytes, domain: bytes, satisfaction_ppm: int) -> None:
    """Let a model's score take a step towards what its users' ratings of an epoch come to, by that epoch's rules.

    The step is as long as that of an approved output: no ruleset says otherwise yet.
    """
    rules = ruleset_at(scene.state, epoch).trust
    step = TrustStep(alpha_ppm=rules.approved.alpha_ppm, target_ppm=satisfaction_ppm)
    _move(scene, rules.start_ppm, (MODEL, model, domain), step, FEEDBACK)


def _move(scene: Scene, start_ppm: int, subject: tuple[int, bytes, bytes], step: TrustStep, reason: str) -> None:
    before = scene.state.get(Trust, *subject)
    score, updates = (start_ppm, 0) if before is None else (before.score, before.updates)
    after = trust.step(score, step.alpha_ppm, step.target_ppm)
    scene.state.put(Trust(*subject, after, updates + 1, reason, scene.position))


def _decided(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    """A review was decided: ``rules.collateral`` has written the verdict down already."""
    case = scene.state.get(CollateralCase, event.word("caseId"), event.contract.address)
    node = None if case is None else scene.state.get(Node, case.node)
    # Without its registration nothing says in which domain a node should be trusted less.
    if case is not None and node is not None and case.verdict:
        learn(scene, node.role, case.node, node.domain, "upheld", case.severity)
    return ()


RULES: Final[Rules] = {("Collateral", "ReviewDecided"): _decided}
RECORDS: Final = (Trust,)
