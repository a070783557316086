"""An entry that does not balance cannot exist, and no amount is larger than the books can hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnode_ledger.account import BURN, MINT, Account, wallet
from deepnode_ledger.posting import AMOUNT_LIMIT, AmountTooLarge, Entry, Posting, postings

ANNA, BEN = wallet(b"\x01" * 20), wallet(b"\x02" * 20)
DN, USDC = b"\x0a" * 20, b"\x0b" * 20

amounts = st.integers(-AMOUNT_LIMIT + 1, AMOUNT_LIMIT - 1)


@given(st.lists(st.tuples(st.sampled_from([ANNA, BEN, MINT, BURN]), st.sampled_from([DN, USDC]), amounts), max_size=6))
def test_an_entry_exists_only_if_it_balances_in_every_asset(legs: list[tuple[Account, bytes, int]]) -> None:
    """Makes entries of any legs and compares with the sums."""
    made = tuple(Posting(*leg) for leg in legs)
    balanced = all(sum(amount for _, asset, amount in legs if asset == each) == 0 for each in (DN, USDC))
    if balanced:
        assert Entry(1, "Transfer", "DN", made).postings == made
    else:
        with pytest.raises(AssertionError, match="does not balance"):
            Entry(1, "Transfer", "DN", made)


def test_two_assets_do_not_balance_each_other() -> None:
    """Pays one token and receives as much of another."""
    with pytest.raises(AssertionError, match="does not balance"):
        Entry(7, "Swap", "DN", (Posting(ANNA, DN, -5), Posting(ANNA, USDC, 5)))


@pytest.mark.parametrize("amount", [AMOUNT_LIMIT, -AMOUNT_LIMIT, 2**256 - 1])
def test_an_amount_of_ten_to_the_38_is_too_large(amount: int) -> None:
    """Tries the limit itself in both directions and the largest uint256; one less passes."""
    with pytest.raises(AmountTooLarge, match=f"{amount} base units"):
        postings(DN, [(ANNA, amount), (BEN, -amount)])
    just_below = AMOUNT_LIMIT - 1
    assert [p.amount for p in postings(DN, [(ANNA, -just_below), (BEN, just_below)])] == [-just_below, just_below]


def test_postings_of_nothing_are_left_out() -> None:
    """Moves zero beside something."""
    assert postings(DN, [(ANNA, 0), (BEN, 3), (MINT, -3)]) == (Posting(BEN, DN, 3), Posting(MINT, DN, -3))


def test_an_account_is_its_name() -> None:
    """Writes the names of all shapes of account, which exports and state roots are made of."""
    router = b"\x0c" * 20
    assert wallet(b"\x01" * 20).name == "Wallet:0x" + "01" * 20
    assert MINT.name == "Mint"
    assert BURN.holder is None
    assert Account("Router", "Suspense", b"\x02" * 32, router).name == "Router:Suspense:0x" + "02" * 32
    assert Account("Router", "Buyback", b"", router).name == "Router:Buyback"
