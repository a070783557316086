"""Staking on validators, miners, models and domains: raised, moved, taken back behind the unbonding; commissions."""

from __future__ import annotations

from random import Random

from deepnode_indexer.devnet.entitlements import ON_DOMAIN, ON_MINER, ON_MODEL, ON_VALIDATOR
from deepnode_indexer.devnet.history import Event, History, Place
from deepnode_indexer.devnet.mempool import Mempool
from deepnode_indexer.devnet.population import MINER, VALIDATOR, Population, Turn

_DN_UNIT = 10**18
_MOVES_IN_THOUSAND = 300
_LAST_DOMAIN_EPOCHS = 2
"""Nobody stakes on the last domain before this epoch is over: its stakers' leg is empty until then."""

Position = tuple[int, int, bytes]
"""A staker's place among the accounts, the type of its target, and the target."""


class Stakers:
    """Everybody who stakes. Nobody ever takes back everything, so that there is always somebody to vote."""

    def __init__(self, population: Population, mempool: Mempool, history: History) -> None:
        self._population = population
        self._rng = Random(f"{population.seed} staking")  # noqa: S311 - nothing here is secret
        self._mempool = mempool
        self._history = history
        self._positions: list[Position] = []
        self._places = {population.accounts[place].lower(): place for place in population.cast.investors}
        nodes = population.nodes
        self._validators = [node for node in nodes if node.role == VALIDATOR]
        self._miners = [node for node in nodes if node.role == MINER]

    def founding(self) -> Turn:
        """The first stakes and commissions: on a validator each, and half of them on a domain, a model or a miner too.

        Some validators have no delegators.
        """
        turn, rng = Turn(), self._rng
        for place, staker in enumerate(self._population.cast.investors):
            validator = self._validators[place * 2 % len(self._validators)]
            self._stake(turn, (staker, ON_VALIDATOR, validator.id), rng.randrange(500, 2_000) * _DN_UNIT + place)
            self._stake(
                turn, (staker, *self._target(place % 4 + 1)), rng.randrange(100, 900) * _DN_UNIT + rng.getrandbits(40)
            )
        for validator in self._validators[: len(self._validators) * 3 // 4]:
            turn.call(validator.operator, "Staking", "setCommission", validator.id, rng.randrange(200_000), 1)
        return turn

    def take_turn(self, turn: Turn) -> None:
        """Pay out what has unbonded, and let some stakers move, each at most once in a block."""
        self._collect(turn)
        movers: set[int] = set()
        for _ in range(self._population.cast.moves_per_block_max):
            if self._rng.randrange(1_000) < _MOVES_IN_THOUSAND:
                self._move(turn, movers)

    def _move(self, turn: Turn, movers: set[int]) -> None:
        rng = self._rng
        luck = rng.randrange(100)
        if luck < 10:
            # A commission that is set late holds from a later epoch: rates are those at an epoch's start.
            validator = rng.choice(self._validators)
            arguments = (validator.id, rng.randrange(300_000), self._history.epoch + 2)
            turn.call(validator.operator, "Staking", "setCommission", *arguments)
            return
        staker, target_type, target = rng.choice(self._positions)
        if staker in movers:
            return
        movers.add(staker)
        if luck < 40:
            amount = rng.randrange(1, 300) * _DN_UNIT + rng.getrandbits(50)
            self._stake(turn, (staker, *self._target(rng.randrange(1, 5))), amount)
            return
        held: int = self._mempool.read("Staking", "stakeOn", self._account(staker), target_type, target)
        amount = held * rng.randrange(5, 50) // 100
        if amount < _DN_UNIT:
            return
        if luck < 70:
            turn.call(staker, "Staking", "requestUnstake", target_type, target, amount)
        else:
            to_type, to = self._target(rng.randrange(1, 5))
            if (to_type, to) != (target_type, target):
                turn.call(staker, "Staking", "redelegate", target_type, target, to_type, to, amount)
                self._remember((staker, to_type, to))

    def _collect(self, turn: Turn) -> None:
        paid: dict[Position, Place] = {}
        for event in self._history.of("Unstaked"):
            paid[self._position(event)] = event.place
        due: dict[Position, int] = {}
        for event in self._history.of("UnstakeRequested"):
            position = self._position(event)
            if event.place > paid.get(position, (0, 0)):
                due[position] = event.args["unlockAt"]
        for (staker, target_type, target), unlock_at in due.items():
            if self._mempool.next_time >= unlock_at:
                turn.call(staker, "Staking", "unstake", target_type, target)

    def _position(self, event: Event) -> Position:
        staker = self._places["0x" + event.args["staker"].hex()]
        return staker, event.args["targetType"], event.args["target"]

    def _stake(self, turn: Turn, position: Position, amount: int) -> None:
        turn.call(position[0], "Staking", "stake", position[1], position[2], amount)
        self._remember(position)

    def _remember(self, position: Position) -> None:
        if position not in self._positions:
            self._positions.append(position)

    def _target(self, target_type: int) -> tuple[int, bytes]:
        """Something to stake on, of this type."""
        rng, population = self._rng, self._population
        if target_type == ON_VALIDATOR:
            return ON_VALIDATOR, rng.choice(self._validators).id
        if target_type == ON_MINER:
            return ON_MINER, rng.choice(self._miners).id
        if target_type == ON_MODEL:
            return ON_MODEL, rng.choice(population.models).id
        known = population.domains if self._history.epoch > _LAST_DOMAIN_EPOCHS else population.domains[:-1]
        return ON_DOMAIN, rng.choice(known)

    def _account(self, place: int) -> str:
        return self._population.accounts[place]
