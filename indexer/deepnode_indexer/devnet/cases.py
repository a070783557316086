"""Collateral cases: a node is flagged, part of its collateral is frozen, the foundation decides what becomes of it.

Its operator may appeal. A reversed case is decided anew, and the treasury makes good what the first decision took.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random

from eth_utils.crypto import keccak

from deepnode_indexer.devnet import cast_of_accounts as cast
from deepnode_indexer.devnet.history import Event, History
from deepnode_indexer.devnet.mempool import Mempool
from deepnode_indexer.devnet.population import Node, Population, Turn
from deepnode_indexer.devnet.trust import Step

DISMISSED = 0
MINOR = 1
HARMFUL = 2
# A domain needs two nodes for each task, and some to choose from.
_MINERS_MIN = 4
_APPEALED_PERCENT = 40
_REVERSED_PERCENT = 50
_UPHELD = (Step(0, 100_000), Step(0, 250_000), Step(0, 1_000_000))
"""How far trust in a node falls when a review finds it at fault, by severity from 1."""


@dataclass(slots=True)
class Case:
    """A case in progress: what is to happen next, and at which step. `lost` is what a decision took from the node."""

    id: bytes
    node: Node
    severity: int
    due: int
    happens: Callable[[Turn, Case], None]
    frozen: int = 0
    lost: int = 0


class Cases:
    """All cases that something may still happen in. A node has one at a time."""

    def __init__(self, population: Population, rng: Random, mempool: Mempool, history: History) -> None:
        self._population = population
        self._history = history
        self._rng = rng
        self._appeals = Random(f"{population.seed} appeals")  # noqa: S311 - nothing here is secret
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
        case = Case(self._population.identity("case", self._made), node, severity, self._step + 3, self._review)
        evidence = keccak(b"evidence" + task + node.id)
        reporter = self._rng.choice(self._population.cast.validator_operators)
        turn.call(reporter, "Collateral", "flag", case.id, node.id, task, severity, evidence)
        self._open.append(case)

    def take_turn(self, turn: Turn, step: int) -> None:
        """Let happen what is due."""
        self._step = step
        for case in [case for case in self._open if case.due <= step]:
            case.happens(turn, case)

    def learn(self, news: Iterable[Event]) -> None:
        """Let trust fall in nodes that the chain has found at fault, whatever was sent and when."""
        for event in news:
            if event.name == "ReviewDecided" and event.args["verdict"] != DISMISSED:
                (flagged,) = self._history.of("Flagged", caseId=event.args["caseId"])
                node = self._population.node(flagged.args["node"])
                node.trust.decide(event.block, _UPHELD[flagged.args["severity"] - 1])

    def _review(self, turn: Turn, case: Case) -> None:
        free: int = self._mempool.read("Collateral", "freeOf", case.node.id)
        amount = free * self._rng.randrange(5, 30) // 100
        if amount == 0:
            self._close(case)
            return
        turn.call(cast.FOUNDATION, "Collateral", "openReview", case.id, amount)
        case.frozen = amount
        case.due += self._rng.randrange(3, 8)
        case.happens = self._decide

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
        self._announce(turn, case, (verdict, burned, compensated, returned, retained), leaves=leaves)
        node.active = node.active and not leaves
        if verdict != DISMISSED and self._appeals.randrange(100) < _APPEALED_PERCENT:
            case.lost = burned + compensated
            case.due += 2
            case.happens = self._appeal
        else:
            self._close(case)

    def _announce(self, turn: Turn, case: Case, decision: tuple[int, int, int, int, int], *, leaves: bool) -> None:
        reason = (keccak(b"reason" + case.id), f"ipfs://deepnode-devnet/case/{case.id.hex()[:16]}", leaves)
        turn.call(cast.FOUNDATION, "Collateral", "decideReview", case.id, (*decision, *reason))

    def _appeal(self, turn: Turn, case: Case) -> None:
        turn.call(case.node.operator, "Collateral", "appeal", case.id, keccak(b"grounds" + case.id))
        if self._appeals.randrange(100) < _REVERSED_PERCENT:
            case.due += 4
            case.happens = self._reverse
        else:
            self._close(case)

    def _reverse(self, turn: Turn, case: Case) -> None:
        self._made += 1
        anew = self._population.identity("case", self._made)
        turn.call(cast.FOUNDATION, "Collateral", "reverse", case.id, anew)
        case.id = anew
        case.due += 3
        case.happens = self._decide_anew

    def _decide_anew(self, turn: Turn, case: Case) -> None:
        """Nothing is frozen any more, so nothing is divided; trust that was lost stays lost."""
        self._announce(turn, case, (DISMISSED, 0, 0, 0, 0), leaves=False)
        if case.lost:
            turn.call(cast.TREASURY, "Collateral", "deposit", case.node.id, case.lost)
        self._close(case)

    def _close(self, case: Case) -> None:
        case.node.accused = False
        self._open.remove(case)
