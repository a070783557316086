"""The order of rows by their keys: words and texts by their bytes, numbers by size."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from deepnode_projections.kernel.layout import ADDRESS, TEXT, WORD, Place
from deepnode_projections.kernel.table import Table
from deepnode_projections.kernel.texts import Texts
from deepnode_projections.kernel.words import Words

_Numbers = npt.NDArray[Any]


class Ranks:
    """The places of the words that are in the keys of some tables, in the order of words.

    They hold until one of the tables has another row.
    """

    def __init__(self, tables: Iterable[Table], words: Words) -> None:
        is_key = np.zeros(words.count, np.bool_)
        for table in tables:
            for place in _key(table):
                if place.what in (WORD, ADDRESS):
                    is_key[table.cells[: table.rows, place.at]] = True
        used = np.flatnonzero(is_key)
        self._ranks = np.zeros(words.count, np.int32)
        self._ranks[used[by_octets(words.data[used])]] = np.arange(len(used), dtype=np.int32)

    def of(self, words: _Numbers) -> _Numbers:
        """Return the places of words, int64."""
        return self._ranks[words].astype(np.int64)


def rows_in_order(table: Table, ranks: Ranks, texts: Texts) -> _Numbers:
    """Return the numbers of a table's rows, ordered by key."""
    keys = [_places(place, table.cells[: table.rows, place.at], ranks, texts) for place in _key(table)]
    sizes = [int(key.max()) + 1 for key in keys]
    if min(int(key.min()) for key in keys) < 0 or np.prod(np.array(sizes, object)) >= 2**63:
        return np.lexsort(keys[::-1])
    # One number for the whole key is ordered several times quicker than a key after the other.
    whole = keys[0]
    for key, size in zip(keys[1:], sizes[1:], strict=True):
        whole = whole * size + key
    return np.argsort(whole)


def _key(table: Table) -> list[Place]:
    return list(table.layout.places[: table.layout.key])


def _places(place: Place, cells: _Numbers, ranks: Ranks, texts: Texts) -> _Numbers:
    """Return numbers in the order of what cells stand for."""
    if place.what in (WORD, ADDRESS):
        return ranks.of(cells)
    if place.what != TEXT:
        return np.ascontiguousarray(cells)
    used = np.unique(cells)
    in_order = sorted(range(len(used)), key=lambda number: texts[int(used[number])])
    ordered = np.empty(len(used), np.int64)
    ordered[in_order] = np.arange(len(used))
    return ordered[np.searchsorted(used, cells)]


def by_octets(words: _Numbers) -> _Numbers:
    """Order words: shape (words, 4), uint64 as they lie in memory."""
    big_endian = words.byteswap() if np.little_endian else words
    order = np.argsort(big_endian[:, 0])
    first = big_endian[order, 0]
    if len(first) < 2 or bool((first[1:] != first[:-1]).all()):
        return order
    return np.lexsort(big_endian.T[::-1])
