"""Lines of the state root, written from a table's cells in the order of keys: what ``state_root.record_line`` writes.

Many lines are written at a time (``pieces``).
"""

from collections.abc import Iterator
from typing import Final

import numpy as np

from deepnode_ledger.compiled import Integer, compiled, inlined
from deepnode_ledger.hexadecimal import ADDRESS_BYTES
from deepnode_projections.kernel.characters import FAR, ROOM, padded, write_number, write_text
from deepnode_projections.kernel.layout import ADDRESS, AMOUNT, BOOL, INT, NONE, TEXT, WORD
from deepnode_projections.kernel.octets import DIGITS, EIGHT, Octets, ask, read_eight, write_eight, write_word
from deepnode_projections.kernel.pieces import Written, in_pieces
from deepnode_projections.kernel.table import Cells, Table
from deepnode_projections.kernel.texts import Texts
from deepnode_projections.kernel.words import Quads, Words
from deepnode_projections.registers.state import Lines

LINE_CELLS: Final = 8
"""Cells that come from the memory at once."""

SPARE: Final = 8
"""One part in so many is room for pieces whose lines are longer."""

_NULL: Final = np.uint64(int.from_bytes(b"null", "little"))
_TRUE: Final = np.uint64(int.from_bytes(b"true", "little"))
_FALSE: Final = np.uint64(int.from_bytes(b"false", "little"))


def lines(table: Table, order: Cells, words: Words, texts: Texts) -> Iterator[Lines]:
    """Yield the lines of a table's rows, given in their order, many of them in a piece (``in_pieces``)."""
    told = [place for place in table.layout.places if place.is_told]
    places = np.array([[place.at, place.what] for place in told], np.int64)
    head = f"record {table.layout.kind.TABLE}".encode()
    begun = padded(head)

    def write_rows(start: int, stop: int, out: Octets) -> Written:
        rows = order[start:stop]
        most = int(longest(table.cells, rows, places, len(head), texts.ends))
        if len(out) < most:
            out = np.empty(most + most // SPARE, np.uint8)
        length = write(table.cells, rows, places, begun, len(head), words.data, texts.data, texts.ends, out)
        return out, int(length)

    return in_pieces(len(order), write_rows)


@compiled
def longest(cells: Cells, rows: Cells, places: Cells, head: Integer, ends: Cells) -> Integer:
    """Return a number of bytes that the lines of rows do not exceed, ``ROOM`` behind them with them."""
    each, length = head + 1, np.int64(ROOM)
    for place in range(len(places)):
        what = places[place, 1]
        each += 8 if what == TEXT else 67 if what == WORD else 43
    width = cells.shape[1]
    for number in range(len(rows) + FAR):
        if number < len(rows):
            for cell in range(0, width, LINE_CELLS):
                ask(cells, rows[number], cell)
            ask(cells, rows[number], width - 1)
        if number < FAR:
            continue
        row = rows[number - FAR]
        length += each
        for place in range(len(places)):
            text = cells[row, places[place, 0]]
            if places[place, 1] == TEXT and text != NONE:
                # Six characters stand for one that must not be in a JSON string.
                length += 6 * (ends[text + 1] - ends[text])
    return length


@compiled
def write(
    cells: Cells,
    rows: Cells,
    places: Cells,
    head: Octets,
    length: Integer,
    words: Quads,
    texts: Octets,
    ends: Cells,
    out: Octets,
) -> Integer:
    """Write the lines of rows, which begin with the first ``length`` octets of ``head``; return their length."""
    at = np.int64(0)
    for number in range(len(rows)):
        if number + 2 * FAR < len(rows):
            _ask_words(cells, rows[number + 2 * FAR], places, words, ends)
        if number + FAR < len(rows):
            _ask_texts(cells, rows[number + FAR], places, texts, ends)
        for octet in range(0, len(head), EIGHT):
            write_eight(out, at + octet, read_eight(head, octet))
        at += length
        for place in range(len(places)):
            out[at] = 32
            at = _cell(cells, rows[number], places[place, 0], places[place, 1], words, texts, ends, out, at + 1)
        out[at] = 10
        at += 1
    return at


@inlined
def _ask_words(cells: Cells, row: Integer, places: Cells, words: Quads, ends: Cells) -> None:
    for place in range(len(places)):
        value, what = cells[row, places[place, 0]], places[place, 1]
        if value != NONE and what in (WORD, ADDRESS):
            ask(words, value, 0)
        elif value != NONE and what == TEXT:
            ask(ends, value, 0)


@inlined
def _ask_texts(cells: Cells, row: Integer, places: Cells, texts: Octets, ends: Cells) -> None:
    for place in range(len(places)):
        value = cells[row, places[place, 0]]
        if value != NONE and places[place, 1] == TEXT:
            ask(texts, ends[value], 0)


@inlined
def _cell(
    cells: Cells,
    row: Integer,
    cell: Integer,
    what: Integer,
    words: Quads,
    texts: Octets,
    ends: Cells,
    out: Octets,
    at: Integer,
) -> Integer:
    value = cells[row, cell]
    if (cells[row, cell + 1] if what == AMOUNT else value) == NONE:
        write_eight(out, at, _NULL)
        return at + 4
    if what in (WORD, ADDRESS):
        out[at], out[at + 1] = 48, 120
        write_word(words, value, out, at + 2)
        return at + 2 + (DIGITS if what == WORD else 2 * ADDRESS_BYTES)
    if what == TEXT:
        return write_text(texts, ends[value], ends[value + 1], out, at)
    if what == BOOL:
        write_eight(out, at, _TRUE if value != 0 else _FALSE)
        return at + (4 if value != 0 else 5)
    if what == INT:
        return write_number(value >> 63, value, out, at)
    return write_number(cells[row, cell + 1], value, out, at)
