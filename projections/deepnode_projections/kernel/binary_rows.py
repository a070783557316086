"""Rows for PostgreSQL in its binary format, made of rows of cells: compiled, for a table of any columns.

``copying`` makes the same of arrays whose rows are all of one length; here text and what is unknown may be in a row,
and words and texts are found by their numbers. What comes out goes into a ``COPY ... FROM STDIN (FORMAT BINARY)``
between ``HEADER`` and ``TRAILER``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from psycopg import Cursor, sql

from deepnode_ledger.compiled import Integer, compiled
from deepnode_projections.kernel.layout import ADDRESS, AMOUNT, BOOL, INT, NONE, TEXT, WORD, Layout
from deepnode_projections.kernel.texts import Texts
from deepnode_projections.kernel.words import Words

Cells = npt.NDArray[Any]
"""An array of int64."""

Octets = npt.NDArray[np.uint8]

SMALL: Final = 6
"""A number of two bytes, beside what ``layout`` says that a cell may be."""

NOTHING: Final = -1
"""In place of a cell's number: the column is null in every row."""

HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER: Final = b"\xff\xff"

CHUNK_BYTES: Final = 128 * 1024
"""Bytes of rows that are made before they are sent. More are taken apart again by the driver."""

_ROOM: Final = {WORD: 32, ADDRESS: 20, TEXT: 0, BOOL: 1, INT: 8, AMOUNT: 28, SMALL: 2}
"""The most bytes of a value; of a text, those behind its first one are counted row by row."""


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """How a row of cells is a row of ``table``: of each of its ``columns`` what it is and where its first cell is."""

    table: str
    columns: tuple[str, ...]
    whats: Cells
    cells: Cells

    @classmethod
    def of(cls, table: str, columns: Sequence[tuple[str, int, int]]) -> "Form":
        """Make one of columns: the name, what it is, and its first cell or ``NOTHING``."""
        names, whats, cells = zip(*columns, strict=True)
        return cls(table, names, np.array(whats, np.int64), np.array(cells, np.int64))


@cache
def form_of(layout: Layout, *, is_over: bool) -> Form:
    """Return the form of a record's table, in the order of its columns (see ``registers.tables``).

    Args:
        layout: of the record.
        is_over: the rows are those of ``Table.old``, which know until when they held; others hold until further notice.
    """
    fields = [(place.name, place.what, place.at) for place in layout.places]
    held = [("position", INT, layout.since), ("until", INT, layout.width if is_over else NOTHING)]
    return Form.of(layout.kind.TABLE, [*fields[: layout.key], *held, *fields[layout.key :]])


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """What the numbers of words and texts stand for: words of 32 bytes (n, 32), and texts one behind the other.

    Words and texts that are entered later leave these arrays as they are: another thread may read them meanwhile.
    """

    octets: Octets
    texts: Octets
    ends: Cells

    @classmethod
    def of(cls, words: Words, texts: Texts) -> "Source":
        """Return the words and texts of now."""
        return cls(words.octets(), texts.data, texts.ends)

    @classmethod
    def of_texts(cls, octets: Octets, texts: Sequence[str]) -> "Source":
        """Make one of words, and of texts that are numbered in their order."""
        encoded = [text.encode() for text in texts]
        ends = np.cumsum([0, *(len(each) for each in encoded)], dtype=np.int64)
        return cls(octets, np.frombuffer(b"".join(encoded), np.uint8), ends)


def copy(cursor: Cursor[Any], form: Form, cells: Cells, source: Source, *, is_new: bool = True) -> None:
    """Write rows into their table. In one that ``is_new``, made in this transaction, they are there for all at once."""
    if not len(cells):
        return
    with cursor.copy(_statement(form.table, form.columns, is_binary=True, is_new=is_new)) as sent:
        sent.write(HEADER)
        for chunk in chunks(form, cells, source):
            sent.write(chunk)
        sent.write(TRAILER)
    assert cursor.rowcount == len(cells), (form.table, cursor.rowcount, len(cells))


def copy_rows(
    cursor: Cursor[Any], table: str, names: Sequence[str], rows: Sequence[Sequence[Any]], *, is_new: bool = True
) -> None:
    """Write rows of Python's values likewise."""
    if not rows:
        return
    with cursor.copy(_statement(table, names, is_binary=False, is_new=is_new)) as sent:
        for row in rows:
            sent.write_row(row)


def _statement(table: str, columns: Sequence[str], *, is_binary: bool, is_new: bool) -> sql.Composed:
    names = sql.SQL(", ").join(sql.Identifier(name) for name in columns)
    form, freeze = "BINARY" if is_binary else "TEXT", "TRUE" if is_new else "FALSE"
    options = sql.SQL(f"FORMAT {form}, FREEZE {freeze}")
    return sql.SQL("COPY {} ({}) FROM STDIN ({})").format(sql.Identifier(table), names, options)


