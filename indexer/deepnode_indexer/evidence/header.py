"""A block's header, held against its hash.

The hash is keccak-256 of the header's RLP. Recomputing it turns a node's claim into a fact about the block of that
hash: its parent, its time, its bloom and the root of its receipts. Each fork appended fields and none was ever taken
out, so the layout is one list with an optional tail; Base and the other OP-stack chains have the same one. A header
with fields that are not in this list (Avalanche's, for instance) is refused, never guessed at.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from eth_utils.crypto import keccak

from deepnode_indexer.evidence import field, rlp_item
from deepnode_indexer.failures import BadAnswer
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.record import BlockRef, Header

BLOOM_BYTES: Final = 256

QUANTITY: Final = 0
ANY_LENGTH: Final = -1
"""What stands in place of a number of bytes in the lists of fields."""

FIELDS: Final[tuple[tuple[str, int], ...]] = (
    ("parentHash", 32),
    ("sha3Uncles", 32),
    ("miner", 20),
    ("stateRoot", 32),
    ("transactionsRoot", 32),
    ("receiptsRoot", 32),
    ("logsBloom", BLOOM_BYTES),
    ("difficulty", QUANTITY),
    ("number", QUANTITY),
    ("gasLimit", QUANTITY),
    ("gasUsed", QUANTITY),
    ("timestamp", QUANTITY),
    ("extraData", ANY_LENGTH),
    ("mixHash", 32),
    ("nonce", 8),
)
"""What every header has, by the names of JSON-RPC: bytes of a length, of any length, or a quantity."""

TAIL: Final[tuple[tuple[str, int], ...]] = (
    ("baseFeePerGas", QUANTITY),  # London, EIP-1559
    ("withdrawalsRoot", 32),  # Shanghai, EIP-4895; on the OP stack since Isthmus the root of the messages' storage
    ("blobGasUsed", QUANTITY),  # Cancun, EIP-4844
    ("excessBlobGas", QUANTITY),
    ("parentBeaconBlockRoot", 32),  # EIP-4788
    ("requestsHash", 32),  # Prague, EIP-7685
    ("blockAccessListHash", 32),  # Amsterdam, EIP-7928
    ("slotNumber", QUANTITY),  # EIP-7843
)
"""What forks appended, in order. A header ends with the first one that it does not have."""


class HeaderDiffers(BadAnswer):
    """A header does not have the hash that it was sent under, so some field of it is not the block's."""


@dataclass(frozen=True, slots=True)
class VerifiedHeader:
    """A header whose hash was recomputed: whatever it says is what the block of ``header.block.hash`` says.

    ``receipts_root`` has 32 bytes, ``logs_bloom`` 256; ``gas_used`` is that of all transactions of the block.
    """

    header: Header
    receipts_root: bytes
    logs_bloom: bytes
    gas_used: int


def verified(raw: Mapping[str, Any], expected_hash: bytes | None = None) -> VerifiedHeader:
    """Recompute the hash of a header as JSON-RPC gives it, and return what the header says.

    Args:
        raw: the answer of ``eth_getBlockByNumber`` or ``eth_getBlockByHash``; what is no field of a header is ignored.
        expected_hash: the block that was asked for, if it was asked for by hash (32 bytes).

    Raises:
        HeaderDiffers: the hash is another one than the header or the caller says (all of them named).
        BadAnswer: a field is missing or malformed.
    """
    recomputed = hash_of(raw)
    number = field.number(raw, "number")
    claimed = field.octets(raw, "hash", 32)
    if recomputed != claimed:
        raise HeaderDiffers(
            f"the header of block {number} came with hash {to_hex(claimed)} and its fields hash to {to_hex(recomputed)}"
        )
    if expected_hash is not None and recomputed != expected_hash:
        raise HeaderDiffers(f"asked for block {to_hex(expected_hash)}, got block {number}, {to_hex(recomputed)}")
    return VerifiedHeader(
        Header(BlockRef(number, recomputed, field.number(raw, "timestamp")), field.octets(raw, "parentHash", 32)),
        field.octets(raw, "receiptsRoot", 32),
        field.octets(raw, "logsBloom", BLOOM_BYTES),
        field.number(raw, "gasUsed"),
    )


def hash_of(raw: Mapping[str, Any]) -> bytes:
    """Return the hash (32 bytes) of a header as JSON-RPC gives it, whatever hash it claims to have.

    Raises:
        BadAnswer: as for ``rlp_of``.
    """
    return bytes(keccak(rlp_of(raw)))


def rlp_of(raw: Mapping[str, Any]) -> bytes:
    """Return a header's RLP, the bytes that are hashed.

    Raises:
        BadAnswer: a field is missing or malformed, or a later fork's field is there without an earlier one's.
    """
    parts = [_encoded(raw, name, kind) for name, kind in FIELDS]
    present = [raw.get(name) is not None for name, _ in TAIL]
    length = present.index(False) if False in present else len(TAIL)
    if True in present[length:]:
        later = TAIL[length + present[length:].index(True)][0]
        raise BadAnswer(f"a header has {later} and no {TAIL[length][0]}")
    parts += [_encoded(raw, name, kind) for name, kind in TAIL[:length]]
    return rlp_item.sequence(b"".join(parts))


def _encoded(raw: Mapping[str, Any], name: str, kind: int) -> bytes:
    if kind == QUANTITY:
        return rlp_item.quantity(field.number(raw, name))
    return rlp_item.string(field.octets(raw, name, None if kind == ANY_LENGTH else kind))
