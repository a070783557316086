"""Branches: what the proxy remembers of the newest blocks, so that it can go on telling a branch that was left."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from deepnode_indexer.devnet.faults.exchange import quantity
from deepnode_indexer.devnet.faults.provider_words import Json

AskMany = Callable[[Sequence[tuple[str, Sequence[Json]]]], list[Json]]
"""Ask the node several questions of one's own in one request; None in the place of one that it does not answer."""

RECEIPT_CALLS: Final = 64


@dataclass(frozen=True, slots=True)
class Remembered:
    """A block as the node served it: the header with its transactions, and the receipts."""

    header: Json
    receipts: list[Json]


@dataclass(frozen=True, slots=True)
class OldBranch:
    """The blocks above ``kept`` that the chain has replaced, up to the old ``head``."""

    kept: int
    head: int
    blocks: dict[int, Remembered]

    def number_of(self, block_hash: Json) -> int | None:
        """Return the number of the block with this hash, if it is on this branch."""
        return next((number for number, block in self.blocks.items() if block.header["hash"] == block_hash), None)

    def header(self, number: int, *, full: bool) -> Json:
        """Return a block as eth_getBlockByNumber gives it, None above the head."""
        block = self.blocks.get(number)
        if block is None:
            return None
        hashes = [each["hash"] for each in block.header["transactions"]]
        return block.header if full else block.header | {"transactions": hashes}

    def receipts(self, number: int) -> list[Json] | None:
        """Return a block's receipts, None above the head."""
        block = self.blocks.get(number)
        return None if block is None else block.receipts

    def receipt(self, transaction_hash: Json) -> Json:
        """Return the receipt of a transaction that is on this branch, else None."""
        receipts = (receipt for block in self.blocks.values() for receipt in block.receipts)
        return next((each for each in receipts if each["transactionHash"] == transaction_hash), None)

    def logs(self, number: int) -> list[Json]:
        """Return a block's logs, with its time as ours do."""
        block = self.blocks.get(number)
        if block is None:
            return []
        time = block.header["timestamp"]
        return [log | {"blockTimestamp": time} for receipt in block.receipts for log in receipt["logs"]]


class Memory:
    """The newest blocks of the chain, and the branch that its last reorg left. Safe among threads."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._lock = threading.Lock()
        self._blocks: dict[int, Remembered] = {}
        self._old: OldBranch | None = None
        self._requests_left = 0

    def look(self, ask: AskMany, requests: int) -> None:
        """Learn what is new on the chain; if it left a branch, that may be told in so many requests from now on."""
        with self._lock:
            head, found = self._new_blocks(ask)
            replaced = {n: block for n, block in self._blocks.items() if n in found or n > head}
            if replaced:
                self._old = OldBranch(min(replaced) - 1, max(replaced), replaced)
                self._requests_left = requests
            self._blocks = {n: block for n, block in (self._blocks | found).items() if head - self._depth < n <= head}

    def old_branch(self) -> OldBranch | None:
        """Return the branch to be told, None if there is none or it was told often enough."""
        with self._lock:
            return self._old if self._requests_left > 0 else None

    def told(self) -> None:
        """Count that a request was answered from the old branch."""
        with self._lock:
            self._requests_left -= 1

    def _new_blocks(self, ask: AskMany) -> tuple[int, dict[int, Remembered]]:
        """Walk from the head to a block that is remembered, by the hashes of parents: so it is one branch."""
        unchanged: tuple[int, dict[int, Remembered]] = max(self._blocks, default=-1), {}
        [header] = ask([("eth_getBlockByNumber", ["latest", True])])
        head = -1 if header is None else quantity(header["number"]) or 0
        headers: dict[int, Json] = {}
        for number in range(head, max(-1, head - self._depth), -1):
            if header is None:
                # The chain changed while we walked. The next request looks again.
                return unchanged
            known = self._blocks.get(number)
            if known is not None and known.header["hash"] == header["hash"]:
                break
            headers[number] = header
            if number:
                [header] = ask([("eth_getBlockByHash", [header["parentHash"], True])])
        found = self._with_receipts(ask, headers)
        return unchanged if head < 0 or len(found) != len(headers) else (head, found)

    def _with_receipts(self, ask: AskMany, headers: dict[int, Json]) -> dict[int, Remembered]:
        found: dict[int, Remembered] = {}
        numbers = list(headers)
        for start in range(0, len(numbers), RECEIPT_CALLS):
            page = numbers[start : start + RECEIPT_CALLS]
            answers = ask([("eth_getBlockReceipts", [headers[number]["hash"]]) for number in page])
            if any(receipts is None for receipts in answers):
                return {}
            found |= {
                number: Remembered(headers[number], receipts) for number, receipts in zip(page, answers, strict=True)
            }
        return found


def matches(log: Json, wanted: dict[str, Json]) -> bool:
    """Whether eth_getLogs with this filter would return the log, as far as address and topics say."""
    addresses = _as_list(wanted.get("address"))
    if addresses and log["address"].lower() not in {address.lower() for address in addresses}:
        return False
    topics = wanted.get("topics") or []
    if len(topics) > len(log["topics"]):
        return False
    for asked, found in zip(topics, log["topics"], strict=False):
        allowed = [topic.lower() for topic in _as_list(asked) if topic is not None]
        if allowed and found.lower() not in allowed:
            return False
    return True


def _as_list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [] if value is None else [value]
