"""The devnet's producer and the books' rules, which no import connects, mean the same."""

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from deepnode_indexer.devnet.deployment import Deployment
from deepnode_indexer.devnet.incidents import Incidents
from deepnode_indexer.devnet.inference import Inference
from deepnode_indexer.devnet.population import Population, Turn
from deepnode_indexer.devnet.task_events import Producer
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.record import TaskEvent
from deepnode_ledger.statement import Unreadable, read
from deepnode_projections.registers.state import MemoryState
from deepnode_projections.rules.comparisons import Difference
from deepnode_projections.rules.registry import Node
from deepnode_projections.rules.tasks import Task
from tests.projections.rules.spoken import put
from tests.projections.rules.told import DN, USDC, scene

STEPS = 120
ACCOUNTS = 200
"""More than the cast has."""


def events(seed: int) -> tuple[Population, list[TaskEvent]]:
    """What the devnet's producer says in some steps. Its calls to the chain, which is not there, come to nothing."""
    accounts = tuple(f"0x{number:040x}" for number in range(1, ACCOUNTS + 1))
    addresses = {"DNToken": to_hex(DN), "USDCStandIn": to_hex(USDC)}
    population, producer = Population(seed, Deployment(Path(), addresses, accounts)), Producer()
    nobody: Any = None
    incidents = Incidents(population, Random(seed), nobody, producer)
    inference = Inference(population, Random(seed), lambda turn, node, task, severity: None)
    said: list[TaskEvent] = []
    for step in range(STEPS):
        turn = Turn()
        inference.take_turn(turn)
        incidents.observe(turn)
        for statement in turn.statements:
            payload = json.loads(producer.say(statement, 1_700_000_000 + step))["payload"].encode()
            text = json.loads(payload)
            own = (text["source"], text["id"], int(text["sequence"]), text["type"])
            said.append(TaskEvent(*own, payload, bytes(65)))
    return population, said


@pytest.mark.parametrize("seed", [2, 3])
def test_the_books_allow_and_believe_what_the_devnet_says(seed: int) -> None:
    """Puts what it says of some hundred tasks to the rules: nothing is refused, and its trust is the books' trust."""
    population, said = events(seed)
    state = MemoryState()
    for node in population.nodes:
        state.put(Node(node.id, population.domains[node.domain], bytes(20), node.role, True, 0, 0, 0, None))
    for position, event in enumerate(said, 1):
        statement = read(event)
        assert not isinstance(statement, Unreadable), statement.reason
        put(statement, scene(state, position))
    stages = {task.stage for task in state.every(Task)}
    assert stages >= {"credited", "rejected", "expired"}, stages
    assert [each for each in state.every(Difference) if each.what == "trust"] == []
