"""Rounds told as stories: who backed a model, what became of the money, and what a vault made of it."""

import inspect
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnode_ledger.decoding import ChainEvent
from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.rules import funding
from deepnode_projections.rules.funding import BackerShare, Round, VaultPosition, backers_of
from tests.projections.rules.told import FEW, MANIFEST, START_TIME, USDC, Story, address, anything, told, word

CONTRACT = MANIFEST.by_name("Funding").address
DEADLINE = START_TIME + 1_000
LATE = DEADLINE + 1


def opened(target: int = 100, name: str = "r1", model: str = "m1", deadline: int = DEADLINE) -> ChainEvent:
    args = {"creator": "carl", "target": target, "deadline": deadline, "termsHash": "terms"}
    return told("Funding", "RoundOpened", round=name, model=model, **args)


def backed(amount: int, backer: str = "anna", name: str = "r1") -> ChainEvent:
    return told("Funding", "Backed", round=name, backer=backer, amount=amount, shares=amount)


def paid_out(amount: int, name: str = "r1") -> ChainEvent:
    return told("Funding", "FundsReleased", round=name, creator="carl", amount=amount)


def refunded(amount: int, backer: str = "anna", name: str = "r1") -> ChainEvent:
    return told("Funding", "Refunded", round=name, backer=backer, amount=amount)


def lent(assets: int, shares: int, vault: str = "v1", name: str = "r1") -> ChainEvent:
    return told("Funding", "YieldDeposited", round=name, vault=vault, assets=assets, shares=shares)


def returned(assets: int, shares: int, vault: str = "v1", name: str = "r1") -> ChainEvent:
    return told("Funding", "YieldWithdrawn", round=name, vault=vault, assets=assets, shares=shares)


def handed_on(shares: int, giver: str = "anna", taker: str = "ben", name: str = "r1") -> ChainEvent:
    return told("Funding", "BackerShareTransferred", round=name, from_=giver, to=taker, shares=shares)


def story(*events: ChainEvent) -> Story:
    return Story(funding.RULES).tell(*events)


def round_of(tale: Story, name: str = "r1") -> Round:
    found = tale.state.get(Round, word(name), CONTRACT)
    assert found is not None
    return found


def share_of(tale: Story, backer: str, name: str = "r1") -> tuple[int, int]:
    """A backer's shares, and what it contributed."""
    found = tale.state.get(BackerShare, word(name), CONTRACT, address(backer))
    return (0, 0) if found is None else (found.shares, found.contributed)


def test_a_round_reaches_its_target_earns_and_is_paid_out() -> None:
    """Anna and Ben back 100; 80 are lent and come back as 88 in two parts; Carl is paid 108, which closes the round."""
    tale = story(opened(), backed(60), backed(40, "ben"))
    assert round_of(tale).stage == "funded"
    tale.tell(lent(80, 800), returned(50, 400))
    assert tale.books() == inspect.cleandoc(
        """
        Funding:Round:r1 70 USDC
        Funding:Unattributed -70 USDC
        """
    )
    held = round_of(tale)
    assert (held.in_vault, held.yield_earned, held.idle) == (40, 10, 70)
    tale.tell(paid_out(50), returned(38, 400), paid_out(58))
    closed = round_of(tale)
    assert (closed.stage, closed.released, closed.in_vault, closed.yield_earned, closed.idle) == (
        "closed",
        108,
        0,
        8,
        0,
    )
    vault = VaultPosition(word("r1"), CONTRACT, address("v1"), 0, 0)
    assert tale.state.get(VaultPosition, word("r1"), CONTRACT, address("v1")) == vault
    assert (tale.books(), tale.reasons) == ("", [])


def test_a_vault_may_lose() -> None:
    """Of 100 lent, 90 come back: the round's gain is below 0, and 90 are all that can be paid out."""
    tale = story(opened(), backed(100), lent(100, 7), returned(90, 7), paid_out(91), paid_out(90))
    assert (round_of(tale).yield_earned, round_of(tale).stage) == (-10, "closed")
    assert tale.reasons == [f"91 leaves a round in which 90 is idle: round {to_hex(word('r1'))}"]


def test_a_round_that_misses_its_target_pays_its_backers_back() -> None:
    """Anna and Ben back 70 of 100; behind the deadline both get back what they paid, and their shares are gone."""
    tale = story(opened(), backed(60), backed(10, "ben")).tell(refunded(60), refunded(10, "ben"), time=LATE)
    assert round_of(tale).stage == "failed"
    assert (share_of(tale, "anna"), share_of(tale, "ben")) == ((0, 0), (0, 0))
    assert (tale.books(), tale.reasons) == ("", [])


def test_shares_are_handed_on_with_what_was_paid_for_them() -> None:
    """Anna hands 20 of her 60 shares to Ben; as nothing was released yet, Ben can be refunded 20, and no more."""
    tale = story(opened(), backed(60), handed_on(20))
    assert (share_of(tale, "anna"), share_of(tale, "ben")) == ((40, 40), (20, 20))
    tale.tell(refunded(21, "ben"), refunded(15, "ben"))
    assert tale.reasons == [f"a refund of 21 to one who paid 20: round {to_hex(word('r1'))}"]
    assert share_of(tale, "ben") == (5, 5)
    assert round_of(tale).stage == "open"


