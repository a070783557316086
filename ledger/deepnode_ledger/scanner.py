"""The scanner: a compiled loop that reads the JSON of statements where it is written the plain way, as producers do.

Plain are objects that have each known member once at most, in any order, and further members with plain text alone;
text of printable ASCII without escapes; whole numbers of digits; null for what may be left out. For all that,
``statement.read`` gives the same values; the rest it may read or not, and is left to it.

This module needs the compiler (see ``compiled``). As in ``scanner_values``, a function that passes something returns
where it ends, or -1 if it is not written the plain way; it is called with ``at`` before ``end``, and looks at no byte
from ``end`` on.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from deepnode_ledger.compiled import Integer, compiled, inlined
from deepnode_ledger.scanner_values import (
    amount,
    are_same,
    octets_of,
    past_blanks,
    past_kept,
    past_null,
    past_text,
    past_time,
    slots_of,
    whole_number,
)

Cells = npt.NDArray[Any]

TYPE, SOURCE, ID, TIME, SEQUENCE, OBJECT, OCTETS, WHOLE, AMOUNT, CHOICE, SLOTS = range(11)
"""What a field may be: a member of the event, an object, or a member of the data by its shape."""

_QUOTE, _COMMA, _COLON, _LETTER_N, _BRACE, _END_BRACE = b'",:n{}'


class Log(NamedTuple):
    """The columns of a batch, texts as octets and where each begins; and which of the types each row is of, or -1."""

    data: Cells
    starts: Cells
    producers: Cells
    producer_starts: Cells
    ids: Cells
    id_starts: Cells
    sequences: Cells
    types: Cells


class Tables(NamedTuple):
    """What to look for. Text ``n``, with its quotes, is ``texts[ends[n] : ends[n + 1]]``.

    A row of ``fields`` is: what it is, the number of its name, the least and the greatest that it may be, its place
    among its likes in ``Found``, and whether it may be left out. The least is how many bytes of octets, and the texts
    for no and yes are least and greatest of a choice; an event's type has its text there. ``depths[type, depth]`` is
    the first field of an object and the one behind its last: the event's, its data's, and those of an object in that.
    """

    texts: Cells
    ends: Cells
    fields: Cells
    depths: Cells


class Found(NamedTuple):
    """What was read: of each type by place, and of each place by statement. ``limbs`` has four to a number.

    A row of ``rooms`` is a type's: where its octets, numbers and limbs begin, how many statements it has room for, and
    how many there are. ``there`` is by the batch's rows: a bit for each of the type's fields that is in the payload, or
    none if the row is left: its values mean nothing.
    """

    octets: Cells
    numbers: Cells
    limbs: Cells
    rooms: Cells
    there: Cells


class Written(NamedTuple):
    """How the last statement of each type was written: a producer writes all of a type alike, but for the values.

    A row of ``parts[side, type]`` is: where text begins, how long it is, and the field whose value follows it (-1:
    nothing does). ``counts[type]`` says how many there are (0: none was read), and ``there[type]`` which fields were
    there. ``sides[type]`` says which side is meant: the other is for the statement that is being read.
    """

    parts: Cells
    sides: Cells
    counts: Cells
    there: Cells


@compiled
def scan_all(log: Log, tables: Tables, found: Found, written: Written) -> None:
    """Read the payloads of all rows that have a type, in their order: so the memory that comes next is at hand."""
    for row in range(len(log.types)):
        kind = log.types[row]
        if kind >= 0:
            there = _alike(log, tables, found, written, row, kind)
            if not there:
                there = _event(log, tables, found, written, row, kind)
            found.there[row] = there
            found.rooms[kind, 4] += 1


@inlined
def _alike(log: Log, tables: Tables, found: Found, written: Written, row: Integer, kind: Integer) -> Integer:
    """Read a payload that is written as the last of its type; return which fields are there, or 0 if it is not.

    Names, blanks and whatever else is no value are compared as they stand: what ``_event`` has made of them before, it
    would make of them again.
    """
    data, at, end = log.data, np.int64(log.starts[row]), np.int64(log.starts[row + 1])
    side = written.sides[kind]
    for part in range(written.counts[kind]):
        first, length = written.parts[side, kind, part, 0], written.parts[side, kind, part, 1]
        field = written.parts[side, kind, part, 2]
        if end - at < length or not are_same(data, at, data, first, length):
            return 0
        at += length
        if field < 0:
            return written.there[kind] if at == end else 0
        if at >= end:
            return 0
        at = _value(log, tables, found, row, kind, field, at, end)
        if at < 0:
            return 0
    return 0


@inlined
def _event(log: Log, tables: Tables, found: Found, written: Written, row: Integer, kind: Integer) -> Integer:
    """Read a payload name by name, and note how it is written; return which fields are there."""
    data, end = log.data, np.int64(log.starts[row + 1])
    at = past_blanks(data, np.int64(log.starts[row]), end)
    if at >= end or data[at] != _BRACE:
        return 0
    first = tables.depths[kind, 0, 0]
    at, depth, guess, names, there = at + 1, 0, first, 0, 0
    part, before = 0, np.int64(log.starts[row])
    while at >= 0 and depth >= 0:
        field, at = _name(data, at, end, tables, kind, depth, guess)
        bit = 1 << (field - first) if field >= 0 else 0
        if at < 0 or names & bit:
            return 0
        names |= bit
        if field < 0:
            at = past_text(data, at, end)
        elif tables.fields[field, 5] and data[at] == _LETTER_N:
            at = past_null(data, at, end)
        else:
            there |= bit
            guess = field + 1
            if tables.fields[field, 0] == OBJECT and data[at] == _BRACE:
                at += 1
                depth += 1
                continue
            if tables.fields[field, 0] == TYPE:
                at = _past_same(data, at, end, tables, tables.fields[field, 2])
            else:
                _note(written, kind, part, before, at, field)
                part += 1
                at = before = _value(log, tables, found, row, kind, field, at, end)
        if at >= 0:
            at, depth = _past_ends(data, at, end, depth)
    if at < 0:
        return 0
    _note(written, kind, part, before, end, -1)
    written.sides[kind], written.counts[kind], written.there[kind] = 1 - written.sides[kind], part + 1, there
    return there


@inlined
def _note(written: Written, kind: Integer, part: Integer, first: Integer, end: Integer, field: Integer) -> None:
    side = 1 - written.sides[kind]
    written.parts[side, kind, part, 0] = first
    written.parts[side, kind, part, 1] = end - first
    written.parts[side, kind, part, 2] = field


@inlined
def _name(
    data: Cells, at: Integer, end: Integer, tables: Tables, kind: Integer, depth: Integer, guess: Integer
) -> tuple[Integer, Integer]:
    """Read a member's name and the colon, to the value; return the field that it names (-1: none), and where it ends.

    It is probably that of field ``guess``.
    """
    at = past_blanks(data, at, end)
    if at >= end:
        return -1, -1
    first, behind = tables.depths[kind, depth, 0], tables.depths[kind, depth, 1]
    found, after, field = -1, -1, guess
    for _ in range(first, behind):
        if field >= behind:
            field = first
        after = _past_same(data, at, end, tables, tables.fields[field, 1])
        if after >= 0:
            found = field
            break
        field += 1
    if found < 0:
        after = past_text(data, at, end)
        if after < 0:
            return -1, -1
    at = past_blanks(data, after, end)
    if at >= end or data[at] != _COLON:
        return -1, -1
    at = past_blanks(data, at + 1, end)
    return (found, at) if at < end else (-1, -1)


@inlined
def _value(
    log: Log, tables: Tables, found: Found, row: Integer, kind: Integer, field: Integer, at: Integer, end: Integer
) -> Integer:
    """Read the value of a field that is no type, and put it down."""
    data, what = log.data, tables.fields[field, 0]
    low, high, place = tables.fields[field, 2], tables.fields[field, 3], tables.fields[field, 4]
    room, index = found.rooms[kind, 3], found.rooms[kind, 4]
    value = 0
    if what == OCTETS:
        return octets_of(data, at, end, low, found.octets, found.rooms[kind, 0] + place * room + index * low)
    if what == AMOUNT:
        return amount(data, at, end, found.limbs, found.rooms[kind, 2] + place * room + index)
    if what == SOURCE:
        return past_kept(data, at, end, log.producers, log.producer_starts[row], log.producer_starts[row + 1])
    if what == ID:
        return past_kept(data, at, end, log.ids, log.id_starts[row], log.id_starts[row + 1])
    if what == TIME:
        return past_time(data, at, end)
    if what == SEQUENCE:
        return _past_sequence(data, at, end, log.sequences[row])
    if what == WHOLE:
        at, value = whole_number(data, at, end)
        at = at if low <= value <= high else -1
    elif what == CHOICE:
        yes = _past_same(data, at, end, tables, high)
        value = 1 if yes >= 0 else 0
        at = yes if yes >= 0 else _past_same(data, at, end, tables, low)
    elif what == SLOTS:
        at, value = slots_of(data, at, end)
    else:
        return -1
    if at >= 0:
        found.numbers[found.rooms[kind, 1] + place * room + index] = value
    return at


@inlined
def _past_ends(data: Cells, at: Integer, end: Integer, depth: Integer) -> tuple[Integer, Integer]:
    """Pass the ends of objects, and a comma or all that there is; return where that ends and the depth behind it."""
    at = past_blanks(data, at, end)
    while depth >= 0 and at < end and data[at] == _END_BRACE:
        at = past_blanks(data, at + 1, end)
        depth -= 1
    if depth < 0:
        return (at if at == end else -1), depth
    return (at + 1 if at < end and data[at] == _COMMA else -1), depth


@inlined
def _past_same(data: Cells, at: Integer, end: Integer, tables: Tables, text: Integer) -> Integer:
    """Pass a text of the tables, with its quotes."""
    first, length = tables.ends[text], tables.ends[text + 1] - tables.ends[text]
    if end - at < length:
        return -1
    return at + length if are_same(data, at, tables.texts, first, length) else -1


@inlined
def _past_sequence(data: Cells, at: Integer, end: Integer, sequence: Integer) -> Integer:
    """Pass text that is a certain number."""
    if data[at] != _QUOTE:
        return -1
    at, value = whole_number(data, at + 1, end)
    return at + 1 if 0 <= at < end and data[at] == _QUOTE and value == sequence else -1
