"""What the tasks of a proof come to: the work of nodes, the judgements of validators, the use of models."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deepnode_cli.proving.tasks_done import AGREED, CORRECTED, CREATED, JUDGEMENTS, OUTPUTS, VWUS
from deepnode_cli.verifying.single.broken import require
from deepnode_cli.verifying.single.proof_entries import Entries
from deepnode_ledger.hexadecimal import from_hex, to_hex
from deepnode_ledger.statement_data import (
    ConsensusReached,
    Correction,
    OutputSubmitted,
    TaskCreated,
    ValidationSubmitted,
    VWUAssigned,
)
from deepnode_projections.maths.credit import credited
from deepnode_projections.rulesets.ruleset import WorkRules


@dataclass(slots=True)
class Tally:
    """Sums by id: VWU × difficulty of nodes, difficulty of judgements in line; of models weighted, tasks, sales."""

    work: Counter[bytes] = field(default_factory=Counter)
    judgements: Counter[bytes] = field(default_factory=Counter)
    weighted: Counter[bytes] = field(default_factory=Counter)
    tasks: Counter[bytes] = field(default_factory=Counter)
    revenue: Counter[bytes] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Told:
    """The entries of one task of a pool."""

    task: TaskCreated
    agreed: ConsensusReached
    agreed_at: int
    corrections: tuple[Correction, ...]

    @property
    def difficulty_ppm(self) -> int:
        right = [each.difficulty_ppm for each in self.corrections if each.difficulty_ppm is not None]
        return right[-1] if right else self.task.difficulty_ppm

    def vwu_of(self, given: VWUAssigned) -> int:
        right = [each.vwu for each in self.corrections if each.vwu is not None and each.slot == given.slot]
        return right[-1] if right else given.vwu


def tally(proof: Mapping[str, Any], pool: Mapping[str, Any], rules: WorkRules, entries: Entries) -> Tally:
    """Add up a pool's tasks.

    Raises:
        Broken: a task is not of the domain or the epoch, counts twice, or its entries are not of one attempt.
    """
    made, counted = Tally(), set[int]()
    asset = from_hex(proof["asset"]["address"], 20)
    for each in pool["credited"]:
        told = _told(proof, pool, each, entries)
        last = max(each[VWUS])
        _counts(proof, told, last, counted)
        vwus = [entries.task(position, VWUAssigned) for position in each[VWUS]]
        outputs = [entries.task(position, OutputSubmitted) for position in each[OUTPUTS]]
        where = f"position {last}"
        require(each[OUTPUTS] == sorted(set(each[OUTPUTS])), where, "outputs must stand in the order of the log")
        same = [(v.slot, v.node) for v in vwus] == [(o.slot, o.node) for o in outputs]
        require(same, where, "VWU and outputs are not of the same slots and nodes")
        require(sorted(v.slot for v in vwus) == list(told.agreed.accepted), where, "VWU are for each correct output")
        for said in (*vwus, *outputs):
            _of_task(told, said.task, said.attempt, last)
        is_late = rules.late_events == "dropped" and each[CREATED][0] < proof["opened"]
        require(not is_late, where, "the task is late, and the rules drop what is late")
        units = credited(rules.credit, [told.vwu_of(vwu) for vwu in vwus])
        for vwu, unit in zip(vwus, units, strict=True):
            made.work[vwu.node] += unit * told.difficulty_ppm
        made.weighted[told.task.model] += sum(units) * told.difficulty_ppm
        made.tasks[told.task.model] += 1
        made.revenue[told.task.model] += told.task.price if told.task.asset == asset else 0
    for each in pool["judged"]:
        told = _told(proof, pool, each, entries)
        _counts(proof, told, told.agreed_at, counted)
        require(
            len(set(each[JUDGEMENTS])) == len(each[JUDGEMENTS]), f"position {told.agreed_at}", "a judgement is twice"
        )
        for position in each[JUDGEMENTS]:
            judged = entries.task(position, ValidationSubmitted)
            _of_task(told, judged.task, judged.attempt, position)
            in_line = (judged.verdict == "correct") == (judged.slot in told.agreed.accepted)
            made.judgements[judged.validator] += told.difficulty_ppm if in_line else 0
    return made


def _told(proof: Mapping[str, Any], pool: Mapping[str, Any], each: Mapping[str, Any], entries: Entries) -> _Told:
    (created,), (agreed_at,) = each[CREATED], each[AGREED]
    task, agreed = entries.task(created, TaskCreated), entries.task(agreed_at, ConsensusReached)
    where = f"position {agreed_at}"
    require(task.task == agreed.task, where, f"the consensus is not of task {to_hex(task.task)}")
    require(to_hex(task.domain) == pool["domain"], where, f"task {to_hex(task.task)} is of another domain")
    right = []
    for position in each[CORRECTED]:
        correction = entries.task(position, Correction)
        require(correction.task == task.task, f"position {position}", "the correction is of another task")
        require(position < proof["closed"], f"position {position}", "the correction came when the epoch was over")
        right.append(correction)
    return _Told(task, agreed, agreed_at, tuple(right))


def _of_task(told: _Told, task: bytes, attempt: int, position: int) -> None:
    is_its = (task, attempt) == (told.task.task, told.agreed.attempt)
    require(is_its, f"position {position}", f"the entry is not of task {to_hex(told.task.task)}", position)


def _counts(proof: Mapping[str, Any], told: _Told, position: int, counted: set[int]) -> None:
    where = f"position {position}"
    in_epoch = proof["opened"] < position < proof["closed"]
    require(in_epoch, where, f"task {to_hex(told.task.task)} does not count in the epoch", position)
    require(position not in counted, where, f"task {to_hex(told.task.task)} counts twice", position)
    counted.add(position)
