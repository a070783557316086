"""RLP as headers, receipts and trie nodes need it: strings, lists of what is encoded already, and quantities.

Only the way out: nothing here reads RLP, and what is encoded already can be put into a list as it is, which is how a
trie's node holds a short child. A test holds it against the library ``rlp``.
"""

from typing import Final

EMPTY: Final = b"\x80"
"""The empty string, which is also the number 0."""


def string(value: bytes) -> bytes:
    """Encode a string of bytes."""
    if len(value) == 1 and value[0] < 0x80:
        return value
    return _prefix(0x80, len(value)) + value


def quantity(value: int) -> bytes:
    """Encode a number of at least 0: its bytes, the largest first, without leading zeros."""
    assert value >= 0, value
    return string(value.to_bytes((value.bit_length() + 7) // 8))


def sequence(payload: bytes) -> bytes:
    """Encode a list whose items, encoded and joined, are ``payload``."""
    return _prefix(0xC0, len(payload)) + payload


def _prefix(base: int, length: int) -> bytes:
    if length < 56:
        return bytes((base + length,))
    size = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes((base + 55 + len(size),)) + size
