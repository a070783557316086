"""Work: what miners, validators and models did in an epoch, as the totals that rewards are divided by.

A miner's work are the VWU (verified work units) of its correct outputs, weighted by their tasks' difficulty. VWU are
assigned to each correct output once; when the last of a task has its own, the ruleset says how much each of them counts
(``full``, ``split`` or ``first``), all of it in the epoch that is open then; while it is, a correction can take that
back and credit the task anew (``rules.corrections``). A validator's work are its judgements in
line with the consensus, weighted by difficulty. A model is used by the tasks that were credited.

Sums, so the order of tasks within an epoch changes none of them. Refused: VWU for what was not found correct, or twice,
or at another difficulty than the task's. These rules come behind ``rules.tasks`` and ``rules.verdicts``.

Sources: seeds/000 section 2 steps 3 and 4, seeds/001 section 4 (active validation), DESIGN section 6.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.posting import AMOUNT_LIMIT
from deepnode_ledger.statement import Statement, said
from deepnode_ledger.statement_data import CONSENSUS_REACHED, VWU_ASSIGNED, ConsensusReached, VWUAssigned
from deepnode_projections.maths.credit import credited
from deepnode_projections.registers.record import Amount
from deepnode_projections.registers.state import State
from deepnode_projections.rules.epochs import current
from deepnode_projections.rules.scene import NoEffect, Scene, TaskRules
from deepnode_projections.rules.tasks import (
    APPROVED,
    CORRECT,
    CREDITED,
    MISSING,
    Slot,
    Task,
    slot_with,
    slots_of,
    task_at,
    task_of,
)
from deepnode_projections.rules.trust import ruleset_of
from deepnode_projections.rules.verdicts import Validation


@dataclass(frozen=True, slots=True)
class Work:
    """A miner's verified work in an epoch.

    ``vwu`` are the verified work units that were credited to it. ``weighted`` is the sum of VWU × difficulty
    (ppm). ``tasks`` counts its correct outputs.
    """

    TABLE: ClassVar[str] = "work"
    KEY: ClassVar[int] = 3
    FOUND_BY: ClassVar[tuple[str, ...]] = ("node",)

    epoch: int
    domain: bytes
    node: bytes
    vwu: Amount = 0
    weighted: Amount = 0
    tasks: int = 0


@dataclass(frozen=True, slots=True)
class ValidatorWork:
    """A validator's judgements on which there was a consensus in an epoch.

    ``validations`` counts all of them. ``in_line`` counts those that found what the majority found. ``weighted``
    is the sum of difficulty (ppm) over those in line.
    """

    TABLE: ClassVar[str] = "validator_work"
    KEY: ClassVar[int] = 3
    FOUND_BY: ClassVar[tuple[str, ...]] = ("validator",)

    epoch: int
    domain: bytes
    validator: bytes
    validations: int = 0
    in_line: int = 0
    weighted: Amount = 0


@dataclass(frozen=True, slots=True)
class ModelUse:
    """What was made of a model in an epoch.

    ``tasks`` counts those that were credited. ``vwu`` are the verified work units credited for them. ``weighted``
    is the sum of VWU × difficulty (ppm). ``judged`` counts outputs on which there was a consensus. ``correct``
    counts those of them that were found correct. ``ratings`` counts what its users gave, 1 to 5 stars each.
    ``stars`` is the sum of these.
    """

    TABLE: ClassVar[str] = "model_use"
    KEY: ClassVar[int] = 3
    FOUND_BY: ClassVar[tuple[str, ...]] = ("model",)

    epoch: int
    domain: bytes
    model: bytes
    tasks: int = 0
    vwu: Amount = 0
    weighted: Amount = 0
    judged: int = 0
    correct: int = 0
    ratings: int = 0
    stars: int = 0


@dataclass(frozen=True, slots=True)
class ModelSales:
    """What the tasks of a model that were credited in an epoch cost, as producers told it.

    What was paid for them is in the model's revenue. ``tasks`` counts those with a price in ``asset`` (20 bytes).
    ``amount`` is the sum of their prices in base units.
    """

    TABLE: ClassVar[str] = "model_sales"
    KEY: ClassVar[int] = 4
    FOUND_BY: ClassVar[tuple[str, ...]] = ("model",)

    epoch: int
    domain: bytes
    model: bytes
    asset: bytes
    tasks: int = 0
    amount: Amount = 0


def use_of(state: State, task: Task) -> ModelUse:
    """Return what was made of a task's model in the current epoch so far."""
    key = (current(state), task.domain, task.model)
    return state.get(ModelUse, *key) or ModelUse(*key)


