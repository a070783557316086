"""The scanner: a compiled loop that reads the JSON of statements where it is written the plain way, as producers do.

Plain are objects that have each known member once at most, in any order, and further members with plain text alone;
text of printable ASCII without escapes; whole numbers of digits; null for what may be left out. For all that,
``statement.read`` gives the same values; the rest it may read or not, and is left to it.

This module needs the compiler (see ``compiled``). A function that passes something returns where it ends, or -1 if it
is not written the plain way; it is called with ``at`` before ``end``, and looks at no byte from ``end`` on.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from deepnode_ledger.compiled import Integer, compiled, inlined
from deepnode_ledger.statement_form import SLOTS_MAX

Cells = npt.NDArray[Any]

TYPE, SOURCE, ID, TIME, SEQUENCE, OBJECT, OCTETS, WHOLE, AMOUNT, CHOICE, SLOTS = range(11)
"""What a field may be: a member of the event, an object, or a member of the data by its shape."""

_TIME_CHARACTERS_MAX: Final = 64
_DIGITS_MAX: Final = 18
_AMOUNT_DIGITS_MAX: Final = 38

_TAB, _LINE_FEED, _RETURN, _BLANK, _QUOTE, _COMMA, _ZERO, _NINE, _COLON = b'\t\n\r ",09:'
_OPENING, _BACKSLASH, _CLOSING, _LETTER_A, _LETTER_L, _LETTER_N, _LETTER_U, _LETTER_X = b"[\\]alnux"
_BRACE, _END_BRACE, _TILDE = b"{}~"

# Indices without a sign: with one, the compiler would have to think of those that count from an array's end.
_ONE: Final = np.uint64(1)
_TWO: Final = np.uint64(2)


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


@compiled
def scan_all(log: Log, tables: Tables, found: Found) -> None:
    """Read the payloads of all rows that have a type, in their order: so the memory that comes next is at hand."""
    for row in range(len(log.types)):
        kind = log.types[row]
        if kind >= 0:
            found.there[row] = _event(log, tables, found, row, kind)
            found.rooms[kind, 4] += 1


@inlined
def _event(log: Log, tables: Tables, found: Found, row: Integer, kind: Integer) -> Integer:
    """Read a payload; return which fields are there."""
    data, end = log.data, np.int64(log.starts[row + 1])
    at = _past_blanks(data, np.int64(log.starts[row]), end)
    if at >= end or data[at] != _BRACE:
        return 0
    first = tables.depths[kind, 0, 0]
    at, depth, guess, names, there = at + 1, 0, first, 0, 0
    while at >= 0 and depth >= 0:
        field, at = _name(data, at, end, tables, kind, depth, guess)
        bit = 1 << (field - first) if field >= 0 else 0
        if at < 0 or names & bit:
            return 0
        names |= bit
        if field < 0:
            at = _past_text(data, at, end)
        elif tables.fields[field, 5] and data[at] == _LETTER_N:
            at = _past_null(data, at, end)
        else:
            there |= bit
            guess = field + 1
            if tables.fields[field, 0] == OBJECT and data[at] == _BRACE:
                at += 1
                depth += 1
                continue
            at = _value(log, tables, found, row, kind, field, at, end)
        if at >= 0:
            at, depth = _past_ends(data, at, end, depth)
    return there if at >= 0 else 0


@inlined
def _name(
    data: Cells, at: Integer, end: Integer, tables: Tables, kind: Integer, depth: Integer, guess: Integer
) -> tuple[Integer, Integer]:
    """Read a member's name and the colon, to the value; return the field that it names (-1: none), and where it ends.

    It is probably that of field ``guess``.
    """
    at = _past_blanks(data, at, end)
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
        after = _past_text(data, at, end)
        if after < 0:
            return -1, -1
    at = _past_blanks(data, after, end)
    if at >= end or data[at] != _COLON:
        return -1, -1
    at = _past_blanks(data, at + 1, end)
    return (found, at) if at < end else (-1, -1)


@inlined
def _value(
    log: Log, tables: Tables, found: Found, row: Integer, kind: Integer, field: Integer, at: Integer, end: Integer
) -> Integer:
    """Read the value of a field, and put it down."""
    data, what = log.data, tables.fields[field, 0]
    low, high, place = tables.fields[field, 2], tables.fields[field, 3], tables.fields[field, 4]
    room, index = found.rooms[kind, 3], found.rooms[kind, 4]
    value = 0
    if what == OCTETS:
        return _octets(data, at, end, low, found.octets, found.rooms[kind, 0] + place * room + index * low)
    if what == AMOUNT:
        return _amount(data, at, end, found.limbs, found.rooms[kind, 2] + place * room + index)
    if what == SOURCE:
        return _past_kept(data, at, end, log.producers, log.producer_starts[row], log.producer_starts[row + 1])
    if what == ID:
        return _past_kept(data, at, end, log.ids, log.id_starts[row], log.id_starts[row + 1])
    if what == TYPE:
        return _past_same(data, at, end, tables, low)
    if what == TIME:
        return _past_time(data, at, end)
    if what == SEQUENCE:
        return _past_sequence(data, at, end, log.sequences[row])
    if what == WHOLE:
        at, value = _number(data, at, end)
        at = at if low <= value <= high else -1
    elif what == CHOICE:
        yes = _past_same(data, at, end, tables, high)
        value = 1 if yes >= 0 else 0
        at = yes if yes >= 0 else _past_same(data, at, end, tables, low)
    elif what == SLOTS:
        at, value = _slots(data, at, end)
    else:
        return -1
    found.numbers[found.rooms[kind, 1] + place * room + index] = value
    return at


@inlined
def _past_ends(data: Cells, at: Integer, end: Integer, depth: Integer) -> tuple[Integer, Integer]:
    """Pass the ends of objects, and a comma or all that there is; return where that ends and the depth behind it."""
    at = _past_blanks(data, at, end)
    while depth >= 0 and at < end and data[at] == _END_BRACE:
        at = _past_blanks(data, at + 1, end)
        depth -= 1
    if depth < 0:
        return (at if at == end else -1), depth
    return (at + 1 if at < end and data[at] == _COMMA else -1), depth


@inlined
def _past_blanks(data: Cells, at: Integer, end: Integer) -> Integer:
    here, last = np.uint64(at), np.uint64(end)
    while here < last and data[here] <= _BLANK:
        octet = data[here]
        if not ((octet == _BLANK) | (octet == _LINE_FEED) | (octet == _RETURN) | (octet == _TAB)):
            break
        here += _ONE
    return np.int64(here)


@inlined
def _is_plain(octet: Integer) -> Integer:
    """Say whether a byte within text is a character that stands for itself: printable ASCII, no quote and no escape."""
    return (octet >= _BLANK) & (octet <= _TILDE) & (octet != _QUOTE) & (octet != _BACKSLASH)


@inlined
def _past_text(data: Cells, at: Integer, end: Integer) -> Integer:
    """Pass plain text with its quotes."""
    if data[at] != _QUOTE:
        return -1
    here, last = np.uint64(at + 1), np.uint64(end)
    while here < last and _is_plain(data[here]):
        here += _ONE
    return np.int64(here) + 1 if here < last and data[here] == _QUOTE else -1


@inlined
def _past_same(data: Cells, at: Integer, end: Integer, tables: Tables, text: Integer) -> Integer:
    """Pass a text of the tables, with its quotes."""
    first, length = tables.ends[text], tables.ends[text + 1] - tables.ends[text]
    if end - at < length:
        return -1
    texts, here, there, behind = tables.texts, np.uint64(at), np.uint64(first), np.uint64(first + length)
    while there < behind:
        if data[here] != texts[there]:
            return -1
        here += _ONE
        there += _ONE
    return at + length


@inlined
def _past_kept(data: Cells, at: Integer, end: Integer, kept: Cells, first: Integer, behind: Integer) -> Integer:
    """Pass plain text that is the same as one without quotes."""
    if data[at] != _QUOTE or end - at < behind - first + 2:
        return -1
    here, there, last = np.uint64(at + 1), np.uint64(first), np.uint64(behind)
    while there < last:
        if data[here] != kept[there] or not _is_plain(data[here]):
            return -1
        here += _ONE
        there += _ONE
    return np.int64(here) + 1 if data[here] == _QUOTE else -1


@inlined
def _past_null(data: Cells, at: Integer, end: Integer) -> Integer:
    if end - at < 4 or data[at] != _LETTER_N or data[at + 1] != _LETTER_U:
        return -1
    return at + 4 if data[at + 2] == _LETTER_L and data[at + 3] == _LETTER_L else -1


@inlined
def _past_time(data: Cells, at: Integer, end: Integer) -> Integer:
    """Pass plain text without blanks, of 1 to 64 characters."""
    behind = _past_text(data, at, end)
    if not 3 <= behind - at <= _TIME_CHARACTERS_MAX + 2:
        return -1
    for here in range(np.uint64(at), np.uint64(behind)):
        if data[here] == _BLANK:
            return -1
    return behind


@inlined
def _past_sequence(data: Cells, at: Integer, end: Integer, sequence: Integer) -> Integer:
    """Pass text that is a certain number."""
    if data[at] != _QUOTE:
        return -1
    at, value = _number(data, at + 1, end)
    return at + 1 if 0 <= at < end and data[at] == _QUOTE and value == sequence else -1


@inlined
def _number(data: Cells, at: Integer, end: Integer) -> tuple[Integer, Integer]:
    """Read up to 18 digits without needless zeros; return where they end and the number, or -1 twice."""
    first: Integer = at
    value: Integer = np.int64(0)
    while at < end and at - first < _DIGITS_MAX and _ZERO <= data[at] <= _NINE:
        value = value * 10 + (np.int64(data[at]) - _ZERO)
        at += 1
    if at == first or (data[first] == _ZERO and at - first > 1):
        return -1, -1
    return at, value


@inlined
def _amount(data: Cells, at: Integer, end: Integer, limbs: Cells, place: Integer) -> Integer:
    """Read decimal text of up to 38 digits without needless zeros."""
    if data[at] != _QUOTE:
        return -1
    first = at + 1
    at = first
    low, high = np.uint64(0), np.uint64(0)
    ten, half, mask = np.uint64(10), np.uint64(32), np.uint64(0xFFFF_FFFF)
    while at < end and at - first < _AMOUNT_DIGITS_MAX and _ZERO <= data[at] <= _NINE:
        lower = (low & mask) * ten + np.uint64(data[at] - _ZERO)
        upper = (low >> half) * ten + (lower >> half)
        low = (upper << half) | (lower & mask)
        high = high * ten + (upper >> half)
        at += 1
    if at == first or at >= end or data[at] != _QUOTE or (data[first] == _ZERO and at - first > 1):
        return -1
    limbs[place, 2] = high
    limbs[place, 3] = low
    return at + 1


@inlined
def _octets(data: Cells, at: Integer, end: Integer, size: Integer, octets: Cells, place: Integer) -> Integer:
    """Read ``0x`` and so many bytes in hexadecimal digits of either case."""
    behind = at + 2 * size + 4
    if behind > end or data[at] != _QUOTE or data[behind - 1] != _QUOTE:
        return -1
    if data[at + 1] != _ZERO or data[at + 2] != _LETTER_X:
        return -1
    wrong = np.uint8(0)
    first, second, to = np.uint64(at + 3), np.uint64(at + 4), np.uint64(place)
    for index in range(np.uint64(size)):
        high, low = _digit(data[first + _TWO * index]), _digit(data[second + _TWO * index])
        wrong |= high | low
        octets[to + index] = np.uint8(high << np.uint8(4)) | np.uint8(low & np.uint8(15))
    return behind if wrong < 16 else -1


@inlined
def _digit(octet: Integer) -> Integer:
    """Return what a hexadecimal digit stands for, and of anything else 255."""
    number = np.uint8(octet - np.uint8(_ZERO))
    letter = np.uint8((octet | np.uint8(0x20)) - np.uint8(_LETTER_A))
    return number if number < 10 else np.uint8(letter + np.uint8(10)) if letter < 6 else np.uint8(255)


@inlined
def _slots(data: Cells, at: Integer, end: Integer) -> tuple[Integer, Integer]:
    """Read an ascending list of slots; return where it ends and a bit for each, or -1 twice."""
    if data[at] != _OPENING:
        return -1, -1
    at = _past_blanks(data, at + 1, end)
    bits: Integer = np.int64(0)
    last: Integer = np.int64(0)
    while at < end and (last > 0 or data[at] != _CLOSING):
        at, slot = _number(data, at, end)
        if not last < slot <= SLOTS_MAX:
            return -1, -1
        bits |= np.int64(1) << (slot - 1)
        last = slot
        at = _past_blanks(data, at, end)
        if at >= end or data[at] != _COMMA:
            break
        at = _past_blanks(data, at + 1, end)
    return (at + 1, bits) if at < end and data[at] == _CLOSING else (-1, -1)
