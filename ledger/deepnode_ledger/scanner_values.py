"""Values of the scanner: text, numbers and octets that are written the plain way, eight bytes at a time.

This module needs the compiler (see ``compiled``). A function that passes something returns where it ends, or -1 if it
is not written the plain way; it is called with ``at`` before ``end``, and looks at no byte from ``end`` on.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from deepnode_ledger.compiled import Integer, inlined
from deepnode_ledger.statement_form import SLOTS_MAX

Cells = npt.NDArray[Any]

_TIME_CHARACTERS_MAX: Final = 64
_DIGITS_MAX: Final = 18
_AMOUNT_DIGITS_MAX: Final = 38

_TAB, _LINE_FEED, _RETURN, _BLANK, _QUOTE, _COMMA, _ZERO, _NINE = b'\t\n\r ",09'
_OPENING, _BACKSLASH, _CLOSING, _LETTER_A, _LETTER_F, _LETTER_L, _LETTER_N, _LETTER_U, _LETTER_X = b"[\\]aflnux"
_TILDE: Final = ord("~")

# Indices without a sign: with one, the compiler would have to think of those that count from an array's end.
_ONE: Final = np.uint64(1)
_TWO: Final = np.uint64(2)
_FOUR: Final = np.uint64(4)
_EIGHT: Final = np.uint64(8)

_ONES: Final = np.uint64(0x0101_0101_0101_0101)
"""Eight bytes of one: times a byte, it is that byte eight times."""

_HIGHEST: Final = np.uint64(0x8080_8080_8080_8080)
"""The highest bit of each of eight bytes."""

_LOWEST: Final = np.uint64(0xFF)


@inlined
def past_blanks(data: Cells, at: Integer, end: Integer) -> Integer:
    """Pass blanks, tabs and ends of lines, if there are any."""
    here, last = np.uint64(at), np.uint64(end)
    while here < last and data[here] <= _BLANK:
        octet = data[here]
        if not ((octet == _BLANK) | (octet == _LINE_FEED) | (octet == _RETURN) | (octet == _TAB)):
            break
        here += _ONE
    return np.int64(here)


@inlined
def past_text(data: Cells, at: Integer, end: Integer) -> Integer:
    """Pass plain text with its quotes."""
    return _past_plain(data, at, end, np.uint64(_BLANK))


@inlined
def _past_plain(data: Cells, at: Integer, end: Integer, least: Integer) -> Integer:
    """Pass plain text with its quotes, of characters from the least on."""
    if data[at] != _QUOTE:
        return -1
    here, last = np.uint64(at + 1), np.uint64(end)
    while here + _EIGHT <= last and _are_plain(_eight(data, here), least):
        here += _EIGHT
    while here < last and _is_plain(data[here]) and data[here] >= least:
        here += _ONE
    return np.int64(here) + 1 if here < last and data[here] == _QUOTE else -1


@inlined
def past_kept(data: Cells, at: Integer, end: Integer, kept: Cells, first: Integer, behind: Integer) -> Integer:
    """Pass plain text that is the same as one without quotes."""
    if data[at] != _QUOTE or end - at < behind - first + 2:
        return -1
    here, there, last = np.uint64(at + 1), np.uint64(first), np.uint64(behind)
    while there + _EIGHT <= last:
        word = _eight(data, here)
        if word != _eight(kept, there) or not _are_plain(word, np.uint64(_BLANK)):
            return -1
        here += _EIGHT
        there += _EIGHT
    while there < last:
        if data[here] != kept[there] or not _is_plain(data[here]):
            return -1
        here += _ONE
        there += _ONE
    return np.int64(here) + 1 if data[here] == _QUOTE else -1


@inlined
def past_time(data: Cells, at: Integer, end: Integer) -> Integer:
    """Pass plain text without blanks, of 1 to 64 characters."""
    behind = _past_plain(data, at, end, np.uint64(_BLANK + 1))
    return behind if 3 <= behind - at <= _TIME_CHARACTERS_MAX + 2 else -1


@inlined
def past_null(data: Cells, at: Integer, end: Integer) -> Integer:
    """Pass the word ``null``."""
    if end - at < 4 or data[at] != _LETTER_N or data[at + 1] != _LETTER_U:
        return -1
    return at + 4 if data[at + 2] == _LETTER_L and data[at + 3] == _LETTER_L else -1


@inlined
def whole_number(data: Cells, at: Integer, end: Integer) -> tuple[Integer, Integer]:
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
def amount(data: Cells, at: Integer, end: Integer, limbs: Cells, place: Integer) -> Integer:
    """Read decimal text of up to 38 digits without needless zeros."""
    if data[at] != _QUOTE:
        return -1
    first = at + 1
    at = first
    low, high = np.uint64(0), np.uint64(0)
    ten, half, mask = np.uint64(10), np.uint64(32), np.uint64(0xFFFF_FFFF)
    while at < end and at - first < _DIGITS_MAX and _ZERO <= data[at] <= _NINE:
        low = low * ten + np.uint64(data[at] - _ZERO)
        at += 1
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
def octets_of(data: Cells, at: Integer, end: Integer, size: Integer, octets: Cells, place: Integer) -> Integer:
    """Read ``0x`` and so many bytes, four at a time, in hexadecimal digits of either case."""
    behind = at + 2 * size + 4
    if behind > end or data[at] != _QUOTE or data[behind - 1] != _QUOTE:
        return -1
    if data[at + 1] != _ZERO or data[at + 2] != _LETTER_X:
        return -1
    good, first, to = _HIGHEST, np.uint64(at + 3), np.uint64(place)
    for index in range(np.uint64(0), np.uint64(size), _FOUR):
        digits = _eight(data, first + _TWO * index)
        # A byte below 128 and a number up to 127 are not carried into the next byte; one above is seen by itself.
        lower = digits | _ONES * np.uint64(0x20)
        is_number = (digits + _ONES * np.uint64(0x80 - _ZERO)) & ~(digits + _ONES * np.uint64(0x7F - _NINE))
        is_letter = (lower + _ONES * np.uint64(0x80 - _LETTER_A)) & ~(lower + _ONES * np.uint64(0x7F - _LETTER_F))
        good &= (is_number | is_letter) & ~digits
        number = (digits & _ONES * np.uint64(15)) + ((is_letter & _HIGHEST) >> np.uint64(7)) * np.uint64(9)
        pairs = (number << np.uint64(4)) | (number >> np.uint64(8))
        octets[to + index] = np.uint8(pairs & _LOWEST)
        octets[to + index + _ONE] = np.uint8((pairs >> np.uint64(16)) & _LOWEST)
        octets[to + index + _TWO] = np.uint8((pairs >> np.uint64(32)) & _LOWEST)
        octets[to + index + np.uint64(3)] = np.uint8((pairs >> np.uint64(48)) & _LOWEST)
    return behind if good == _HIGHEST else -1


@inlined
def slots_of(data: Cells, at: Integer, end: Integer) -> tuple[Integer, Integer]:
    """Read an ascending list of slots; return where it ends and a bit for each, or -1 twice."""
    if data[at] != _OPENING:
        return -1, -1
    at = past_blanks(data, at + 1, end)
    bits: Integer = np.int64(0)
    last: Integer = np.int64(0)
    while at < end and (last > 0 or data[at] != _CLOSING):
        at, slot = whole_number(data, at, end)
        if not last < slot <= SLOTS_MAX:
            return -1, -1
        bits |= np.int64(1) << (slot - 1)
        last = slot
        at = past_blanks(data, at, end)
        if at >= end or data[at] != _COMMA:
            break
        at = past_blanks(data, at + 1, end)
    return (at + 1, bits) if at < end and data[at] == _CLOSING else (-1, -1)


@inlined
def are_same(data: Cells, at: Integer, other: Cells, first: Integer, length: Integer) -> Integer:
    """Say whether so many bytes are the same in two places."""
    here, there, behind = np.uint64(at), np.uint64(first), np.uint64(at + length)
    while here + _EIGHT <= behind:
        if _eight(data, here) != _eight(other, there):
            return False
        here += _EIGHT
        there += _EIGHT
    if length >= _EIGHT:
        # The last eight, some of which were looked at already.
        return _eight(data, behind - _EIGHT) == _eight(other, np.uint64(first + length) - _EIGHT)
    while here < behind:
        if data[here] != other[there]:
            return False
        here += _ONE
        there += _ONE
    return True


@inlined
def _eight(data: Cells, at: Integer) -> Integer:
    """Return eight bytes, the first of them the lowest. The compiler makes one look at the memory of it."""
    low = np.uint64(data[at]) | np.uint64(data[at + _ONE]) << np.uint64(8)
    low |= np.uint64(data[at + _TWO]) << np.uint64(16) | np.uint64(data[at + np.uint64(3)]) << np.uint64(24)
    low |= np.uint64(data[at + np.uint64(4)]) << np.uint64(32) | np.uint64(data[at + np.uint64(5)]) << np.uint64(40)
    return (
        low | np.uint64(data[at + np.uint64(6)]) << np.uint64(48) | np.uint64(data[at + np.uint64(7)]) << np.uint64(56)
    )


@inlined
def _is_plain(octet: Integer) -> Integer:
    """Say whether a byte within text is a character that stands for itself: printable ASCII, no quote and no escape."""
    return (octet >= _BLANK) & (octet <= _TILDE) & (octet != _QUOTE) & (octet != _BACKSLASH)


@inlined
def _are_plain(word: Integer, least: Integer) -> Integer:
    """Say whether each of eight bytes is such a character, and not below ``least``."""
    # Where no byte is above the tilde, none is carried into the next.
    odd = word | (word + _ONES)
    odd |= word - _ONES * least
    quotes, escapes = word ^ (_ONES * np.uint64(_QUOTE)), word ^ (_ONES * np.uint64(_BACKSLASH))
    odd |= (quotes - _ONES) & ~quotes
    odd |= (escapes - _ONES) & ~escapes
    return (odd & _HIGHEST) == 0
