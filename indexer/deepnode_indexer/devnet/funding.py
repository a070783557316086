"""Funding rounds: creators ask, backers pay; what is met is spent and may earn, what is missed is repaid."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from eth_utils.crypto import keccak

from deepnode_indexer.devnet import cast_of_accounts as cast
from deepnode_indexer.devnet.history import Event, History
from deepnode_indexer.devnet.mempool import Mempool
from deepnode_indexer.devnet.population import Model, Population, Turn

_ROUNDS_IN_THOUSAND = 40
_ROUNDS_AT_ONCE = 4
_DEADLINE_SECONDS = 60
_LIFE_STEPS = 120
_LOST_STEPS = 45
_MISSED_PERCENT = 40
"""A round that is going to be missed raises no more than this part of its target."""


@dataclass(frozen=True, slots=True)
class Round:
    """A round: whether enough backers believe in it, and the step at which it was opened."""

    id: bytes
    model: Model
    convinces: bool
    opened: int


class Funding:
    """All rounds that something may still happen to. One thing a block happens to each."""

    def __init__(self, population: Population, mempool: Mempool, history: History) -> None:
        self._population = population
        self._rng = Random(f"{population.seed} funding")  # noqa: S311 - nothing here is secret
        self._mempool = mempool
        self._history = history
        self._rounds: list[Round] = []
        self._made = 0

    def take_turn(self, turn: Turn, step: int) -> None:
        """Open a round now and then, and bring the others on."""
        opened = {event.args["round"]: event for event in self._history.of("RoundOpened")}
        self._rounds = [one for one in self._rounds if step - one.opened < _LIFE_STEPS]
        for one in list(self._rounds):
            if one.id in opened:
                self._bring_on(turn, one, opened[one.id], step)
            elif step - one.opened > _LOST_STEPS:
                # A reorg has lost its opening.
                self._rounds.remove(one)
        if len(self._rounds) < _ROUNDS_AT_ONCE and (
            self._made == 0 or self._rng.randrange(1_000) < _ROUNDS_IN_THOUSAND
        ):
            self._open(turn, step)
        earns = self._rng.randrange(1_000) < 60 and self._mempool.read("YieldVaultStandIn", "totalSupply") > 0
        if earns:
            # What the vault earns comes from outside; here it is somebody's gift.
            vault = self._population.addresses["YieldVaultStandIn"]
            turn.call(cast.YIELD_VAULT, "USDCStandIn", "transfer", vault, self._rng.randrange(1, 50 * 10**6))

    def _open(self, turn: Turn, step: int) -> None:
        rng = self._rng
        self._made += 1
        model = rng.choice(self._population.models)
        # Of the first two, one is met and one is missed.
        convinces = self._made % 2 == 1 if self._made <= 2 else rng.randrange(3) > 0
        one = Round(self._population.identity("round", self._made), model, convinces, step)
        target = rng.randrange(100, 5_000) * 10**6 + rng.randrange(10**6)
        deadline = self._mempool.next_time + _DEADLINE_SECONDS
        turn.call(model.creator, "Funding", "openRound", one.id, model.id, target, deadline, keccak(b"terms" + one.id))
        self._rounds.append(one)

    def _bring_on(self, turn: Turn, one: Round, opened: Event, step: int) -> None:
        target = opened.args["target"]
        raised = sum(event.args["amount"] for event in self._history.of("Backed", round=one.id))
        is_open = self._mempool.next_time <= opened.args["deadline"]
        if raised == target:
            if self._rng.randrange(100) < 30:
                self._use(turn, one)
        elif is_open:
            limit = target if one.convinces else target * _MISSED_PERCENT // 100
            if self._rng.randrange(100) < 50 and raised < limit:
                self._back(turn, one, target, limit - raised)
        else:
            self._repay(turn, one)

    def _back(self, turn: Turn, one: Round, target: int, left: int) -> None:
        amount = min(left, target * self._rng.randrange(10, 40) // 100 + self._rng.randrange(1, 1_000))
        turn.call(self._rng.choice(self._population.cast.backers), "Funding", "back", one.id, amount)

    def _repay(self, turn: Turn, one: Round) -> None:
        """Anybody may ask that a backer of a missed round is repaid."""
        repaid = {event.args["backer"] for event in self._history.of("Refunded", round=one.id)}
        for event in self._history.of("Backed", round=one.id):
            if event.args["backer"] not in repaid:
                turn.call(cast.STRANGER, "Funding", "refund", one.id, "0x" + event.args["backer"].hex())
                return

    def _use(self, turn: Turn, one: Round) -> None:
        rng = self._rng
        held = _Held.of(self._mempool.read("Funding", "roundOf", one.id))
        luck = rng.randrange(100)
        if luck < 35 and held.idle > 1:
            turn.call(cast.FOUNDATION, "Funding", "releaseFunds", one.id, held.idle * rng.randrange(20, 101) // 100)
        elif luck < 60 and held.idle > 10**6:
            turn.call(cast.TREASURER, "Funding", "depositIdle", one.id, held.idle * rng.randrange(30, 90) // 100)
        elif luck < 80 and held.vault_shares > 1:
            shares = held.vault_shares if rng.randrange(2) else held.vault_shares // 2
            turn.call(cast.TREASURER, "Funding", "withdrawIdle", one.id, shares)
        elif luck >= 80:
            self._hand_over(turn, one)

    def _hand_over(self, turn: Turn, one: Round) -> None:
        """A backer passes on some of its shares."""
        seller = self._rng.choice(self._population.cast.backers)
        shares: int = self._mempool.read("Funding", "sharesOf", one.id, self._population.accounts[seller])
        if shares > 1:
            buyer = self._population.accounts[self._rng.choice(self._population.cast.investors)]
            turn.call(seller, "Funding", "transferShares", one.id, buyer, shares * self._rng.randrange(10, 101) // 100)


@dataclass(frozen=True, slots=True)
class _Held:
    """What a round that was met has: its money in the contract, and its shares of the vault."""

    idle: int
    vault_shares: int

    @classmethod
    def of(cls, stored: Any) -> _Held:
        _, _, _, _, raised, released, refunded, lent, returned, vault_shares = stored
        return cls(raised + returned - released - refunded - lent, vault_shares)
