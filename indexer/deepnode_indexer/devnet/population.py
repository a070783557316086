"""Who lives in the economy, and the transactions that found it: domains, routes, models, nodes, collateral."""

from __future__ import annotations

from dataclasses import dataclass, field

from eth_utils.crypto import keccak

from deepnode_indexer.devnet import cast_of_accounts as cast
from deepnode_indexer.devnet.deployment import Deployment
from deepnode_indexer.devnet.mempool import Call
from deepnode_indexer.devnet.task_events import Statement, Value

DN = "DNToken"
USDC = "USDCStandIn"
ASSETS = (DN, USDC)
MINER = 1
VALIDATOR = 2
ACTIVE = 2
PAUSED = 3
_UNLIMITED = 2**256 - 1
_TRUST_START_PPM = 500_000
_COLLATERAL_START = 1_000 * 10**18
# y, buyback, foundation, domain, variableBurn, yield. No rate divides a million evenly where it need not: remainders
# are what the carries are about.
_FIRST_ROUTES = {
    (0, DN): (21_337, 10_000, 10_000, 15_001, 7_003, 0),
    (0, USDC): (33_333, 10_000, 10_000, 20_011, 5_009, 3_331),
    (1, DN): (25_013, 10_000, 10_000, 0, 11_117, 2_999),
    (1, USDC): (29_989, 10_000, 10_000, 9_973, 0, 0),
}


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
    """A miner or validator. `collateral` is what the economy believes to be free; the chain knows."""

    id: bytes
    domain: int
    operator: int
    role: int
    collateral: int
    trust_ppm: int = _TRUST_START_PPM
    active: bool = True
    accused: bool = False


@dataclass(slots=True)
class Turn:
    """What one step does: calls for its block, and statements about what happened in it."""

    calls: list[Call] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)

    def call(self, sender: int, contract: str, function: str, *arguments: object) -> None:
        """Add a call to the block."""
        self.calls.append(Call(sender, contract, function, arguments))

    def say(self, name: str, **data: Value) -> None:
        """Add a statement of the producer."""
        self.statements.append(Statement(name, dict(data)))


class Population:
    """Everybody, and the assets by their addresses. The random part of their lives is elsewhere."""

    def __init__(self, seed: int, deployment: Deployment) -> None:
        self.seed = seed
        self.addresses = deployment.addresses
        self.accounts = deployment.accounts
        self.domains = [self.identity("domain", place) for place in range(len(cast.DOMAIN_OWNERS))]
        shares = [(90_001, 310_007), (120_011, 280_003), (60_007, 350_003), (150_001, 199_999)]
        self.models = [
            Model(self.identity("model", place), place % 2, cast.CREATORS[place % len(cast.CREATORS)], a, b)
            for place, (a, b) in enumerate(shares)
        ]
        self.nodes: list[Node] = []
        for place, operator in enumerate(cast.MINER_OPERATORS[:12]):
            self.add_node(place % 2, operator, MINER)
        for operator in cast.VALIDATOR_OPERATORS:
            for domain in range(2):
                self.add_node(domain, operator, VALIDATOR)

    def identity(self, kind: str, number: int) -> bytes:
        """The id of the `number`-th thing of a kind."""
        return keccak(text=f"deepnode devnet {self.seed} {kind} {number}")

    def add_node(self, domain: int, operator: int, role: int) -> Node:
        """A further node; the caller has it registered."""
        node = Node(self.identity("node", len(self.nodes)), domain, operator, role, _COLLATERAL_START)
        self.nodes.append(node)
        return node

    def miners(self, domain: int) -> list[Node]:
        """The miners of a domain that take tasks."""
        return [node for node in self.nodes if node.domain == domain and node.role == MINER and node.active]

    def validators(self, domain: int) -> list[Node]:
        """The validators of a domain."""
        return [node for node in self.nodes if node.domain == domain and node.role == VALIDATOR]

    def founding(self) -> list[list[Call]]:
        """The calls that found the economy, block by block: each block relies on those before it."""
        return [self._endow(), self._open_domains(), self._register(), self._secure()]

    def join(self, turn: Turn, node: Node) -> None:
        """Register a node and pay its collateral."""
        turn.call(node.operator, "Nodes", "register", self.domains[node.domain], node.id, node.role)
        turn.call(node.operator, "Collateral", "deposit", node.id, node.collateral)

    def _endow(self) -> list[Call]:
        turn = Turn()
        earners = [*cast.MINER_OPERATORS, *cast.VALIDATOR_OPERATORS, *cast.BACKERS, *cast.CONSUMERS, cast.STRANGER]
        for holder in earners:
            address = self.accounts[holder]
            turn.call(cast.DEPLOYER, DN, "mint", address, 1_000_000 * 10**18)
            turn.call(cast.DEPLOYER, USDC, "mint", address, 1_000_000 * 10**6)
        for place, owner in enumerate(cast.DOMAIN_OWNERS):
            uri = f"ipfs://deepnode-devnet/domain/{place}"
            turn.call(cast.DEPLOYER, "Domains", "create", self.domains[place], self.accounts[owner], uri)
        return turn.calls

    def _open_domains(self) -> list[Call]:
        turn = Turn()
        for (domain, asset), rates in _FIRST_ROUTES.items():
            turn.call(
                cast.DEPLOYER, "Domains", "setRevenueRoute", self.domains[domain], self.addresses[asset], rates, 1
            )
        for model in self.models:
            meta = keccak(model.id)
            turn.call(
                model.creator,
                "Models",
                "register",
                model.id,
                self.domains[model.domain],
                model.a,
                model.b,
                model.a + model.b,
                meta,
            )
        for operator in (*cast.MINER_OPERATORS, *cast.VALIDATOR_OPERATORS, *cast.BACKERS):
            for spender in ("Nodes", "Collateral"):
                turn.call(operator, DN, "approve", self.addresses[spender], _UNLIMITED)
        for consumer in cast.CONSUMERS:
            for asset in ASSETS:
                turn.call(consumer, asset, "approve", self.addresses["RevenueRouter"], _UNLIMITED)
        return turn.calls

    def _register(self) -> list[Call]:
        turn = Turn()
        for model in self.models:
            model.version = 1
            turn.call(model.creator, "Models", "publishVersion", model.id, keccak(model.id + b"\x01"))
            turn.call(model.creator, "Models", "setStatus", model.id, ACTIVE)
        for node in self.nodes:
            turn.call(node.operator, "Nodes", "register", self.domains[node.domain], node.id, node.role)
        return turn.calls

    def _secure(self) -> list[Call]:
        turn = Turn()
        for place, node in enumerate(self.nodes):
            # Anyone may pay a node's collateral: some nodes have a backer for it.
            payer = cast.BACKERS[0] if place % 5 == 0 else node.operator
            turn.call(payer, "Collateral", "deposit", node.id, node.collateral)
        return turn.calls
