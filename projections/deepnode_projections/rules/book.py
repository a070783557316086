"""The book of rules: all rules together, and how an event is put to them.

An event is put to the rules of every mechanism that has one for it, in the order below, all or nothing: if one of them
does not allow it, none has an effect, and the reason is kept. A log that has no rule is in the log and does nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from deepnode_ledger.decoding import ChainEvent
from deepnode_ledger.posting import AmountTooLarge, Posting
from deepnode_ledger.record import TaskEvent
from deepnode_ledger.statement import Unreadable, read
from deepnode_projections.registers.record import Record
from deepnode_projections.rules import (
    burns,
    checkpoints,
    claims,
    collateral,
    comparisons,
    corrections,
    domains,
    economics,
    emission,
    epochs,
    funding,
    governance,
    observations,
    parameters,
    pools,
    powr,
    registry,
    revenue,
    staking,
    tasks,
    tokens,
    trust,
    verdicts,
    work,
)
from deepnode_projections.rules.scene import NoEffect, Rule, Scene, TaskRule

_CHAIN: Final = (
    tokens,
    parameters,
    domains,
    registry,
    collateral,
    staking,
    funding,
    revenue,
    burns,
    epochs,
    emission,
    pools,
    claims,
    economics,
    governance,
    checkpoints,
)
_TASKS: Final = (tasks, verdicts, work, trust, powr, observations, corrections)

RECORDS: Final[tuple[type[Record], ...]] = tuple(
    sorted(
        chain.from_iterable(getattr(each, "RECORDS", ()) for each in (*_CHAIN, *_TASKS, comparisons)),
        key=lambda kind: kind.TABLE,
    )
)
"""Every kind of record, in the order of their tables' names."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An event without effect, and why."""

    reason: str


def has_rule(kind: str, name: str) -> bool:
    """Say whether events of this name, of contracts of this kind, do anything to the books."""
    return (kind, name) in _RULES


def apply(event: ChainEvent, scene: Scene) -> Sequence[Posting] | Refusal:
    """Put a decoded log to the rules; return what it moves."""
    moved: list[Posting] = []
    try:
        with scene.state.attempt(scene.position):
            for rule in _RULES.get((event.contract.kind, event.name), ()):
                moved += rule(event, scene)
    except (NoEffect, AmountTooLarge) as error:
        return Refusal(str(error))
    return moved


def hear(event: TaskEvent, scene: Scene) -> Refusal | None:
    """Put a task event to the rules: it moves no money."""
    statement = read(event)
    if isinstance(statement, Unreadable):
        return Refusal(statement.reason)
    try:
        with scene.state.attempt(scene.position):
            for rule in _TASK_RULES.get(statement.type, ()):
                rule(statement, scene)
    except NoEffect as error:
        return Refusal(str(error))
    return None


def _rules() -> dict[tuple[str, str], tuple[Rule, ...]]:
    found: dict[tuple[str, str], tuple[Rule, ...]] = {}
    for mechanism in (*_CHAIN, *_TASKS):
        for name, rule in getattr(mechanism, "RULES", {}).items():
            found[name] = (*found.get(name, ()), rule)
    return found


def _task_rules() -> dict[str, tuple[TaskRule, ...]]:
    found: dict[str, tuple[TaskRule, ...]] = {}
    for mechanism in _TASKS:
        for name, rule in getattr(mechanism, "TASK_RULES", {}).items():
            found[name] = (*found.get(name, ()), rule)
    return found


_RULES: Final = _rules()
_TASK_RULES: Final = _task_rules()
