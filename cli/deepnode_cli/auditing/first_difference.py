"""Where two logs begin to differ, by the hashes of their trees alone.

Two complete subtrees with the same hash hold the same leaves. So the first leaf in which two logs differ is found by
going down from the largest subtrees: some twenty hashes a side for millions of entries.
"""

from collections.abc import Iterator
from typing import Final

from deepnode_ledger.transparency.tree import ReadHash

CHUNK_LEVEL: Final = 16
"""Subtrees of 65 536 leaves: the largest that are asked of a log whose hashes have to be made."""


def differing(size: int, one: ReadHash, other: ReadHash, *, level_max: int) -> Iterator[int]:
    """Yield the indices of the leaves in which two trees differ, in order; each costs a way down.

    Args:
        size: how many leaves are compared; both trees have as many, or more.
        one: reads hashes of the first tree.
        other: and of the second.
        level_max: the highest level at which a hash is asked for.
    """
    for level, index in _subtrees(size, level_max):
        yield from _below(level, index, one, other)


def _subtrees(size: int, level_max: int) -> Iterator[tuple[int, int]]:
    """Yield the largest complete subtrees that cover ``size`` leaves in order, as (level, index)."""
    start = 0
    while start < size:
        level = min(level_max, (size - start).bit_length() - 1)
        yield level, start >> level
        start += 1 << level


def _below(level: int, index: int, one: ReadHash, other: ReadHash) -> Iterator[int]:
    if one(level, index) == other(level, index):
        return
    if level == 0:
        yield index
        return
    yield from _below(level - 1, 2 * index, one, other)
    yield from _below(level - 1, 2 * index + 1, one, other)
