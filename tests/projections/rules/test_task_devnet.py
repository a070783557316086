"""The devnet's economy and the books' rules, which no import connects, mean the same."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest

from deepnode_indexer.devnet.deployment import Deployment
from deepnode_indexer.devnet.incidents import Incidents
from deepnode_indexer.devnet.inference import Inference
from deepnode_indexer.devnet.population import Population, Turn
from deepnode_indexer.devnet.task_events import Producer
from deepnode_indexer.devnet.workbook import FULL_CREDIT, SPLIT_CREDIT, Workbook
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.record import TaskEvent
from deepnode_ledger.statement import Unreadable, read
from deepnode_projections.registers.state import MemoryState
from deepnode_projections.rules.comparisons import Difference
from deepnode_projections.rules.parameters import RulesetInForce
from deepnode_projections.rules.registry import Node
from deepnode_projections.rules.tasks import Task
from deepnode_projections.rules.trust import Trust
from deepnode_projections.rules.work import ModelUse, ValidatorWork, Work
from tests.projections.rules.spoken import put
from tests.projections.rules.told import BLOCK_HASH, DN, USDC, open_epoch, scene

STEPS = 120
ACCOUNTS = 400
"""More than the cast has."""


@dataclass
class Lived:
    """An economy that has lived for some steps without a chain, and what its producer said."""

    population: Population
    workbook: Workbook
    said: list[TaskEvent]


def live(seed: int) -> Lived:
    """Play tasks and observations; calls to the chain come to nothing."""
    accounts = tuple(f"0x{number:040x}" for number in range(1, ACCOUNTS + 1))
    addresses = {"DNToken": to_hex(DN), "USDCStandIn": to_hex(USDC)}
    population, producer = Population(seed, Deployment(Path(), addresses, accounts)), Producer()
    nobody: Any = None
    incidents = Incidents(population, Random(seed), nobody, producer)
    lived = Lived(population, Workbook(), [])
    inference = Inference(population, Random(seed), lived.workbook, lambda turn, node, task, severity: None)
    for step in range(STEPS):
        turn = Turn(block_hash=to_hex(BLOCK_HASH))
        inference.take_turn(turn)
        incidents.observe(turn)
        lived.workbook.close(step)
        for statement in turn.statements:
            payload = json.loads(producer.say(statement, 1_700_000_000 + step))["payload"].encode()
            text = json.loads(payload)
            own = (text["source"], text["id"], int(text["sequence"]), text["type"])
            lived.said.append(TaskEvent(*own, payload, bytes(65)))
    return lived


def books(lived: Lived, ruleset: bytes) -> MemoryState:
    """The state after everything that was said, in epoch 1; nothing of it may be refused."""
    state = MemoryState()
    open_epoch(state, 1)
    state.put(RulesetInForce(1, ruleset, 1))
    for node in lived.population.nodes:
        domain = lived.population.domains[node.domain]
        state.put(Node(node.id, domain, bytes(20), node.role, True, 0, 0, 0, None, None))
    for position, event in enumerate(lived.said, 1):
        statement = read(event)
        assert not isinstance(statement, Unreadable), statement.reason
        put(statement, scene(state, position))
    return state


class OneEpoch:
    """A history with one epoch, which is open, and one ruleset."""

    def __init__(self, ruleset: bytes) -> None:
        self._ruleset = ruleset

    def start_of(self, epoch: int) -> tuple[int, int] | None:
        """Epoch 1 began with the chain."""
        return (0, 0) if epoch == 1 else None

    def ruleset(self, epoch: int) -> bytes:
        """The same in every epoch."""
        return self._ruleset


@pytest.mark.parametrize("seed", [1, 2])
def test_the_books_allow_what_the_devnet_says_and_trust_as_it_does(seed: int) -> None:
    """Puts what it says of some hundred tasks to the rules: nothing is refused, and no trust is another's."""
    lived = live(seed)
    state = books(lived, FULL_CREDIT)
    assert len(state.every(Task)) > STEPS
    assert {"credited", "expired"} <= {task.stage for task in state.every(Task)}
    assert [each for each in state.every(Difference) if each.what == "trust"] == []
    known = {each.subject: each.score for each in state.every(Trust)}
    assert known
    assert {node.id: node.trust_ppm for node in lived.population.nodes if node.id in known} == known


@pytest.mark.parametrize("ruleset", [FULL_CREDIT, SPLIT_CREDIT])
def test_the_devnets_workbook_and_the_books_have_the_same_work(ruleset: bytes) -> None:
    """Counts the same epoch by the devnet's own hand, which its reward roots are made from, and by the rules."""
    lived = live(4)
    state = books(lived, ruleset)
    history: Any = OneEpoch(ruleset)
    by_domain = lived.workbook.of_epoch(history, 1, lived.population.domains)
    assert {domain for domain, work in by_domain.items() if work.miners} == set(lived.population.domains)
    for domain, work in by_domain.items():
        assert weights(state.every(Work, 1, domain), "node") == dict(work.miners)
        assert weights(state.every(ValidatorWork, 1, domain), "validator") == dict(work.validators)
        assert weights(state.every(ModelUse, 1, domain), "model") == dict(work.models)


def weights(found: Any, name: str) -> Mapping[bytes, int]:
    """The weighted work by whose it is, zeros left out."""
    return {getattr(each, name): each.weighted for each in found if each.weighted}
