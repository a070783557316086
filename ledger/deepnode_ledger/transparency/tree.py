"""The Merkle tree of RFC 6962, section 2.1 (RFC 9162, section 2.1): hashes, roots and proofs.

Everything here is arithmetic over hashes. Where hashes are kept is somebody else's matter: a proof is made with a
function that reads the hash of one complete subtree, and checked with nothing but what the verifier holds. A check
either returns nothing or raises ``NotProven`` with the values that differ.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from deepnode_ledger.errors import BadInput
from deepnode_ledger.transparency.line import HASH_BYTES, SIZE_MAX

EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
# A tree of at most 2**62 leaves needs no more hashes for either proof, and tlog-witness allows no more lines.
PROOF_HASHES_MAX: Final = 63

ReadHash = Callable[[int, int], bytes]
"""``read(level, index)``: the root of the complete subtree over leaves ``index * 2**level`` to before
``(index + 1) * 2**level``. It raises ``BadInput`` for a subtree that the tree does not have."""


class NotProven(BadInput):
    """A proof, a leaf and a root do not belong together. The message names what differs."""


def leaf_hash(entry: bytes) -> bytes:
    """The hash of one entry: SHA-256 over 0x00 and its bytes."""
    return hashlib.sha256(b"\x00" + entry).digest()


def leaf_hashes(entries: Iterable[bytes]) -> list[bytes]:
    """The hash of each entry, in bulk."""
    sha256 = hashlib.sha256
    return [sha256(b"\x00" + entry).digest() for entry in entries]


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node: SHA-256 over 0x01 and the hashes of both children."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def level_above(hashes: Sequence[bytes]) -> list[bytes]:
    """The parents of an even number of neighbouring nodes, in bulk."""
    assert len(hashes) % 2 == 0, f"{len(hashes)} nodes cannot be paired"
    sha256 = hashlib.sha256
    pairs = zip(hashes[::2], hashes[1::2], strict=True)
    return [sha256(b"\x01%b%b" % pair).digest() for pair in pairs]


def root_of(hashes: Sequence[bytes]) -> bytes:
    """The root over leaf hashes, all of them in memory."""
    if not hashes:
        return EMPTY_ROOT
    right = fold_right(hashes, b"")
    assert len(right) == HASH_BYTES
    return right


def fold_right(hashes: Sequence[bytes], right: bytes) -> bytes:
    """Hash neighbouring nodes of one level onto what stands to their right.

    Args:
        hashes: nodes from an index that is a multiple of the next power of two on.
        right: the hash over all leaves to their right, fewer than one such node has; empty if there are none.

    Returns:
        The hash over all of it; ``right`` if there are no nodes.
    """
    row = list(hashes)
    while row:
        if len(row) % 2:
            last = row.pop()
            right = node_hash(last, right) if right else last
        row = level_above(row)
    return right


def root(size: int, read: ReadHash) -> bytes:
    """The root of the tree of the first ``size`` leaves.

    Raises:
        BadInput: a size out of range, or a subtree that ``read`` does not have.
    """
    _check_size(size)
    return _range_root(0, size, read) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, read: ReadHash) -> list[bytes]:
    """The hashes that lead from a leaf to the root: the leaf's sibling first (RFC 6962, section 2.1.1).

    Args:
        index: the leaf, from 0.
        size: the number of leaves of the tree.
        read: reads the hash of a complete subtree.

    Raises:
        BadInput: the tree has no such leaf, or ``read`` does not have a subtree.
    """
    _check_index(index, size)
    proof = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(_range_root(middle, end, read))
            end = middle
        else:
            proof.append(_range_root(start, middle, read))
            start = middle
    return proof[::-1]


def consistency_proof(old_size: int, new_size: int, read: ReadHash) -> list[bytes]:
    """The hashes that show that the older tree is a prefix of the newer one (RFC 6962, section 2.1.2).

    Empty where there is nothing to show: from the empty tree, and between trees of one size.

    Raises:
        BadInput: the old size is not between 0 and the new one, or ``read`` does not have a subtree.
    """
    _check_sizes(old_size, new_size)
    proof: list[bytes] = []
    if old_size in {0, new_size}:
        return proof
    start, end = 0, new_size
    while old_size != end:
        middle = start + _split(end - start)
        if old_size <= middle:
            proof.append(_range_root(middle, end, read))
            end = middle
        else:
            proof.append(_range_root(start, middle, read))
            start = middle
    # A verifier knows the old root, so only a part of the old tree has to be sent.
    if start:
        proof.append(_range_root(start, end, read))
    return proof[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, root: bytes, proof: Sequence[bytes]) -> None:
    """Check that a leaf hash stands at an index of the tree with this root (RFC 9162, section 2.1.3.2).

    Raises:
        NotProven: the index is not in the tree, the proof has another length, or it leads to another root.
    """
    if not 0 <= index < size <= SIZE_MAX:
        raise NotProven(f"a tree of {size} leaves has no leaf {index}")
    _check_hashes(leaf, root, *proof)
    node, last, at = index, size - 1, leaf
    for step, sibling in enumerate(proof):
        if last == 0:
            raise NotProven(f"the inclusion proof of leaf {index} of {size} has {len(proof)} hashes, {step} are enough")
        if node & 1 or node == last:
            at = node_hash(sibling, at)
            # The last node of a level without a sibling is passed upwards as it is.
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            at = node_hash(at, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise NotProven(f"the inclusion proof of leaf {index} of {size} has {len(proof)} hashes, which are too few")
    if at != root:
        raise NotProven(f"leaf {index} and its proof lead to the root {at.hex()}, not {root.hex()} of size {size}")


def verify_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the older tree is a prefix of the newer one (RFC 9162, section 2.1.4.2).

    Raises:
        NotProven: sizes that are no older and newer tree, a proof of another length, or one that leads to other roots.
    """
    if not 0 <= old_size <= new_size <= SIZE_MAX:
        raise NotProven(f"a tree of {old_size} leaves is no prefix of one of {new_size}")
    _check_hashes(old_root, new_root, *proof)
    if old_size in {0, new_size}:
        known = new_root if old_size else EMPTY_ROOT
        if proof:
            raise NotProven(f"from size {old_size} to {new_size} the proof has no hashes, not {len(proof)}")
        if old_root != known:
            raise NotProven(f"the root of size {old_size} is {known.hex()}, not {old_root.hex()}")
        return
    # The old tree being one complete subtree, its root is where the path starts; the proof leaves it out.
    path = [old_root, *proof] if old_size & (old_size - 1) == 0 else list(proof)
    old_at, new_at = _roots_of_consistency(old_size, new_size, path)
    if old_at != old_root:
        raise NotProven(f"the proof leads to the old root {old_at.hex()}, not {old_root.hex()} of size {old_size}")
    if new_at != new_root:
        raise NotProven(f"the proof leads to the new root {new_at.hex()}, not {new_root.hex()} of size {new_size}")


