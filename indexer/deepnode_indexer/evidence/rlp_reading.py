"""RLP read back: which bytes of an encoding are its items, strictly.

Whoever reads bytes that a hash commits to must read what the hash meant: two readings of the same bytes would be two
histories under one proof. So only the one canonical spelling is read: the shortest prefix, no byte left over, no single
byte with a prefix that it does not need (Yellow Paper, appendix B). Nothing is copied; an item is named by its place.
"""

from deepnode_ledger.errors import Damaged

Item = tuple[bool, int, int]
"""Whether it is a list, and where its payload begins and ends."""

LENGTH_BYTES_MAX = 4
"""Bytes of a length: four gigabytes, more than any block has."""


def whole(encoded: bytes) -> Item:
    """Read the one item that ``encoded`` is.

    Raises:
        Damaged: it is cut off, not canonical, or has bytes behind the item.
    """
    found = item_at(encoded, 0, len(encoded))
    if found[2] != len(encoded):
        raise Damaged(f"{len(encoded) - found[2]} bytes follow an RLP item of {found[2]} bytes")
    return found


def items(encoded: bytes, start: int, end: int) -> list[Item]:
    """Read the items of a list whose payload is ``encoded[start:end]``.

    Raises:
        Damaged: an item is cut off, not canonical, or reaches over the end.
    """
    found = []
    while start < end:
        item = item_at(encoded, start, end)
        found.append(item)
        start = item[2]
    return found


def item_at(encoded: bytes, at: int, end: int) -> Item:
    """Read the item that begins at ``at`` and must end by ``end``.

    Raises:
        Damaged: there is none, it is not canonical, or it reaches over the end.
    """
    if at >= end:
        raise Damaged(f"an RLP item should be at byte {at}, where its list ends")
    first = encoded[at]
    if first < 0x80:
        return False, at, at + 1
    is_list = first >= 0xC0
    short = first - (0xC0 if is_list else 0x80)
    start = at + 1
    if short < 56:
        stop = start + short
    else:
        start += short - 55
        stop = start + _length(encoded, at, start, end)
    if stop > end:
        raise Damaged(f"the RLP item at byte {at} ends at byte {stop}, its list at byte {end}")
    if short == 1 and not is_list and encoded[start] < 0x80:
        raise Damaged(f"the RLP item at byte {at} is one small byte with a prefix that it does not need")
    return is_list, start, stop


def quantity(encoded: bytes, item: Item, name: str) -> int:
    """Read an item as a number of at most 256 bits; ``name`` is what the refusal calls it.

    Raises:
        Damaged: it is a list, longer than 32 bytes, or begins with a zero.
    """
    is_list, start, stop = item
    if is_list or stop - start > 32 or (stop > start and encoded[start] == 0):
        raise Damaged(f"{name} is {encoded[start:stop][:40].hex()}, no quantity in RLP")
    return int.from_bytes(encoded[start:stop])


def octets(encoded: bytes, item: Item, name: str, length_bytes: int | None = None) -> bytes:
    """Read an item as bytes, of exactly so many if a length is given; ``name`` is what the refusal calls it.

    Raises:
        Damaged: it is a list, or of another length.
    """
    is_list, start, stop = item
    if is_list or length_bytes not in (None, stop - start):
        what = "a list" if is_list else f"{stop - start} bytes"
        raise Damaged(f"{name} is {what}, not {'bytes' if length_bytes is None else f'{length_bytes} bytes'}")
    return encoded[start:stop]


def _length(encoded: bytes, at: int, start: int, end: int) -> int:
    """The length that stands between the prefix at ``at`` and the payload at ``start``."""
    digits = encoded[at + 1 : start]
    length = int.from_bytes(digits)
    if start > end or len(digits) > LENGTH_BYTES_MAX or digits[:1] == b"\x00" or length < 56:
        raise Damaged(f"the RLP item at byte {at} has the length {digits.hex()}, which is not canonical")
    return length
