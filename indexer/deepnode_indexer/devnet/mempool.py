"""How the economy's transactions reach blocks, and how they come back after a reorg.

Each transaction keeps its nonce and so its hash when a reorg drops it: the same transaction is then found in another
block, at another place. The pool keeps the order of one sender's transactions, as nonces force it to, and shuffles
those of different senders within a window. Some of them are reverted in their new place. That is not an error here,
but a first-time transaction that is reverted is one: it means that the economy misunderstands its contracts.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from deepnode_indexer.devnet.anvil import BLOCK_SECONDS
from deepnode_indexer.devnet.artifacts import Interface
from deepnode_indexer.devnet.deployment import Deployment
from deepnode_indexer.devnet.json_rpc import JsonRpc
from deepnode_ledger.errors import BadInput

_GAS = hex(2_000_000)
# How far a dropped transaction may move, counted in transactions, and how many of them fit into a block afterwards.
_SHUFFLE_WINDOW = 25
_REPLAYED_PER_BLOCK = 40
# No chain of calls that rely on each other is longer: a task takes ten blocks, a case some fifteen.
_LENIENT_BLOCKS = 40


class TransactionError(BadInput):
    """A transaction that had to succeed was reverted or did not get into its block."""


class ReorgTooDeepError(BadInput):
    """A reorg would drop blocks that are not the economy's."""

    def __init__(self, depth: int, possible: int) -> None:
        super().__init__(f"a reorg of {depth} blocks would reach behind the economy's {possible} blocks")


@dataclass(frozen=True, slots=True)
class Call:
    """A call to a contract that somebody wants to have mined. `sender` is a place in the list of accounts."""

    sender: int
    contract: str
    function: str
    arguments: tuple[object, ...]
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Sent:
    """A call as a transaction. `founding` ones build the economy and keep their order after a reorg."""

    call: Call
    nonce: int
    founding: bool


@dataclass(frozen=True, slots=True)
class Played:
    """One mined block; `hash` is 0x-prefixed text, `failed` are the calls that were reverted."""

    number: int
    hash: str
    time: int
    failed: tuple[Call, ...]


