"""What can be said of a node before anything is indexed from it: which chain, how fresh, and what it can be asked.

Each function is one question of an operator to one node and needs no manifest. Nothing is believed and nothing is
kept: the answers are facts for somebody to judge.
"""

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from deepnode_indexer.evidence import header as headers
from deepnode_indexer.evidence import receipt
from deepnode_indexer.failures import BadAnswer, BatchRefused, MethodMissing, NodeError
from deepnode_indexer.hex_columns import quantity
from deepnode_indexer.patience import AT_ONCE
from deepnode_indexer.provider import BATCH_CALLS
from deepnode_indexer.rpc import Rpc
from deepnode_indexer.websocket import heads, open_rpc
from deepnode_ledger.errors import BadInput, TryAgain
from deepnode_ledger.hexadecimal import from_hex, to_hex
from deepnode_ledger.record import BlockRef

_NO_TRANSACTION: Final = to_hex(bytes(32))


@dataclass(frozen=True, slots=True)
class Identity:
    """Which chain a node says that it serves; ``genesis_hash`` (32 bytes) is None if it has no block 0."""

    chain_id: int
    genesis_hash: bytes | None


@dataclass(frozen=True, slots=True)
class Heights:
    """A node's newest block, and the newest that it calls final.

    Where ``finalized`` is None, ``why_not`` is what the node says of it. ``asked_at_seconds``: when, in seconds since
    1970 by this machine's clock.
    """

    head: BlockRef
    finalized: BlockRef | None
    why_not: str | None
    asked_at_seconds: float


@dataclass(frozen=True, slots=True)
class Batches:
    """How many calls a node answers in one request, up to as many as are ever sent; ``refusal`` of more, if any."""

    calls: int
    refusal: str | None


@dataclass(frozen=True, slots=True)
class Proof:
    """What a node has to prove the logs of a block with.

    ``by_block``: it has ``eth_getBlockReceipts``; ``one_by_one``: it has ``eth_getTransactionReceipt``, where that was
    asked for. ``fault``: a header or receipts that do not fit the block's hash.
    """

    by_block: bool
    one_by_one: bool
    fault: str | None


def identity(url: str) -> Identity:
    """Ask which chain a node serves.

    Raises:
        NodeFailure: it does not answer, or not as it should.
    """
    with _asking(url) as rpc:
        chain_id = _number(rpc, _decoded(rpc, rpc.call("eth_chainId"), str))
        genesis = _block(rpc, "0x0")
        return Identity(chain_id, None if genesis is None else genesis.hash)


def heights(url: str) -> Heights:
    """Ask for a node's newest and its newest final block.

    Raises:
        NodeFailure: it does not answer, or not as it should.
    """
    with _asking(url) as rpc:
        head, asked_at_seconds = _block(rpc, "latest"), time.time()
        if head is None:
            raise BadAnswer(f"{rpc.where}: there is no latest block")
        try:
            finalized, why_not = _block(rpc, "finalized"), None
        except NodeError as error:
            finalized, why_not = None, str(error)
        if finalized is None and why_not is None:
            why_not = f"{rpc.where}: the block 'finalized' is null"
        return Heights(head, finalized, why_not, asked_at_seconds)


def batches(url: str) -> Batches:
    """Find out how many calls a node answers in one request; what a request of ours holds at most is enough.

    Raises:
        NodeFailure: it does not even answer two, and does not say so as a refusal.
    """
    with _asking(url) as rpc:
        calls, refusal = BATCH_CALLS, None
        while True:
            try:
                rpc.batch([("eth_chainId", ())] * calls)
            except BatchRefused as refused:
                if calls == 1:
                    raise
                refusal = str(refused)
                calls = max(1, min(refused.calls_max or calls // 2, calls - 1))
            else:
                return Batches(calls, refusal)


def proof(url: str) -> Proof:
    """Ask for the receipts of a final block, and hold them and its header against its hash.

    Raises:
        NodeFailure: it does not answer.
    """
    with _asking(url) as rpc:
        raw = _settled_block(rpc)
        verified: headers.VerifiedHeader | None = None
        fault: str | None = None
        try:
            verified = headers.verified(raw)
        except BadAnswer as error:
            fault = str(error)
        try:
            found = rpc.call("eth_getBlockReceipts", raw.get("hash"))
        except MethodMissing:
            return Proof(by_block=False, one_by_one=_has_single_receipts(rpc), fault=fault)
        receipts = _decoded(rpc, found, list[dict[str, Any]] | None)
        if receipts is None:
            raise BadAnswer(f"{rpc.where}: eth_getBlockReceipts of block {raw.get('number')!r:.80} is null")
        if verified is not None:
            try:
                receipt.check(receipts, verified)
            except BadAnswer as error:
                fault = str(error)
        return Proof(by_block=True, one_by_one=False, fault=fault)


def tells_heads(url: str, *, seconds_max: float) -> bool:
    """Say whether a node at a ws:// or wss:// URL takes a subscription to new heads."""
    stop = threading.Event()
    # Whoever waits for heads goes on after failures, until it is told to stop.
    alarm = threading.Timer(seconds_max, stop.set)
    alarm.daemon = True
    alarm.start()
    try:
        # The first word comes once the node has taken the subscription.
        return next((True for _ in heads(url, stop)), False)
    finally:
        alarm.cancel()
        stop.set()


@contextlib.contextmanager
def _asking(url: str) -> Iterator[Rpc]:
    # A node that is out of breath is something to tell an operator, not to wait for.
    rpc = open_rpc(url, patience=AT_ONCE)
    try:
        yield rpc
    finally:
        rpc.close()


def _settled_block(rpc: Rpc) -> dict[str, Any]:
    """Ask for the final block: of the newest one, a node among several may not have all yet."""
    found: dict[str, Any] | None = None
    with contextlib.suppress(NodeError):
        found = _decoded(rpc, rpc.call("eth_getBlockByNumber", "finalized", False), dict[str, Any] | None)
    if found is None:
        found = _decoded(rpc, rpc.call("eth_getBlockByNumber", "latest", False), dict[str, Any] | None)
    if found is None:
        raise BadAnswer(f"{rpc.where}: there is no latest block")
    return found


def _has_single_receipts(rpc: Rpc) -> bool:
    try:
        rpc.call("eth_getTransactionReceipt", _NO_TRANSACTION)
    except MethodMissing:
        return False
    except TryAgain:
        # Some nodes refuse a transaction that there is not. The method is there.
        return True
    return True


class _Block(msgspec.Struct):
    number: str
    hash: str
    timestamp: str


def _block(rpc: Rpc, which: str) -> BlockRef | None:
    found = _decoded(rpc, rpc.call("eth_getBlockByNumber", which, False), _Block | None)
    if found is None:
        return None
    try:
        return BlockRef(quantity(found.number), from_hex(found.hash, 32), quantity(found.timestamp))
    except BadInput as error:
        raise BadAnswer(f"{rpc.where}: a block of eth_getBlockByNumber: {error}") from error


def _number(rpc: Rpc, text: str) -> int:
    try:
        return quantity(text)
    except BadInput as error:
        raise BadAnswer(f"{rpc.where}: {error}") from error


def _decoded(rpc: Rpc, raw: msgspec.Raw, shape: Any) -> Any:
    try:
        return msgspec.json.decode(raw, type=shape)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BadAnswer(f"{rpc.where}: the answer has another shape than the method promises: {error}") from error
