"""A block's receipts, held against the root in its header.

The receipts' root commits to each transaction's outcome, its gas and every one of its logs, in order. So logs read from
receipts that fit the root of a header that fits its hash are all the logs of that block: none was left out, added or
changed on the way. What the root does not commit to are the names: a receipt's transaction hash is the node's word.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any, Final

from deepnode_indexer.evidence import bloom, field, ordered_trie, rlp_item
from deepnode_indexer.evidence.header import VerifiedHeader
from deepnode_indexer.failures import BadAnswer
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.record import DATA_BYTES_MAX, TOPICS_MAX, BlockRef, ChainLog

DEPOSIT: Final = 0x7E
"""The OP stack's own type of transaction: what L1 put into the block."""

TYPE_MAX: Final = 0x7F
"""EIP-2718 keeps what is above apart from a legacy receipt, which begins with a list's byte."""

_Receipt = Mapping[str, Any]


class ReceiptsDiffer(BadAnswer):
    """Receipts are not those of the block that they were sent for."""


def proven_logs(
    receipts: Sequence[_Receipt], against: VerifiedHeader, addresses: Container[bytes] | None
) -> list[tuple[BlockRef, ChainLog]]:
    """Check a block's receipts and return the logs of ``addresses`` in them, as ``check`` and ``logs_of`` do."""
    check(receipts, against)
    return logs_of(receipts, against.header.block, addresses)


def check(receipts: Sequence[_Receipt], against: VerifiedHeader) -> None:
    """Hold receipts against the header of their block.

    Raises:
        ReceiptsDiffer: their root is not the header's (the reason is named as far as it can be told), or what the root
            does not cover is not as it must be: each receipt's block, and indexes that count up without a hole.
        BadAnswer: a field is missing or malformed.
    """
    block = against.header.block
    root = receipts_root(receipts)
    if root != against.receipts_root:
        raise ReceiptsDiffer(
            f"the receipts of block {block.number} have the root {to_hex(root)} and its header says "
            f"{to_hex(against.receipts_root)}{_reason(receipts, against)}"
        )
    _check_places(receipts, block)


def receipts_root(receipts: Sequence[_Receipt]) -> bytes:
    """Return the root (32 bytes) that a header must have for these receipts, in their order.

    Raises:
        BadAnswer: as for ``encoded``.
    """
    return ordered_trie.root([encoded(one) for one in receipts])


def encoded(one: _Receipt) -> bytes:
    """Return the bytes of a receipt that the root commits to.

    A type's number goes before the list, but for a legacy receipt (EIP-2718). Before Byzantium the first field was the
    state's root and not the status; some nodes make up a status for such a receipt beside the root. A deposit of the OP
    stack has its nonce and its version at the end since Canyon; before, nodes answer with a nonce that the root does
    not cover. A bloom that a node leaves out is made from the logs.

    Raises:
        BadAnswer: a field is missing or malformed, or the type is no number that a receipt can have.
    """
    kind = _type(one)
    parts = [
        # Nodes that send a root with every receipt send an empty one since Byzantium.
        rlp_item.quantity(field.number(one, "status"))
        if one.get("root") in (None, "", "0x")
        else rlp_item.string(field.octets(one, "root", 32)),
        rlp_item.quantity(field.number(one, "cumulativeGasUsed")),
        rlp_item.string(bloom_of(one)),
        rlp_item.sequence(b"".join([_encoded_log(log) for log in _logs(one)])),
    ]
    if kind == DEPOSIT and one.get("depositReceiptVersion") is not None:
        parts.append(rlp_item.quantity(field.number(one, "depositNonce")))
        parts.append(rlp_item.quantity(field.number(one, "depositReceiptVersion")))
    body = rlp_item.sequence(b"".join(parts))
    return body if kind == 0 else bytes((kind,)) + body


def bloom_of(one: _Receipt) -> bytes:
    """Return the bloom (256 bytes) of a receipt: the node's, or where it sends none, that of the logs.

    Raises:
        BadAnswer: a field is missing or malformed.
    """
    if one.get("logsBloom") is None:
        return _bloom_of_logs(one)
    return field.octets(one, "logsBloom", bloom.BLOOM_BYTES)


