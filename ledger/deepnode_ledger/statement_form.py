"""The forms of values in a statement: how each is written in JSON, and what it is inside the project.

Ids and addresses are ``0x`` and digits outside, bytes inside; amounts are decimal text outside, ints inside. A value
that has not exactly its form is refused with the value and the rule; nothing is guessed, rounded or cut.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import ADDRESS_BYTES, WORD_BYTES, from_hex

PPM: Final = 10**6
"""Rates are in millionths."""


class Malformed(BadInput):
    """A value has not the form that its name asks for. The message names the value and the rule."""


@dataclass(frozen=True, slots=True)
class Form:
    """How a value is written: ``rule`` in words, and ``read``, which returns None for what is not written so."""

    rule: str
    read: Callable[[object], object]

    def value(self, name: str, written: object) -> object:
        """Return what ``written`` means.

        Raises:
            Malformed: it breaks the rule.
        """
        value = self.read(written)
        if value is None:
            # Not repr(): which characters it shows as they are changes with Python's tables of Unicode.
            raise Malformed(f"{name} must be {self.rule}, not {written!a:.80}")
        return value


def hexadecimal(length_bytes: int) -> Form:
    """``0x`` and exactly this many bytes in digits of either case."""

    def read(written: object) -> bytes | None:
        try:
            return from_hex(written, length_bytes)
        except BadInput:
            return None

    return Form(f"0x and {2 * length_bytes} hexadecimal digits", read)


def number(low: int, high: int) -> Form:
    """A whole number of JSON from ``low`` to ``high``, both included; ``true`` is none."""

    def read(written: object) -> int | None:
        return written if type(written) is int and low <= written <= high else None

    return Form(f"a whole number from {low} to {high}", read)


def matching(pattern: str, rule: str) -> Form:
    """Text that a pattern matches as a whole."""
    whole = re.compile(pattern, re.ASCII)

    def read(written: object) -> str | None:
        return written if isinstance(written, str) and whole.fullmatch(written) else None

    return Form(rule, read)


def decimal(low: int) -> Form:
    """Decimal text without sign and leading zeros, from ``low`` to 10**38 - 1."""
    # 38 digits at most: larger amounts fit no table of the books.
    digits = re.compile("0|[1-9][0-9]{0,37}", re.ASCII)

    def read(written: object) -> int | None:
        if not isinstance(written, str) or not digits.fullmatch(written):
            return None
        return value if (value := int(written)) >= low else None

    return Form(f"decimal text of a whole number from {low} to 10**38 - 1", read)


def _slots(written: object) -> tuple[int, ...] | None:
    if not isinstance(written, list) or any(type(slot) is not int for slot in written):
        return None
    ascending = written == sorted(set(written)) and all(1 <= slot <= SLOTS_MAX for slot in written)
    return tuple(written) if ascending else None


SLOTS_MAX: Final = 64
"""How many nodes an attempt can have. How many it has is for the rules to say: two (seeds/002 section 2)."""

SEVERITY_MAX: Final = 3
RATING_MAX: Final = 5

Id = Annotated[bytes, hexadecimal(WORD_BYTES)]
"""32 bytes of a task, domain, model, node or hash."""

Address = Annotated[bytes, hexadecimal(ADDRESS_BYTES)]
"""20 bytes."""

AmountText = Annotated[int, decimal(0)]
"""Base units of a token, below 10**38."""

PriceText = Annotated[int, decimal(1)]
"""Millionths of a unit of fiat money for a whole token."""

Ppm = Annotated[int, number(0, PPM)]
Difficulty = Annotated[int, number(1, 10 * PPM)]
"""A task's difficulty in ppm: a million is the ordinary one."""

Attempt = Annotated[int, number(1, 2**31 - 1)]
Slot = Annotated[int, number(1, SLOTS_MAX)]
SlotList = Annotated[tuple[int, ...], Form(f"an ascending list of slots from 1 to {SLOTS_MAX}, each once", _slots)]
Score = Annotated[int, number(0, 100)]
Severity = Annotated[int, number(1, SEVERITY_MAX)]
Rating = Annotated[int, number(1, RATING_MAX)]
Vwu = Annotated[int, number(1, 10**12)]
"""Verified work units of one task."""

Version = Annotated[int, number(0, 2**32 - 1)]
Count = Annotated[int, number(0, 2**53)]
"""Tokens, milliseconds."""

EventId = Annotated[str, matching("[!-~]{1,256}", "1 to 256 printable ASCII characters without blanks")]
Fiat = Annotated[str, matching("[A-Z]{3}", "three capital letters of ISO 4217")]
Text = Annotated[
    str, matching("[^\x00-\x1f\x7f\ud800-\udfff]{1,256}", "text of 1 to 256 characters without control characters")
]
Verdict = Annotated[Literal["correct", "incorrect"], matching("correct|incorrect", "'correct' or 'incorrect'")]
Consensus = Annotated[Literal["approved", "rejected"], matching("approved|rejected", "'approved' or 'rejected'")]
