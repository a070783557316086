"""Lines of the state root, written from a table's cells in the order of keys: what ``state_root.record_line`` writes.

Many lines are written at a time (``pieces``).
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from deepnode_ledger.compiled import Integer, compiled, inner
from deepnode_projections.kernel.layout import ADDRESS, AMOUNT, BOOL, INT, NONE, TEXT, WORD
from deepnode_projections.kernel.order import Ranks, rows_in_order
from deepnode_projections.kernel.pieces import in_pieces
from deepnode_projections.kernel.table import Cells, Table
from deepnode_projections.kernel.texts import Texts
from deepnode_projections.kernel.words import Words

_TEN: Final = np.uint64(10)
_NINE_DIGITS: Final = np.uint64(10**9)

Octets = npt.NDArray[Any]
"""An array of uint8."""


def lines(table: Table, ranks: Ranks, words: Words, texts: Texts) -> Iterator[bytes]:
    """Yield every record's line, in the order of keys, many of them in a piece."""
    if not table.rows:
        return
    order = rows_in_order(table, ranks, texts)
    told = [place for place in table.layout.places if place.is_told]
    places = np.array([[place.at, place.what] for place in told], np.int64)
    head = np.frombuffer(f"record {table.layout.kind.TABLE}".encode(), np.uint8)
    octets = words.octets()

    def piece(start: int, stop: int) -> bytes:
        rows = order[start:stop]
        out = np.empty(int(longest(table.cells, rows, places, len(head), texts.ends)), np.uint8)
        length = write(table.cells, rows, places, head, octets, texts.data, texts.ends, out)
        return out[: int(length)].tobytes()

    yield from in_pieces(len(order), piece)


@compiled
def longest(cells: Cells, rows: Cells, places: Cells, head: Integer, ends: Cells) -> Integer:
    """Return a number of bytes that the lines of rows do not exceed."""
    length = np.int64(0)
    for row in rows:
        length += head + 1
        for number in range(len(places)):
            at, what = places[number, 0], places[number, 1]
            if what == WORD:
                length += 67
            elif what == TEXT:
                text = cells[row, at]
                # Six characters stand for one that must not be in a JSON string.
                length += 8 if text == NONE else 3 + 6 * (ends[text + 1] - ends[text])
            else:
                length += 43
    return length


@compiled
def write(
    cells: Cells, rows: Cells, places: Cells, head: Octets, words: Octets, texts: Octets, ends: Cells, out: Octets
) -> Integer:
    """Write the lines of rows; return their length."""
    at = np.int64(0)
    for row in rows:
        for octet in range(len(head)):
            out[at] = head[octet]
            at += 1
        for number in range(len(places)):
            out[at] = 32
            at = _cell(cells, row, places[number, 0], places[number, 1], words, texts, ends, out, at + 1)
        out[at] = 10
        at += 1
    return at


@inner
def _cell(
    cells: Cells,
    row: Integer,
    cell: Integer,
    what: Integer,
    words: Octets,
    texts: Octets,
    ends: Cells,
    out: Octets,
    at: Integer,
) -> Integer:
    value = cells[row, cell]
    if (cells[row, cell + 1] if what == AMOUNT else value) == NONE:
        for octet in (110, 117, 108, 108):  # null
            out[at] = octet
            at += 1
        return at
    if what in (WORD, ADDRESS):
        out[at], out[at + 1] = 48, 120
        at += 2
        # Slices and arithmetic alone: so the compiler does many octets at once.
        length = np.int64(32 if what == WORD else 20)
        word, digits = words[value], out[at : at + 2 * length]
        for octet in range(length):
            high, low = word[octet] >> 4, word[octet] & 15
            digits[2 * octet] = high + 48 + 39 * (high > 9)
            digits[2 * octet + 1] = low + 48 + 39 * (low > 9)
        return at + 2 * length
    if what == TEXT:
        return _text(texts, ends[value], ends[value + 1], out, at)
    if what == BOOL:
        if value != 0:
            for octet in (116, 114, 117, 101):  # true
                out[at] = octet
                at += 1
        else:
            for octet in (102, 97, 108, 115, 101):  # false
                out[at] = octet
                at += 1
        return at
    if what == INT:
        return write_number(value >> 63, value, out, at)
    return write_number(cells[row, cell + 1], value, out, at)


@inner
def _text(texts: Octets, start: Integer, end: Integer, out: Octets, at: Integer) -> Integer:
    """Write a text as a JSON string: quotation marks, backslashes and control characters are escaped."""
    out[at] = 34
    at += 1
    for place in range(start, end):
        octet = texts[place]
        if octet >= 32 and octet not in (34, 92):
            out[at] = octet
            at += 1
            continue
        short = np.uint8(0)
        if octet in (34, 92):
            short = octet
        elif octet == 8:
            short = np.uint8(98)
        elif octet == 9:
            short = np.uint8(116)
        elif octet == 10:
            short = np.uint8(110)
        elif octet == 12:
            short = np.uint8(102)
        elif octet == 13:
            short = np.uint8(114)
        if short != 0:
            out[at], out[at + 1] = 92, short
            at += 2
        else:
            out[at], out[at + 1], out[at + 2], out[at + 3] = 92, 117, 48, 48
            high, low = octet >> 4, octet & 15
            out[at + 4] = high + 48
            out[at + 5] = low + (48 if low < 10 else 87)
            at += 6
    out[at] = 34
    return at + 1


@inner
def write_number(high: Integer, low: Integer, out: Octets, at: Integer) -> Integer:
    """Write a number of 128 bits in decimal digits."""
    upper, lower = np.uint64(high), np.uint64(low)
    if high < 0:
        out[at] = 45
        at += 1
        lower = ~lower + np.uint64(1)
        upper = ~upper + (np.uint64(1) if lower == 0 else np.uint64(0))
    start = at
    while upper != 0:
        # Nine digits at a time, by dividing four numbers of 32 bits one after the other.
        rest = upper % _NINE_DIGITS
        upper = upper // _NINE_DIGITS
        rest = (rest << np.uint64(32)) | (lower >> np.uint64(32))
        middle = rest // _NINE_DIGITS
        rest = ((rest % _NINE_DIGITS) << np.uint64(32)) | (lower & np.uint64(0xFFFFFFFF))
        lower = (middle << np.uint64(32)) | (rest // _NINE_DIGITS)
        rest = rest % _NINE_DIGITS
        for _ in range(9):
            out[at] = np.uint8(rest % _TEN) + 48
            rest = rest // _TEN
            at += 1
    while lower != 0 or at == start:
        out[at] = np.uint8(lower % _TEN) + 48
        lower = lower // _TEN
        at += 1
    # The last digit was written first.
    first, last = start, at - 1
    while first < last:
        digit = out[first]
        out[first], out[last] = out[last], digit
        first += 1
        last -= 1
    return at
