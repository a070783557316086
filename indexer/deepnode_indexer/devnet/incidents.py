"""What happens now and then: pockets are paid out, money changes hands, routes and versions change, miners join late.

And what hostile people do: they send tokens to contracts that never asked for them.
"""

from __future__ import annotations

from random import Random

from eth_utils.crypto import keccak

from deepnode_indexer.devnet import cast_of_accounts as cast
from deepnode_indexer.devnet.mempool import Mempool
from deepnode_indexer.devnet.population import ACTIVE, ASSETS, DN, MINER, PAUSED, USDC, Node, Population, Turn
from deepnode_indexer.devnet.task_events import Producer

_LATE_MINERS_MAX = 12
# A little more than the withdrawal delay in blocks.
_WITHDRAWAL_STEPS = 12
_BENEFICIARIES = ("model", "model", "domain", "none", "none", "domain", "domain", "model", "domain")


class Incidents:
    """Rare things, each with its chance in thousandths a step."""

    def __init__(self, population: Population, rng: Random, mempool: Mempool, producer: Producer) -> None:
        self._population = population
        self._rng = rng
        self._mempool = mempool
        self._producer = producer
        self._step = 0
        self._late_miners = 0
        self._routes_set = 1
        self._withdrawals: list[tuple[int, Node]] = []
        self._last_price: str | None = None
        self._chances = (
            (150, self._release),
            (300, self._transfer),
            (50, self._top_up),
            (40, self._request_withdrawal),
            (20, self._change_route),
            (30, self._publish_version),
            (10, self._pause_model),
            (20, self._join_late),
            (30, self._donate),
            (10, self._change_owner),
        )

    def take_turn(self, turn: Turn, step: int) -> None:
        """Let things happen, by chance or because they are due."""
        self._step = step
        self._withdraw(turn)
        self._resume_models(turn)
        for chance, happen in self._chances:
            if self._rng.randrange(1_000) < chance:
                happen(turn)
        self.observe(turn)

    def observe(self, turn: Turn) -> None:
        """Say what the producer sees outside the chain: prices, and mistakes in what it said about them."""
        if self._last_price is not None and self._rng.randrange(1_000) < 15:
            turn.say("Correction", corrects=self._last_price, reason="source withdrew the quote", price_ppm="1000000")
            self._last_price = None
        if self._rng.randrange(1_000) < 80:
            asset = self._rng.choice(ASSETS)
            price = self._rng.randrange(300_000, 500_000) if asset == DN else self._rng.randrange(999_000, 1_001_000)
            self._last_price = self._producer.next_id(len(turn.statements) + 1)
            turn.say(
                "PriceObserved",
                asset=self._population.addresses[asset],
                fiat="USD",
                price_ppm=str(price),
                source="urn:deepnode:price:devnet",
            )

    def _release(self, turn: Turn) -> None:
        leg = self._rng.randrange(len(_BENEFICIARIES))
        kind = _BENEFICIARIES[leg]
        beneficiary = bytes(32)
        if kind == "model":
            beneficiary = self._rng.choice(self._population.models).id
        elif kind == "domain":
            beneficiary = self._rng.choice(self._population.domains)
        turn.release(self._mempool, leg, beneficiary, self._population.addresses[self._rng.choice(ASSETS)])

    def _transfer(self, turn: Turn) -> None:
        wallets = (*self._population.cast.consumers, *self._population.cast.backers, cast.STRANGER)
        sender, receiver = self._rng.choice(wallets), self._rng.choice(wallets)
        asset = self._rng.choice(ASSETS)
        amount = self._rng.randrange(10**18) if asset == DN else self._rng.randrange(10**6)
        # A receiver may be the sender and an amount may be zero: both are valid transfers, and books must bear them.
        turn.call(sender, asset, "transfer", self._population.accounts[receiver], amount)

    def _top_up(self, turn: Turn) -> None:
        node = self._rng.choice([node for node in self._population.nodes if node.active])
        amount = self._rng.randrange(1, 20 * 10**18)
        turn.call(
            self._rng.choice((node.operator, self._population.cast.backers[1])),
            "Collateral",
            "deposit",
            node.id,
            amount,
        )

    def _request_withdrawal(self, turn: Turn) -> None:
        node = self._rng.choice(self._population.nodes)
        if any(waiting is node for _, waiting in self._withdrawals):
            return
        amount = self._free(node) * self._rng.randrange(1, 10) // 100
        if amount > 0:
            turn.call(node.operator, "Collateral", "requestWithdrawal", node.id, amount)
            self._withdrawals.append((self._step + _WITHDRAWAL_STEPS, node))

    def _withdraw(self, turn: Turn) -> None:
        for due, node in [waiting for waiting in self._withdrawals if waiting[0] <= self._step]:
            self._withdrawals.remove((due, node))
            amount, unlock_at = self._mempool.read("Collateral", "withdrawalOf", node.id)
            # A review in this very block could freeze what is withdrawn: an accused node waits for its decision. And a
            # request that a reorg moved is due later than it was.
            if node.accused or self._mempool.next_time < unlock_at:
                self._withdrawals.append((self._step + 1, node))
            elif 0 < amount <= self._free(node):
                turn.call(node.operator, "Collateral", "withdraw", node.id, self._population.accounts[node.operator])

    def _free(self, node: Node) -> int:
        free: int = self._mempool.read("Collateral", "freeOf", node.id)
        return free

    def _change_route(self, turn: Turn) -> None:
        domain = self._rng.choice(self._population.domains)
        rates = (
            *(self._rng.randrange(10_000, 50_000), 10_000, 10_000),
            *(self._rng.randrange(40_000), self._rng.randrange(20_000), self._rng.randrange(5_000)),
        )
        self._routes_set += 1
        asset = self._population.addresses[self._rng.choice(ASSETS)]
        turn.call(cast.DEPLOYER, "Domains", "setRevenueRoute", domain, asset, rates, self._routes_set)

    def _publish_version(self, turn: Turn) -> None:
        model = self._rng.choice(self._population.models)
        model.version += 1
        version_hash = keccak(model.id + model.version.to_bytes(4, "big"))
        turn.call(model.creator, "Models", "publishVersion", model.id, version_hash)

    def _pause_model(self, turn: Turn) -> None:
        model = self._rng.choice(self._population.models)
        if not model.resume_at:
            model.resume_at = self._step + 4
            turn.call(model.creator, "Models", "setStatus", model.id, PAUSED)

    def _resume_models(self, turn: Turn) -> None:
        for model in self._population.models:
            if model.resume_at and model.resume_at <= self._step:
                model.resume_at = 0
                turn.call(model.creator, "Models", "setStatus", model.id, ACTIVE)

    def _join_late(self, turn: Turn) -> None:
        if self._late_miners < _LATE_MINERS_MAX:
            self._late_miners += 1
            operator = self._rng.choice(self._population.cast.miner_operators)
            self._population.join(
                turn, self._population.add_node(self._rng.randrange(len(self._population.domains)), operator, MINER)
            )

    def _donate(self, turn: Turn) -> None:
        asset, amount = self._rng.choice(((DN, 10**15), (USDC, 7)))
        victim = self._population.addresses[self._rng.choice(("RevenueRouter", "Collateral", "Domains"))]
        turn.call(cast.STRANGER, asset, "transfer", victim, self._rng.randrange(1, amount + 1))

    def _change_owner(self, turn: Turn) -> None:
        domain = self._rng.choice(self._population.domains)
        owner = self._mempool.read("Domains", "ownerOf", domain).lower()
        places = {self._population.accounts[place].lower(): place for place in self._population.cast.domain_owners}
        heir = next(place for address, place in places.items() if address != owner)
        turn.call(places[owner], "Domains", "changeOwner", domain, self._population.accounts[heir])
