"""Wide arithmetic: amounts of 128 bits in compiled functions, two cells each, the lower and the upper 64 bits.

What is *far* from zero (2**126 or more, which is less than the 10**38 that the books hold) is left to the rules. So the
sum of two numbers that are not far fits 128 bits, and no overflow has to be looked for anywhere else.
"""

from typing import Final

import numpy as np

from deepnode_ledger.compiled import Integer, inlined
from deepnode_projections.rulesets.ruleset import PPM

LOW: Final = 2**64 - 1
FAR: Final = 2**62
"""Upper cells from this on, and below minus this, are those of what is far."""

Wide = tuple[Integer, Integer]
"""An amount's lower and upper cell."""


def cells_of_amount(amount: int) -> tuple[int, int]:
    """Return an amount's two cells."""
    low = amount & LOW
    return low - ((low >> 63) << 64), amount >> 64


def amount_of_cells(low: int, high: int) -> int:
    """Return the amount that two cells are."""
    return (high << 64) | (low & LOW)


@inlined
def is_far(high: Integer) -> Integer:
    """Say whether an amount is far from zero, by its upper cell."""
    return high >= FAR or high < -FAR


@inlined
def plus(low: Integer, high: Integer, more_low: Integer, more_high: Integer) -> Wide:
    """Add an amount to another."""
    total = np.uint64(low) + np.uint64(more_low)
    return np.int64(total), high + more_high + np.int64(total < np.uint64(low))


@inlined
def minus(low: Integer, high: Integer, less_low: Integer, less_high: Integer) -> Wide:
    """Take an amount from another."""
    total = np.uint64(low) - np.uint64(less_low)
    return np.int64(total), high - less_high - np.int64(np.uint64(low) < np.uint64(less_low))


@inlined
def over_ppm(low: Integer, high: Integer) -> tuple[Integer, Integer, Integer]:
    """Divide an amount that is not negative by 10**6; return the quotient's cells and the remainder."""
    lower, upper, base = np.uint64(low), np.uint64(high), np.uint64(PPM)
    if high == 0:
        quotient = lower // base
        return np.int64(quotient), np.int64(0), np.int64(lower - quotient * base)
    top = upper // base
    part = ((upper - top * base) << np.uint64(32)) | (lower >> np.uint64(32))
    middle = part // base
    part = ((part - middle * base) << np.uint64(32)) | (lower & np.uint64(0xFFFFFFFF))
    last = part // base
    return np.int64((middle << np.uint64(32)) | last), np.int64(top), np.int64(part - last * base)


@inlined
def share(
    low: Integer, high: Integer, rest: Integer, rate: Integer, carry: Integer
) -> tuple[Integer, Integer, Integer]:
    """Return a leg of a payment, its two cells, and the leg's carry after it: ``maths.carry.carry_forward``.

    Args:
        low: of a millionth of the payment, rounded down.
        high: the same.
        rest: what rounding has left of the payment, in millionths.
        rate: of the leg, in ppm, 10**6 at most.
        carry: of the leg before the payment, in ppm of a base unit.
    """
    lower, factor = np.uint64(low), np.uint64(rate)
    first = (lower & np.uint64(0xFFFFFFFF)) * factor
    second = (lower >> np.uint64(32)) * factor + (first >> np.uint64(32))
    leg_low = np.int64((second << np.uint64(32)) | (first & np.uint64(0xFFFFFFFF)))
    leg_high = high * rate + np.int64(second >> np.uint64(32))
    # Less than 10**12 + 10**6.
    left = np.uint64(rest * rate + carry)
    whole = left // np.uint64(PPM)
    leg_low, leg_high = plus(leg_low, leg_high, np.int64(whole), np.int64(0))
    return leg_low, leg_high, np.int64(left - whole * np.uint64(PPM))
