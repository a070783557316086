"""Who lives in the economy, and the transactions that found it: domains, routes, models, nodes, collateral."""

from __future__ import annotations

from dataclasses import dataclass, field

from eth_utils.crypto import keccak

from deepnode_indexer.devnet import cast_of_accounts as cast
from deepnode_indexer.devnet.deployment import Deployment
from deepnode_indexer.devnet.mempool import Call, Mempool
from deepnode_indexer.devnet.task_events import Stated, Statement
from deepnode_indexer.devnet.trust import Lesson, Trust

DN = "DNToken"
USDC = "USDCStandIn"
ASSETS = (DN, USDC)
MINER = 1
VALIDATOR = 2
ACTIVE = 2
PAUSED = 3
_COLLATERAL_START = 1_000 * 10**18
_SHARES = ((90_001, 310_007), (120_011, 280_003), (60_007, 350_003), (150_001, 199_999))
"""Of models in their order, over and over: a (backers) and b (creator) in ppm."""


@dataclass(slots=True)
class Model:
    """A model; `a` and `b` in ppm. `resume_at` is the step at which a paused model resumes, 0 if it is not paused."""

    id: bytes
    domain: int
    creator: int
    a: int
    b: int
    version: int = 0
    resume_at: int = 0


@dataclass(slots=True)
class Node:
    """A miner or validator. `collateral` was free by the contract when it was looked at last; at first it is promised.

    One that `cheats` gives wrong outputs, or wrong verdicts, more often than others.
    """

    id: bytes
    domain: int
    operator: int
    role: int
    collateral: int
    trust: Trust = field(default_factory=Trust)
    active: bool = True
    accused: bool = False
    cheats: bool = False

    @property
    def trust_ppm(self) -> int:
        """How far the node is trusted now."""
        return self.trust.ppm


@dataclass(slots=True)
class Turn:
    """What one step does: calls for its block, and statements about what happened in it.

    `assigned` are the nodes whose collateral is stated; `block_hash` is the block by which it is, once that is mined.
    """

    calls: list[Call] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
    assigned: list[Node] = field(default_factory=list)
    block_hash: str = ""

    def call(self, sender: int, contract: str, function: str, *arguments: object) -> None:
        """Add a call to the block."""
        self.calls.append(Call(sender, contract, function, arguments))

    def release(self, mempool: Mempool, leg: int, beneficiary: bytes, asset: str) -> None:
        """Have a pocket of the router paid out, unless it is empty or paid out in this block already.

        Anyone may ask for it; the money goes where it belongs.
        """
        call = Call(cast.STRANGER, "RevenueRouter", "release", (leg, beneficiary, asset))
        if call not in self.calls and mempool.read("RevenueRouter", "pocketOf", leg, beneficiary, asset) > 0:
            self.calls.append(call)

    def say(self, name: str, *lessons: Lesson, **data: Stated) -> None:
        """Add a statement of the producer, and what it teaches."""
        self.statements.append(Statement(name, dict(data), lessons))


class Population:
    """Everybody and everything, by seed."""

    def __init__(self, seed: int, deployment: Deployment) -> None:
        self.seed = seed
        self.addresses = deployment.addresses
        self.accounts = deployment.accounts
        self.cast = deployment.cast
        self.domains = [self.identity("domain", place) for place in range(len(self.cast.domain_owners))]
        count = len(self.domains)
        self.models = [
            Model(
                self.identity("model", place), place % count, self.cast.creators[place % len(self.cast.creators)], a, b
            )
            for place in range(self.cast.models)
            for a, b in [_SHARES[place % len(_SHARES)]]
        ]
        self.nodes: list[Node] = []
        for place, operator in enumerate(self.cast.miner_operators[: self.cast.miners_first]):
            self.add_node(place % count, operator, MINER)
        for place, operator in enumerate(self.cast.validator_operators):
            for further in range(self.cast.domains_of_validator):
                self.add_node((place * self.cast.domains_of_validator + further) % count, operator, VALIDATOR)

    def identity(self, kind: str, number: int) -> bytes:
        """The id of the `number`-th thing of a kind."""
        return keccak(text=f"deepnode devnet {self.seed} {kind} {number}")

    def add_node(self, domain: int, operator: int, role: int) -> Node:
        """A further node; the caller has it registered."""
        node = Node(self.identity("node", len(self.nodes)), domain, operator, role, _COLLATERAL_START)
        every = self.cast.dishonest_every
        node.cheats = every > 0 and sum(other.role == role for other in self.nodes) % every == every - 1
        self.nodes.append(node)
        return node

    def node(self, node: bytes) -> Node:
        """The node of an id."""
        return next(known for known in self.nodes if known.id == node)

    def miners(self, domain: int) -> list[Node]:
        """The miners of a domain that take tasks."""
        return [node for node in self.nodes if node.domain == domain and node.role == MINER and node.active]

    def validators(self, domain: int) -> list[Node]:
        """The validators of a domain."""
        return [node for node in self.nodes if node.domain == domain and node.role == VALIDATOR]

    def join(self, turn: Turn, node: Node) -> None:
        """Register a node and pay its collateral."""
        turn.call(node.operator, "Nodes", "register", self.domains[node.domain], node.id, node.role)
        turn.call(node.operator, "Collateral", "deposit", node.id, node.collateral)
