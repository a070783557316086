"""The tasks that made a pool's weights: each by the entries that created it, judged it and gave it verified work."""

from dataclasses import dataclass
from typing import Any, Final

from deepnode_cli.proving.evidence import Evidence
from deepnode_projections.correcting import in_force
from deepnode_projections.explaining.past import Past, span_of
from deepnode_projections.rules.corrections import DIFFICULTY, VWU, Correction
from deepnode_projections.rules.tasks import CORRECT, Slot, Task, slots_of
from deepnode_projections.rules.verdicts import Validation
from deepnode_projections.rules.work import ValidatorWork, Work

CREATED: Final = "task.created.v1"
AGREED: Final = "consensus.reached.v1"
OUTPUTS: Final = "output.submitted.v1"
VWUS: Final = "vwu.assigned.v1"
JUDGEMENTS: Final = "validation.submitted.v1"
CORRECTED: Final = "correction.v1"
"""What the entries of a task are called in a proof: their types without what all have in front."""


@dataclass(frozen=True, slots=True)
class Pool:
    """A domain's pool of an epoch, as the books knew it behind the entry that allocated it."""

    past: Past
    epoch: int
    domain: bytes
    evidence: Evidence


def credited(pool: Pool) -> list[dict[str, Any]]:
    """Return the tasks whose work was counted in the epoch, by the entry that counted it.

    Correct outputs and the entries that gave them VWU stand in the order in which the outputs came.
    """
    past, span = pool.past, span_of(pool.past, pool.epoch)
    found: dict[bytes, tuple[int, Task]] = {}
    for node in past.every(Work, pool.epoch, pool.domain):
        for counted_at, slot in past.found(Slot, "node", node.node):
            if slot.credited_vwu is None or counted_at not in span or slot.task in found:
                continue
            task = past.get(Task, slot.task)
            if task is not None and task.domain == pool.domain:
                found[slot.task] = counted_at, task
    return [_credited(pool, task) for _, task in sorted(found.values(), key=lambda each: each[0])]


def _credited(pool: Pool, task: Task) -> dict[str, Any]:
    past, at = pool.past, pool.evidence.at
    work, agreed = [], 0
    for slot in slots_of(past, task.task, task.attempt):
        history = past.changes(Slot, slot.task, slot.attempt, slot.slot)
        agreed = agreed or next((place for place, each in history if each.verdict is not None), 0)
        if slot.verdict == CORRECT:
            assert slot.output_position is not None, slot
            work.append((slot.output_position, next(place for place, each in history if each.vwu is not None)))
    return {
        CREATED: [at(task.created_position)],
        AGREED: [at(agreed)],
        OUTPUTS: [at(answered) for answered, _ in sorted(work)],
        VWUS: [at(given) for _, given in sorted(work)],
        CORRECTED: [at(each) for each in _corrections(pool, task)],
    }


def judged(pool: Pool) -> list[dict[str, Any]]:
    """Return the tasks on which there was a consensus in the epoch, with every validation that it closed."""
    past, span = pool.past, span_of(pool.past, pool.epoch)
    found: dict[int, tuple[Task, list[int]]] = {}
    for validator in past.every(ValidatorWork, pool.epoch, pool.domain):
        for agreed_at, each in past.found(Validation, "validator", validator.validator):
            if each.in_consensus is None or agreed_at not in span:
                continue
            task = past.get(Task, each.task)
            if task is not None and task.domain == pool.domain:
                found.setdefault(agreed_at, (task, []))[1].append(each.submitted_position)
    at = pool.evidence.at
    return [
        {
            AGREED: [at(agreed)],
            CREATED: [at(task.created_position)],
            JUDGEMENTS: [at(each) for each in sorted(judgements)],
            CORRECTED: [at(each) for each in _corrections(pool, task)],
        }
        for agreed, (task, judgements) in sorted(found.items())
    ]


def _corrections(pool: Pool, task: Task) -> list[int]:
    """Return where a task's work and difficulty were corrected while that could still count, in the log's order."""
    made = [each for _, each in pool.past.found(Correction, "task", task.task)]
    counted = [each for each in made if each.in_time and each.value_name in (VWU, DIFFICULTY)]
    return [each.corrected_position for each in in_force(counted)]