def _roots_of_consistency(old_size: int, new_size: int, path: list[bytes]) -> tuple[bytes, bytes]:
    """The two roots to which a path leads."""
    wrong = f"the consistency proof from {old_size} to {new_size} has a wrong number of hashes"
    if not path:
        raise NotProven(wrong)
    node, last = old_size - 1, new_size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old_at = new_at = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise NotProven(wrong)
        if node & 1 or node == last:
            old_at, new_at = node_hash(sibling, old_at), node_hash(sibling, new_at)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            new_at = node_hash(new_at, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise NotProven(wrong)
    return old_at, new_at


def _range_root(start: int, end: int, read: ReadHash) -> bytes:
    """The root over leaves ``start`` to before ``end``; ``start`` is a multiple of a power of two that holds them."""
    right = b""
    while start < end:
        # The rightmost complete subtree has as many leaves as the lowest bit of what is left says.
        level = ((end - start) & (start - end)).bit_length() - 1
        end -= 1 << level
        left = read(level, end >> level)
        right = node_hash(left, right) if right else left
    return right


def _split(width: int) -> int:
    """The largest power of two smaller than ``width``: how many leaves the left subtree has."""
    return 1 << (width - 1).bit_length() - 1


def _check_size(size: int) -> None:
    if not 0 <= size <= SIZE_MAX:
        raise BadInput(f"a tree has 0 to {SIZE_MAX} leaves, not {size}")


def _check_sizes(old_size: int, new_size: int) -> None:
    _check_size(new_size)
    if not 0 <= old_size <= new_size:
        raise BadInput(f"the old size must be 0 to {new_size}, not {old_size}")


def _check_index(index: int, size: int) -> None:
    _check_size(size)
    if not 0 <= index < size:
        raise BadInput(f"a tree of {size} leaves has no leaf {index}")


def _check_hashes(*hashes: bytes) -> None:
    for value in hashes:
        if len(value) != HASH_BYTES:
            raise NotProven(f"a hash has {HASH_BYTES} bytes, not {len(value)}")