class Mempool:
    """Submits calls, mines blocks and remembers what is in them. The economy alone may use its accounts."""

    def __init__(self, url: str, deployment: Deployment) -> None:
        self.rpc = JsonRpc(url)
        self._deployment = deployment
        self._interfaces = {name: _interface(deployment.manifest, name) for name in deployment.addresses}
        self._nonces: dict[int, int] = {}
        self._blocks: list[tuple[int, list[Sent]]] = []
        self._dropped: deque[list[Sent]] = deque()
        self._first_block: int | None = None
        self._lenient_blocks = 0
        self._number = 0
        self._time = 0

    @property
    def replaying(self) -> bool:
        """Whether transactions that a reorg dropped still wait for a block."""
        return bool(self._dropped)

    @property
    def next_number(self) -> int:
        """The number that the next block will have."""
        return self._number + 1

    @property
    def next_time(self) -> int:
        """The time that the next block will have."""
        return self._time + BLOCK_SECONDS

    def head(self) -> int:
        """The number of the chain's newest block."""
        return int(self.rpc.call("eth_blockNumber"), 16)

    def head_hash(self) -> str:
        """The hash of the chain's newest block, as 0x-prefixed text."""
        return str(self.rpc.call("eth_getBlockByNumber", "latest", False)["hash"])

    def read(self, contract: str, function: str, *arguments: object) -> Any:
        """The result of a view function at the newest block."""
        interface = self._interfaces[contract]
        request = {"to": self._deployment.addresses[contract], "data": interface.call_data(function, *arguments)}
        return interface.result(function, self.rpc.call("eth_call", request, "latest"))

    def read_each(self, contract: str, function: str, subjects: Collection[bytes]) -> Mapping[bytes, Any]:
        """The results of a view function of an id at the newest block, by id and with one request."""
        interface, to = self._interfaces[contract], self._deployment.addresses[contract]
        requests = [{"to": to, "data": interface.call_data(function, subject)} for subject in subjects]
        answers = self.rpc.batch([("eth_call", (request, "latest")) for request in requests])
        return {one: interface.result(function, answer) for one, answer in zip(subjects, answers, strict=True)}

    def play(self, calls: Sequence[Call], *, founding: bool = False) -> Played:
        """Mine one block with these calls in this order.

        A call may be reverted if it was tried before, or in the first blocks behind a reorg, when it can rely on one
        that did not survive it.

        Raises:
            TransactionError: any other call was reverted.
        """
        assert not self._dropped, "new calls wait until the dropped ones are back: their nonces come later"
        block = []
        for call in calls:
            nonce = self._nonce(call.sender)
            self._nonces[call.sender] = nonce + 1
            block.append(Sent(call, nonce, founding))
        played = self._mine(block)
        self._lenient_blocks = max(0, self._lenient_blocks - 1)
        for call in played.failed:
            if call.tries == 0 and self._lenient_blocks == 0:
                raise TransactionError(f"block {played.number}: {call} was reverted")
        return played

    def replay(self) -> Played:
        """Mine one block with transactions that a reorg dropped."""
        return self._mine(self._dropped.popleft())

    def reorg(self, depth: int, rng: Random, forgotten: Collection[int] = ()) -> None:
        """Drop the last `depth` blocks and put their transactions, and those still waiting, back in another order.

        Those of the senders in `forgotten` do not come back: who sent them looks at the chain and thinks again.

        Raises:
            ReorgTooDeepError: the depth reaches behind the economy's first block.
        """
        head = self.head()
        first = head + 1 if self._first_block is None else self._first_block
        if depth > head - first + 1:
            raise ReorgTooDeepError(depth, head - first + 1)
        self.rpc.call("anvil_reorg", depth, [])
        keep = next((i for i, (number, _) in enumerate(self._blocks) if number > head - depth), len(self._blocks))
        gone = [block for _, block in self._blocks[keep:]] + list(self._dropped)
        del self._blocks[keep:]
        founding = [block for block in gone if block and block[0].founding]
        later = [sent for block in gone for sent in block if not sent.founding]
        others = _shuffled([sent for sent in later if sent.call.sender not in forgotten], rng)
        chunks = [others[at : at + _REPLAYED_PER_BLOCK] for at in range(0, len(others), _REPLAYED_PER_BLOCK)]
        self._dropped = deque(founding + chunks)
        self._lenient_blocks = _LENIENT_BLOCKS
        for sender in forgotten:
            self._nonces.pop(sender, None)

    def _mine(self, block: list[Sent]) -> Played:
        hashes = self.rpc.batch([("eth_sendTransaction", [self._transaction(sent)]) for sent in block])
        self.rpc.call("evm_mine")
        header, receipts = self.rpc.batch(
            [("eth_getBlockByNumber", ["latest", False]), ("eth_getBlockReceipts", ["latest"])]
        )
        number = int(header["number"], 16)
        self._number, self._time = number, int(header["timestamp"], 16)
        if self._first_block is None:
            self._first_block = number
        self._blocks.append((number, block))
        status = {receipt["transactionHash"]: receipt["status"] for receipt in receipts}
        missing = [sent.call for sent, sent_hash in zip(block, hashes, strict=True) if sent_hash not in status]
        if missing:
            raise TransactionError(f"block {number} lacks {len(missing)} transactions, the first being {missing[0]}")
        return Played(
            number=number,
            hash=header["hash"],
            time=self._time,
            failed=tuple(s.call for s, sent_hash in zip(block, hashes, strict=True) if status[sent_hash] != "0x1"),
        )

    def _transaction(self, sent: Sent) -> Mapping[str, str]:
        call = sent.call
        return {
            "from": self._deployment.accounts[call.sender],
            "to": self._deployment.addresses[call.contract],
            "data": self._interfaces[call.contract].call_data(call.function, *call.arguments),
            "nonce": hex(sent.nonce),
            "gas": _GAS,
            "gasPrice": "0x0",
        }

    def _nonce(self, sender: int) -> int:
        if sender not in self._nonces:
            account = self._deployment.accounts[sender]
            self._nonces[sender] = int(self.rpc.call("eth_getTransactionCount", account, "latest"), 16)
        return self._nonces[sender]


def _shuffled(sent: list[Sent], rng: Random) -> list[Sent]:
    order = sorted(range(len(sent)), key=lambda at: (at + rng.randrange(_SHUFFLE_WINDOW), at))
    # Nonces force one sender's transactions to keep their order, so they share out the places that they were given.
    queues: dict[int, deque[Sent]] = defaultdict(deque)
    for one in sorted(sent, key=lambda one: one.nonce):
        queues[one.call.sender].append(one)
    return [queues[sent[at].call.sender].popleft() for at in order]


def _interface(manifest: Path, name: str) -> Interface:
    return Interface(msgspec.json.decode((manifest.parent / "abi" / f"{name}.json").read_bytes()))
