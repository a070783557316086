"""Bytes as people write them: ``0x`` and lower-case hexadecimal digits.

Addresses, hashes and ids are bytes inside the project and this text outside it. Only the exact length is accepted, so
that a hash can never pass for an address.
"""

from deepnode_ledger.errors import BadInput

ADDRESS_BYTES = 20
WORD_BYTES = 32


def to_hex(value: bytes) -> str:
    """Write bytes as ``0x`` and lower-case digits."""
    return "0x" + value.hex()


def from_hex(text: object, length_bytes: int | None = None, *, what: str = "hexadecimal value") -> bytes:
    """Read ``0x`` and hexadecimal digits of either case.

    Args:
        text: what somebody wrote; anything but a well-formed string is refused.
        length_bytes: the exact number of bytes that it must have, if there is such a rule.
        what: the thing's name for the message.

    Raises:
        BadInput: not a string, no ``0x``, an odd or wrong number of digits, or a character that is no digit.
    """
    if not isinstance(text, str) or not text.startswith("0x"):
        raise BadInput(f"{what} must be a string that starts with 0x, not {text!r:.80}")
    try:
        value = bytes.fromhex(text[2:])
    except ValueError as error:
        raise BadInput(f"{what} must be pairs of hexadecimal digits behind 0x, not {text!r:.80}") from error
    # bytes.fromhex skips white space between pairs; a hash with a blank in it is not one that a node ever sent.
    if len(text) != 2 + 2 * len(value):
        raise BadInput(f"{what} must hold hexadecimal digits alone, not {text!r:.80}")
    if length_bytes is not None and len(value) != length_bytes:
        raise BadInput(f"{what} must have {length_bytes} bytes, not {len(value)}: {text!r:.80}")
    return value