def chunks(form: Form, cells: Cells, source: Source, *, size_bytes: int = CHUNK_BYTES) -> Iterator[memoryview]:
    """Yield the rows, some at a time; a chunk is gone when the next one is asked for."""
    room_bytes = 2 + sum(4 + _ROOM[what] for what in form.whats.tolist())
    out, row, octets = np.empty(max(size_bytes, room_bytes), np.uint8), 0, source.octets.reshape(-1)
    while row < len(cells):
        row, used, wanted = _write(
            out, room_bytes, cells, row, form.whats, form.cells, octets, source.texts, source.ends
        )
        if used:
            yield out[:used].data
        else:
            out = np.empty(2 * wanted, np.uint8)


@compiled
def _write(
    out: Cells,
    room_bytes: Integer,
    cells: Cells,
    row: Integer,
    whats: Cells,
    firsts: Cells,
    words: Cells,
    text: Cells,
    ends: Cells,
) -> tuple[Integer, Integer, Integer]:
    """Write rows from one on until no other is sure to fit; return the next, bytes used, and bytes that it may need."""
    at, wanted = 0, 0
    columns = len(whats)
    while row < len(cells):
        wanted = room_bytes
        for column in range(columns):
            first = firsts[column]
            if whats[column] == TEXT and first >= 0 and cells[row, first] != NONE:
                wanted += ends[cells[row, first] + 1] - ends[cells[row, first]]
        if at + wanted > len(out):
            break
        at = _integer(out, at, columns, 2)
        for column in range(columns):
            what, first = whats[column], firsts[column]
            cell = NONE if first < 0 else cells[row, first + 1 if what == AMOUNT else first]
            if cell == NONE:
                at = _integer(out, at, -1, 4)
            elif what == AMOUNT:
                at = _amount(out, at, cells[row, first], cell)
            elif what == TEXT:
                at = _octets(out, at, text, ends[cell], ends[cell + 1] - ends[cell])
            elif what == WORD:
                at = _octets(out, at, words, 32 * cell, 32)
            elif what == ADDRESS:
                at = _octets(out, at, words, 32 * cell, 20)
            else:
                length = 8 if what == INT else 1 if what == BOOL else 2
                at = _integer(out, _integer(out, at, length, 4), cell, length)
        row += 1
    return row, at, wanted


@compiled
def _integer(out: Cells, at: Integer, number: Integer, octets: Integer) -> Integer:
    """Write a number, its highest byte first; return the place behind it."""
    start = np.uint64(at)  # A place that may be negative would be looked at before each byte.
    for octet in range(octets):
        out[start + np.uint64(octet)] = (number >> (8 * (octets - 1 - octet))) & 255
    return at + octets


@compiled
def _octets(out: Cells, at: Integer, source: Cells, first: Integer, count: Integer) -> Integer:
    """Write bytes of a source, behind their number; return the place behind them."""
    start, begin = np.uint64(_integer(out, at, count, 4)), np.uint64(first)
    for octet in range(np.uint64(count)):
        out[start + octet] = source[begin + octet]
    return at + 4 + count


@compiled
def _amount(out: Cells, at: Integer, low: Integer, high: Integer) -> Integer:
    """Write a number of 128 bits as a NUMERIC: digits of base 10 000, without zeros in front or behind."""
    lower, upper = np.uint64(low), np.uint64(high)
    negative = high < 0
    if negative:
        lower = ~lower + np.uint64(1)
        upper = ~upper + np.uint64(lower == 0)
    # Digits of the number, the lowest first; ten at most, two of them at a time.
    d0, d1, d2, d3, d4 = np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(0)
    d0, lower, upper = _divided(lower, upper)
    if lower | upper:
        d1, lower, upper = _divided(lower, upper)
        d2, lower, upper = _divided(lower, upper)
        d3, lower, upper = _divided(lower, upper)
        d4, lower, upper = _divided(lower, upper)
    start = at
    at = _integer(out, at, 0, 12)
    digits, skipped, seen = 0, 0, 0
    for place in range(10):
        pair = d4 if place < 2 else d3 if place < 4 else d2 if place < 6 else d1 if place < 8 else d0
        digit = np.int64(pair // np.uint64(10_000) if place % 2 == 0 else pair % np.uint64(10_000))
        if digit != 0 or digits > 0:
            if digits == 0:
                skipped = place
            digits += 1
            if digit != 0:
                seen = digits
            at = _integer(out, at, digit, 2)
    at = start + 12 + 2 * seen
    _integer(out, start, 8 + 2 * seen, 4)
    _integer(out, start + 4, seen, 2)
    _integer(out, start + 6, 9 - skipped if seen else 0, 2)
    _integer(out, start + 8, 0x4000 if negative else 0, 2)
    return at


@compiled
def _divided(lower: Integer, upper: Integer) -> tuple[Integer, Integer, Integer]:
    """Divide a number of 128 bits by 10**8; return the remainder and the quotient's lower and upper 64 bits."""
    base, mask, half = np.uint64(100_000_000), np.uint64(0xFFFFFFFF), np.uint64(32)
    if upper == 0:
        quotient = lower // base
        return lower - quotient * base, quotient, upper
    rest = upper // base
    part = ((upper - rest * base) << half) | (lower >> half)
    third = part // base
    part = ((part - third * base) << half) | (lower & mask)
    fourth = part // base
    return part - fourth * base, (third << half) | fourth, rest
