"""Splitting a payment into legs: exact in the long run, by carrying forward what is less than a base unit.

A leg of 1 % of a payment of 7 base units is 0.07 of one. If it is floored, a stream of micro-payments pays the leg
nothing for ever. So the part that could not be paid is kept as the leg's *carry*, in millionths of a base unit, and
goes into the leg's next payment: ``n = carry + amount * rate; leg = n // 10**6; carry = n % 10**6``. What a leg has
been paid is then always within one base unit of its rate.

What was received and not yet split is the *suspense*: the sum of the carries, a whole number of base units, never
negative, and less than the number of legs. One payment alone may split into a little more than itself; its
``suspense_change`` is then negative.

Sources: seeds/001 section 1, seeds/004 step 3, DESIGN section 6; ``RevenueRouter.sol``, whose arithmetic this is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from deepnode_projections.maths.apportion import largest_remainder
from deepnode_projections.rulesets.ruleset import PPM, Rounding


@dataclass(frozen=True, slots=True)
class Split:
    """A payment in legs (base units), the carries after it (ppm of a base unit), and what it did to suspense."""

    legs: tuple[int, ...]
    carries: tuple[int, ...]
    suspense_change: int


def carry_forward(carry_ppm: int, amount: int, rate_ppm: int) -> tuple[int, int]:
    """Return a leg of a payment (base units), and its carry after it (ppm of a base unit).

    Source: DESIGN section 6, "Revenue split"; seeds/001 section 1.
    """
    assert 0 <= carry_ppm < PPM, carry_ppm
    assert amount >= 0, amount
    assert 0 <= rate_ppm <= PPM, rate_ppm
    n = carry_ppm + amount * rate_ppm
    leg, carry = n // PPM, n % PPM
    assert leg * PPM + carry == carry_ppm + amount * rate_ppm
    return leg, carry


def split(amount: int, rates: Sequence[int], carries: Sequence[int]) -> Split:
    """Split a payment, carrying remainders forward.

    Args:
        amount: of the payment, base units.
        rates: of the legs, ppm; they sum to 10**6.
        carries: of the legs after the payment before this one; zeros at first.

    Source: DESIGN section 6, "Revenue split"; seeds/001 section 1.
    """
    assert sum(rates) == PPM, (rates, sum(rates))
    parts = [carry_forward(carry, amount, rate) for carry, rate in zip(carries, rates, strict=True)]
    legs, after = tuple(leg for leg, _ in parts), tuple(carry for _, carry in parts)
    change = suspense(after) - suspense(carries)
    assert sum(legs) + change == amount, (amount, legs, change)
    return Split(legs, after, change)


def suspense(carries: Sequence[int]) -> int:
    """Return what carries amount to, in base units: whole, since everything received is in a leg or in a carry."""
    total = sum(carries)
    assert total % PPM == 0, carries
    assert 0 <= total // PPM < max(1, len(carries)), carries
    return total // PPM


def split_by(rounding: Rounding, amount: int, rates: Sequence[int], carries: Sequence[int]) -> Split:
    """Split a payment as a ruleset's ``revenue.rounding`` says.

    Without carrying forward each payment is split for itself: by largest remainder (ties to the earlier leg), or each
    leg floored, with the rest to the last leg, which is the emission's. Carries and suspense stay as they are.

    Source: DESIGN section 6, "Rulesets … fix … rounding".
    """
    assert sum(rates) == PPM, (rates, sum(rates))
    if rounding == "carry_forward":
        return split(amount, rates, carries)
    legs = _largest_remainder(amount, rates) if rounding == "largest_remainder" else _floors(amount, rates)
    assert sum(legs) == amount, (amount, legs)
    return Split(legs, tuple(carries), 0)


def _largest_remainder(amount: int, rates: Sequence[int]) -> tuple[int, ...]:
    found = largest_remainder(amount, ((leg.to_bytes(2), rate) for leg, rate in enumerate(rates)))
    legs = [0] * len(rates)
    for share in found.shares:
        legs[int.from_bytes(share.key)] = share.amount
    return tuple(legs)


def _floors(amount: int, rates: Sequence[int]) -> tuple[int, ...]:
    floors = [amount * rate // PPM for rate in rates[:-1]]
    return (*floors, amount - sum(floors))
