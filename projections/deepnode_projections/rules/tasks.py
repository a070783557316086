"""Tasks: asked for, given to two nodes, answered, and tried again or ended.

A task is ``created`` and, attempt by attempt, ``assigned`` to different miners of its domain, as many as the ruleset
has slots (two). Validators judge the outputs (``rules.verdicts``): the attempt is ``approved`` or ``failed``. An
approved task whose work is credited (``rules.work``) is ``credited``. An attempt that is not approved may be followed
by another one, up to a maximum; else the task ends as ``rejected`` or ``expired``. Nothing follows these two and
``credited``.

Refused: whatever does not follow in this order; a slot or an answer that is taken; a miner that the registry knows to
be of another role or domain, or to have left in an epoch before; a model of another domain; a price in what is no
token of the manifest.

Sources: seeds/000 section 2 steps 1 to 3, seeds/002 section 2 (one model, two nodes), DESIGN sections 2 and 5.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.statement import Statement, said
from deepnode_ledger.statement_data import (
    OUTPUT_SUBMITTED,
    TASK_ASSIGNED,
    TASK_CREATED,
    TASK_EXPIRED,
    TASK_REASSIGNED,
    TASK_REJECTED,
    OutputSubmitted,
    TaskAssigned,
    TaskCreated,
    TaskExpired,
    TaskReassigned,
    TaskRejected,
    Usage,
)
from deepnode_projections.registers.record import Amount
from deepnode_projections.registers.state import State
from deepnode_projections.rules.collateral import Collateral
from deepnode_projections.rules.comparisons import compare
from deepnode_projections.rules.epochs import current
from deepnode_projections.rules.registry import MINER, Model, Node
from deepnode_projections.rules.scene import NoEffect, Scene, TaskRules
from deepnode_projections.rules.trust import learn, ruleset_of, score_of

ATTEMPTS_MAX: Final = 3
"""How often a task is tried."""

CREATED: Final = "created"
ASSIGNED: Final = "assigned"
APPROVED: Final = "approved"
FAILED: Final = "failed"
CREDITED: Final = "credited"
REJECTED: Final = "rejected"
EXPIRED: Final = "expired"

CORRECT: Final = "correct"
INCORRECT: Final = "incorrect"
MISSING: Final = "missing"


@dataclass(frozen=True, slots=True)
class Task:
    """A task and how far it is.

    ``task`` is its id. ``domain`` is whose nodes work on it. ``model`` is what it was asked of, in that
    ``version``. ``consumer_hash`` stands for who asked, ``input_hash`` for what. ``price`` is what the task costs,
    in base units of ``asset``. ``asset`` is a token of the manifest (20 bytes). ``difficulty_ppm`` weights the
    work, a million being the ordinary task. ``producer`` is who told of it first, in ``epoch``. ``stage`` is
    created, assigned, approved, failed, credited, rejected or expired. ``attempt`` is the one that it is in, from
    1. ``created_position`` is the entry that it began with. ``event_id`` is the producer's event that told of it.
    ``judged_epoch`` is when there was its first consensus, ``credited_epoch`` when its work was credited.
    """

    TABLE: ClassVar[str] = "task"
    KEY: ClassVar[int] = 1
    FOUND_BY: ClassVar[tuple[str, ...]] = ("model", "domain")

    task: bytes
    domain: bytes
    model: bytes
    version: int
    consumer_hash: bytes
    price: Amount
    asset: bytes
    difficulty_ppm: int
    input_hash: bytes
    producer: str
    epoch: int
    stage: str
    attempt: int
    created_position: int
    event_id: str
    judged_epoch: int | None = None
    credited_epoch: int | None = None


@dataclass(frozen=True, slots=True)
class Slot:
    """A node's part in an attempt at a task, from its assignment to its credit.

    ``attempt`` and ``slot`` count from 1. ``node`` is who was given it. ``trust_ppm`` is the node's score as the
    books knew it then, ``stated_trust_ppm`` as the producer stated it. ``collateral`` is what was free behind the
    node (base units) as the books knew it then, if a contract had told of any, ``stated_collateral`` as the
    producer stated it. ``assigned_position`` is the entry that gave it the slot. ``output_hash`` stands for its
    answer, which came with the entry at ``output_position``. ``latency_ms`` is how long the answer took, in
    milliseconds. ``input_tokens`` and ``output_tokens`` are what it took. ``reported_severity`` is the worst of
    the reports of bad behaviour, from 1 to 3, or 0 without one. ``verdict`` is correct, incorrect or missing (no
    answer), once there is a consensus. ``vwu`` is what was assigned for it. ``credited_vwu`` is what counts of
    that as the node's work. ``vwu_event`` is the event of ``vwu_producer`` that assigned it.
    """

    TABLE: ClassVar[str] = "task_slot"
    KEY: ClassVar[int] = 3
    FOUND_BY: ClassVar[tuple[str, ...]] = ("node",)

    task: bytes
    attempt: int
    slot: int
    node: bytes
    trust_ppm: int
    stated_trust_ppm: int
    collateral: Amount | None
    stated_collateral: Amount
    assigned_position: int
    output_hash: bytes | None = None
    output_position: int | None = None
    latency_ms: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    reported_severity: int = 0
    verdict: str | None = None
    vwu: int | None = None
    credited_vwu: int | None = None
    vwu_producer: str | None = None
    vwu_event: str | None = None

    @property
    def named(self) -> str:
        """Which slot it is, in the words of a reason."""
        return f"slot {self.slot} in attempt {self.attempt} of task {to_hex(self.task)}"


def task_of(state: State, task: bytes) -> Task:
    """Return a task that must be there.

    Raises:
        NoEffect: it was never created.
    """
    found = state.get(Task, task)
    if found is None:
        raise NoEffect(f"task {to_hex(task)} was never created")
    return found


def task_at(state: State, task: bytes, attempt: int, *stages: str) -> Task:
    """Return a task that must be in this attempt and at one of these stages.

    Raises:
        NoEffect: it is not; the message says where it is.
    """
    found = task_of(state, task)
    if found.attempt != attempt:
        raise NoEffect(f"task {to_hex(task)} is in attempt {found.attempt}, not in {attempt}")
    if found.stage not in stages:
        raise NoEffect(f"task {to_hex(task)} is {found.stage}, not {' or '.join(stages)}")
    return found


def slot_of(state: State, task: Task, slot: int) -> Slot:
    """Return a slot of the task's attempt, which must be assigned.

    Raises:
        NoEffect: it is not.
    """
    found = state.get(Slot, task.task, task.attempt, slot)
    if found is None:
        raise NoEffect(f"slot {slot} in attempt {task.attempt} of task {to_hex(task.task)} is not assigned")
    return found


def slots_of(state: State, task: bytes, attempt: int) -> Sequence[Slot]:
    """Return the slots of an attempt that are assigned, in their order."""
    return state.every(Slot, task, attempt)


def slot_with(state: State, task: Task, slot: int, node: bytes) -> Slot:
    """Return a slot of the task's attempt, which must be this node's.

    Raises:
        NoEffect: it is not.
    """
    found = slot_of(state, task, slot)
    if found.node != node:
        raise NoEffect(f"{found.named} is node {to_hex(found.node)}'s, not {to_hex(node)}'s")
    return found


def check_node(state: State, node: bytes, role: int, domain: bytes) -> None:
    """Check that a node may work in a domain in this role, as far as the registry knows it.

    A node that leaves may work to the end of its epoch: what it was given to do, and its leaving, are told by two who
    know nothing of each other, and which of them comes first must not decide who is paid.

    Raises:
        NoEffect: it has another role or domain, or has left in an earlier epoch.
    """
    known = state.get(Node, node)
    if known is None:
        return
    if known.role != role:
        raise NoEffect(f"node {to_hex(node)} has role {known.role}, not {role}")
    if known.domain != domain:
        raise NoEffect(f"node {to_hex(node)} is of domain {to_hex(known.domain)}, not of {to_hex(domain)}")
    if known.left_epoch is not None and known.left_epoch < current(state):
        left = f"in epoch {known.left_epoch}, for reason {known.left_reason}"
        raise NoEffect(f"node {to_hex(node)} has left {left}")


def check_token(scene: Scene, asset: bytes) -> None:
    """Check that an asset is a token of the manifest.

    Raises:
        NoEffect: it is not.
    """
    contract = scene.contract(asset)
    if contract is None or contract.kind != "Token":
        raise NoEffect(f"asset {to_hex(asset)} is no token of the manifest")


def _created(statement: Statement, scene: Scene) -> None:
    data = said(statement, TaskCreated)
    known = scene.state.get(Task, data.task)
    if known is not None:
        raise NoEffect(f"task {to_hex(data.task)} is there already: {known.stage}, by {known.producer}")
    check_token(scene, data.asset)
    model = scene.state.get(Model, data.model)
    if model is not None and model.domain != data.domain:
        raise NoEffect(f"model {to_hex(data.model)} is of domain {to_hex(model.domain)}, not of {to_hex(data.domain)}")
    scene.state.put(
        Task(
            *(data.task, data.domain, data.model, data.version, data.consumer_hash, data.price, data.asset),
            *(data.difficulty_ppm, data.input_hash, statement.producer, current(scene.state)),
            *(CREATED, 1, scene.position, statement.event_id),
        )
    )


def _assigned(statement: Statement, scene: Scene) -> None:
    data, state = said(statement, TaskAssigned), scene.state
    task = task_at(state, data.task, data.attempt, CREATED, ASSIGNED)
    slots = ruleset_of(state).work.slots
    if data.slot > slots:
        raise NoEffect(f"slot {data.slot} of task {to_hex(data.task)}: an attempt has {slots} slots")
    for taken in slots_of(state, data.task, data.attempt):
        if data.slot == taken.slot or data.node == taken.node:
            owner = to_hex(taken.node)
            raise NoEffect(f"{taken.named} is node {owner}'s already: each slot has one node, and no node has two")
    check_node(state, data.node, MINER, task.domain)
    trust = score_of(state, MINER, data.node, task.domain)
    backing = state.get(Collateral, data.node)
    free = None if backing is None else backing.free
    if task.stage != ASSIGNED:
        state.put(replace(task, stage=ASSIGNED))
    own = (data.task, data.attempt, data.slot, data.node)
    state.put(Slot(*own, trust, data.trust_ppm, free, data.collateral, scene.position))
    compare(scene, "TaskAssigned", "trust", data.node, trust, data.trust_ppm, _why_older(data, scene))
    if free is not None:
        compare(scene, "TaskAssigned", "collateral", data.node, free, data.collateral, _why_older(data, scene))


def _why_older(data: TaskAssigned, scene: Scene) -> str:
    """Say why what is stated of a node may not be so: the assignment stands behind another block than it speaks of.

    Then it came late, or a reorg has replaced the block.
    """
    if data.block_hash in (None, scene.block_hash):
        return ""
    return f"it states what was so by block {to_hex(data.block_hash)}, and stands behind {to_hex(scene.block_hash)}"


def _answered(statement: Statement, scene: Scene) -> None:
    data, state = said(statement, OutputSubmitted), scene.state
    slot = slot_with(state, task_at(state, data.task, data.attempt, ASSIGNED), data.slot, data.node)
    if slot.output_hash is not None:
        raise NoEffect(f"{slot.named} has output {to_hex(slot.output_hash)} already")
    usage = data.usage or Usage()
    state.put(
        replace(
            slot,
            output_hash=data.output_hash,
            output_position=scene.position,
            latency_ms=data.latency_ms,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
        )
    )


def _reassigned(statement: Statement, scene: Scene) -> None:
    data = said(statement, TaskReassigned)
    task = task_at(scene.state, data.task, data.attempt, ASSIGNED, FAILED)
    if data.next_attempt != data.attempt + 1:
        raise NoEffect(f"attempt {data.next_attempt} cannot follow attempt {data.attempt}: attempts count up by one")
    if data.next_attempt > ATTEMPTS_MAX:
        raise NoEffect(f"task {to_hex(data.task)} cannot be tried {data.next_attempt} times: {ATTEMPTS_MAX} at most")
    if task.stage == ASSIGNED:
        _blame_the_silent(scene, task)
    scene.state.put(replace(task, stage=CREATED, attempt=data.next_attempt))


def _rejected(statement: Statement, scene: Scene) -> None:
    data = said(statement, TaskRejected)
    scene.state.put(replace(task_at(scene.state, data.task, data.attempt, FAILED), stage=REJECTED))


def _expired(statement: Statement, scene: Scene) -> None:
    data = said(statement, TaskExpired)
    task = task_at(scene.state, data.task, data.attempt, CREATED, ASSIGNED)
    _blame_the_silent(scene, task)
    scene.state.put(replace(task, stage=EXPIRED))


def _blame_the_silent(scene: Scene, task: Task) -> None:
    """An attempt ends without a consensus: it is the fault of the nodes that have not answered."""
    for slot in slots_of(scene.state, task.task, task.attempt):
        if slot.output_hash is None:
            scene.state.put(replace(slot, verdict=MISSING))
            learn(scene, MINER, slot.node, task.domain, "expired")


TASK_RULES: Final[TaskRules] = {
    TASK_CREATED: _created,
    TASK_ASSIGNED: _assigned,
    OUTPUT_SUBMITTED: _answered,
    TASK_REASSIGNED: _reassigned,
    TASK_REJECTED: _rejected,
    TASK_EXPIRED: _expired,
}
RECORDS: Final = (Task, Slot)
