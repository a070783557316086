"""One base unit too many in any leg of a split is found and named; allocations, roots and claims: see the pools."""

import pytest

from deepnode_ledger.vocabulary import LEGS
from tests.projections.rules.test_revenue_rules import AS_EXPECTED, differences, market, paid, settled


@pytest.mark.parametrize("leg", range(len(LEGS)))
@pytest.mark.parametrize("error", [1, -1])
def test_one_base_unit_in_a_leg_is_found_and_named(leg: int, error: int) -> None:
    """Moves one unit between each leg and another: both are named, with what they should be."""
    other = 0 if leg else 1
    wrong = [amount + error * ((place == leg) - (place == other)) for place, amount in enumerate(AS_EXPECTED)]
    tale = market().tell(paid(1000), settled(1000, wrong))
    found = [(what, expected, fact) for _, what, expected, fact, _ in differences(tale)]
    assert sorted(found) == sorted((LEGS[place], AS_EXPECTED[place], wrong[place]) for place in (leg, other))
