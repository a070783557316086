"""What miners and validators did in an epoch, task by task: what their weights are made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.explaining.explanation import Cell, Step, Table, answers, counted, places
from deepnode_projections.explaining.past import Past, span_of
from deepnode_projections.rules.parameters import ruleset_at
from deepnode_projections.rules.pools import Reward
from deepnode_projections.rules.registry import Node
from deepnode_projections.rules.tasks import Slot, Task
from deepnode_projections.rules.verdicts import Validation
from deepnode_projections.rules.work import ValidatorWork, Work


@dataclass(frozen=True, slots=True)
class Weighed:
    """What a weight was made of, and the weights of all by the keys that equal remainders go by."""

    step: Step
    weights: Mapping[bytes, int]
    key: bytes


def work_of_miner(past: Past, line: Reward) -> Weighed:
    """Say which tasks made a miner's weight in the line's epoch and domain."""
    total = past.get(Work, line.epoch, line.domain, line.subject)
    rows: list[tuple[Cell, ...]] = []
    positions: set[int] = set()
    span, weighted = span_of(past, line.epoch), 0
    for counted_at, slot in past.found(Slot, "node", line.subject):
        if slot.credited_vwu is None or counted_at not in span:
            continue
        task = past.get(Task, slot.task)
        if task is None or task.domain != line.domain:
            continue
        history = past.changes(Slot, slot.task, slot.attempt, slot.slot)
        judged_at = next((at for at, each in history if each.verdict is not None), None)
        verified_at = next((at for at, each in history if each.vwu is not None), None)
        product = slot.credited_vwu * task.difficulty_ppm
        weighted += product
        rows.append(
            (
                *(slot.task, slot.attempt, slot.slot, slot.vwu, slot.credited_vwu, task.difficulty_ppm, product),
                *(slot.output_position, judged_at, verified_at, counted_at),
            )
        )
        positions |= set(places(slot.output_position, judged_at, verified_at, counted_at))
    expected = 0 if total is None else total.weighted
    said = [
        (
            f"Tasks that node {to_hex(line.subject)} did right and that were counted in epoch {line.epoch}: "
            f"{len(rows)}. Verified work units (VWU) are weighted by the task's difficulty, in ppm."
        ),
        "A task counts in the epoch in which the last of its correct outputs was given VWU.",
    ]
    head = ("task", "attempt", "slot", "VWU", "counted VWU", "difficulty ppm", "weighted")
    step = Step(
        "What the miner did",
        (*said, _adds_up(weighted, expected)),
        (f"{' + '.join(str(row[6]) for row in rows[:_TERMS])}{' + …' if len(rows) > _TERMS else ''} = {weighted}",),
        Table((*head, "answered at", "judged at", "verified at", "counted at"), tuple(rows)),
        ("000 section 2 step 3", "000 section 2 step 4"),
        answers(ruleset_at(past, line.epoch), "work.credit", "work.late_events", "work.quorum", "work.majority_ppm"),
        tuple(sorted(positions)),
        weighted == expected,
    )
    everybody = past.every(Work, line.epoch, line.domain)
    weights = {_operator(past, each.node) + each.node: each.weighted for each in everybody if _known(past, each.node)}
    return Weighed(step, weights, _operator(past, line.subject) + line.subject)


def judgements_of_validator(past: Past, line: Reward) -> Weighed:
    """Say which judgements made the weight of a line's validator."""
    total = past.get(ValidatorWork, line.epoch, line.domain, line.subject)
    rows: list[tuple[Cell, ...]] = []
    positions: set[int] = set()
    span, weighted = span_of(past, line.epoch), 0
    for agreed_at, each in past.found(Validation, "validator", line.subject):
        if each.in_consensus is None or agreed_at not in span:
            continue
        task = past.get(Task, each.task)
        if task is None or task.domain != line.domain:
            continue
        counts = task.difficulty_ppm if each.in_consensus else 0
        weighted += counts
        where = (each.submitted_position, agreed_at)
        rows.append((each.task, each.attempt, each.slot, each.verdict, each.in_consensus, counts, *where))
        positions |= set(where)
    expected = 0 if total is None else total.weighted
    in_line = sum(row[4] is True for row in rows)
    said = [
        (
            f"Validator {to_hex(line.subject)} gave {counted(len(rows), 'judgement')} on which there was a consensus "
            f"in epoch {line.epoch}; {in_line} of them found what the majority found."
        ),
        "A judgement in line with the consensus counts the task's difficulty, in ppm; another one counts nothing.",
    ]
    head = ("task", "attempt", "slot", "verdict", "in line", "counts", "judged at", "agreed at")
    step = Step(
        "What the validator did",
        (*said, _adds_up(weighted, expected)),
        (f"sum over {in_line} judgements in line = {weighted}",),
        Table(head, tuple(rows)),
        ("001 section 4",),
        answers(ruleset_at(past, line.epoch), "work.quorum", "work.majority_ppm"),
        tuple(sorted(positions)),
        weighted == expected,
    )
    everybody = past.every(ValidatorWork, line.epoch, line.domain)
    weights = {
        _operator(past, each.validator) + each.validator: each.weighted
        for each in everybody
        if _known(past, each.validator)
    }
    return Weighed(step, weights, _operator(past, line.subject) + line.subject)


def _known(past: Past, node: bytes) -> bool:
    return past.get(Node, node) is not None


def _operator(past: Past, node: bytes) -> bytes:
    found = past.get(Node, node)
    return b"" if found is None else found.operator


def _adds_up(found: int, kept: int) -> str:
    if found == kept:
        return f"Together they are {found}, as the books' total says."
    return f"Together they are {found}, but the books' total says {kept}: what makes the difference was not found."


_TERMS: Final = 6
"""Terms of a sum that are written out; the table has them all."""
