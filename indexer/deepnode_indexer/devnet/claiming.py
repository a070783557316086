"""Claims: earners come for what the root in force entitles them to. Some come often, some late, and some never."""

from __future__ import annotations

from random import Random

from deepnode_indexer.devnet import cast_of_accounts as cast
from deepnode_indexer.devnet.epochs import Epochs
from deepnode_indexer.devnet.history import History
from deepnode_indexer.devnet.mempool import Mempool
from deepnode_indexer.devnet.population import ASSETS, Population, Turn

_COME_IN_PERCENT = 40


class Claims:
    """All earners. A claim can be sent by anybody, and is paid to the earner."""

    def __init__(self, population: Population, mempool: Mempool, history: History, epochs: Epochs) -> None:
        self._population = population
        self._rng = Random(f"{population.seed} claims")  # noqa: S311 - nothing here is secret
        self._mempool = mempool
        self._history = history
        self._epochs = epochs
        self._places = {address.lower(): place for place, address in enumerate(population.accounts)}

    def take_turn(self, turn: Turn) -> None:
        """Let some earners of each asset claim."""
        for asset in ASSETS:
            if self._rng.randrange(100) < _COME_IN_PERCENT:
                self._claim(turn, asset)

    def _claim(self, turn: Turn, asset: str) -> None:
        address = self._population.addresses[asset]
        in_force = [
            root
            for root in self._history.roots(bytes.fromhex(address[2:]))
            if root.args["activatesAt"] <= self._mempool.next_time
        ]
        tree = self._epochs.trees.get(in_force[-1].args["root"]) if in_force else None
        if tree is None:
            return
        earners = list(tree.entitled)
        # Behind a reorg an earlier root may have paid somebody more than this one entitles to: others lack it.
        left = tree.total - self._read("claimedTotalOf", address)
        for earner in self._rng.sample(earners, min(len(earners), self._population.cast.claims_per_block_max)):
            name = "0x" + earner.hex()
            amount = tree.entitled[earner] - self._read("claimedOf", name, address)
            if 0 < amount <= left:
                left -= amount
                sender = cast.STRANGER if self._rng.randrange(10) == 0 else self._places[name]
                arguments = (in_force[-1].args["epoch"], name, address, tree.entitled[earner], tree.proof(earner))
                turn.call(sender, "Rewards", "claim", *arguments)

    def _read(self, function: str, *arguments: object) -> int:
        found: int = self._mempool.read("Rewards", function, *arguments)
        return found
