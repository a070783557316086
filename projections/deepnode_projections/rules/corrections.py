"""Corrections: a producer's event was wrong, and a later event of the same producer says what is right.

Nothing is unsaid: the wrong event stays in the log, and every correction is a record. What it changes depends on
whether the wrong value has been counted in an epoch that is over. As long as it has not, the books go on with the right
one: a task is credited anew, totals follow. Afterwards they stay as they are, since they say what was known and what
was paid by; what would have come out is told by a replay with the right values in the place of the wrong ones
(``correcting``).

What can be corrected is what an event *measured*: the VWU of an output, a task's difficulty and price, a user's rating,
a settled amount, a price. What it *did* is not: nobody knows what would have followed from another assignment, answer,
verdict or consensus, and a validator that could change its verdict could join the majority when it is known. Scores,
latencies and usage are shown and count nowhere. Of a correction there is none: the event itself is corrected again, and
that with the producer's highest sequence number holds, in whatever order they come.

These rules come behind ``rules.work`` and ``rules.observations``.

Source: DESIGN section 5, off-chain task events, and section 6: a late event counts in the next epoch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.statement import Statement, said
from deepnode_ledger.statement_data import CORRECTION
from deepnode_ledger.statement_data import Correction as Stated
from deepnode_projections.registers.record import Amount
from deepnode_projections.registers.state import State
from deepnode_projections.rules import observations
from deepnode_projections.rules.comparisons import compare
from deepnode_projections.rules.epochs import current
from deepnode_projections.rules.observations import AMOUNT, PRICE, RATING, Observation, Settlement
from deepnode_projections.rules.scene import NoEffect, Scene, TaskRules
from deepnode_projections.rules.tasks import Slot, Task, task_of
from deepnode_projections.rules.verdicts import Validation
from deepnode_projections.rules.work import ValidatorWork, credit, take_back

VWU: Final = "vwu"
DIFFICULTY: Final = "difficulty_ppm"
TASK_PRICE: Final = "price"
"""What an event about a task can have told wrong: the name of the member, in the event and in its correction."""

OF_TASKS: Final = (VWU, DIFFICULTY, TASK_PRICE)
OF_OBSERVATIONS: Final = (PRICE, RATING, AMOUNT)


@dataclass(frozen=True, slots=True)
class Correction:
    """A correction of the event ``corrects`` of a producer. Of several, that with the highest ``sequence`` holds.

    ``sequence`` and ``event_id`` are the correction's own. ``value_name`` says what was wrong: vwu, difficulty_ppm,
    price, price_ppm, rating or amount. ``told`` is what the event told, ``value`` the right value; without one the
    event is void. ``epoch`` is the first that has counted the event, or would have. ``in_time`` says that it was not
    over: then the books go on with the right value, else they stay as they are. ``corrected_epoch`` is when the
    correction came, ``corrected_position`` its entry. ``reason`` is the producer's. ``task``, ``attempt`` and
    ``slot`` say what it is about, as far as it is about a task.
    """

    TABLE: ClassVar[str] = "correction"
    KEY: ClassVar[int] = 3
    FOUND_BY: ClassVar[tuple[str, ...]] = ("epoch", "task")

    producer: str
    corrects: str
    sequence: int
    event_id: str
    value_name: str
    told: Amount
    value: Amount | None
    epoch: int
    in_time: bool
    corrected_epoch: int
    corrected_position: int
    reason: str
    task: bytes | None = None
    attempt: int | None = None
    slot: int | None = None


def _corrected(statement: Statement, scene: Scene) -> None:
    data = said(statement, Stated)
    named = {name: value for name in (*OF_TASKS, *OF_OBSERVATIONS) if (value := getattr(data, name)) is not None}
    if data.task is None and not set(named) & set(OF_TASKS):
        _observation(statement, data, scene)
        return
    if data.task is None or len(named) != 1 or not set(named) & set(OF_TASKS):
        raise NoEffect(
            f"a correction of event {data.corrects!a} must name its task and one right value of {', '.join(OF_TASKS)}; "
            f"this one has {' and '.join(named) or 'no value'}{'' if data.task else ' and no task'}"
        )
    task, [(name, right)] = task_of(scene.state, data.task), named.items()
    if name == VWU:
        _vwu(statement, scene, task, right)
    else:
        _task(statement, scene, task, name, right)


def _vwu(statement: Statement, scene: Scene, task: Task, right: int) -> None:
    data, state = said(statement, Stated), scene.state
    if data.attempt is None or data.slot is None:
        raise NoEffect(f"a correction of VWU must name attempt and slot of task {to_hex(task.task)}")
    slot = state.get(Slot, task.task, data.attempt, data.slot)
    if slot is None or slot.vwu is None or (slot.vwu_producer, slot.vwu_event) != (statement.producer, data.corrects):
        where = f"slot {data.slot} in attempt {data.attempt} of task {to_hex(task.task)}"
        raise NoEffect(f"event {data.corrects!a} of {statement.producer!a} has assigned no VWU to {where}")
    made = _made(statement, scene, VWU, slot.vwu, right, task.credited_epoch)
    if _goes_on_with(state, made):
        own = replace(slot, vwu=right)
        if task.credited_epoch is None:
            state.put(own)
        else:
            credit(scene, task, [own if each.slot == own.slot else each for each in take_back(scene, task)])
    state.put(made)


def _task(statement: Statement, scene: Scene, task: Task, name: str, right: int) -> None:
    data, state = said(statement, Stated), scene.state
    if (task.producer, task.event_id) != (statement.producer, data.corrects):
        raise NoEffect(
            f"event {data.corrects!a} of {statement.producer!a} has not created task {to_hex(task.task)}: "
            f"that was {task.event_id!a} of {task.producer!a}"
        )
    told = task.difficulty_ppm if name == DIFFICULTY else task.price
    # A judgement is weighted by the difficulty as soon as there is a consensus; the price counts with the credit.
    made = _made(statement, scene, name, told, right, task.judged_epoch if name == DIFFICULTY else task.credited_epoch)
    if _goes_on_with(state, made):
        slots = [] if task.credited_epoch is None else take_back(scene, task)
        if name == DIFFICULTY:
            after = replace(task, difficulty_ppm=right)
            _weigh_again(state, task, right - task.difficulty_ppm)
        else:
            after = replace(task, price=right)
        state.put(after)
        if slots:
            credit(scene, after, slots)
        settled = state.get(Settlement, task.task)
        if name == TASK_PRICE and settled is not None and settled.amount is not None:
            compare(scene, "PaymentProcessorSettled", "amount", task.task, right, settled.amount)
    state.put(made)


def _weigh_again(state: State, task: Task, more: int) -> None:
    """Add to the weight of every judgement in line on a task, all of which were counted in the current epoch."""
    epoch = current(state)
    for each in state.every(Validation, task.task):
        if each.in_consensus:
            work = state.get(ValidatorWork, epoch, task.domain, each.validator)
            assert work is not None, each
            state.put(replace(work, weighted=work.weighted + more))


def _observation(statement: Statement, data: Stated, scene: Scene) -> None:
    wrong = scene.state.get(Observation, statement.producer, data.corrects)
    if wrong is None:
        raise NoEffect(
            f"event {data.corrects!a} of {statement.producer!a} is no price, rating or settlement in the books; of a "
            f"task's events {' and '.join(OF_TASKS)} can be corrected, naming the task, and nothing else"
        )
    given = {PRICE: data.price_ppm, RATING: data.rating, AMOUNT: data.amount}
    right = given.pop(wrong.value_name)
    others = [name for name, value in given.items() if value is not None]
    if others:
        raise NoEffect(f"event {data.corrects!a} has a {wrong.value_name} to correct, and no {' and '.join(others)}")
    # Epochs count ratings at their end, and nothing else of these.
    counted = wrong.epoch if wrong.value_name == RATING else current(scene.state)
    made = replace(_made(statement, scene, wrong.value_name, wrong.value, right, counted), task=wrong.task)
    newest = _is_newest(scene.state, made)
    if newest and made.in_time:
        observations.tell_again(scene, wrong, right)
    if newest:
        own, why = statement.event_id, data.reason
        scene.state.put(replace(wrong, corrected_by=own, corrected_value=right, correction_reason=why))
    scene.state.put(made)


def _made(
    statement: Statement, scene: Scene, name: str, holds: int, right: int | None, counted_epoch: int | None
) -> Correction:
    """Make the record of a correction; ``holds`` is the value in the books, counted in this epoch or not at all yet."""
    data, epoch = said(statement, Stated), current(scene.state)
    before = _before(scene.state, statement.producer, data.corrects, name)
    return Correction(
        producer=statement.producer,
        corrects=data.corrects,
        sequence=statement.sequence,
        event_id=statement.event_id,
        value_name=name,
        told=before[0].told if before else holds,
        value=right,
        epoch=epoch if counted_epoch is None else counted_epoch,
        in_time=counted_epoch in (None, epoch),
        corrected_epoch=epoch,
        corrected_position=scene.position,
        reason=data.reason,
        task=data.task,
        attempt=data.attempt if name == VWU else None,
        slot=data.slot if name == VWU else None,
    )


def _before(state: State, producer: str, corrects: str, name: str) -> Sequence[Correction]:
    return [each for each in state.every(Correction, producer, corrects) if each.value_name == name]


def _is_newest(state: State, made: Correction) -> bool:
    before = _before(state, made.producer, made.corrects, made.value_name)
    return all(each.sequence < made.sequence for each in before)


def _goes_on_with(state: State, made: Correction) -> bool:
    return made.in_time and _is_newest(state, made)


TASK_RULES: Final[TaskRules] = {CORRECTION: _corrected}
RECORDS: Final = (Correction,)
