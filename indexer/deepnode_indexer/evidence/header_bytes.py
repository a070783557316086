"""A header read from its own bytes: the RLP that a block's hash is the keccak-256 of.

Kept bytes need no node's word: whoever has them recomputes the hash, and what the fields say is what the block says.
Layout and refusals are those of ``header``; fields behind the last one that is known there are refused, never guessed.
"""

from typing import Final

from eth_utils.crypto import keccak

from deepnode_indexer.evidence import rlp_reading
from deepnode_indexer.evidence.header import ANY_LENGTH, FIELDS, QUANTITY, TAIL, VerifiedHeader
from deepnode_ledger.errors import Damaged
from deepnode_ledger.record import BlockRef, Header

HEADER_BYTES_MAX: Final = 65_536
"""A header is some 600 bytes; only ``extraData`` has no length of its own."""

NUMBER_MAX: Final = 2**63 - 1
"""Numbers and times that the log's columns can hold."""

_ALL: Final = FIELDS + TAIL
_PARENT, _RECEIPTS_ROOT, _BLOOM, _NUMBER, _GAS_USED, _TIME = (
    [name for name, _ in FIELDS].index(each)
    for each in ("parentHash", "receiptsRoot", "logsBloom", "number", "gasUsed", "timestamp")
)


def decoded(rlp: bytes) -> VerifiedHeader:
    """Read a header; its hash is recomputed from the bytes.

    Raises:
        Damaged: the bytes are not the canonical RLP of a header: a field is missing, too many, or of a wrong length.
    """
    if len(rlp) > HEADER_BYTES_MAX:
        raise Damaged(f"a header has {len(rlp)} bytes, of at most {HEADER_BYTES_MAX}")
    is_list, start, stop = rlp_reading.whole(rlp)
    found = rlp_reading.items(rlp, start, stop) if is_list else []
    if not len(FIELDS) <= len(found) <= len(_ALL):
        raise Damaged(f"a header has {len(found)} fields, not {len(FIELDS)} to {len(_ALL)}")
    for item, (name, kind) in zip(found, _ALL, strict=False):
        if kind == QUANTITY:
            rlp_reading.quantity(rlp, item, name)
        elif item[0] or kind not in (ANY_LENGTH, item[2] - item[1]):
            rlp_reading.octets(rlp, item, name, None if kind == ANY_LENGTH else kind)
    number, time = (rlp_reading.quantity(rlp, found[place], "") for place in (_NUMBER, _TIME))
    if max(number, time) > NUMBER_MAX:
        raise Damaged(f"a header has the number {number} and the time {time}, of at most {NUMBER_MAX}")
    parent_hash, receipts_root, logs_bloom = (
        rlp[found[place][1] : found[place][2]] for place in (_PARENT, _RECEIPTS_ROOT, _BLOOM)
    )
    return VerifiedHeader(
        Header(BlockRef(number, bytes(keccak(rlp)), time), parent_hash),
        receipts_root,
        logs_bloom,
        rlp_reading.quantity(rlp, found[_GAS_USED], "gasUsed"),
    )
