"""One ABI word: 32 bytes that hold a number, an address, a truth value or fixed bytes.

Nearly every argument of an event is one, so reading it directly, and not through a general decoder, is what makes
decoding fast. It is as strict as the general decoder (eth-abi), against which a test holds it: dirty padding is
refused, not masked away.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from eth_abi.exceptions import DecodingError

from deepnode_ledger.hexadecimal import WORD_BYTES

_WORD_TYPE = re.compile(r"^(uint|int|bytes)(\d+)$", re.ASCII)


@lru_cache(maxsize=4_096)
def is_word(abi_type: str) -> bool:
    """Say whether values of a type are one word, whatever they are."""
    return _reader(abi_type) is not None


def read_word(abi_type: str, word: bytes) -> Any:
    """Read one word: an int, a bool, 20 bytes of an address, or the fixed bytes.

    Raises:
        DecodingError: the value is out of the type's range, or its padding is not what the ABI says.
    """
    assert len(word) == WORD_BYTES, len(word)
    reader = _reader(abi_type)
    assert reader is not None, abi_type
    return reader(word)


@lru_cache(maxsize=4_096)
def _reader(abi_type: str) -> Callable[[bytes], Any] | None:
    if abi_type == "address":
        return _address
    if abi_type == "bool":
        return _bool
    match = _WORD_TYPE.match(abi_type)
    if match is None:
        return None
    size = int(match[2])
    if match[1] == "bytes":
        return _fixed_bytes(size) if 1 <= size <= 32 else None
    if size % 8 or not 8 <= size <= 256:
        return None
    return _uint(size) if match[1] == "uint" else _int(size)


def _address(word: bytes) -> bytes:
    if any(word[:12]):
        raise DecodingError(f"an address is 20 bytes behind 12 of zero, not 0x{word.hex()}")
    return word[12:]


def _bool(word: bytes) -> bool:
    value = int.from_bytes(word)
    if value > 1:
        raise DecodingError(f"a bool is 0 or 1, not 0x{word.hex()}")
    return value == 1


def _fixed_bytes(size: int) -> Callable[[bytes], bytes]:
    def read(word: bytes) -> bytes:
        if any(word[size:]):
            raise DecodingError(f"bytes{size} are followed by zeros, not 0x{word.hex()}")
        return word[:size]

    return read


def _uint(bits: int) -> Callable[[bytes], int]:
    def read(word: bytes) -> int:
        value = int.from_bytes(word)
        if value >> bits:
            raise DecodingError(f"{value} is no uint{bits}")
        return value

    return read


def _int(bits: int) -> Callable[[bytes], int]:
    def read(word: bytes) -> int:
        value = int.from_bytes(word, signed=True)
        if not -(1 << (bits - 1)) <= value < 1 << (bits - 1):
            raise DecodingError(f"{value} is no int{bits}")
        return value

    return read