def test_a_round_is_known_by_its_id_within_its_contract() -> None:
    """Opens one id in two contracts for a model and backs both: its backers are those of either."""
    other = replace(MANIFEST.by_name("Funding"), name="Older", address=b"\xee" * 20)
    tale = story(opened(5), replace(opened(6), contract=other), backed(5), replace(backed(6, "ben"), contract=other))
    assert tale.reasons == []
    assert backers_of(tale.state, word("m1")) == [(address("anna"), 5), (address("ben"), 6)]


def test_the_backers_of_a_model_are_those_of_its_rounds_that_reached_their_target() -> None:
    """Model m1 has a closed round, a funded one, one that is open and one that failed; m2 has one of its own."""
    tale = story(
        *(opened(name=name) for name in ("r1", "r2", "r3", "r4")),
        opened(name="r5", model="m2"),
        backed(70),
        backed(30, "ben"),
        paid_out(100),
        backed(90, "ben", "r2"),
        backed(10, "zoe", "r2"),
        handed_on(10, "zoe", "anna", "r2"),
        backed(99, name="r3"),
        backed(50, "cleo", "r4"),
        backed(100, "cleo", "r5"),
    ).tell(refunded(1, "cleo", "r4"), time=LATE)
    assert tale.reasons == []
    assert backers_of(tale.state, word("m1")) == [(address("anna"), 80), (address("ben"), 120)]
    assert backers_of(tale.state, word("m2")) == [(address("cleo"), 100)]
    assert backers_of(tale.state, word("m3")) == []


@pytest.mark.parametrize(
    ("before", "event", "time", "reason"),
    [
        ([], opened(5), None, "a second round of one id"),
        ([], backed(1, name="r2"), None, "backing of a round that was never opened"),
        ([], backed(1), LATE, f"backing at {LATE}, behind the deadline {DEADLINE}"),
        ([backed(40)], backed(61), None, "61 backs what lacks 60"),
        ([backed(40)], paid_out(40), None, "a release from a round that is open"),
        ([backed(100)], paid_out(101), None, "101 leaves a round in which 100 is idle"),
        ([backed(100), paid_out(1)], refunded(1), None, "a refund after 1 was released"),
        ([backed(100), lent(60, 6)], refunded(41), None, "41 leaves a round in which 40 is idle"),
        ([backed(100)], refunded(1, "ben"), None, "a refund of 1 to one who paid 0"),
        ([backed(40)], lent(41, 4), None, "41 leaves a round in which 40 is idle"),
        ([backed(100)], lent(40, 0), None, "a vault takes 40 and gives no share"),
        ([backed(100), lent(60, 6)], returned(70, 7), None, "7 shares of a vault come back of 6"),
        ([backed(100), lent(60, 6)], returned(10, 1, "v2"), None, "1 shares of a vault come back of 0"),
        ([backed(100), lent(60, 6)], returned(10, 0), None, "0 shares of a vault come back of 6"),
        ([backed(100)], handed_on(101), None, "101 shares are handed on of 100"),
    ],
)
def test_what_a_round_does_not_allow_has_no_effect(
    before: list[ChainEvent], event: ChainEvent, time: int | None, reason: str
) -> None:
    """Tells a round of 100 up to a point, then what cannot follow: nothing changes, and the reason is kept."""
    tale = story(opened(), *before)
    books, held = tale.books(), round_of(tale)
    tale.tell(event, time=time)
    assert tale.reasons == [f"{reason}: round {to_hex(event.word('round'))}"]
    assert (tale.books(), round_of(tale)) == (books, held)


_few, _amounts = st.sampled_from(FEW), st.integers(0, 30)
_sensible = st.one_of(
    st.builds(opened, st.just(30), _few, _few),
    st.builds(backed, _amounts | st.just(30), _few, _few),
    st.builds(paid_out, _amounts, _few),
    st.builds(refunded, _amounts, _few, _few),
    st.builds(lent, _amounts, _amounts, _few, _few),
    st.builds(returned, _amounts, _amounts, _few, _few),
    st.builds(handed_on, _amounts, _few, _few, _few),
)


@given(st.lists(anything(["Funding"]) | _sensible, max_size=50), st.integers(0, 50))
def test_pockets_and_records_never_disagree(events: list[ChainEvent], until_deadline: int) -> None:
    """Tells anything in any order, the end of it too late: idle money is in the pocket, parts sum to their round."""
    opening = [opened(30, name, name) for name in FEW[:2]]
    tale = story(*opening, *events[:until_deadline]).tell(*events[until_deadline:], time=LATE)
    balances = tale.balances()
    for held in tale.state.every(Round):
        assert balances.get((f"Funding:Round:{to_hex(held.round)}", USDC), 0) == held.idle >= 0
        parts = tale.state.every(BackerShare, held.round, held.contract)
        assert sum(part.contributed for part in parts) == held.backed >= 0
        assert all(part.shares >= 0 and part.contributed >= 0 for part in parts)
        positions = tale.state.every(VaultPosition, held.round, held.contract)
        assert sum(position.assets for position in positions) == held.in_vault
        assert all(position.shares or not position.assets for position in positions)
        assert held.stage in ("open", "funded", "failed", "closed")
    assert sum(balances.values()) == 0
