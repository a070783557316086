"""The order of a table's rows by their keys: words and texts by their bytes, numbers by size."""

from typing import Any

import numpy as np
import numpy.typing as npt

from deepnode_projections.kernel.layout import ADDRESS, TEXT, WORD, Place
from deepnode_projections.kernel.table import Table
from deepnode_projections.kernel.texts import Texts
from deepnode_projections.kernel.words import Words

_Numbers = npt.NDArray[Any]


def rows_in_order(table: Table, words: Words, texts: Texts) -> _Numbers:
    """Return the numbers of a table's rows, ordered by key."""
    keys = [_ranks(place, table.cells[: table.rows, place.at], words, texts) for place in _key(table)]
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


def _ranks(place: Place, cells: _Numbers, words: Words, texts: Texts) -> _Numbers:
    """Return numbers in the order of what cells stand for."""
    if place.what not in (WORD, ADDRESS, TEXT):
        return np.ascontiguousarray(cells)
    count = texts.count if place.what == TEXT else words.count
    ranks = np.zeros(count, np.int64)
    ranks[cells] = 1
    used = np.flatnonzero(ranks)
    if place.what == TEXT:
        in_order = np.array(sorted(used.tolist(), key=texts.__getitem__), np.int64)
    else:
        in_order = used[by_octets(words.data[used])]
    ranks[in_order] = np.arange(len(in_order))
    return ranks[cells]


def by_octets(words: _Numbers) -> _Numbers:
    """Order words: shape (words, 4), uint64 as they lie in memory."""
    big_endian = words.byteswap() if np.little_endian else words
    order = np.argsort(big_endian[:, 0])
    first = big_endian[order, 0]
    if len(first) < 2 or bool((first[1:] != first[:-1]).all()):
        return order
    return np.lexsort(big_endian.T[::-1])
