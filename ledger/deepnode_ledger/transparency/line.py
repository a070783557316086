"""Numbers and hashes as the log's text formats write them: one spelling each.

Checkpoints, proofs and witness requests are lines of text that others compare byte by byte, so a second spelling of the
same value (a leading zero, a sign, padding left out, stray bits in base64) is refused here rather than understood.
"""

import base64
import binascii
import re
from typing import Final

from deepnode_ledger.errors import BadInput

HASH_BYTES: Final = 32
# Sizes and indices are 64-bit signed integers in Go's tlog and in C2SP tlog-cosignature.
SIZE_MAX: Final = 2**63 - 1

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


def to_base64(value: bytes) -> str:
    """Write bytes in the standard base 64 of RFC 4648, section 4, with padding."""
    return base64.b64encode(value).decode("ascii")


def from_base64(text: str, *, what: str) -> bytes:
    """Read standard base 64.

    Args:
        text: what stands in the line.
        what: its name for the message.

    Raises:
        BadInput: a character outside of the alphabet, wrong padding, or bits behind the last byte that are not zero.
    """
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadInput(f"{what} must be base64, not {text!r:.80}") from error
    # b64decode ignores the unused bits of the last character; two texts for one value would make two notes of one.
    if to_base64(value) != text:
        raise BadInput(f"{what} must be canonical base64, not {text!r:.80}")
    return value


def hash_from_base64(text: str, *, what: str) -> bytes:
    """Read one SHA-256 hash (32 bytes) in base 64.

    Raises:
        BadInput: not base 64, or another length.
    """
    value = from_base64(text, what=what)
    if len(value) != HASH_BYTES:
        raise BadInput(f"{what} must have {HASH_BYTES} bytes, not {len(value)}: {text!r:.80}")
    return value


def number(text: str, *, what: str) -> int:
    """Read an ASCII decimal from 0 to 2**63 - 1 without leading zeros.

    Raises:
        BadInput: anything else.
    """
    if _DECIMAL.fullmatch(text) is None:
        raise BadInput(f"{what} must be a decimal without leading zeros, not {text!r:.80}")
    value = int(text)
    if value > SIZE_MAX:
        raise BadInput(f"{what} may be {SIZE_MAX} at most, not {value}")
    return value


def text_of(raw: bytes | str, *, bytes_max: int, what: str) -> str:
    """The text of a message: UTF-8 of bounded length, whose only control character is the newline.

    Raises:
        BadInput: too long, not UTF-8, or another control character.
    """
    # A character has at least one byte: what is too long already is not encoded first.
    if len(raw) > bytes_max:
        raise BadInput(f"{what} may have {bytes_max} bytes, not {len(raw)}")
    try:
        encoded = raw.encode() if isinstance(raw, str) else bytes(raw)
        text = encoded.decode()
    except UnicodeError as error:
        raise BadInput(f"{what} must be UTF-8: {error}") from error
    if len(encoded) > bytes_max:
        raise BadInput(f"{what} may have {bytes_max} bytes, not {len(encoded)}")
    control = _CONTROL.search(text)
    if control is not None:
        raise BadInput(f"{what} must hold no control character but newlines, not {control[0]!r}")
    return text
