"""Accrual, swap and burn are three events, each with its own total."""

from hypothesis import given
from hypothesis import strategies as st

from deepnode_ledger.decoding import ChainEvent
from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.rules import burns, revenue
from deepnode_projections.rules.burns import Burn, Burned, Buyback, BuybackTotal
from deepnode_projections.rules.comparisons import Difference
from deepnode_projections.rules.revenue import ReleasedTotal
from tests.projections.rules.told import DN, FEW, MANIFEST, USDC, Story, anything, told, word

BURNER = MANIFEST.by_name("Burner").address


def bought(amount_in: int, dn_out: int, batch: str = "b1", *, min_out: int = 0, asset: bytes = USDC) -> ChainEvent:
    args = {"assetIn": asset, "amountIn": amount_in, "dnOut": dn_out, "minOut": min_out}
    return told("Burner", "BuybackExecuted", batch=batch, **args)


def burned(amount: int, source: str = "buyback", ref: str = "b1") -> ChainEvent:
    return told("Burner", "DNBurned", source=source, ref=ref, amount=amount)


def differences(tale: Story) -> list[tuple[str, str, int | None, int | None, str]]:
    return [(e.subject, e.what, e.expected, e.fact, e.reason) for e in tale.state.every(Difference)]


def test_a_leg_accrues_is_swapped_and_is_burned() -> None:
    """10 USDC of buyback are released, 9 of them bought 30 DN, 25 of which are burned; 4 DN of variable burn too."""
    accrued = told("RevenueRouter", "Released", leg=3, beneficiary="", to=BURNER, asset=USDC, amount=10)
    tale = Story(revenue.RULES, burns.RULES).tell(accrued, bought(9, 30), burned(20), burned(5))
    tale.tell(burned(4, "variableBurn", "d1"))
    assert tale.state.get(ReleasedTotal, "buyback", bytes(32), USDC) == ReleasedTotal("buyback", bytes(32), USDC, 10)
    assert tale.state.get(Buyback, word("b1"), BURNER) == Buyback(word("b1"), BURNER, USDC, 9, 30, 0, 25, 2)
    assert tale.state.get(BuybackTotal, USDC) == BuybackTotal(USDC, 9, 30)
    assert tale.state.get(Burned, word("buyback")) == Burned(word("buyback"), 25)
    assert tale.state.get(Burned, word("variableBurn")) == Burned(word("variableBurn"), 4)
    assert tale.state.every(Burn) == [
        Burn(3, word("buyback"), word("b1"), 20, True),
        Burn(4, word("buyback"), word("b1"), 5, True),
        Burn(5, word("variableBurn"), word("d1"), 4, False),
    ]
    # The released leg alone moves here: swaps and burns do so by their transfers.
    assert {position for position, _ in tale.postings} == {1}
    assert (tale.reasons, differences(tale)) == ([], [])


def test_less_than_the_minimum_and_more_than_was_bought_are_differences() -> None:
    """A swap brings 30 where 31 were agreed, and 32 are burned of it."""
    tale = Story(burns.RULES).tell(bought(9, 30, min_out=31), burned(30), burned(2))
    assert differences(tale) == [
        ("BuybackExecuted", "dnOut", 31, 30, "less than the minimum of the swap"),
        ("DNBurned", "batch", 30, 32, "more than the batch bought"),
    ]


def test_a_batch_is_swapped_once_and_for_a_token() -> None:
    """Swaps a batch twice, and something that is no token."""
    tale = Story(burns.RULES).tell(bought(9, 30), bought(9, 30), bought(9, 30, "b2", asset=BURNER))
    assert tale.reasons == [
        f"a second buyback of one id: batch {to_hex(word('b1'))}",
        f"the asset {to_hex(BURNER)} is no token of the manifest",
    ]
    assert tale.state.get(BuybackTotal, USDC) == BuybackTotal(USDC, 9, 30)


_few, _amounts = st.sampled_from(FEW), st.integers(0, 30)


@given(
    st.lists(anything(["Burner"], also={"assetIn": [DN, USDC]}) | st.builds(burned, _amounts, _few, _few), max_size=40)
)
def test_totals_are_the_sums_of_what_was_told(events: list[ChainEvent]) -> None:
    """Tells anything in any order: totals are sums, and a batch knows what was burned of it after it was swapped."""
    tale = Story(burns.RULES).tell(*events)
    all_burns, batches = tale.state.every(Burn), tale.state.every(Buyback)
    for total in tale.state.every(Burned):
        assert total.amount == sum(each.amount for each in all_burns if each.source == total.source)
    for swapped in tale.state.every(BuybackTotal):
        own = [each for each in batches if each.asset_in == swapped.asset_in]
        assert (swapped.amount_in, swapped.dn_out) == (sum(b.amount_in for b in own), sum(b.dn_out for b in own))
    for batch in batches:
        assert batch.burned == sum(each.amount for each in all_burns if each.of_batch and each.ref == batch.batch)
    assert tale.postings == []