def _counted(statement: Statement, scene: Scene) -> None:
    """Count the judgements of a consensus, which ``rules.verdicts`` has just written down."""
    data, state = said(statement, ConsensusReached), scene.state
    task, epoch = task_of(state, data.task), current(state)
    if task.judged_epoch is None:
        state.put(replace(task, judged_epoch=epoch))
    for each in state.every(Validation, data.task, data.attempt):
        work = state.get(ValidatorWork, epoch, task.domain, each.validator)
        work = work or ValidatorWork(epoch, task.domain, each.validator)
        state.put(
            replace(
                work,
                validations=work.validations + 1,
                in_line=work.in_line + (1 if each.in_consensus else 0),
                weighted=work.weighted + (task.difficulty_ppm if each.in_consensus else 0),
            )
        )
    verdicts = [slot.verdict for slot in slots_of(state, data.task, data.attempt) if slot.verdict != MISSING]
    use = use_of(state, task)
    judged, correct = use.judged + len(verdicts), use.correct + verdicts.count(CORRECT)
    state.put(replace(use, judged=judged, correct=correct))


def _assigned(statement: Statement, scene: Scene) -> None:
    data, state = said(statement, VWUAssigned), scene.state
    task = task_at(state, data.task, data.attempt, APPROVED)
    slot = slot_with(state, task, data.slot, data.node)
    if slot.verdict != CORRECT:
        raise NoEffect(f"{slot.named} was found {slot.verdict}: VWU are for correct outputs")
    if slot.vwu is not None:
        raise NoEffect(f"{slot.named} has {slot.vwu} VWU already")
    if data.difficulty_ppm != task.difficulty_ppm:
        raise NoEffect(f"{slot.named} has difficulty {task.difficulty_ppm}, not {data.difficulty_ppm}")
    own = replace(slot, vwu=data.vwu, vwu_producer=statement.producer, vwu_event=statement.event_id)
    others = [each for each in slots_of(state, data.task, data.attempt) if each.slot != data.slot]
    correct = [each for each in (own, *others) if each.verdict == CORRECT]
    if any(each.vwu is None for each in correct):
        state.put(own)
    else:
        credit(scene, task, correct)


def credit(scene: Scene, task: Task, slots: Iterable[Slot]) -> None:
    """Count a task's work, whose correct outputs all have VWU, in the current epoch.

    Raises:
        NoEffect: the books cannot hold what the model's tasks cost then.
    """
    state, epoch, rules = scene.state, current(scene.state), ruleset_of(scene.state).work
    in_order = sorted(slots, key=_when_answered)
    counts = credited(rules.credit, [slot.vwu or 0 for slot in in_order])
    is_late = epoch > task.epoch and rules.late_events == "dropped"
    counted = [replace(slot, credited_vwu=0 if is_late else vwu) for slot, vwu in zip(in_order, counts, strict=True)]
    task = replace(task, stage=CREDITED, credited_epoch=epoch)
    state.put(task)
    for slot in counted:
        state.put(slot)
    if not is_late:
        _add(state, task, counted, 1)


def take_back(scene: Scene, task: Task) -> Sequence[Slot]:
    """Take the work of a task out of the current epoch, in which it was credited; return its correct outputs."""
    assert task.credited_epoch == current(scene.state), task
    slots = [each for each in slots_of(scene.state, task.task, task.attempt) if each.verdict == CORRECT]
    # By the same rules as when it was credited: an epoch has one ruleset.
    if task.credited_epoch == task.epoch or ruleset_of(scene.state).work.late_events != "dropped":
        _add(scene.state, task, slots, -1)
    return slots


def _when_answered(slot: Slot) -> int:
    assert slot.output_position is not None, slot
    return slot.output_position


def _add(state: State, task: Task, slots: Sequence[Slot], sign: int) -> None:
    """Add a task's credited work to the epoch's totals, or (sign -1) take it out of them."""
    epoch, total = current(state), 0
    sales = state.get(ModelSales, epoch, task.domain, task.model, task.asset)
    sales = sales or ModelSales(epoch, task.domain, task.model, task.asset)
    amount = sales.amount + sign * task.price
    if amount >= AMOUNT_LIMIT:
        raise NoEffect(f"sales of model {to_hex(task.model)} would be {amount}: 10**38 or more")
    for slot in slots:
        assert slot.credited_vwu is not None, slot
        vwu = sign * slot.credited_vwu
        work = state.get(Work, epoch, task.domain, slot.node) or Work(epoch, task.domain, slot.node)
        weighted = work.weighted + vwu * task.difficulty_ppm
        state.put(replace(work, vwu=work.vwu + vwu, weighted=weighted, tasks=work.tasks + sign))
        total += vwu
    use = use_of(state, task)
    weighted = use.weighted + total * task.difficulty_ppm
    state.put(replace(use, tasks=use.tasks + sign, vwu=use.vwu + total, weighted=weighted))
    state.put(replace(sales, tasks=sales.tasks + sign, amount=amount))


TASK_RULES: Final[TaskRules] = {CONSENSUS_REACHED: _counted, VWU_ASSIGNED: _assigned}
RECORDS: Final = (Work, ValidatorWork, ModelUse, ModelSales)
