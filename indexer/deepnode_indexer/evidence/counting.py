"""Whose logs count, and from where on: what completeness is a statement about.

A contract of the manifest counts from its first block; what it logged before may be there or not. A factory's child
counts behind the log that announced it, and never before: the address was nobody's yet (see ``roster``).
"""

from collections.abc import Iterable
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from deepnode_indexer.evidence import bloom
from deepnode_ledger.roster import Roster

Row = tuple[bytes, int, int]
"""An address (20 bytes), and the place from which it counts: a block and a log index. A contract of the manifest counts
from its first block on and has the index -1; a child counts behind the place."""

DECLARED = -1


class Counts(Enum):
    """What is to be made of a log of an address at a place."""

    MUST = "must"
    """The log of the chain has it."""
    MAY = "may"
    """It is from before the contract's first block: it is there if it was asked for."""
    NOT = "not"
    """No contract of ours logged it."""


def rows_of(roster: Roster, chain_id: int) -> list[Row]:
    """Return who counts on a chain: the manifest's contracts, then the children as they were learned."""
    declared = [(each.address, each.start_block, DECLARED) for each in roster.manifest.on(chain_id)]
    home = roster.manifest.chain_id
    children = [
        (child.contract.address, *child.place)
        for child in roster.children
        if (home if child.contract.chain_id is None else child.contract.chain_id) == chain_id
    ]
    return declared + children


class Counting:
    """Addresses of one chain and the places from which they count."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._from = {address: (block, index) for address, block, index in rows}

    @property
    def addresses(self) -> list[bytes]:
        """Every address (20 bytes each)."""
        return list(self._from)

    def __contains__(self, address: object) -> bool:
        """Whether an address counts anywhere."""
        return address in self._from

    def of(self, address: bytes, block: int, log_index: int) -> Counts:
        """Say what is to be made of a log."""
        place = self._from.get(address)
        if place is None:
            return Counts.NOT
        if place < (block, log_index):
            return Counts.MUST
        return Counts.MAY if place[1] == DECLARED else Counts.NOT

    def spoken_of(self, blooms: NDArray[np.uint8], first: int) -> NDArray[np.bool_]:
        """Say for each of the blocks from ``first`` on whether its bloom speaks of an address that counts by then.

        Args:
            blooms: one row of 256 bytes a block.
            first: the number of the first of the blocks.
        """
        blocks = len(blooms)
        # By the bloom's bytes: what is looked at for an address lies together for all blocks.
        columns = np.ascontiguousarray(blooms.T)
        found = np.zeros(blocks, np.bool_)
        for address, (block, _) in self._from.items():
            skipped = max(0, block - first)
            if skipped < blocks:
                one, two, three = ((columns[at] & mask) != 0 for at, mask in bloom.bytes_of(address))
                found[skipped:] |= (one & two & three)[skipped:]
        return found
