"""Verdicts: what validators find, and what their findings come to.

Each validator of the domain judges a slot's output once. An output is correct if more than the ruleset's majority of
its validations say so. A consensus is refused while a slot has fewer validations than the quorum, and where it claims
anything else than they say: whoever states it adds nothing to it. A slot whose node never answered is ``missing``.

A validator that found an output incorrect may report its node's bad behaviour before the consensus. The report is a
claim: it counts if the output turns out to be incorrect, and what comes later is a case on the chain
(``rules.collateral``).

These rules come behind ``rules.tasks``.

Sources: seeds/000 section 2 step 3 and section 3 (reports are reviewed by hand before they cost collateral).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.statement import Statement, said
from deepnode_ledger.statement_data import (
    BAD_BEHAVIOUR_REPORTED,
    CONSENSUS_REACHED,
    VALIDATION_SUBMITTED,
    BadBehaviourReported,
    ConsensusReached,
    ValidationSubmitted,
)
from deepnode_projections.rules.registry import MINER, PPM, VALIDATOR
from deepnode_projections.rules.scene import NoEffect, Scene, TaskRules
from deepnode_projections.rules.tasks import (
    APPROVED,
    ASSIGNED,
    CORRECT,
    FAILED,
    INCORRECT,
    MISSING,
    Slot,
    Task,
    check_node,
    slot_of,
    slot_with,
    slots_of,
    task_at,
)
from deepnode_projections.rules.trust import learn, ruleset_of
from deepnode_projections.rulesets.ruleset import Outcome, WorkRules

OUTCOME: Final[Mapping[str, Outcome]] = {CORRECT: "approved", INCORRECT: "rejected", MISSING: "expired"}
"""What a slot's verdict is to its node's trust."""


@dataclass(frozen=True, slots=True)
class Validation:
    """A validator's verdict on a slot's output.

    ``attempt`` and ``slot`` count from 1. ``verdict`` is correct or incorrect. ``score`` goes from 0 to 100.
    ``report_hash`` stands for the validator's report. ``in_consensus`` says whether the majority found the same,
    once there is a consensus. ``submitted_position`` is the entry that told it.
    """

    TABLE: ClassVar[str] = "validation"
    KEY: ClassVar[int] = 4
    FOUND_BY: ClassVar[tuple[str, ...]] = ("validator",)

    task: bytes
    attempt: int
    slot: int
    validator: bytes
    verdict: str
    score: int
    report_hash: bytes
    in_consensus: bool | None
    submitted_position: int


@dataclass(frozen=True, slots=True)
class Report:
    """A validator's report of bad behaviour of a slot's node.

    ``attempt`` and ``slot`` count from 1. ``validator`` is who reports. ``severity`` goes from 1, the mildest, to
    3. ``evidence_hash`` stands for what the report rests on. ``reported_position`` is the entry that told it.
    """

    TABLE: ClassVar[str] = "bad_behaviour"
    KEY: ClassVar[int] = 4
    FOUND_BY: ClassVar[tuple[str, ...]] = ("validator",)

    task: bytes
    attempt: int
    slot: int
    validator: bytes
    severity: int
    evidence_hash: bytes
    reported_position: int


def _validated(statement: Statement, scene: Scene) -> None:
    data, state = said(statement, ValidationSubmitted), scene.state
    task = task_at(state, data.task, data.attempt, ASSIGNED)
    slot = slot_of(state, task, data.slot)
    if slot.output_hash is None:
        raise NoEffect(f"{slot.named} has no output yet")
    check_node(state, data.validator, VALIDATOR, task.domain)
    before = state.get(Validation, data.task, data.attempt, data.slot, data.validator)
    if before is not None:
        raise NoEffect(f"validator {to_hex(data.validator)} has found {slot.named} {before.verdict} already")
    own = (data.task, data.attempt, data.slot, data.validator)
    state.put(Validation(*own, data.verdict, data.score, data.report_hash, None, scene.position))


def _reported(statement: Statement, scene: Scene) -> None:
    data, state = said(statement, BadBehaviourReported), scene.state
    slot = slot_with(state, task_at(state, data.task, data.attempt, ASSIGNED), data.slot, data.node)
    key = (data.task, data.attempt, data.slot, data.validator)
    own = state.get(Validation, *key)
    if own is None or own.verdict != INCORRECT:
        found = "has not judged" if own is None else f"has found {own.verdict}"
        raise NoEffect(f"validator {to_hex(data.validator)} {found} what it reports: {slot.named}")
    before = state.get(Report, *key)
    if before is not None:
        raise NoEffect(f"validator {to_hex(data.validator)} has reported this with severity {before.severity} already")
    state.put(Report(*key, data.severity, data.evidence_hash, scene.position))
    if data.severity > slot.reported_severity:
        state.put(replace(slot, reported_severity=data.severity))


def _agreed(statement: Statement, scene: Scene) -> None:
    data, state = said(statement, ConsensusReached), scene.state
    task = task_at(state, data.task, data.attempt, ASSIGNED)
    rules, slots = ruleset_of(state).work, slots_of(state, data.task, data.attempt)
    if len(slots) < rules.slots:
        raise NoEffect(f"{len(slots)} of {rules.slots} slots of task {to_hex(data.task)} are assigned")
    given = {slot.slot: list(state.every(Validation, data.task, data.attempt, slot.slot)) for slot in slots}
    verdicts = {slot.slot: _verdict(rules, slot, given[slot.slot]) for slot in slots}
    if set(verdicts.values()) == {MISSING}:
        raise NoEffect(f"attempt {data.attempt} of task {to_hex(data.task)} has no output to agree on")
    accepted = tuple(slot for slot, verdict in verdicts.items() if verdict == CORRECT)
    claimed = APPROVED if data.verdict == "approved" else FAILED
    if data.accepted != accepted or claimed != (APPROVED if accepted else FAILED):
        raise NoEffect(
            f"{data.verdict} with slots {list(data.accepted)} is claimed, "
            f"but the validations accept {list(accepted)} in attempt {data.attempt} of task {to_hex(data.task)}"
        )
    for slot in slots:
        _close(scene, task, slot, verdicts[slot.slot], given[slot.slot])
    state.put(replace(task, stage=claimed))


def _verdict(rules: WorkRules, slot: Slot, given: Sequence[Validation]) -> str:
    if slot.output_hash is None:
        return MISSING
    if len(given) < rules.quorum:
        raise NoEffect(f"{slot.named} has {len(given)} validations of the {rules.quorum} that it needs")
    correct = sum(each.verdict == CORRECT for each in given)
    return CORRECT if correct * PPM > rules.majority_ppm * len(given) else INCORRECT


def _close(scene: Scene, task: Task, slot: Slot, verdict: str, given: Sequence[Validation]) -> None:
    """Write down what a slot's validations came to, and let everybody's trust learn from it."""
    scene.state.put(replace(slot, verdict=verdict))
    learn(scene, MINER, slot.node, task.domain, OUTCOME[verdict])
    if verdict == INCORRECT and slot.reported_severity:
        learn(scene, MINER, slot.node, task.domain, "reported", slot.reported_severity)
    for each in given:
        in_consensus = each.verdict == verdict
        scene.state.put(replace(each, in_consensus=in_consensus))
        learn(scene, VALIDATOR, each.validator, task.domain, "in_line" if in_consensus else "out_of_line")


TASK_RULES: Final[TaskRules] = {
    VALIDATION_SUBMITTED: _validated,
    BAD_BEHAVIOUR_REPORTED: _reported,
    CONSENSUS_REACHED: _agreed,
}
RECORDS: Final = (Validation, Report)
