"""Lies about blocks, receipts and the chain itself."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from deepnode_indexer.devnet.faults.draw import Draws
from deepnode_indexer.devnet.faults.exchange import HEADER_METHODS, Call, Reply, flipped, quantity
from deepnode_indexer.devnet.faults.fault import (
    AlterHeaders,
    AlterReceipts,
    Fault,
    MoveFinality,
    NullBlocks,
    OtherChain,
)
from deepnode_indexer.devnet.faults.log_lies import altered_log
from deepnode_indexer.devnet.faults.provider_words import Json, Refused
from deepnode_indexer.devnet.faults.view import Ask

_EMPTY_BLOOM: Final = "0x" + "00" * 256


def null_blocks(draws: Draws, place: int, fault: NullBlocks, call: Call, reply: Reply, _ask: Ask) -> None:
    """Answer null for a block that exists."""
    if reply.value is not None and draws.strikes(place, fault, str(call.parameter(0))):
        reply.value = None


def alter_headers(draws: Draws, place: int, fault: AlterHeaders, _call: Call, reply: Reply, _ask: Ask) -> None:
    """Change one field of a header."""
    header = reply.value
    if isinstance(header, dict) and isinstance(header.get(fault.field), str):
        told = _EMPTY_BLOOM if fault.field == "logsBloom" else flipped(header[fault.field])
        if told != header[fault.field] and draws.strikes(place, fault, str(header["hash"])):
            reply.value = header | {fault.field: told}


def alter_receipts(draws: Draws, place: int, fault: AlterReceipts, call: Call, reply: Reply, _ask: Ask) -> None:
    """Hide receipts, or lie in them."""
    if not reply.value:
        return
    alone = isinstance(reply.value, dict)
    receipts = [reply.value] if alone else list(reply.value)
    block = str(receipts[0]["blockHash"])
    spoilt = _spoilt(fault.lie, receipts)
    if spoilt == receipts or not draws.strikes(place, fault, block):
        return
    if fault.lie == "no-method":
        reply.refuse(Refused(-32601, f"the method {call.method} does not exist/is not available"))
    elif spoilt is None:
        reply.value = None
    else:
        reply.value = (spoilt[0] if spoilt else None) if alone else spoilt


def _spoilt(lie: str, receipts: list[Json]) -> list[Json] | None:
    if lie in ("null", "no-method"):
        return None
    if lie == "no-logs":
        return [receipt | {"logs": []} for receipt in receipts]
    if lie == "omitted":
        return receipts[:-1]
    if lie == "status":
        return [*receipts[:-1], receipts[-1] | {"status": flipped(receipts[-1].get("status") or "0x1")}]
    told = list(receipts)
    for at, receipt in enumerate(receipts):
        if receipt["logs"]:
            told[at] = receipt | {"logs": [altered_log(receipt["logs"][0], "data"), *receipt["logs"][1:]]}
            break
    return told


def move_finality(draws: Draws, place: int, fault: MoveFinality, call: Call, reply: Reply, ask: Ask) -> None:
    """Name no block final, or an older one."""
    if call.parameter(0) not in ("safe", "finalized") or reply.value is None:
        return
    if draws.strikes(place, fault, call.question):
        if fault.blocks is None:
            reply.value = None
        else:
            number = max(0, (quantity(reply.value["number"]) or 0) - fault.blocks)
            reply.value = ask("eth_getBlockByNumber", [hex(number), bool(call.parameter(1))])


def other_chain(draws: Draws, place: int, fault: OtherChain, call: Call, reply: Reply, _ask: Ask) -> None:
    """Pretend to be another chain."""
    genesis = isinstance(reply.value, dict) and quantity(reply.value.get("number")) == 0
    if call.method not in HEADER_METHODS or genesis:
        if not draws.strikes(place, fault, call.question):
            return
        if genesis:
            reply.value = reply.value | {"hash": flipped(reply.value["hash"])}
        else:
            reply.value = hex(fault.chain_id) if call.method == "eth_chainId" else str(fault.chain_id)


BlockLie = Callable[[Draws, int, Any, Call, Reply, Ask], None]
"""As a lie about logs; it may ask the node a question of its own."""

_BLOCK_METHODS: Final = frozenset({*HEADER_METHODS})
_RECEIPT: Final = frozenset({"eth_getBlockReceipts", "eth_getTransactionReceipt"})

BLOCK_LIES: Final[Sequence[tuple[type[Fault], BlockLie, frozenset[str]]]] = (
    (NullBlocks, null_blocks, _BLOCK_METHODS),
    (AlterHeaders, alter_headers, _BLOCK_METHODS),
    (AlterReceipts, alter_receipts, _RECEIPT),
    (MoveFinality, move_finality, frozenset({"eth_getBlockByNumber"})),
    (OtherChain, other_chain, _BLOCK_METHODS | {"eth_chainId", "net_version"}),
)
"""Each with the methods whose answers it concerns."""
