"""The order of rows by their keys: words and texts by their bytes, numbers by size."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from math import prod
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from deepnode_ledger.compiled import Integer, compiled
from deepnode_projections.kernel.layout import ADDRESS, TEXT, WORD, Place
from deepnode_projections.kernel.table import Table
from deepnode_projections.kernel.texts import Texts
from deepnode_projections.kernel.words import Words
from deepnode_projections.registers.record import Record

Numbers = npt.NDArray[Any]

ROWS_BY_THREAD: Final = 16_384
"""More rows than these are put in order beside what the caller does."""

_NUMBERS: Final = 2**63


class Orders:
    """The orders of tables' rows, found by a thread of its own, table after table, while lines are being written."""

    def __init__(self, tables: Sequence[Table], words: Words, texts: Texts) -> None:
        """Begin to find them.

        Args:
            tables: those that have rows, in the order in which they are asked for.
            words: of the tables; neither they nor the tables change until all orders are found.
            texts: the same.
        """
        if sum(table.rows for table in tables) <= ROWS_BY_THREAD:
            ranks = Ranks(tables, words)
            self._orders: dict[type[Record], Callable[[], Numbers]] = {
                table.layout.kind: partial(rows_in_order, table, ranks, texts) for table in tables
            }
            return
        thread = ThreadPoolExecutor(1)
        ranked = thread.submit(Ranks, tables, words)
        self._orders = {table.layout.kind: thread.submit(_once_ranked, table, ranked, texts).result for table in tables}
        # What was begun is done.
        thread.shutdown(wait=False)

    def take(self, table: Table) -> Numbers:
        """Return a table's rows, ordered by key; each once."""
        return self._orders.pop(table.layout.kind)()


class Ranks:
    """The places of the words that are in the keys of some tables, in the order of words.

    They hold until one of the tables has another row.
    """

    def __init__(self, tables: Iterable[Table], words: Words) -> None:
        is_key = np.zeros(words.count, np.uint8)
        self._highest: dict[type[Record], Numbers] = {}
        for table in tables:
            self._highest[table.layout.kind] = highest = np.zeros(table.layout.key, np.int64)
            _look(table.cells, table.rows, _key_cells(table), is_key, highest)
        used = np.flatnonzero(is_key)
        self._ranks = np.empty(words.count, np.int32)
        self._ranks[used[by_octets(words.data, used)]] = np.arange(len(used), dtype=np.int32)
        self._count = len(used)

    def of(self, words: Numbers) -> Numbers:
        """Return the places of words, int64."""
        return self._ranks[words].astype(np.int64)

    def whole_keys(self, table: Table) -> Numbers | None:
        """Return a number for the whole key of each row of a table, in the order of keys, if there are such numbers."""
        highest = self._highest[table.layout.kind]
        whats = [place.what for place in _key(table)]
        sizes = [
            self._count if what in (WORD, ADDRESS) else int(most) + 1 for what, most in zip(whats, highest, strict=True)
        ]
        if TEXT in whats or (highest < 0).any() or prod(sizes) >= _NUMBERS:
            return None
        found = np.empty(table.rows, np.int64)
        _join(table.cells, _key_cells(table), np.array(sizes, np.int64), self._ranks, found)
        return found


def rows_in_order(table: Table, ranks: Ranks, texts: Texts) -> Numbers:
    """Return the numbers of a table's rows, ordered by key."""
    # One number for the whole key is ordered several times quicker than a key after the other.
    whole = ranks.whole_keys(table)
    if whole is not None:
        return np.argsort(whole)
    keys = [_places(place, table.cells[: table.rows, place.at], ranks, texts) for place in _key(table)]
    return np.lexsort(keys[::-1])


@compiled
def _look(cells: Numbers, rows: Integer, key: Numbers, is_key: Numbers, highest: Numbers) -> None:
    """Mark the words of keys; note the highest of the other cells, and -1 where one is below zero."""
    for row in range(rows):
        for place in range(len(key)):
            cell = cells[row, key[place, 0]]
            if key[place, 1] in (WORD, ADDRESS):
                is_key[cell] = 1
            elif cell < 0:
                highest[place] = -1
            elif highest[place] >= 0:
                highest[place] = max(highest[place], cell)


@compiled
def _join(cells: Numbers, key: Numbers, sizes: Numbers, ranks: Numbers, found: Numbers) -> None:
    """Make one number of each row's key."""
    for row in range(len(found)):
        whole = np.int64(0)
        for place in range(len(key)):
            cell = cells[row, key[place, 0]]
            whole = whole * sizes[place] + (ranks[cell] if key[place, 1] in (WORD, ADDRESS) else cell)
        found[row] = whole


def _key_cells(table: Table) -> Numbers:
    return np.array([[place.at, place.what] for place in _key(table)], np.int64)


def _once_ranked(table: Table, ranked: Future[Ranks], texts: Texts) -> Numbers:
    return rows_in_order(table, ranked.result(), texts)


def _key(table: Table) -> list[Place]:
    return list(table.layout.places[: table.layout.key])


def _places(place: Place, cells: Numbers, ranks: Ranks, texts: Texts) -> Numbers:
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


def by_octets(words: Numbers, numbers: Numbers) -> Numbers:
    """Order the words of some numbers; words are of shape (words, 4), uint64 as they lie in memory."""
    first = _big_endian(words[numbers, 0])
    order = np.argsort(first)
    in_order = first[order]
    if len(first) < 2 or bool((in_order[1:] != in_order[:-1]).all()):
        return order
    return np.lexsort(_big_endian(words[numbers]).T[::-1])


def _big_endian(words: Numbers) -> Numbers:
    return words.byteswap() if np.little_endian else words
