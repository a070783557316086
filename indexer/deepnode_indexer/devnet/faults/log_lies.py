"""Lies about logs: each takes the logs of an answer, or of receipts, and returns what the client will see."""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, Final

from deepnode_indexer.devnet.faults.draw import Draws
from deepnode_indexer.devnet.faults.exchange import LOG_METHODS, RECEIPT_METHODS, Call, Reply, flipped, quantity
from deepnode_indexer.devnet.faults.fault import (
    AlterLogs,
    ChangeMind,
    DisorderLogs,
    Fault,
    HideLogs,
    TruncateLogs,
    WithoutTimes,
)
from deepnode_indexer.devnet.faults.provider_words import Json


def hide_logs(draws: Draws, place: int, fault: HideLogs, call: Call, reply: Reply) -> None:
    """Leave out logs of the blocks that are hit."""
    if call.method in LOG_METHODS:
        reply.value = _without_hidden(draws, place, fault, reply.value)
    elif call.method in RECEIPT_METHODS and fault.receipts and reply.value:
        receipts = reply.value if isinstance(reply.value, list) else [reply.value]
        # One draw for all of them: it is one answer about one block.
        stay = _without_hidden(draws, place, fault, [log for receipt in receipts for log in receipt["logs"]])
        left = {log["logIndex"] for log in stay}
        told = [each | {"logs": [log for log in each["logs"] if log["logIndex"] in left]} for each in receipts]
        reply.value = told if isinstance(reply.value, list) else told[0]


def _without_hidden(draws: Draws, place: int, fault: HideLogs, logs: Json) -> Json:
    if not _are_logs(logs):
        return logs
    addresses = {address.lower() for address in fault.addresses}
    stay: list[Json] = []
    for block, found in groupby(logs, key=lambda log: str(log["blockHash"])):
        of_block = list(found)
        # Which logs a block would lose depends on nothing but the logs: so it is the same by every filter.
        kept = [
            log
            for log in of_block
            if (fault.blocks and quantity(log["blockNumber"]) not in fault.blocks)
            or (addresses and str(log["address"]).lower() not in addresses)
            or draws.share(place, block, log["logIndex"]) >= fault.share
        ]
        stay += kept if len(kept) < len(of_block) and draws.strikes(place, fault, block) else of_block
    return stay


def truncate_logs(draws: Draws, place: int, fault: TruncateLogs, call: Call, reply: Reply) -> None:
    """Keep the first logs only."""
    if _are_logs(reply.value) and len(reply.value) > fault.logs and draws.strikes(place, fault, call.question):
        reply.value = reply.value[: fault.logs]


def alter_logs(draws: Draws, place: int, fault: AlterLogs, _call: Call, reply: Reply) -> None:
    """Change one log of each block that is hit."""
    if not _are_logs(reply.value):
        return
    told: list[Json] = []
    for block, found in groupby(reply.value, key=lambda log: str(log["blockHash"])):
        logs = list(found)
        if draws.strikes(place, fault, block):
            which = int(draws.share(place, block, "which") * len(logs))
            logs[which] = altered_log(logs[which], fault.field)
        told += logs
    reply.value = told


def altered_log(log: dict[str, Json], field: str) -> dict[str, Json]:
    """Return the log with one digit of a field changed."""
    if field == "removed":
        return log | {"removed": True}
    if field == "topics":
        topics = list(log["topics"])
        return log | {"topics": [*topics[:-1], flipped(topics[-1])] if topics else ["0x" + "00" * 32]}
    return log | {field: flipped(log[field])}


def disorder_logs(draws: Draws, place: int, fault: DisorderLogs, call: Call, reply: Reply) -> None:
    """Reverse the logs, or repeat the last."""
    logs = reply.value
    if _are_logs(logs) and (len(logs) > 1 or fault.order == "doubled") and draws.strikes(place, fault, call.question):
        reply.value = logs[::-1] if fault.order == "reversed" else [*logs, logs[-1]]


def without_times(draws: Draws, place: int, fault: WithoutTimes, call: Call, reply: Reply) -> None:
    """Leave out the blocks' times."""
    timed = _are_logs(reply.value) and "blockTimestamp" in reply.value[0]
    if timed and draws.strikes(place, fault, call.question):
        reply.value = [{name: log[name] for name in log if name != "blockTimestamp"} for log in reply.value]


def change_mind(draws: Draws, place: int, fault: ChangeMind, call: Call, reply: Reply) -> None:
    """Tell something else each second time."""
    odd = draws.asked(place, f"mind {call.question}") % 2 == 1
    if not odd:
        return
    if call.method in LOG_METHODS:
        if _are_logs(reply.value) and draws.strikes(place, fault, call.question):
            reply.value = reply.value[:-1]
    elif isinstance(reply.value, dict) and "hash" in reply.value and draws.strikes(place, fault, call.question):
        reply.value = reply.value | {"hash": flipped(reply.value["hash"])}


def _are_logs(value: Json) -> bool:
    """Whether there is at least one log; eth_getFilterChanges may give hashes instead."""
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


Lie = Callable[[Draws, int, Any, Call, Reply], None]
"""A lie of one fault: it changes the reply to the call, if it strikes."""

LOG_LIES: Final[Sequence[tuple[type[Fault], Lie]]] = (
    (HideLogs, hide_logs),
    (TruncateLogs, truncate_logs),
    (AlterLogs, alter_logs),
    (DisorderLogs, disorder_logs),
    (WithoutTimes, without_times),
    (ChangeMind, change_mind),
)
