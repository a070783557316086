"""Sell pressure: the documents' own example, and that rounding never flatters the network."""

from hypothesis import given
from hypothesis import strategies as st

from deepnode_projections import rulesets
from deepnode_projections.maths import pressure
from deepnode_projections.rulesets.ruleset import PPM

RULES = rulesets.default().economics
amounts = st.integers(0, 10**38 - 1)


def test_the_documents_example() -> None:
    """Emits $41 + $41: everything is sold, and $100 is needed, which $99 does not bring."""
    found = pressure(RULES, 41 + 41, 99)
    assert (found.sold, found.needed, found.balance) == (82, 100, -1)


@given(emitted=amounts, created=amounts)
def test_the_need_is_rounded_up(emitted: int, created: int) -> None:
    """Draws amounts; the need is the least whole amount that is enough at 100 for 82."""
    found = pressure(RULES, emitted, created)
    assert found.sold == emitted
    assert (found.needed - 1) * 82 < emitted * 100 <= found.needed * 82
    assert found.balance == created - found.needed


@given(emitted=amounts, sold=st.integers(0, PPM))
def test_what_is_not_sold_presses_nothing(emitted: int, sold: int) -> None:
    """Draws how much is sold: a whole amount between nothing and everything, rounded up."""
    rules = rulesets.parse("some", f'summary = "x"\n[economics]\nsold_ppm = {sold}').economics
    found = pressure(rules, emitted, 0)
    assert (found.sold - 1) * PPM < emitted * sold <= found.sold * PPM
