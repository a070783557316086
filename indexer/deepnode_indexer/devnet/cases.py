"""Collateral cases: a node is flagged, part of its collateral is frozen, the foundation decides what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from eth_utils.crypto import keccak

from deepnode_indexer.devnet import cast_of_accounts as cast
from deepnode_indexer.devnet.mempool import Mempool
from deepnode_indexer.devnet.population import Node, Population, Turn

DISMISSED = 0
MINOR = 1
HARMFUL = 2
# A domain needs two nodes for each task, and some to choose from.
_MINERS_MIN = 4


@dataclass(slots=True)
class Case:
    """A case in progress. `due` is the step at which the foundation takes it up again."""

    id: bytes
    node: Node
    severity: int
    due: int
    frozen: int = 0


class Cases:
    """All cases that are not decided yet. A node has one at a time."""

    def __init__(self, population: Population, rng: Random, mempool: Mempool) -> None:
        self._population = population
        self._rng = rng
        self._mempool = mempool
        self._made = 0
        self._step = 0
        self._open: list[Case] = []

    def accuse(self, turn: Turn, node: Node, task: bytes, severity: int) -> None:
        """A validator flags `node` for what it did in `task`, unless it is accused already."""
        if node.accused:
            return
        node.accused = True
        self._made += 1
        case = Case(self._population.identity("case", self._made), node, severity, self._step + 3)
        evidence = keccak(b"evidence" + task + node.id)
        reporter = self._rng.choice(cast.VALIDATOR_OPERATORS)
        turn.call(reporter, "Collateral", "flag", case.id, node.id, task, severity, evidence)
        self._open.append(case)

    def take_turn(self, turn: Turn, step: int) -> None:
        """Let the foundation open and decide what is due."""
        self._step = step
        for case in [case for case in self._open if case.due <= step]:
            if case.frozen == 0:
                self._review(turn, case)
            else:
                self._decide(turn, case)

    def _review(self, turn: Turn, case: Case) -> None:
        free: int = self._mempool.read("Collateral", "freeOf", case.node.id)
        amount = free * self._rng.randrange(5, 30) // 100
        if amount == 0:
            self._close(case)
            return
        turn.call(cast.FOUNDATION, "Collateral", "openReview", case.id, amount)
        case.frozen = amount
        case.node.collateral = free - amount
        case.due += self._rng.randrange(3, 8)

    def _decide(self, turn: Turn, case: Case) -> None:
        node = case.node
        verdict = self._rng.choice((DISMISSED, MINOR, HARMFUL)) if case.severity < 3 else HARMFUL
        burned = compensated = returned = 0
        if verdict == MINOR:
            burned = case.frozen * self._rng.randrange(1, 20) // 100
            returned = case.frozen * self._rng.randrange(1, 30) // 100
        elif verdict == HARMFUL:
            burned = case.frozen * self._rng.randrange(30, 60) // 100
            compensated = case.frozen * self._rng.randrange(1, 20) // 100
            returned = case.frozen - burned - compensated
        retained = case.frozen - burned - compensated - returned
        leaves = verdict == HARMFUL and node.active and len(self._population.miners(node.domain)) > _MINERS_MIN
        decision = (
            *(verdict, burned, compensated, returned, retained),
            *(keccak(b"reason" + case.id), f"ipfs://deepnode-devnet/case/{case.id.hex()[:16]}", leaves),
        )
        turn.call(cast.FOUNDATION, "Collateral", "decideReview", case.id, decision)
        node.collateral += retained
        node.active = node.active and not leaves
        self._close(case)

    def _close(self, case: Case) -> None:
        case.node.accused = False
        self._open.remove(case)
