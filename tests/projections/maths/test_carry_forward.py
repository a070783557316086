"""Carry-forward: each leg of a stream of payments is realised to within one unit, however small the payments are."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnode_projections import rulesets
from deepnode_projections.maths import carry_forward, nine_rates, split, split_by, suspense
from deepnode_projections.rulesets.ruleset import PPM, Rounding

LEGS = 9
FRESH = (0,) * LEGS
BUYBACK = 3

# A creator's 10 %, the backers' 60 %, fees of 3 %, and 1 % each to buyback and foundation; the emission gets the rest.
RATES = nine_rates(
    rulesets.default().revenue,
    a=600_000,
    b=100_000,
    fees=30_000,
    domain=0,
    variable_burn=0,
    yield_=0,
    buyback=10_000,
    foundation=10_000,
)


@st.composite
def rates(draw: st.DrawFn) -> tuple[int, ...]:
    """Nine rates that sum to a million: cuts of it, in their order."""
    cuts = sorted(draw(st.lists(st.integers(0, PPM), min_size=LEGS - 1, max_size=LEGS - 1)))
    return tuple(after - before for before, after in zip([0, *cuts], [*cuts, PPM], strict=True))


amounts = st.one_of(st.integers(0, 500), st.integers(0, 10**38 - 1))


def test_one_split_by_hand() -> None:
    """Splits 7 base units twice, with every number of the second worked out here.

    A leg of 10 % gets 0.7 of a unit: nothing, and 700 000 ppm are carried. Then 0.7 + 0.7 = 1.4: one unit, and 400 000.
    """
    first = split(7, (100_000, 900_000), (0, 0))
    assert (first.legs, first.carries, first.suspense_change) == ((0, 6), (700_000, 300_000), 1)
    second = split(7, (100_000, 900_000), first.carries)
    assert (second.legs, second.carries, second.suspense_change) == ((1, 6), (400_000, 600_000), 0)


def test_one_payment_may_split_into_more_than_itself() -> None:
    """Splits a payment behind carries that are nearly units; suspense goes down by what is paid above the payment."""
    found = split(1, (500_000, 500_000), (500_000, 500_000))
    assert (found.legs, found.suspense_change) == ((1, 1), -1)


@given(carry=st.integers(0, PPM - 1), amount=amounts, rate=st.integers(0, PPM))
def test_nothing_of_a_leg_is_lost_or_made(carry: int, amount: int, rate: int) -> None:
    """Draws any carry, amount and rate; leg and new carry together are exactly what the old carry and the part were."""
    leg, after = carry_forward(carry, amount, rate)
    assert leg * PPM + after == carry + amount * rate
    assert 0 <= after < PPM


@given(rates=rates(), payments=st.lists(amounts, max_size=60))
def test_after_any_sequence_the_suspense_is_what_was_not_split(rates: tuple[int, ...], payments: list[int]) -> None:
    """Draws rates and payments up to 10**38; after each payment the suspense is in its bounds and accounts for all."""
    carries, paid, held = FRESH, [0] * LEGS, 0
    for number, payment in enumerate(payments, 1):
        found = split(payment, rates, carries)
        carries, held = found.carries, held + found.suspense_change
        paid = [before + leg for before, leg in zip(paid, found.legs, strict=True)]
        received = sum(payments[:number])
        assert held == suspense(carries) == received - sum(paid)
        assert 0 <= held < LEGS
        assert all(0 <= received * rate - leg * PPM < PPM for rate, leg in zip(rates, paid, strict=True))


@given(rates=rates(), payments=st.lists(amounts, max_size=20))
def test_each_leg_is_paid_the_same_in_one_payment_as_in_many(rates: tuple[int, ...], payments: list[int]) -> None:
    """Draws payments and splits them one by one, and as a single payment of their sum: legs and carries are equal."""
    carries, paid = FRESH, [0] * LEGS
    for payment in payments:
        found = split(payment, rates, carries)
        carries = found.carries
        paid = [before + leg for before, leg in zip(paid, found.legs, strict=True)]
    at_once = split(sum(payments), rates, FRESH)
    assert (at_once.legs, at_once.carries) == (tuple(paid), carries)


@pytest.mark.parametrize("rounding", ["carry_forward", "largest_remainder", "floor"])
@given(rates=rates(), amount=amounts)
def test_every_rounding_accounts_for_the_payment(rounding: Rounding, rates: tuple[int, ...], amount: int) -> None:
    """Draws rates and an amount; legs and suspense sum to it, and only carrying forward has a suspense."""
    found = split_by(rounding, amount, rates, FRESH)
    assert sum(found.legs) + found.suspense_change == amount
    assert rounding == "carry_forward" or (found.suspense_change, found.carries) == (0, FRESH)
    exact = [amount * rate // PPM for rate in rates]
    extras = [leg - floor for leg, floor in zip(found.legs, exact, strict=True)]
    assert min(extras) >= 0
    # The emission, which is last, takes what floors leave.
    assert max(extras[:-1] if rounding == "floor" else extras) <= (rounding == "largest_remainder")


def test_what_micro_payments_leave_of_a_leg_of_one_per_cent() -> None:
    """Splits 200 000 payments of 1 to 405 base units (USDC has six decimals) in three ways, and measures the buyback.

    Floored, the leg of 1 % gets 76 % of what it should; by largest remainder (50 000 payments) 105 %; with its
    remainders carried forward all of it, to within one unit in two million.
    """
    rng = Random(20_251_121)
    payments = [rng.randrange(1, 406) for _ in range(200_000)]
    due = {"floor": payments, "largest_remainder": payments[:50_000], "carry_forward": payments}
    realised: dict[str, tuple[int, int]] = {}
    for name, some in due.items():
        rounding: Rounding = name  # type: ignore[assignment] # the keys above are the roundings
        carries, got = FRESH, 0
        for payment in some:
            found = split_by(rounding, payment, RATES, carries)
            carries, got = found.carries, got + found.legs[BUYBACK]
        realised[name] = (got, sum(some) * RATES[BUYBACK])
    per_cent = {name: (got * PPM * 100 + exact // 2) // exact for name, (got, exact) in realised.items()}
    assert per_cent == {"floor": 76, "largest_remainder": 105, "carry_forward": 100}
    got, exact = realised["carry_forward"]
    assert 0 <= exact - got * PPM < PPM


def test_rates_that_are_no_whole_are_a_fault_of_ours() -> None:
    """Splits by rates that sum to less than everything, and by fewer carries than rates."""
    with pytest.raises(AssertionError):
        split(1, (1, 2), (0, 0))
    with pytest.raises(ValueError, match="longer"):
        split(1, (PPM, 0), (0,))
