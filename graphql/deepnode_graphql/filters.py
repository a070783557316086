"""What every list's filters share: a condition that is null or left out is no condition, and lists have a limit."""

import re
from collections.abc import Sequence
from typing import Final, TypeVar

import strawberry

from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import WORD_BYTES, to_hex

VALUES_MAX: Final = 1_000
"""Values in one ``_in`` filter."""

NO_TEXT: Final = re.compile(r"[\x00\ud800-\udfff]")
"""What PostgreSQL's text cannot hold."""

T = TypeVar("T")


def given(value: T | None) -> T | None:
    """Return what a client gave, or None if it gave nothing."""
    return None if value is strawberry.UNSET else value


def at_most(values: Sequence[T], name: str) -> Sequence[T]:
    """Check the length of an ``_in`` filter.

    Raises:
        BadInput: more than ``VALUES_MAX`` values.
    """
    if len(values) > VALUES_MAX:
        raise BadInput(f"{name} takes at most {VALUES_MAX} values, not {len(values)}")
    return values


def text(value: str, name: str) -> str:
    """Check a text that goes to the database.

    Raises:
        BadInput: it holds what PostgreSQL's text cannot.
    """
    if NO_TEXT.search(value):
        raise BadInput(f"{name} must not hold the character 0 or half a surrogate pair: {value!r:.80}")
    return value


def word(value: bytes, name: str) -> bytes:
    """Check the length of a hash or an id.

    Raises:
        BadInput: not 32 bytes.
    """
    if len(value) != WORD_BYTES:
        raise BadInput(f"{name} must have {WORD_BYTES} bytes, not {len(value)}: {to_hex(value):.80}")
    return value
