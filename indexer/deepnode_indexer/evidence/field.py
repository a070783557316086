"""Fields of what a node sends as JSON: ``0x`` text, read strictly, with the field's name in the refusal."""

from collections.abc import Mapping
from typing import Any, Final

from deepnode_indexer.failures import BadAnswer

QUANTITY_DIGITS_MAX: Final = 64
"""No quantity of the protocol has more than 256 bits."""


def octets(source: Mapping[str, Any], name: str, length_bytes: int | None = None) -> bytes:
    """Read a field of bytes, of exactly so many if a length is given.

    Raises:
        BadAnswer: it is missing, no ``0x`` and pairs of digits, or of another length.
    """
    return octets_of(source.get(name), name, length_bytes)


def octets_of(text: Any, name: str, length_bytes: int | None = None) -> bytes:
    """Read a value of bytes, as ``octets`` does; ``name`` is what the refusal calls it."""
    try:
        value = bytes.fromhex(text[2:])
        # bytes.fromhex skips white space, so that the number of digits has to be counted.
        if text[:2] == "0x" and len(text) == 2 + 2 * len(value) and length_bytes in (None, len(value)):
            return value
    except (TypeError, ValueError, KeyError):
        pass
    wanted = "pairs of hexadecimal digits" if length_bytes is None else f"{2 * length_bytes} hexadecimal digits"
    raise BadAnswer(f"{name} is {text!r:.80}, not 0x and {wanted}")


def number(source: Mapping[str, Any], name: str) -> int:
    """Read a field with a quantity of at most 256 bits.

    Raises:
        BadAnswer: it is missing or no quantity.
    """
    text = source.get(name)
    # isalnum keeps out the signs, blanks and underscores that int() takes.
    if type(text) is str and text[:2] == "0x" and text[2:].isalnum() and len(text) <= 2 + QUANTITY_DIGITS_MAX:
        try:
            return int(text, 16)
        except ValueError:
            pass
    raise BadAnswer(f"{name} is {text!r:.80}, not a quantity")
