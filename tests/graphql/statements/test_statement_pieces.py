"""The parts of a statement that are arithmetic alone: flows, apportioning, values."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnode_graphql.statements.apportioning import Claim, Earning, Paid, apportion
from deepnode_graphql.statements.figures import exact, short
from deepnode_graphql.statements.flows import Moved, flows_of
from deepnode_graphql.statements.prices import micros_of

NAMES = ("Wallet:a", "Wallet:b", "C:Unattributed", "D:Unattributed", "C:Free", "Burn")
moves = st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES), st.integers(1, 5))
entries = st.lists(st.lists(moves, min_size=1, max_size=3), max_size=6)
amounts = st.integers(1, 20)


@given(entries)
def test_flows_add_up_to_the_postings_of_each_account_and_entry(written: list[list[tuple[str, str, int]]]) -> None:
    """Makes balanced entries of any moves, and adds their flows up again; what passes is joined as far as it goes."""
    postings = [
        Moved(position, name, 1, sign * amount, "Transfer")
        for position, moved in enumerate(written)
        for source, target, amount in moved
        for name, sign in ((source, -1), (target, 1))
    ]
    wanted: Counter[tuple[int, str]] = Counter()
    for each in postings:
        wanted[each.position, each.account] += each.amount
    found: Counter[tuple[int, str]] = Counter()
    flows = flows_of(postings, lambda name: name.endswith(":Unattributed"))
    for flow in flows:
        assert flow.amount > 0
        found[flow.source_position, flow.source] -= flow.amount
        found[flow.target_position, flow.target] += flow.amount
    owned = [key for key in wanted if not key[1].endswith(":Unattributed")]
    assert {key: wanted[key] for key in owned} == {key: found[key] for key in owned}
    for passed in ("C:Unattributed", "D:Unattributed"):
        ends = any(each.target == passed != each.source for each in flows)
        begins = any(each.source == passed != each.target for each in flows)
        assert not (ends and begins)


def test_a_transfer_to_a_contract_is_joined_with_its_event_of_the_same_amount() -> None:
    """Two people pay one contract in one transaction, in another order than its events tell."""
    postings = [
        Moved(1, "C:Unattributed", 1, -7, "Deposited"), Moved(1, "C:Free:x", 1, 7, "Deposited"),
        Moved(2, "C:Unattributed", 1, -5, "Deposited"), Moved(2, "C:Free:y", 1, 5, "Deposited"),
        Moved(3, "Wallet:b", 1, -5, "Transfer"), Moved(3, "C:Unattributed", 1, 5, "Transfer"),
        Moved(4, "Wallet:a", 1, -7, "Transfer"), Moved(4, "C:Unattributed", 1, 7, "Transfer"),
    ]  # fmt: skip
    flows = flows_of(postings, lambda name: name.endswith(":Unattributed"))
    assert {(each.source, each.target, each.amount) for each in flows} == {
        ("Wallet:a", "C:Free:x", 7),
        ("Wallet:b", "C:Free:y", 5),
    }
    assert all(each.events == ("Transfer", "Deposited") for each in flows)


@given(st.lists(amounts, max_size=8), st.lists(amounts, max_size=8))
def test_claims_pay_what_was_earned_first_to_the_last_unit(earned: list[int], claimed: list[int]) -> None:
    """Lays units of earnings and of claims end to end, one by one, and counts which meets which."""
    earnings = [Earning(n, n // 2, amount) for n, amount in enumerate(earned)]
    claims = [Claim(100 + n, amount) for n, amount in enumerate(claimed)]
    due = [each.epoch for each in earnings for _ in range(each.amount)]
    paid = [each.position for each in claims for _ in range(each.amount)]
    longest = max(len(due), len(paid))
    pairs = zip(due + [None] * (longest - len(due)), paid + [None] * (longest - len(paid)), strict=True)
    wanted = Counter(pairs)
    parts = apportion(earnings, claims)
    assert {(each.epoch, each.claim): each.amount for each in parts} == dict(wanted)
    assert len(parts) == len(wanted)


def test_what_comes_later_changes_no_part_that_a_claim_paid() -> None:
    """Adds an earning and a claim behind a history: the parts paid before are the same."""
    earnings, claims = [Earning(1, 1, 10), Earning(2, 2, 10)], [Claim(3, 4), Claim(4, 9)]
    before = apportion(earnings, claims)
    assert before == [Paid(1, 3, 4), Paid(1, 4, 6), Paid(2, 4, 3), Paid(2, None, 7)]
    behind = apportion([*earnings, Earning(5, 1, 2)], [*claims, Claim(6, 8)])
    assert behind == [*before[:3], Paid(2, 6, 7), Paid(1, 6, 1), Paid(1, None, 1)]


@given(st.integers(-(10**30), 10**30), st.integers(1, 10**9), st.sampled_from([0, 6, 18]))
def test_values_are_rounded_half_to_even(amount: int, price: int, decimals: int) -> None:
    """Holds the value against the exact fraction: never more than half off, and even where it is half."""
    whole = 10**decimals
    micros = micros_of(amount, price, decimals)
    off = amount * price - micros * whole
    assert 2 * abs(off) <= whole
    assert 2 * abs(off) != whole or micros % 2 == 0
    assert micros_of(-amount, price, decimals) == -micros


@pytest.mark.parametrize(
    ("amount", "decimals", "long", "brief"),
    [(-1, 18, "-0.000000000000000001", "-0.000000000000000001"), (0, 6, "0.000000", "0"), (-12, 0, "-12", "-12"),
     (10**38, 18, "100000000000000000000.000000000000000000", "100000000000000000000"),
     (1500000, 6, "1.500000", "1.5")],
)  # fmt: skip
def test_amounts_are_written_exactly(amount: int, decimals: int, long: str, brief: str) -> None:
    """Writes the smallest, the largest and some others in both ways."""
    assert (exact(amount, decimals), short(amount, decimals)) == (long, brief)
