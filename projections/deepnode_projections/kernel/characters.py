"""Characters of lines, written eight at a time: digits of both kinds, and texts as JSON has them.

What is written behind the last character of each is written over by what comes next: there is room for it.
"""

from typing import Final

import numpy as np

from deepnode_ledger.compiled import Integer, inlined, inner
from deepnode_projections.kernel.octets import EIGHT, Octets, read_eight, write_eight

ROOM: Final = 32
"""Octets behind a line that may be written, and are no part of it."""

FAR: Final = 16
"""Rows between asking the memory for what a line is written from and writing it."""

_HIGHS: Final = np.uint64(0x8080808080808080)
_SEVENS: Final = np.uint64(0x7F7F7F7F7F7F7F7F)
_ZEROS: Final = np.uint64(0x3030303030303030)
_NIBBLES: Final = np.uint64(0x000F000F000F000F)
"""Eight octets each."""

_HALF: Final = np.uint64(0xFFFFFFFF)
_BITS: Final = np.uint64(8)
_HUNDREDS: Final = np.uint64(0x0000007F0000007F)

_TEN: Final = np.uint64(10)
_HUNDRED: Final = np.uint64(100)
_FOUR_DIGITS: Final = np.uint64(10**4)
_EIGHT_DIGITS: Final = np.uint64(10**8)


def padded(head: bytes) -> Octets:
    """Return what lines begin with, and behind it octets that are written over: eight times as many as ever."""
    return np.frombuffer(head.ljust(-(-len(head) // EIGHT) * EIGHT), np.uint8)


@inner
def write_number(high: Integer, low: Integer, out: Octets, at: Integer) -> Integer:
    """Write a number of 128 bits in decimal digits; return the place behind them."""
    upper, lower = np.uint64(high), np.uint64(low)
    if high < 0:
        out[at] = 45
        at += 1
        lower = ~lower + np.uint64(1)
        upper = ~upper + (np.uint64(1) if lower == 0 else np.uint64(0))
    if upper == 0:
        return _write_small(lower, out, at)
    # The last eight digits, those before them, and those before these.
    first = second = third = np.uint64(0)
    parts = 0
    while upper != 0:
        # By dividing four numbers of 32 bits one after the other.
        first, second = second, third
        rest = upper % _EIGHT_DIGITS
        upper = upper // _EIGHT_DIGITS
        rest = (rest << np.uint64(32)) | (lower >> np.uint64(32))
        middle = rest // _EIGHT_DIGITS
        rest = ((rest % _EIGHT_DIGITS) << np.uint64(32)) | (lower & _HALF)
        lower = (middle << np.uint64(32)) | (rest // _EIGHT_DIGITS)
        third = rest % _EIGHT_DIGITS
        parts += 1
    at = _write_small(lower, out, at)
    write_eight(out, at, _eight_digits(third) + _ZEROS)
    if parts > 1:
        write_eight(out, at + EIGHT, _eight_digits(second) + _ZEROS)
    if parts > 2:
        write_eight(out, at + 2 * EIGHT, _eight_digits(first) + _ZEROS)
    return at + EIGHT * parts


@inlined
def _write_small(number: Integer, out: Octets, at: Integer) -> Integer:
    """Write a number of 64 bits in decimal digits; return the place behind them."""
    if number < _TEN:
        out[at] = np.uint8(number) + 48
        return at + 1
    if number < _EIGHT_DIGITS:
        return _write_first(number, out, at)
    upper = number // _EIGHT_DIGITS
    number -= upper * _EIGHT_DIGITS
    if upper < _EIGHT_DIGITS:
        at = _write_first(upper, out, at)
    else:
        top = upper // _EIGHT_DIGITS
        at = _write_first(top, out, at)
        write_eight(out, at, _eight_digits(upper - top * _EIGHT_DIGITS) + _ZEROS)
        at += EIGHT
    write_eight(out, at, _eight_digits(number) + _ZEROS)
    return at + EIGHT


@inlined
def _write_first(number: Integer, out: Octets, at: Integer) -> Integer:
    """Write the digits of a number of eight at most, without zeros before them."""
    zeros = np.uint64(number < np.uint64(10**7)) + np.uint64(number < np.uint64(10**6))
    zeros += np.uint64(number < np.uint64(10**5)) + np.uint64(number < np.uint64(10**4))
    zeros += np.uint64(number < np.uint64(10**3)) + np.uint64(number < np.uint64(10**2))
    zeros += np.uint64(number < np.uint64(10))
    write_eight(out, at, (_eight_digits(number) + _ZEROS) >> (zeros * _BITS))
    return at + EIGHT - np.int64(zeros)


@inlined
def _eight_digits(number: Integer) -> Integer:
    """Return the eight digits of a number as octets, the first the lowest: halves, quarters, and at last each."""
    upper = number // _FOUR_DIGITS
    parts = upper | ((number - upper * _FOUR_DIGITS) << np.uint64(32))
    # A hundredth of what is less than 10**4, and a tenth of what is less than 100, by multiplying.
    upper = ((parts * np.uint64(10_486)) >> np.uint64(20)) & _HUNDREDS
    parts = upper | ((parts - upper * _HUNDRED) << np.uint64(16))
    upper = ((parts * np.uint64(103)) >> np.uint64(10)) & _NIBBLES
    return upper | ((parts - upper * _TEN) << _BITS)


@inner
def write_text(texts: Octets, start: Integer, end: Integer, out: Octets, at: Integer) -> Integer:
    """Write a text as a JSON string: quotation marks, backslashes and control characters are escaped.

    Six characters at most stand for one.
    """
    out[at] = 34
    at += 1
    while start < end:
        some = min(end - start, EIGHT)
        if start + EIGHT <= len(texts):
            eight = read_eight(texts, start)
            if some == EIGHT:
                shown = eight
            else:
                # Letters stand where there is no more of the text.
                mask = (np.uint64(1) << (np.uint64(some) * _BITS)) - np.uint64(1)
                shown = (eight & mask) | (_ZEROS & ~mask)
            if _is_plain(shown):
                write_eight(out, at, eight)
                start += some
                at += some
                continue
        for place in range(start, start + some):
            at = _escape(texts[place], out, at)
        start += some
    out[at] = 34
    return at + 1


@inlined
def _is_plain(eight: Integer) -> Integer:
    """Say whether eight octets are no quotation mark, backslash or control character, any of them."""
    # Of an octet that is less than 128, the highest bit of each sum says that it is as much as asked, or another one.
    low = eight & _SEVENS
    printed = low + np.uint64(0x6060606060606060)
    no_quote = (low ^ np.uint64(0x2222222222222222)) + _SEVENS
    no_backslash = (low ^ np.uint64(0x5C5C5C5C5C5C5C5C)) + _SEVENS
    return ((printed & no_quote & no_backslash) | eight) & _HIGHS == _HIGHS


@inner
def _escape(octet: Integer, out: Octets, at: Integer) -> Integer:
    if octet >= 32 and octet not in (34, 92):
        out[at] = octet
        return at + 1
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
        return at + 2
    out[at], out[at + 1], out[at + 2], out[at + 3] = 92, 117, 48, 48
    high, low = octet >> 4, octet & 15
    out[at + 4] = high + 48
    out[at + 5] = low + (48 if low < 10 else 87)
    return at + 6
