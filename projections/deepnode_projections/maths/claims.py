"""Claims: what everybody is entitled to, as the Merkle tree whose root the chain pays by.

The tree is OpenZeppelin's ``StandardMerkleTree`` to the byte, so that a root made here is the root that their library
makes, and their ``MerkleProof`` verifies a proof made here. A leaf is ``keccak256(keccak256(abi.encode(address earner,
address asset, uint256 cumulative)))``: hashed twice, so that no inner node can pass for a leaf. Leaves are sorted by
hash and put in from the end of an array in which the children of node i are 2i + 1 and 2i + 2; an inner node is the
hash of its children, the lower first.

Entitlements are cumulative: all that was ever earned. Who claims is paid what was not claimed yet, so a missed epoch
loses nothing. The tree of nobody has no root in their library; here it is ``EMPTY_ROOT``, 32 zero bytes.

Source: DESIGN section 6, "Facts and expectations".
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import pairwise
from operator import attrgetter
from typing import Any, Final

from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import ADDRESS_BYTES, WORD_BYTES, to_hex
from deepnode_projections.maths.hashes import hashed

EMPTY_ROOT: Final = bytes(WORD_BYTES)
"""The root of the tree that entitles nobody. No proof leads to it: nobody knows of anything with that hash."""

LEAF_TYPES: Final = ("address", "address", "uint256")
"""How a leaf is encoded: earner, asset, cumulative amount."""


class ClaimTwice(BadInput):
    """An earner comes twice for the same asset; cumulative amounts are one each."""


class NoClaim(BadInput):
    """The tree holds no such entitlement, so there is no proof of it."""


@dataclass(frozen=True, slots=True, order=True)
class Entitlement:
    """All that an address has ever earned of an asset (base units, below 2**256)."""

    earner: bytes
    asset: bytes
    cumulative: int

    def __post_init__(self) -> None:
        assert len(self.earner) == len(self.asset) == ADDRESS_BYTES, self
        assert 0 <= self.cumulative < 2**256, self

    @property
    def encoded(self) -> bytes:
        """What its leaf is the hash of the hash of (96 bytes)."""
        address = self.earner.rjust(WORD_BYTES, b"\0") + self.asset.rjust(WORD_BYTES, b"\0")
        return address + self.cumulative.to_bytes(WORD_BYTES)

    @property
    def leaf(self) -> bytes:
        """Its leaf in the tree (32 bytes)."""
        return _leaves([self])[0]


# To compare entitlements themselves gives the same order, and takes ten times as long.
_IN_ORDER: Final = attrgetter("earner", "asset", "cumulative")


class ClaimTree:
    """A tree of entitlements. Those of nothing have no leaf: there is nothing to claim."""

    def __init__(self, entitlements: Iterable[Entitlement]) -> None:
        """Make the tree; the order in which entitlements come changes nothing.

        Raises:
            ClaimTwice: an earner comes twice for one asset.
        """
        self.entitlements = tuple(sorted((each for each in entitlements if each.cumulative), key=_IN_ORDER))
        for each, following in pairwise(self.entitlements):
            if (each.earner, each.asset) == (following.earner, following.asset):
                amounts = f"{each.cumulative} and {following.cumulative}"
                raise ClaimTwice(f"{to_hex(each.earner)} is entitled to {amounts} of {to_hex(each.asset)}: once only")
        leaves = sorted((leaf, number) for number, leaf in enumerate(_leaves(self.entitlements)))
        self._nodes = _nodes([leaf for leaf, _ in leaves])
        self._of_leaves = [number for _, number in leaves]

    @property
    def root(self) -> bytes:
        """The root (32 bytes)."""
        return self._nodes[0] if self._nodes else EMPTY_ROOT

    @property
    def total(self) -> int:
        """What all entitlements come to, over all assets (base units)."""
        return sum(each.cumulative for each in self.entitlements)

    @cached_property
    def _places(self) -> dict[int, int]:
        """Where in the tree each entitlement's leaf is, by the entitlement's number."""
        last = len(self._nodes) - 1
        return {number: last - place for place, number in enumerate(self._of_leaves)}

    @cached_property
    def _numbers(self) -> dict[Entitlement, int]:
        return {each: number for number, each in enumerate(self.entitlements)}

    def proof(self, entitlement: Entitlement) -> tuple[bytes, ...]:
        """Return the hashes that lead from an entitlement to the root, from the bottom.

        Raises:
            NoClaim: the tree holds no such entitlement.
        """
        number = self._numbers.get(entitlement)
        if number is None:
            asset, amount = to_hex(entitlement.asset), entitlement.cumulative
            raise NoClaim(f"no claim of {to_hex(entitlement.earner)} to {amount} of {asset} is in the tree")
        path, node = [], self._places[number]
        while node:
            path.append(self._nodes[node + 1 if node % 2 else node - 1])
            node = (node - 1) // 2
        found = tuple(path)
        assert verify(self.root, entitlement, found)
        return found

    def dump(self) -> dict[str, Any]:
        """Return the tree in the library's own format ``standard-v1``, which its ``StandardMerkleTree.load`` reads."""
        values = [
            {"value": [to_hex(e.earner), to_hex(e.asset), str(e.cumulative)], "treeIndex": self._places[number]}
            for number, e in enumerate(self.entitlements)
        ]
        tree = [to_hex(node) for node in self._nodes]
        return {"format": "standard-v1", "leafEncoding": [*LEAF_TYPES], "tree": tree, "values": values}


def verify(root: bytes, entitlement: Entitlement, proof: Sequence[bytes]) -> bool:
    """Tell whether a proof leads from an entitlement to a root, as OpenZeppelin's ``MerkleProof`` does on chain."""
    assert len(root) == WORD_BYTES, root
    if any(len(each) != WORD_BYTES for each in proof):
        return False
    return reduce(_parent, proof, entitlement.leaf) == root


def _nodes(leaves: Sequence[bytes]) -> list[bytes]:
    """Return the tree as an array, root first, from its sorted leaves."""
    if not leaves:
        return []
    nodes = [b""] * (len(leaves) - 1) + [*reversed(leaves)]
    last = len(leaves) - 1
    while last:
        # Those from the middle on have no children among one another.
        first = last // 2
        nodes[first:last] = hashed([_paired(nodes[2 * node + 1], nodes[2 * node + 2]) for node in range(first, last)])
        last = first
    return nodes


def _leaves(entitlements: Sequence[Entitlement]) -> list[bytes]:
    return hashed(hashed([each.encoded for each in entitlements]))


def _parent(one: bytes, other: bytes) -> bytes:
    return hashed([_paired(one, other)])[0]


def _paired(one: bytes, other: bytes) -> bytes:
    return one + other if one < other else other + one
