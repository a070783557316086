"""The schema's own scalars: whole numbers that JSON readers would round, and bytes as people write them.

Inside the resolvers an amount is an ``int`` and an address ``bytes``; they change to text here and nowhere else.
"""

from typing import Any, Final, NewType

import strawberry
from strawberry.types.scalar import ScalarDefinition

from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import ADDRESS_BYTES, from_hex, to_hex

LONG_MAX: Final = 2**53 - 1
"""The largest whole number that every JSON reader keeps exactly."""

BIG_INT_DIGITS_MAX: Final = 78
"""No uint256 has more digits."""

BigInt = NewType("BigInt", int)
"""An amount in base units, written as a decimal string."""

Long = NewType("Long", int)
"""A position, a block number or a time: a JSON number up to 2^53 - 1."""

Hex = NewType("Hex", bytes)
"""Bytes, written as 0x and lower-case digits."""

Address = NewType("Address", bytes)
"""Twenty bytes, written as 0x and lower-case digits."""


def parse_long(value: Any) -> int:
    """Read a Long of the input.

    Raises:
        BadInput: not a whole number, or beyond 2^53 - 1 in either direction.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadInput(f"a Long must be a whole JSON number, not {value!r:.80}")
    if abs(value) > LONG_MAX:
        raise BadInput(f"a Long must be between -{LONG_MAX} and {LONG_MAX}, not {value}")
    return value


def parse_big_int(value: Any) -> int:
    """Read a BigInt of the input: a string of digits, or a JSON number where it is whole.

    Raises:
        BadInput: anything else.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    digits = value.removeprefix("-") if isinstance(value, str) else ""
    if not (digits.isascii() and digits.isdigit() and len(digits) <= BIG_INT_DIGITS_MAX):
        raise BadInput(f"a BigInt must be a string of decimal digits, not {value!r:.80}")
    return int(value)


def parse_hex(value: Any) -> bytes:
    """Read a Hex of the input, of either case.

    Raises:
        BadInput: not 0x and pairs of hexadecimal digits.
    """
    return from_hex(value, what="a Hex")


def parse_address(value: Any) -> bytes:
    """Read an Address of the input, of either case; a checksum in its case is not looked at.

    Raises:
        BadInput: not 0x and forty hexadecimal digits.
    """
    return from_hex(value, ADDRESS_BYTES, what="an Address")


SCALARS: Final[dict[object, ScalarDefinition]] = {
    BigInt: strawberry.scalar(
        name="BigInt",
        description="An amount in base units of its asset, exact at any size: a string of decimal digits.",
        serialize=str,
        parse_value=parse_big_int,
    ),
    Long: strawberry.scalar(
        name="Long",
        description="A whole number up to 2^53 - 1, as a JSON number: a position, a block, or seconds since 1970.",
        serialize=int,
        parse_value=parse_long,
    ),
    Hex: strawberry.scalar(
        name="Hex",
        description="Bytes as 0x and lower-case hexadecimal digits; either case is accepted.",
        serialize=to_hex,
        parse_value=parse_hex,
    ),
    Address: strawberry.scalar(
        name="Address",
        description="An address of 20 bytes as 0x and lower-case hexadecimal digits; either case is accepted.",
        serialize=to_hex,
        parse_value=parse_address,
    ),
}
