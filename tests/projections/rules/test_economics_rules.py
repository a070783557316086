"""Emissions beside the value that was created: by domain and epoch, in millionths of a dollar."""

from typing import Final

from deepnode_projections.rules import domains, economics, emission, registry, revenue
from deepnode_projections.rules.economics import Economics, Revenue, price_of
from deepnode_projections.rules.observations import Price
from deepnode_projections.rulesets import by_name, default
from tests.projections.rules.told import DN, USDC, Story, told, word

ONE_DN: Final = 10**18
ONE_USDC: Final = 10**6


def market() -> Story:
    tale = Story(domains.RULES, registry.RULES, revenue.RULES, emission.RULES, economics.RULES)
    tale.tell(
        told("Domains", "DomainCreated", domain="d1", owner="olga"),
        told("Models", "ModelRegistered", model="x1", domain="d1", creator="cleo", a=0, b=1, x=1),
    )
    assert tale.reasons == []
    return tale.opens(1)


def priced(tale: Story, asset: bytes, *prices: int | None) -> Story:
    for number, price in enumerate(prices):
        tale.state.put(Price(asset, "USD", f"source {number}", price, "p", f"e{number}", ""))
    return tale


def paid(tale: Story, amount: int, asset: bytes = USDC) -> Story:
    return tale.tell(told("RevenueRouter", "RevenueSplit", model="x1", asset=asset, gross=amount, emission=amount))


def allocated(tale: Story, miners: int, undistributed: int = 0) -> Economics:
    tale.opens(2)
    tale.tell(
        told("Emission", "EpochAllocated", epoch=1, domain="d1", asset=DN, miners=miners, undistributed=undistributed)
    )
    found = tale.state.get(Economics, 1, word("d1"))
    assert found is not None, tale.reasons
    return found


def test_emissions_of_82_dollars_need_100_of_value_if_all_is_sold() -> None:
    """41 DN at two dollars, all of it sold: revenue of 50 dollars covers half of what the market must bring."""
    rules = default().economics
    assert (rules.value_needed, rules.per_sold) == (100, 82)
    tale = paid(priced(priced(market(), DN, 2_000_000), USDC, 1_000_000), 50 * ONE_USDC)
    found = allocated(tale, 41 * ONE_DN, undistributed=7 * ONE_DN)
    assert found == Economics(1, word("d1"), 82_000_000, 82_000_000, 100_000_000, 50_000_000, 500_000, 0)


def test_revenue_counts_in_the_epoch_in_which_it_was_split() -> None:
    """Splits a payment in each of two epochs: each has its own."""
    tale = paid(paid(market(), 5).opens(2), 7)
    assert [(each.epoch, each.gross, each.receipts) for each in tale.state.every(Revenue)] == [(1, 5, 1), (2, 7, 1)]


def test_what_has_no_price_is_left_out_and_counted() -> None:
    """Knows no price at all, then that of DN alone."""
    assert allocated(paid(market(), ONE_USDC), ONE_DN).unpriced == 2
    found = allocated(priced(paid(market(), ONE_USDC), DN, 3_000_000), ONE_DN)
    assert (found.emitted, found.created, found.coverage, found.unpriced) == (3_000_000, 0, 0, 1)


def test_the_price_is_the_lower_median_of_the_sources() -> None:
    """Four sources, one of which took its price back; then none."""
    assert price_of(priced(market(), DN, 5, 1, None, 3, 4).state, DN) == 3
    assert price_of(priced(market(), DN, None).state, DN) is None


def test_nothing_emitted_needs_nothing() -> None:
    """Allocates a pool that nobody has earned: there is no coverage to speak of."""
    found = allocated(priced(market(), DN, 2_000_000), 0, undistributed=ONE_DN)
    assert (found.emitted, found.needed, found.coverage) == (0, 0, None)


def test_the_41_41_ruleset_is_there_to_be_replayed() -> None:
    """The seeds' counter-example is a profile: fixed weights of 41 per cent each."""
    weights = by_name("fixed_41_41").emission.fixed_weights
    assert weights is not None
    assert (weights.miners, weights.stakers) == (410_000, 410_000)
