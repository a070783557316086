"""Tables: the newest records of a hot kind as rows of cells, found by their key or by its first field.

What the kernel gets of a table is its ``View``: arrays alone. The functions below that take a view are compiled and
called by the kernel and, one row at a time, from Python.

A table may keep what it was: then a row that changes at a later position is first copied to ``old``, with the position
until which it held. A row is copied once a position, however often an event changes it.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from deepnode_ledger.compiled import Integer, compiled, inner
from deepnode_projections.kernel.layout import Layout
from deepnode_projections.kernel.room import grown
from deepnode_projections.kernel.touching import Coming, Touched

Cells = npt.NDArray[Any]
"""An array of int64."""

ROWS: Final = 0
OLD: Final = 1
KEEPS: Final = 2
FIRSTS: Final = 3
"""Places in ``View.counts``: rows, old rows, whether old rows are kept (1) or not (0), and first fields of keys."""

ROWS_MAX: Final = 2**31 - 2
"""The most rows of a table: an index has 32 bits for one."""

_FEWEST: Final = 1_024


class View(NamedTuple):
    """A table's arrays.

    ``cells`` holds a row a record. ``slots`` (int32) finds rows by key and ``firsts`` (int32) the newest row by the
    key's first field: row + 1 at the hash's place or behind it, 0 where there is none. ``firsts`` is empty where rows
    are not looked for so. ``old`` holds rows as they were, and behind each the position until which they held.
    ``counts``: ``ROWS``, ``OLD``, ``KEEPS``, ``FIRSTS``.
    """

    cells: Cells
    slots: Cells
    firsts: Cells
    old: Cells
    counts: Cells


class Table:
    """The newest records of a kind."""

    def __init__(self, layout: Layout, *, keeps: bool = False, by_first: bool = True) -> None:
        """Begin with no record.

        Args:
            layout: of the kind.
            keeps: keep old rows until they are taken.
            by_first: rows are looked for by the first field of a key of several.
        """
        self.layout = layout
        self.cells: Cells = np.zeros((_FEWEST, layout.width), np.int64)
        self.slots: Cells = np.zeros(4 * _FEWEST, np.int32)
        self.firsts: Cells = np.zeros(4 * _FEWEST if by_first and layout.key > 1 else 0, np.int32)
        self.old: Cells = np.zeros((_FEWEST if keeps else 0, layout.width + 1), np.int64)
        self.counts: Cells = np.array([0, 0, int(keeps), 0], np.int64)
        self._view: View | None = None
        self._touched = Touched()
        self._slots_coming, self._firsts_coming = Coming(), Coming()

    @property
    def rows(self) -> int:
        """How many records there are."""
        return int(self.counts[ROWS])

    def view(self) -> View:
        """Return the arrays as they are now: the same view until what makes room replaces one of them."""
        if self._view is None:
            self._view = View(self.cells, self.slots, self.firsts, self.old, self.counts)
        return self._view

    def make_room(self, more: int, old_rows: int = 0) -> None:
        """Have room for so many new rows, and so many old ones."""
        rows = self.rows + more
        assert rows <= ROWS_MAX, (self.layout.kind, rows)
        if rows > len(self.cells):
            self.cells, self._view, self._touched = grown(self.cells, self.rows, rows), None, Touched()
        if self.rows >= self._touched.due:
            self._touched.follow(self.cells, self.rows)
        if (slots := self._slots_coming.larger(self.slots, rows)) is not None:
            self.slots, self._view = slots, None
            _index_all(self.view(), self.layout.key)
        if len(self.firsts):
            firsts = self._firsts_coming.larger(self.firsts, int(self.counts[FIRSTS]) + more)
            if firsts is not None:
                before, self.firsts, self._view = self.firsts, firsts, None
                _index_firsts(before, self.view())
        old = int(self.counts[OLD])
        if self.counts[KEEPS] and old + old_rows > len(self.old):
            self.old, self._view = grown(self.old, old, old + old_rows), None

    def row_of(self, key: Sequence[int]) -> int:
        """Return the row of a key, given as cells, or -1."""
        a, b, c, d = _four(key)
        return int(find(self.view(), self.layout.key, a, b, c, d))

    def rows_under(self, first: int) -> list[int]:
        """Return the rows whose key begins with a cell."""
        if self.layout.key == 1:
            row = self.row_of((first,))
            return [] if row < 0 else [row]
        assert len(self.firsts), self.layout.kind
        found: list[int] = []
        row, before = int(newest_under(self.view(), first)), self.cells[:, self.layout.same].item
        while row >= 0:
            found.append(row)
            row = before(row)
        return found

    def put(self, cells: Sequence[int], position: int) -> int:
        """Let a record be the newest of its key, from a position on; return its row. ``cells`` are those of fields."""
        row = self.row_of(cells[: self.layout.key])
        if row < 0:
            self.make_room(1)
            a, b, c, d = _four(cells[: self.layout.key])
            row = int(enter(self.view(), self.layout.key, self.layout.same, a, b, c, d))
            self.cells[row, self.layout.since] = position
            self.cells[row, : len(cells)] = cells
        else:
            self.change(row, cells, position)
        return row

    def change(self, row: int, cells: Sequence[int], position: int) -> None:
        """Let a row's record be another one, of the same key, from a position on."""
        self.make_room(0, 1)
        keep(self.view(), self.layout.since, row, position)
        self.cells[row, : len(cells)] = cells

    def take_old(self) -> Cells:
        """Return the old rows so far, in the order in which they were replaced, and forget them."""
        taken = self.old[: int(self.counts[OLD])].copy()
        self.counts[OLD] = 0
        return taken


