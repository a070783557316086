"""Trust checkpoints: behind each epoch the scorer puts the nodes' scores on the chain, as far as they have changed."""

from __future__ import annotations

from eth_utils.crypto import keccak

from deepnode_indexer.devnet import cast_of_accounts as cast
from deepnode_indexer.devnet.history import History
from deepnode_indexer.devnet.mempool import Mempool
from deepnode_indexer.devnet.population import Population, Turn
from deepnode_indexer.devnet.trust import TRUST_START_PPM

_PER_BLOCK = 12
_BLOCKS_MAX = 25
"""Scores that are not written down so many blocks behind an epoch wait for the next one."""

_END_OF_EPOCH = 1
"""The reason that checkpoints give."""


class Checkpoints:
    """The scorer. It writes down a dozen scores a block, until those of the epoch that is over are all there.

    What a reorg drops is not sent again: by then the score may have moved. It is written down anew.
    """

    def __init__(self, population: Population, mempool: Mempool, history: History) -> None:
        self._population = population
        self._mempool = mempool
        self._history = history

    def take_turn(self, turn: Turn) -> None:
        """Write down some scores that have changed since the last checkpoint, for the epoch that is over."""
        epoch = self._history.epoch - 1
        start = self._history.start_of(epoch + 1)
        if epoch < 1 or start is None or self._mempool.next_number - start[0] > _BLOCKS_MAX:
            return
        stored: dict[bytes, int] = {}
        done: set[bytes] = set()
        for event in self._history.of("ScoreCheckpoint"):
            stored[event.args["subject"]] = event.args["new_"]
            if event.args["epoch"] >= epoch:
                done.add(event.args["subject"])
        due = [
            node
            for node in self._population.nodes
            if node.id not in done and node.trust_ppm != stored.get(node.id, TRUST_START_PPM)
        ]
        for node in due[:_PER_BLOCK]:
            old = stored.get(node.id, TRUST_START_PPM)
            evidence = keccak(node.id + epoch.to_bytes(8, "big") + node.trust_ppm.to_bytes(4, "big"))
            subject = (node.role, node.id, self._population.domains[node.domain])
            turn.call(cast.SCORER, "Trust", "checkpoint", *subject, epoch, old, node.trust_ppm, _END_OF_EPOCH, evidence)
