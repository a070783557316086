"""Filters of an export: each is one text, which is checked and made what the database takes.

All raise BadInput that names the filter, the value and the rule.
"""

from deepnode_graphql.filters import text as checked_text
from deepnode_graphql.scalars import LONG_MAX
from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import ADDRESS_BYTES, from_hex

TEXT_LENGTH_MAX = 1_000


def whole(name: str, value: str, maximum: int = LONG_MAX) -> int:
    """Read a whole number from 0 up to ``maximum``."""
    if not (value.isascii() and value.isdigit() and len(value) <= len(str(maximum)) and int(value) <= maximum):
        raise BadInput(f"{name} must be a whole number up to {maximum}, not {value!r:.80}")
    return int(value)


def truth(name: str, value: str) -> bool:
    """Read true or false."""
    if value not in ("true", "false"):
        raise BadInput(f"{name} must be true or false, not {value!r:.80}")
    return value == "true"


def octets(name: str, value: str, length: int | None = None) -> bytes:
    """Read bytes as 0x and hexadecimal digits, of any length or of one."""
    if len(value) > TEXT_LENGTH_MAX:
        raise BadInput(f"{name} must have {TEXT_LENGTH_MAX} characters at most, not {len(value)}")
    return from_hex(value, length, what=name) if length is not None else from_hex(value, what=name)


def address(name: str, value: str) -> bytes:
    """Read an address."""
    return octets(name, value, ADDRESS_BYTES)


def text(name: str, value: str) -> str:
    """Read a text that the database can hold."""
    if len(value) > TEXT_LENGTH_MAX:
        raise BadInput(f"{name} must have {TEXT_LENGTH_MAX} characters at most, not {len(value)}")
    return checked_text(value, name)
