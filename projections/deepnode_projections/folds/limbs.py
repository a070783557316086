"""Limbs: exact arithmetic on columns of amounts that are too wide for the machine's numbers.

A column of numbers is an int64 array of ``LIMBS`` rows, row ``k`` holding the multiples of 2**(32 k), so that sums of
2**31 numbers cannot overflow before their carries are passed on. A limb may have either sign: only ``normal`` makes
the representation the only one of its number. Everything here is checked against Python's own integers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

LIMBS: Final = 4
"""128 bits: an amount is below 10**38, which is below 2**127."""

Numbers = npt.NDArray[np.int64]
"""A column of numbers as limbs: shape (``LIMBS``, number of numbers)."""

Flags = npt.NDArray[np.bool_]

DIGIT_BASE: Final = 10_000
"""PostgreSQL's NUMERIC counts in digits of this base."""

_BITS: Final = 32
_MASK: Final = (1 << _BITS) - 1
_TWO_DIGITS: Final = np.uint64(DIGIT_BASE**2)


def of_ints(values: Sequence[int]) -> Numbers:
    """Lay Python's integers out as limbs; each must be below 2**127 in either direction."""
    assert all(abs(value) >> 127 == 0 for value in values), "an amount fits 128 bits with its sign"
    words = b"".join([(value & ((1 << 128) - 1)).to_bytes(16, "little") for value in values])
    limbs = np.frombuffer(words, "<u4").reshape(-1, LIMBS).T.astype(np.int64)
    # Two's complement: what the highest bit counts for is taken off again.
    limbs[LIMBS - 1] -= (limbs[LIMBS - 1] >> (_BITS - 1)) << _BITS
    return limbs


def of_halves(high: npt.NDArray[np.uint64], low: npt.NDArray[np.uint64]) -> Numbers:
    """Lay numbers of 128 bits without a sign out as limbs, from their upper and lower 64 bits."""
    limbs = np.empty((LIMBS, len(low)), np.int64)
    for pair, half in ((0, low), (2, high)):
        limbs[pair] = half & np.uint64(_MASK)
        limbs[pair + 1] = half >> np.uint64(_BITS)
    return limbs


@dataclass(frozen=True, slots=True)
class Groups:
    """How rows fall into groups: ``order`` sorts them by group, in each as they stood; ``ends`` closes each there."""

    order: npt.NDArray[np.intp]
    ends: npt.NDArray[np.intp]

    @property
    def last(self) -> npt.NDArray[np.intp]:
        """The last row of each group; the groups in ascending order of their keys."""
        return self.order[self.ends]


def grouped(keys: npt.NDArray[np.int64]) -> Groups:
    """Group rows by their keys."""
    order = np.argsort(keys, kind="stable")
    in_order = keys[order]
    return Groups(order, np.flatnonzero(np.append(in_order[1:] != in_order[:-1], len(keys) > 0)))


def running(groups: Groups, openings: Numbers, amounts: Numbers) -> Numbers:
    """Add amounts up, each group for itself, and return the group's sum after each amount, in normal form.

    Args:
        groups: how the amounts fall into groups.
        openings: what each group begins with.
        amounts: what is added, one after the other.
    """
    sizes = np.diff(groups.ends, prepend=-1)
    sums = np.empty_like(amounts)
    for limb in range(LIMBS):
        total = np.cumsum(amounts[limb][groups.order])
        # What the groups before have added to the running total is taken off, and the opening put in its place.
        before = np.concatenate(([0], total[groups.ends[:-1]]))
        sums[limb][groups.order] = total + np.repeat(openings[limb] - before, sizes)
    return normal(sums)


def normal(numbers: Numbers) -> Numbers:
    """Pass the carries on: every limb but the highest comes to lie between 0 and 2**32."""
    carried = numbers.copy()
    for limb in range(LIMBS - 1):
        carried[limb + 1] += carried[limb] >> _BITS
        carried[limb] &= _MASK
    return carried


def magnitude(numbers: Numbers) -> tuple[Numbers, Flags]:
    """Take numbers in normal form apart into what they are without their sign, and whether they are negative."""
    negative = numbers[LIMBS - 1] < 0
    if not negative.any():
        return numbers, negative
    return normal(np.where(negative, -numbers, numbers)), negative


def any_reaches(magnitudes: Numbers, limit: int) -> bool:
    """Say whether one of the numbers, in normal form and none negative, is ``limit`` or more."""
    at_least = np.zeros(magnitudes.shape[1], np.bool_)
    equal = np.ones(magnitudes.shape[1], np.bool_)
    for limb in reversed(range(LIMBS)):
        part = limit >> (_BITS * limb) if limb == LIMBS - 1 else (limit >> (_BITS * limb)) & _MASK
        at_least |= equal & (magnitudes[limb] > part)
        equal &= magnitudes[limb] == part
    return bool((at_least | equal).any())


def digits(magnitudes: Numbers) -> npt.NDArray[np.uint64]:
    """Write numbers, in normal form and none negative, in base 10 000: a row a number, the highest digit first.

    All have as many digits as the largest needs, and two at least.
    """
    rest = [magnitudes[limb].astype(np.uint64) for limb in range(LIMBS)]
    found: list[npt.NDArray[np.uint64]] = []
    while True:
        while len(rest) > 1 and not rest[-1].any():
            rest.pop()
        remainder = np.zeros(magnitudes.shape[1], np.uint64)
        for limb in reversed(range(len(rest))):
            part = rest[limb] | (remainder << np.uint64(_BITS))
            rest[limb] = part // _TWO_DIGITS
            remainder = part - rest[limb] * _TWO_DIGITS
        upper = remainder // np.uint64(DIGIT_BASE)
        found += [remainder - upper * np.uint64(DIGIT_BASE), upper]
        if not any(limb.any() for limb in rest):
            return np.stack(found[::-1], axis=1)
