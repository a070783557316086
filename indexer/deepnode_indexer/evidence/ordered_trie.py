"""The root of an ordered list: how a header commits to its transactions, its receipts and its withdrawals.

The list is a Merkle Patricia trie whose keys are the RLP of the indexes 0, 1, 2 … (Yellow Paper, appendix D). Only the
root is asked for, so no trie is kept: a node is encoded as soon as its children are.
"""

from collections.abc import Sequence
from typing import Final

from eth_utils.crypto import keccak

from deepnode_indexer.evidence import rlp_item

EMPTY_ROOT: Final = bytes.fromhex("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421")
"""The root of an empty list: keccak-256 of the RLP of the empty string."""

_HASH_BYTES: Final = 32
_LEAF: Final = 2
_EXTENSION: Final = 0
_NO_VALUE: Final = rlp_item.EMPTY
_DIGITS: Final = "0123456789abcdef"

_Pairs = Sequence[tuple[str, bytes]]


def root(values: Sequence[bytes]) -> bytes:
    """Return the root (32 bytes) of a list of byte strings, none of which may be empty."""
    assert all(values), "an empty value would mean that there is none"
    if not values:
        return EMPTY_ROOT
    # The keys as nibbles, one character each. RLP is prefix-free, so no key ends inside another one's way.
    pairs = sorted((rlp_item.quantity(index).hex(), value) for index, value in enumerate(values))
    return bytes(keccak(_node(pairs, 0)))


def _node(pairs: _Pairs, depth: int) -> bytes:
    """Encode the node under which all of ``pairs`` are; they are sorted and agree in their first ``depth`` nibbles."""
    first, last = pairs[0][0], pairs[-1][0]
    if len(pairs) == 1:
        return rlp_item.sequence(_path(first[depth:], _LEAF) + rlp_item.string(pairs[0][1]))
    fork = depth
    while first[fork] == last[fork]:
        fork += 1
    if fork == depth:
        return _branch(pairs, depth)
    return rlp_item.sequence(_path(first[depth:fork], _EXTENSION) + _reference(_branch(pairs, fork)))


def _branch(pairs: _Pairs, depth: int) -> bytes:
    children = []
    start = 0
    for digit in _DIGITS:
        end = start
        while end < len(pairs) and pairs[end][0][depth] == digit:
            end += 1
        children.append(_reference(_node(pairs[start:end], depth + 1)) if end > start else _NO_VALUE)
        start = end
    assert start == len(pairs), "each pair is below one of sixteen children"
    return rlp_item.sequence(b"".join(children) + _NO_VALUE)


def _reference(node: bytes) -> bytes:
    """What a parent holds of a node: its hash, or the node itself where that is shorter."""
    return node if len(node) < _HASH_BYTES else rlp_item.string(keccak(node))


def _path(nibbles: str, kind: int) -> bytes:
    """Encode a way through the trie: a flag for its kind and for an odd number of nibbles, then the nibbles."""
    odd = len(nibbles) % 2
    flags = f"{kind + odd}" if odd else f"{kind}0"
    return rlp_item.string(bytes.fromhex(flags + nibbles))
