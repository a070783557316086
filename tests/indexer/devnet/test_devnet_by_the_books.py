"""What the devnet plays is what the books' rules expect: nothing is refused, and no fact differs from expectation."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from deepnode_indexer.devnet.anvil import Anvil
from deepnode_indexer.devnet.cast_of_accounts import FULL, SMALL, Cast
from deepnode_indexer.devnet.deployment import deploy
from deepnode_indexer.devnet.economy import Economy
from deepnode_indexer.devnet.json_rpc import JsonRpc
from deepnode_ledger.decoding import ChainEvent
from deepnode_ledger.hexadecimal import from_hex
from deepnode_ledger.manifest import Manifest, load_manifest
from deepnode_ledger.record import TaskEvent
from deepnode_ledger.statement import Unreadable, read
from deepnode_ledger.vocabulary import KINDS
from deepnode_projections.registers.state import MemoryState
from deepnode_projections.rules import (
    burns,
    checkpoints,
    collateral,
    corrections,
    domains,
    emission,
    epochs,
    funding,
    governance,
    observations,
    parameters,
    registry,
    revenue,
    staking,
    tasks,
    trust,
    verdicts,
    work,
)
from deepnode_projections.rules.comparisons import Checked, Difference
from deepnode_projections.rules.scene import NoEffect, Scene

CHAIN = (
    *(epochs, registry, domains, parameters, collateral, trust, staking, funding, revenue, burns, emission),
    *(governance, checkpoints),
)
STATEMENTS = (tasks, verdicts, work, observations, corrections)

COMPARED = {
    *("BuybackExecuted", "DNBurned", "ProposalTallied", "Registered", "RevenueSplit", "ScoreCheckpoint"),
    *("TaskAssigned", "VoteCast"),
}
"""Some of the events whose facts are held against expectations."""


@dataclass
class Books:
    """Rules applied to a chain and to what is said beside it, in the order of an indexer that keeps up."""

    rpc: JsonRpc
    manifest: Manifest
    state: MemoryState = field(default_factory=MemoryState)
    refusals: list[str] = field(default_factory=list)
    _position: int = 0
    _next: int = 0

    def follow(self, said: Sequence[bytes]) -> None:
        """Apply the rules to the new blocks' logs, and then to what was said behind them."""
        logs = self.rpc.call("eth_getLogs", {"fromBlock": hex(self._next), "toBlock": "latest"})
        self._next = int(self.rpc.call("eth_blockNumber"), 16) + 1
        for log in logs:
            event = self._decoded(log)
            if event is not None:
                self._apply(chain_rules(event), event, int(log["blockNumber"], 16), int(log["blockTimestamp"], 16))
        for envelope in said:
            payload = json.loads(envelope)["payload"].encode()
            text = json.loads(payload)
            own = (text["source"], text["id"], int(text["sequence"]), text["type"])
            statement = read(TaskEvent(*own, payload, bytes(65)))
            assert not isinstance(statement, Unreadable), statement.reason
            rules = [table.TASK_RULES[statement.type] for table in STATEMENTS if statement.type in table.TASK_RULES]
            self._apply(rules, statement, self._next - 1, 0)

    def _decoded(self, log: Any) -> ChainEvent | None:
        """A log of a kind that has rules; anything else the books keep, and give no meaning."""
        contract = self.manifest.contracts.get(from_hex(log["address"]))
        if contract is None or contract.kind in ("Token", "Other"):
            return None
        topics = [from_hex(topic) for topic in log["topics"]]
        event = contract.events.get((topics[0], len(topics)))
        if event is None or event.name not in {known.name for known in KINDS[contract.kind]}:
            return None
        return ChainEvent(contract, event.name, event.decode(topics, from_hex(log["data"])))

    def _apply(self, rules: Sequence[Callable[[Any, Scene], Any]], subject: Any, block: int, time: int) -> None:
        assert rules, f"no rule for {subject}"
        self._position += 1
        scene = Scene(self.state, self.manifest, self._position, self.manifest.chain_id, block, time)
        try:
            with self.state.attempt(self._position):
                for rule in rules:
                    rule(subject, scene)
        except NoEffect as refusal:
            self.refusals.append(str(refusal))


def chain_rules(event: ChainEvent) -> list[Callable[[Any, Scene], Any]]:
    """The rules of all mechanisms for an event."""
    key = (event.contract.kind, event.name)
    return [table.RULES[key] for table in CHAIN if key in table.RULES]


@pytest.fixture
def node() -> Iterator[Anvil]:
    """A bare node."""
    with Anvil.start() as started:
        yield started


@pytest.mark.parametrize(("people", "seed", "blocks"), [(SMALL, 3, 200), (FULL, 4, 60)], ids=["small", "full"])
def test_nothing_that_the_devnet_plays_is_refused_or_differs(
    node: Anvil, tmp_path: Path, people: Cast, seed: int, blocks: int
) -> None:
    """Puts every log and statement to all rules: none is refused, and thousands of comparisons find no difference."""
    deployment = deploy(node.url, tmp_path, people)
    economy = Economy(node.url, deployment, seed)
    books = Books(JsonRpc(node.url), load_manifest(deployment.manifest))
    for _ in range(blocks):
        books.follow(economy.step())
    assert books.refusals == []
    assert books.state.every(Difference) == []
    checked = books.state.every(Checked)
    assert {each.subject for each in checked} >= COMPARED
    assert sum(each.comparisons for each in checked) > 2_000
    books.rpc.close()