def logs_of(
    receipts: Sequence[_Receipt], block: BlockRef, addresses: Container[bytes] | None
) -> list[tuple[BlockRef, ChainLog]]:
    """Return the logs of ``addresses`` in the receipts of a block, in the order of the chain; of all if it is None.

    A log's place in its block is counted here and not read: ``check`` has held it against what the node says.

    Raises:
        BadAnswer: a field is missing or malformed.
    """
    found = []
    log_index = -1
    for transaction_index, one in enumerate(receipts):
        for log in _logs(one):
            log_index += 1
            address = field.octets(log, "address", 20)
            if addresses is not None and address not in addresses:
                continue
            data = field.octets(log, "data")
            if len(data) > DATA_BYTES_MAX:
                raise BadAnswer(f"a log of block {block.number} has {len(data)} bytes of data")
            transaction = field.octets(one, "transactionHash", 32)
            found.append((block, ChainLog(transaction, transaction_index, log_index, address, _topics(log), data)))
    return found


def _check_places(receipts: Sequence[_Receipt], block: BlockRef) -> None:
    block_hash = to_hex(block.hash)
    log_index = 0
    for index, one in enumerate(receipts):
        transaction_hash = to_hex(field.octets(one, "transactionHash", 32))
        here = {"blockHash": block_hash, "transactionIndex": hex(index), "transactionHash": transaction_hash}
        _check_place(one, here, f"receipt {index} of block {block.number}")
        for log in _logs(one):
            _check_place(log, {**here, "logIndex": hex(log_index)}, f"log {log_index} of block {block.number}")
            log_index += 1


def _check_place(found: Mapping[str, Any], here: Mapping[str, str], what: str) -> None:
    for name, expected in here.items():
        told = found.get(name)
        if told != expected and str(told).lower() != expected:
            raise ReceiptsDiffer(f"{what} has {name} {told!r:.80}, which should be {expected}")


def _reason(receipts: Sequence[_Receipt], against: VerifiedHeader) -> str:
    """What can be told of why a root differs: the node left something out, or the receipts are of another block."""
    union = 0
    for index, one in enumerate(receipts):
        claimed = bloom_of(one)
        union |= int.from_bytes(claimed)
        if _bloom_of_logs(one) != claimed:
            return f": the logs of receipt {index} do not make its own bloom"
    if union != int.from_bytes(against.logs_bloom):
        return ": their blooms together are not the header's"
    gas = field.number(receipts[-1], "cumulativeGasUsed") if receipts else 0
    if gas != against.gas_used:
        return f": they end at {gas} gas, the block at {against.gas_used}"
    if any(_type(one) == DEPOSIT and one.get("depositReceiptVersion") is None for one in receipts):
        return ": it may be that the node leaves out depositReceiptVersion"
    return ""


def _type(one: _Receipt) -> int:
    if not isinstance(one, Mapping):
        raise BadAnswer(f"a receipt is {one!r:.80}, not an object")
    kind = 0 if one.get("type") is None else field.number(one, "type")
    if kind > TYPE_MAX:
        raise BadAnswer(f"a receipt has the type {kind:#x}")
    return kind


def _bloom_of_logs(one: _Receipt) -> bytes:
    return bloom.of_logs((field.octets(log, "address", 20), _topics(log)) for log in _logs(one))


def _encoded_log(log: Mapping[str, Any]) -> bytes:
    topics = b"".join([b"\xa0" + topic for topic in _topics(log)])
    return rlp_item.sequence(
        b"\x94"
        + field.octets_of(log.get("address"), "address", 20)
        + rlp_item.sequence(topics)
        + rlp_item.string(field.octets_of(log.get("data"), "data"))
    )


def _topics(log: Mapping[str, Any]) -> tuple[bytes, ...]:
    found = log.get("topics")
    if type(found) is not list or len(found) > TOPICS_MAX:
        raise BadAnswer(f"the topics of a log are {found!r:.80}, not a list of at most {TOPICS_MAX}")
    return tuple([field.octets_of(topic, "a topic", 32) for topic in found])


def _logs(one: _Receipt) -> Iterator[Mapping[str, Any]]:
    found = one.get("logs")
    if type(found) is not list:
        raise BadAnswer(f"the logs of a receipt are {found!r:.80}, not a list")
    for log in found:
        if not isinstance(log, Mapping):
            raise BadAnswer(f"a log of a receipt is {log!r:.80}, not an object")
        yield log