def _four(key: Sequence[int]) -> tuple[int, int, int, int]:
    a, b, c, d = (*key, 0, 0, 0)[:4]
    return a, b, c, d


@inner
def place_of(a: Integer, b: Integer, c: Integer, d: Integer, mask: Integer) -> Integer:
    """Return the place of a key's hash in an index."""
    mixed = (np.uint64(a) + np.uint64(0x9E3779B97F4A7C15)) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(29)) ^ np.uint64(b)) * np.uint64(0x94D049BB133111EB)
    mixed = (mixed ^ (mixed >> np.uint64(32)) ^ np.uint64(c)) * np.uint64(0xD6E8FEB86659FD93)
    mixed = (mixed ^ (mixed >> np.uint64(31)) ^ np.uint64(d)) * np.uint64(0xBF58476D1CE4E5B9)
    return np.int64((mixed ^ (mixed >> np.uint64(32))) & np.uint64(mask))


@inner
def has_room(table: View, more: Integer, old_rows: Integer) -> Integer:
    """Say whether there is room for so many new rows and old ones."""
    rows = table.counts[ROWS] + more
    if rows > len(table.cells) or 2 * rows > len(table.slots):
        return False
    if len(table.firsts) != 0 and 2 * (table.counts[FIRSTS] + more) > len(table.firsts):
        return False
    return table.counts[KEEPS] == 0 or table.counts[OLD] + old_rows <= len(table.old)


@compiled
def find(table: View, length: Integer, a: Integer, b: Integer, c: Integer, d: Integer) -> Integer:
    """Return the row of a key of ``length`` cells (the others are 0), or -1."""
    mask = len(table.slots) - 1
    place = place_of(a, b, c, d, mask)
    while True:
        row = table.slots[place] - 1
        if row < 0:
            return -1
        if (
            table.cells[row, 0] == a
            and (length < 2 or table.cells[row, 1] == b)
            and (length < 3 or table.cells[row, 2] == c)
            and (length < 4 or table.cells[row, 3] == d)
        ):
            return np.int64(row)
        place = (place + 1) & mask


@compiled
def newest_under(table: View, first: Integer) -> Integer:
    """Return the row that was entered last with a key that begins with a cell, or -1; ``SAME`` leads to the others."""
    mask = len(table.firsts) - 1
    place = place_of(first, 0, 0, 0, mask)
    while True:
        row = table.firsts[place] - 1
        if row < 0:
            return -1
        if table.cells[row, 0] == first:
            return np.int64(row)
        place = (place + 1) & mask


@compiled
def enter(table: View, length: Integer, same: Integer, a: Integer, b: Integer, c: Integer, d: Integer) -> Integer:
    """Enter a key that is not there; return its row, of which the other cells are the caller's to fill.

    There is room for it.
    """
    row = table.counts[ROWS]
    table.counts[ROWS] = row + 1
    table.cells[row, 0] = a
    if length > 1:
        table.cells[row, 1] = b
    if length > 2:
        table.cells[row, 2] = c
    if length > 3:
        table.cells[row, 3] = d
    place = _free_place(table.slots, place_of(a, b, c, d, len(table.slots) - 1))
    table.slots[place] = row + 1
    before = np.int64(-1)
    if len(table.firsts) != 0:
        mask = len(table.firsts) - 1
        place = place_of(a, 0, 0, 0, mask)
        while table.firsts[place] != 0 and table.cells[table.firsts[place] - 1, 0] != a:
            place = (place + 1) & mask
        before = np.int64(table.firsts[place]) - 1
        table.firsts[place] = row + 1
        if before < 0:
            table.counts[FIRSTS] += 1
    table.cells[row, same] = before
    return np.int64(row)


@compiled
def keep(table: View, since: Integer, row: Integer, position: Integer) -> None:
    """Say that a row changes at a position: it is copied as it was, if the table keeps that."""
    if table.cells[row, since] != position:
        if table.counts[KEEPS] != 0:
            to = table.counts[OLD]
            width = table.cells.shape[1]
            for cell in range(width):
                table.old[to, cell] = table.cells[row, cell]
            table.old[to, width] = position
            table.counts[OLD] = to + 1
        table.cells[row, since] = position


@inner
def _free_place(index: Cells, place: Integer) -> Integer:
    """Return the first free place from a place on."""
    while index[place] != 0:
        place = (place + 1) & (len(index) - 1)
    return place


@compiled
def _index_all(table: View, length: Integer) -> None:
    """Enter all rows into an empty index of keys."""
    for row in range(table.counts[ROWS]):
        a = table.cells[row, 0]
        b = table.cells[row, 1] if length > 1 else np.int64(0)
        c = table.cells[row, 2] if length > 2 else np.int64(0)
        d = table.cells[row, 3] if length > 3 else np.int64(0)
        table.slots[_free_place(table.slots, place_of(a, b, c, d, len(table.slots) - 1))] = row + 1


@compiled
def _index_firsts(before: Cells, table: View) -> None:
    """Enter what stood in the index of first fields before into the empty one."""
    for place in range(len(before)):
        row = before[place]
        if row != 0:
            first = place_of(table.cells[row - 1, 0], 0, 0, 0, len(table.firsts) - 1)
            table.firsts[_free_place(table.firsts, first)] = row
