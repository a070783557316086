"""Receipts read from their own bytes: what the receipts' trie of a block holds, and the logs in it.

The trie's root commits to these bytes, so the logs read here are the block's when the root is its header's. What the
root does not commit to are the transactions' hashes, which are kept beside the bytes and are the node's word.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Final

from deepnode_indexer.evidence import ordered_trie, rlp_reading
from deepnode_indexer.evidence.receipt import DEPOSIT, TYPE_MAX
from deepnode_ledger.errors import Damaged
from deepnode_ledger.record import DATA_BYTES_MAX, TOPICS_MAX

RECEIPT_BYTES_MAX: Final = 64 * 1024 * 1024
"""More than the logs of a whole block's gas can take."""

_FIELDS: Final = 4
_DEPOSIT_FIELDS: Final = (4, 5, 6)
"""A deposit has its nonce behind the logs since Regolith, and its version since Canyon."""

_ADDRESS: Final = 0x94
_TOPIC: Final = b"\xa0"
_LONG_LIST: Final = 0xF8
_TOPICS: Final = {b"\xc0": (0, 1), b"\xe1": (1, 1), b"\xf8\x42": (2, 2), b"\xf8\x63": (3, 2), b"\xf8\x84": (4, 2)}
"""How a list of so many topics begins, and in how many bytes: a topic has 33 with its prefix."""


@dataclass(frozen=True, slots=True)
class LogBytes:
    """A log as a receipt holds it: ``address`` 20 bytes, at most four ``topics`` of 32 bytes."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes


def root(receipts: Sequence[bytes]) -> bytes:
    """Return the root (32 bytes) that a header must have for these receipts, in their order.

    Raises:
        Damaged: one is empty, which no receipt is.
    """
    if not all(receipts):
        raise Damaged(f"receipt {[bool(one) for one in receipts].index(False)} is empty")
    return ordered_trie.root(receipts)


def logs_of(receipt: bytes, addresses: Container[bytes] | None = None) -> list[LogBytes | None]:
    """Return the logs of one receipt, in their order; None in the place of one of another address.

    Args:
        receipt: the bytes that the trie holds.
        addresses: whose logs are wanted (20 bytes each); None: everybody's. Of the others' logs no more is read than
            that there is one and of whom, as the root commits to them anyway.

    Raises:
        Damaged: the bytes are not the canonical encoding of a receipt.
    """
    if not 0 < len(receipt) <= RECEIPT_BYTES_MAX:
        raise Damaged(f"a receipt has {len(receipt)} bytes, not 1 to {RECEIPT_BYTES_MAX}")
    kind = receipt[0] if receipt[0] <= TYPE_MAX else 0
    at = 1 if receipt[0] <= TYPE_MAX else 0
    is_list, start, stop = rlp_reading.item_at(receipt, at, len(receipt))
    if not is_list or stop != len(receipt):
        raise Damaged(f"a receipt of type {kind} ends at byte {stop} of {len(receipt)} and should be one list")
    found = rlp_reading.items(receipt, start, stop)
    if len(found) not in (_DEPOSIT_FIELDS if kind == DEPOSIT else (_FIELDS,)):
        raise Damaged(f"a receipt of type {kind} has {len(found)} fields")
    is_list, start, stop = found[3]
    if not is_list:
        raise Damaged("the logs of a receipt are no list")
    logs = rlp_reading.items(receipt, start, stop)
    if addresses is None:
        return [_log(receipt, each) for each in logs]
    return [_log(receipt, each) if _address(receipt, each) in addresses else None for each in logs]


def _address(receipt: bytes, item: rlp_reading.Item) -> bytes:
    is_list, start, stop = item
    if not is_list:
        raise Damaged(f"a log at byte {start} of a receipt is no list")
    return rlp_reading.octets(receipt, rlp_reading.item_at(receipt, start, stop), "the address of a log", 20)


def _log(receipt: bytes, item: rlp_reading.Item) -> LogBytes:
    return quick_log(receipt, item) or strict_log(receipt, item)


def quick_log(receipt: bytes, item: rlp_reading.Item) -> LogBytes | None:
    """Read a log as every compiler's events are: up to the data all has a length of its own; None for any other."""
    is_list, start, stop = item
    at = start + 21
    if not is_list or at >= stop or receipt[start] != _ADDRESS:
        return None
    count, skipped = _TOPICS.get(receipt[at : at + 2] if receipt[at] == _LONG_LIST else receipt[at : at + 1], (-1, 0))
    at += skipped
    end = at + count * 33
    if count < 0 or end >= stop or receipt[at:end:33] != _TOPIC * count:
        return None
    topics = tuple([receipt[place + 1 : place + 33] for place in range(at, end, 33)])
    is_list, first, last = rlp_reading.item_at(receipt, end, stop)
    if is_list or last != stop or last - first > DATA_BYTES_MAX:
        return None
    return LogBytes(receipt[start + 1 : start + 21], topics, receipt[first:last])


def strict_log(receipt: bytes, item: rlp_reading.Item) -> LogBytes:
    """Read a log field by field, and say of the first that breaks a rule which.

    Raises:
        Damaged: one does.
    """
    is_list, start, stop = item
    found = rlp_reading.items(receipt, start, stop) if is_list else []
    if len(found) != 3 or not found[1][0]:
        raise Damaged(f"a log at byte {start} of a receipt is not an address, a list of topics and data")
    address = rlp_reading.octets(receipt, found[0], "the address of a log", 20)
    topics = rlp_reading.items(receipt, found[1][1], found[1][2])
    if len(topics) > TOPICS_MAX:
        raise Damaged(f"a log at byte {start} of a receipt has {len(topics)} topics")
    data = rlp_reading.octets(receipt, found[2], "the data of a log")
    if len(data) > DATA_BYTES_MAX:
        raise Damaged(f"a log at byte {start} of a receipt has {len(data)} bytes of data")
    return LogBytes(address, tuple([rlp_reading.octets(receipt, each, "a topic", 32) for each in topics]), data)
