"""Running balances: exact, bounded, and never half an entry."""

from hypothesis import given
from hypothesis import strategies as st

from deepnode_ledger.account import MINT, Account, wallet
from deepnode_ledger.posting import AMOUNT_LIMIT, Entry, postings
from deepnode_projections.folds.running_balance import BalanceKey, run

DN = b"\xd1" * 20
ANN, BOB = wallet(b"\xaa" * 20), wallet(b"\xbb" * 20)
LARGEST = AMOUNT_LIMIT - 1


def moved(position: int, source: Account, target: Account, amount: int) -> Entry:
    """An entry of one transfer."""
    return Entry(position, "Transfer", "DN", postings(DN, [(source, -amount), (target, amount)]))


def test_an_entry_that_takes_a_balance_too_far_has_no_effect_at_all() -> None:
    """Mints the largest amount twice: neither leg of the second is posted, and what follows goes on from the first.

    ::

        1  Mint → Ann   10**38 - 1
        2  Mint → Bob   1             refused: Mint would have -10**38
        3  Ann  → Bob   5
    """
    balances: dict[BalanceKey, int] = {}
    entries = [moved(1, MINT, ANN, LARGEST), moved(2, MINT, BOB, 1), moved(3, ANN, BOB, 5)]
    posted, refused = run(balances, entries)
    assert [(each.position, each.leg, each.balance) for each in posted] == [
        (1, 0, -LARGEST),
        (1, 1, LARGEST),
        (3, 0, LARGEST - 5),
        (3, 1, 5),
    ]
    assert [each.position for each in refused] == [2]
    assert f"Mint would have -{AMOUNT_LIMIT}" in refused[0].reason
    assert balances == {(MINT.name, DN): -LARGEST, (ANN.name, DN): LARGEST - 5, (BOB.name, DN): 5}


def test_a_transfer_to_oneself_leaves_the_balance() -> None:
    """Both legs are of one account: the balance falls and rises again within the entry."""
    balances: dict[BalanceKey, int] = {(ANN.name, DN): 7}
    posted, refused = run(balances, [moved(1, ANN, ANN, 7)])
    assert [each.balance for each in posted] == [0, 7]
    assert refused == []
    assert balances == {(ANN.name, DN): 7}


@given(
    st.lists(st.tuples(st.sampled_from([MINT, ANN, BOB]), st.sampled_from([MINT, ANN, BOB]), st.integers(0, LARGEST)))
)
def test_balances_are_the_sums_of_what_was_posted(moves: list[tuple[Account, Account, int]]) -> None:
    """For any moves, each balance is the sum of the postings so far, within bounds, and all balances sum to zero."""
    balances: dict[BalanceKey, int] = {}
    posted, refused = run(balances, [moved(n, source, target, a) for n, (source, target, a) in enumerate(moves, 1)])
    sums: dict[str, int] = {}
    for each in posted:
        name = each.posting.account.name
        sums[name] = sums.get(name, 0) + each.posting.amount
        assert each.balance == sums[name]
        assert abs(each.balance) < AMOUNT_LIMIT
    assert {name: balance for (name, _), balance in balances.items()} == sums
    assert sum(sums.values()) == 0
    assert {each.position for each in posted}.isdisjoint(each.position for each in refused)
