"""A marketplace that lives: one block a step, with its transactions and its signed task events.

Everything random comes from one generator with a seed, and everything that looks like time comes from the chain: the
same seed on a fresh node gives the same blocks and the same envelopes, byte for byte.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from random import Random

from deepnode_indexer.devnet import cast_of_accounts as cast
from deepnode_indexer.devnet.burning import Burning
from deepnode_indexer.devnet.cases import Cases
from deepnode_indexer.devnet.checkpoints import Checkpoints
from deepnode_indexer.devnet.claiming import Claims
from deepnode_indexer.devnet.deployment import Deployment
from deepnode_indexer.devnet.epochs import Epochs
from deepnode_indexer.devnet.founding import founding
from deepnode_indexer.devnet.funding import Funding
from deepnode_indexer.devnet.governance import Governance
from deepnode_indexer.devnet.history import History
from deepnode_indexer.devnet.incidents import Incidents
from deepnode_indexer.devnet.inference import Inference
from deepnode_indexer.devnet.mempool import Call, Mempool, Played
from deepnode_indexer.devnet.population import Population, Turn
from deepnode_indexer.devnet.staking import Stakers
from deepnode_indexer.devnet.task_events import Producer
from deepnode_indexer.devnet.workbook import Workbook

# What somebody would try again if it failed: a settlement that came before its payment, a withdrawal before its time.
_TRIED_AGAIN = frozenset(
    {
        *("settle", "refund", "flag", "openReview", "decideReview", "appeal", "reverse", "withdraw", "register"),
        *("deposit", "setStatus"),
    }
)
_TRIES_MAX = 3
# Their transactions state amounts and scores that were right by the blocks before them: what a reorg drops of these is
# made anew from what the chain says then.
_THINK_AGAIN = (cast.SCORER, cast.EPOCH_KEEPER)
# More than the withdrawal delay in blocks, so that a withdrawal that came too early is in time.
_RETRY_STEPS = 12


class Economy:
    """The economy on one deployment. Nothing happens, not even a connection, before the first step.

    Attributes:
        workbook: the work that was played so far, which entitlements are made from.
        epochs: the oracle; its `trees` say who is entitled to what by a submitted root.
    """

    def __init__(self, anvil_url: str, deployment: Deployment, seed: int) -> None:
        self._rng = Random(seed)  # noqa: S311 - nothing here is secret, and the seed is what makes the chain repeatable
        self._mempool = Mempool(anvil_url, deployment)
        self._producer = Producer()
        self._population = Population(seed, deployment)
        self._history = History(self._mempool.rpc, deployment.addresses)
        self._cases = Cases(self._population, self._rng, self._mempool, self._history)
        self._incidents = Incidents(self._population, self._rng, self._mempool, self._producer)
        self.workbook = Workbook()
        self._inference = Inference(self._population, self._rng, self.workbook, self._cases.accuse)
        followed = (self._population, self._mempool, self._history)
        self.epochs = Epochs(*followed, self.workbook)
        self._claims = Claims(*followed, self.epochs)
        self._stakers = Stakers(*followed)
        self._burning = Burning(*followed)
        self._funding = Funding(*followed)
        self._governance = Governance(*followed)
        self._checkpoints = Checkpoints(*followed)
        stakes = [*self._stakers.founding().calls, *self.epochs.founding().calls]
        self._founding = deque(founding(self._population, self._governance.founding().calls, stakes))
        self._retries: list[tuple[int, Call]] = []
        self._steps = 0

    @property
    def block_number(self) -> int:
        """The number of the chain's newest block."""
        return self._mempool.head()

    @property
    def block_hash(self) -> str:
        """The hash of the chain's newest block, as 0x-prefixed text."""
        return self._mempool.head_hash()

    def step(self) -> list[bytes]:
        """Play one block and return the envelopes of the task events that belong to it.

        The first steps found the economy. After a reorg, steps bring back dropped transactions until none is left; then
        life goes on where it was.

        Raises:
            TransactionError: a transaction that had to succeed was reverted.
        """
        self._steps += 1
        turn = Turn()
        if self._mempool.replaying:
            self._incidents.observe(turn)
            played = self._mempool.replay()
        elif self._founding:
            played = self._mempool.play(self._founding.popleft(), founding=True)
        else:
            is_quiet = self.epochs.is_changing
            self._keep(turn)
            self._incidents.take_turn(turn, self._steps)
            self._cases.take_turn(turn, self._steps)
            self._inference.take_turn(turn, is_quiet=is_quiet)
            # What is tried again may fail, but must not make fail what looked at the chain before it acted.
            played = self._mempool.play(turn.calls + self._due_retries())
        self._try_again(played.failed)
        return self._say(turn, played)

    def _say(self, turn: Turn, played: Played) -> list[bytes]:
        """Say what there is to say behind a block, by what the chain says with that block."""
        self._cases.learn(self._history.read())
        assigned = {node.id: node for node in turn.assigned}
        for name, free in self._mempool.read_each("Collateral", "freeOf", assigned).items():
            assigned[name].collateral = free
        turn.block_hash = played.hash
        envelopes = [self._producer.say(statement, played.time) for statement in turn.statements]
        self._close(played.number)
        return envelopes

    def _close(self, block: int) -> None:
        """What was said since the last block, or lost its own, stands behind this one, the newest."""
        self.workbook.close(block)
        for node in self._population.nodes:
            node.trust.close(block)

    def reorg(self, depth: int) -> None:
        """Replace the newest `depth` blocks by empty ones.

        The following steps mine the dropped transactions again, in another order; those that have become invalid are
        reverted, and so leave no log. Those of the scorer and of the keeper of epochs do not come back. Task events
        stay said: the producer knows nothing of blocks.

        Raises:
            ReorgTooDeepError: the depth reaches behind the economy's first block.
        """
        head = self._mempool.head()
        self._mempool.reorg(depth, self._rng, _THINK_AGAIN)
        first = head - depth + 1
        self._history.forget(first)
        self.workbook.reopen(first)
        for node in self._population.nodes:
            node.trust.forget(first)
        self.epochs.forget(first)
        self._close(head)

    def _keep(self, turn: Turn) -> None:
        """Let those act who look at the chain before they do: keepers, claimants, stakers, backers and voters."""
        self.epochs.take_turn(turn)
        self._claims.take_turn(turn)
        self._checkpoints.take_turn(turn)
        self._stakers.take_turn(turn)
        self._burning.take_turn(turn, self._steps)
        self._funding.take_turn(turn, self._steps)
        self._governance.take_turn(turn, self._steps)

    def _due_retries(self) -> list[Call]:
        due = [call for step, call in self._retries if step <= self._steps]
        self._retries = [(step, call) for step, call in self._retries if step > self._steps]
        return due

    def _try_again(self, failed: Iterable[Call]) -> None:
        for call in failed:
            if call.function in _TRIED_AGAIN and call.tries < _TRIES_MAX:
                self._retries.append((self._steps + _RETRY_STEPS, replace(call, tries=call.tries + 1)))
