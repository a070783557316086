"""The right edge of the growing tree: all that a publisher has to know to extend it.

What lies to the left of the edge is in full tiles, which never change; the edge is the fewer than 256 hashes of each
tile level that no full tile holds yet. It is a value of some kilobytes: extending it makes a new one and the bytes of
the tiles to write, so a crash between the two loses nothing. The order of the runs in which leaves come makes no
difference.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from deepnode_ledger.errors import BadInput
from deepnode_ledger.transparency.line import HASH_BYTES, SIZE_MAX
from deepnode_ledger.transparency.tile import HEIGHT, WIDTH, ReadTile, Tile, read_hashes
from deepnode_ledger.transparency.tree import EMPTY_ROOT, fold_right, level_above


@dataclass(frozen=True)
class Edge:
    """The partial tiles of every tile level, from level 0 on; the highest level is not empty.

    Raises:
        BadInput: a level of 256 or more hashes, a hash that has not 32 bytes, an empty highest level, too many levels.
    """

    levels: tuple[tuple[bytes, ...], ...] = ()

    def __post_init__(self) -> None:
        if self.levels and not self.levels[-1]:
            raise BadInput("the highest level of an edge is not empty")
        for level, hashes in enumerate(self.levels):
            if len(hashes) >= WIDTH:
                raise BadInput(f"level {level} of an edge holds fewer than {WIDTH} hashes, not {len(hashes)}")
            if any(len(value) != HASH_BYTES for value in hashes):
                raise BadInput(f"level {level} of an edge holds a hash that has not {HASH_BYTES} bytes")
        if self.size > SIZE_MAX:
            raise BadInput(f"a tree has {SIZE_MAX} leaves at most, not {self.size}")

    @cached_property
    def size(self) -> int:
        """The number of leaves."""
        return sum(len(hashes) << (HEIGHT * level) for level, hashes in enumerate(self.levels))

    @cached_property
    def root(self) -> bytes:
        """The root over all leaves."""
        right = b""
        for hashes in self.levels:
            right = fold_right(hashes, right)
        return right or EMPTY_ROOT

    def extend(self, leaves: Sequence[bytes]) -> tuple["Edge", list[tuple[Tile, bytes]]]:
        """Append leaf hashes.

        Args:
            leaves: their hashes (``tree.leaf_hashes``), 32 bytes each.

        Returns:
            The new edge, and each tile that is new in it, full or partial, with its bytes: lower levels first.

        Raises:
            BadInput: a hash that has not 32 bytes, or more leaves than a tree can have.
        """
        if not set(map(len, leaves)) <= {HASH_BYTES}:
            raise BadInput(f"a leaf hash has {HASH_BYTES} bytes")
        levels: list[tuple[bytes, ...]] = []
        tiles: list[tuple[Tile, bytes]] = []
        rising: Sequence[bytes] = leaves
        for level in range(SIZE_MAX.bit_length() // HEIGHT + 1):
            held = self.levels[level] if level < len(self.levels) else ()
            if not rising:
                levels += self.levels[level:]
                break
            hashes = [*held, *rising]
            index = self.size >> (HEIGHT * (level + 1))
            end = len(hashes) - len(hashes) % WIDTH
            for start in range(0, end, WIDTH):
                tiles.append((Tile(level, index, WIDTH), b"".join(hashes[start : start + WIDTH])))
                index += 1
            if end < len(hashes):
                tiles.append((Tile(level, index, len(hashes) - end), b"".join(hashes[end:])))
            levels.append(tuple(hashes[end:]))
            rising = hashes[:end]
            for _ in range(HEIGHT):
                rising = level_above(rising)
        assert not levels or levels[-1], "the highest level of an edge holds what rose to it"
        extended = Edge(tuple(levels))
        assert extended.size == self.size + len(leaves), "every leaf counts once"
        return extended, tiles


def read_edge(size: int, read_tile: ReadTile) -> Edge:
    """The edge of a tree of ``size`` leaves, from its published tiles.

    Args:
        size: the number of leaves.
        read_tile: returns a tile's bytes.

    Raises:
        BadInput: a size out of range, or a tile that is missing or has another length than its width says.
    """
    if not 0 <= size <= SIZE_MAX:
        raise BadInput(f"a tree has 0 to {SIZE_MAX} leaves, not {size}")
    levels = []
    for level in range((size.bit_length() + HEIGHT - 1) // HEIGHT):
        hashes = size >> (HEIGHT * level)
        width = hashes % WIDTH
        levels.append(tuple(read_hashes(Tile(level, hashes // WIDTH, width), read_tile)) if width else ())
    return Edge(tuple(levels))
