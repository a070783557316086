"""The tree of claims as OpenZeppelin's StandardMerkleTree builds it, in the devnet's own hand.

The books have a tree of their own (``deepnode_projections.maths.claims``). This one shares no line with it, so that a
root which both of them find is worth something.
"""

from __future__ import annotations

from collections.abc import Mapping

from eth_abi.abi import encode
from eth_utils.crypto import keccak


def leaf_of(earner: bytes, asset: bytes, cumulative: int) -> bytes:
    """The leaf of one entitlement, hashed twice: keccak(keccak(abi.encode(earner, asset, cumulative)))."""
    return keccak(keccak(encode(["address", "address", "uint256"], [earner, asset, cumulative])))


class ClaimTree:
    """The tree over the cumulative entitlements of one asset. Who is entitled to nothing has no leaf.

    Args:
        asset: the token's address (20 bytes).
        entitled: the cumulative amount of each earner (20 bytes) in base units.
    """

    def __init__(self, asset: bytes, entitled: Mapping[bytes, int]) -> None:
        self.asset = asset
        self.entitled = {earner: amount for earner, amount in sorted(entitled.items()) if amount > 0}
        assert self.entitled, "a tree of nobody has no root"
        leaves = sorted(leaf_of(earner, asset, amount) for earner, amount in self.entitled.items())
        # The leaves stand at the end of the array, backwards; the children of node i are nodes 2i + 1 and 2i + 2.
        self._nodes = [b""] * (len(leaves) - 1) + leaves[::-1]
        for place in range(len(leaves) - 2, -1, -1):
            self._nodes[place] = keccak(b"".join(sorted(self._nodes[2 * place + 1 : 2 * place + 3])))
        self._places = {node: place for place, node in enumerate(self._nodes) if place >= len(leaves) - 1}

    @property
    def root(self) -> bytes:
        """The root (32 bytes)."""
        return self._nodes[0]

    @property
    def total(self) -> int:
        """The sum of all entitlements in base units."""
        return sum(self.entitled.values())

    def proof(self, earner: bytes) -> list[bytes]:
        """The siblings from an earner's leaf up to the root."""
        place = self._places[leaf_of(earner, self.asset, self.entitled[earner])]
        siblings = []
        while place > 0:
            siblings.append(self._nodes[place - 1 if place % 2 == 0 else place + 1])
            place = (place - 1) // 2
        return siblings
