"""Collateral and its cases, told as stories: who stands behind what, and what a review makes of it."""

import inspect
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnode_ledger.decoding import ChainEvent
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.posting import AMOUNT_LIMIT
from deepnode_projections.rules import collateral
from deepnode_projections.rules.collateral import Collateral, CollateralCase, Withdrawal
from tests.projections.rules.told import DN, FEW, MANIFEST, Story, address, anything, told, word

CONTRACT = MANIFEST.by_name("Collateral").address


def story(*events: ChainEvent) -> Story:
    return Story(collateral.RULES).tell(*events)


def deposited(amount: int, node: str = "n1") -> ChainEvent:
    return told("Collateral", "Deposited", node=node, payer="anna", amount=amount)


def withdrawn(amount: int, node: str = "n1") -> ChainEvent:
    return told("Collateral", "Withdrawn", node=node, to="anna", amount=amount)


def flagged(case: str = "c1", node: str = "n1") -> ChainEvent:
    args = {"taskId": "t1", "reporter": "vera", "severity": 2, "evidenceHash": "evidence"}
    return told("Collateral", "Flagged", caseId=case, node=node, **args)


def opened(frozen: int, case: str = "c1") -> ChainEvent:
    return told("Collateral", "ReviewOpened", caseId=case, frozen=frozen)


def decided(burned: int, compensated: int, returned: int, retained: int, case: str = "c1") -> ChainEvent:
    parts = {"burned": burned, "compensated": compensated, "returned": returned, "retained": retained}
    rest = {"reviewer": "fay", "verdict": 2, "reasonHash": "reason", "uri": "ipfs://why"}
    return told("Collateral", "ReviewDecided", caseId=case, **parts, **rest)


def appealed(case: str = "c1") -> ChainEvent:
    return told("Collateral", "Appealed", caseId=case, by="anna", hash="appeal")


def reversed_(case: str = "c1", successor: str = "c2") -> ChainEvent:
    return told("Collateral", "ReviewReversed", caseId=case, newCaseId=successor)


def case_of(tale: Story, case: str = "c1") -> CollateralCase:
    found = tale.state.get(CollateralCase, word(case), CONTRACT)
    assert found is not None
    return found


def test_collateral_goes_from_free_to_frozen_and_is_divided() -> None:
    """Anna deposits 40; 30 are frozen; 4 are burned, 5 compensate Vera, 6 come back to Anna, 15 stay with the node."""
    tale = story(deposited(40), flagged(), opened(30))
    assert tale.state.get(Collateral, word("n1")) == Collateral(word("n1"), 10, 30)
    assert tale.books() == inspect.cleandoc(
        """
        Collateral:Free:n1 10 DN
        Collateral:Frozen:c1 30 DN
        Collateral:Unattributed -40 DN
        """
    )
    tale.tell(decided(4, 5, 6, 15))
    assert tale.books() == inspect.cleandoc(
        """
        Collateral:Free:n1 25 DN
        Collateral:Unattributed -25 DN
        """
    )
    assert tale.reasons == []
    assert tale.state.get(Collateral, word("n1")) == Collateral(word("n1"), 25, 0)
    assert case_of(tale) == CollateralCase(
        word("c1"),
        CONTRACT,
        word("n1"),
        word("t1"),
        address("vera"),
        2,
        word("evidence"),
        "decided",
        flagged_position=2,
        frozen=30,
        burned=4,
        compensated=5,
        returned=6,
        retained=15,
        verdict=2,
        reviewer=address("fay"),
        reason_hash=word("reason"),
        uri="ipfs://why",
        decided_position=4,
    )


def test_a_reversed_review_is_held_once_more_as_a_new_case() -> None:
    """A decided case is appealed and reversed: its successor is open with nothing frozen, and can be decided."""
    tale = story(deposited(40), flagged(), opened(30), decided(30, 0, 0, 0), appealed())
    assert (case_of(tale).stage, case_of(tale).appealed_by) == ("appealed", address("anna"))
    before = case_of(tale)
    tale.tell(reversed_())
    assert case_of(tale) == replace(before, stage="reversed", successor=word("c2"))
    assert case_of(tale, "c2") == CollateralCase(
        word("c2"),
        CONTRACT,
        word("n1"),
        word("t1"),
        address("vera"),
        2,
        word("evidence"),
        "open",
        flagged_position=6,
        reverses=word("c1"),
    )
    tale.tell(decided(1, 0, 0, 0, case="c2"), decided(0, 0, 0, 0, case="c2"))
    assert tale.reasons == [f"a verdict divides 1 where 0 is frozen: case {to_hex(word('c2'))}"]
    assert case_of(tale, "c2").stage == "decided"
    assert tale.balances() == {
        ("Collateral:Free:" + to_hex(word("n1")), DN): 10,
        ("Collateral:Unattributed", DN): 30 - 40,
    }


def test_a_withdrawal_is_announced_replaced_and_taken() -> None:
    """Anna announces 5, then 15 instead, and takes 15: the first announcement moved nothing."""
    announced = [
        told("Collateral", "WithdrawalRequested", node="n1", amount=amount, unlockAt=unlock_at)
        for amount, unlock_at in ((5, 100), (15, 200))
    ]
    tale = story(deposited(40), *announced)
    assert tale.state.get(Withdrawal, word("n1")) == Withdrawal(word("n1"), 15, 200)
    assert tale.state.get(Collateral, word("n1")) == Collateral(word("n1"), 40, 0)
    tale.tell(withdrawn(15))
    assert tale.state.get(Withdrawal, word("n1")) == Withdrawal(word("n1"), 0, 200)
    assert tale.state.get(Collateral, word("n1")) == Collateral(word("n1"), 25, 0)


UP_TO_A_VERDICT = [flagged(), opened(0), decided(0, 0, 0, 0)]
UP_TO_AN_APPEAL = [*UP_TO_A_VERDICT, appealed()]


@pytest.mark.parametrize(
    ("before", "event", "reason"),
    [
        ([], opened(5), "a review of a case that was never flagged"),
        ([], decided(1, 1, 1, 1), "a verdict on a case that was never flagged"),
        ([], appealed(), "an appeal of a case that was never flagged"),
        ([], reversed_(), "a reversal of a case that was never flagged"),
        ([flagged()], flagged(node="n2"), "a second case of one id"),
        ([flagged(), opened(5)], opened(5), "a review of a case that is open and not flagged"),
        ([flagged()], decided(0, 0, 0, 0), "a verdict on a case that is flagged and not open"),
        ([flagged(), opened(5)], decided(5, 0, 0, 1), "a verdict divides 6 where 5 is frozen"),
        ([flagged(), opened(5)], appealed(), "an appeal of a case that is open and not decided"),
        (UP_TO_A_VERDICT, reversed_(), "a reversal of a case that is decided and not appealed"),
        (UP_TO_AN_APPEAL, reversed_("c1", "c1"), "a second case of one id"),
        ([*UP_TO_AN_APPEAL, reversed_()], appealed(), "an appeal of a case that is reversed and not decided"),
    ],
)
def test_a_case_goes_one_way_only(before: list[ChainEvent], event: ChainEvent, reason: str) -> None:
    """Tells a case up to a stage, then something that cannot follow: it has no effect, with the reason."""
    tale = story(*before)
    books, case = tale.books(), tale.state.get(CollateralCase, word("c1"), CONTRACT)
    tale.tell(event)
    assert tale.reasons == [f"{reason}: case {to_hex(word('c1'))}"]
    assert (tale.books(), tale.state.get(CollateralCase, word("c1"), CONTRACT)) == (books, case)


def test_a_case_is_known_by_its_id_within_its_contract() -> None:
    """Flags one id in two contracts, for two nodes, and opens a review of each."""
    other = replace(MANIFEST.by_name("Collateral"), name="Older", address=b"\xee" * 20)
    tale = story(flagged(), replace(flagged(node="n2"), contract=other), opened(3), replace(opened(4), contract=other))
    assert tale.reasons == []
    assert tale.books() == inspect.cleandoc(
        """
        Collateral:Free:n1 -3 DN
        Collateral:Frozen:c1 3 DN
        Older:Free:n2 -4 DN
        Older:Frozen:c1 4 DN
        """
    )


def test_amounts_that_become_too_large_together_are_refused() -> None:
    """Deposits, and on another node withdraws, in two steps what is too large for one."""
    tale = story(deposited(AMOUNT_LIMIT - 1), deposited(1))
    assert tale.reasons == [f"{AMOUNT_LIMIT} base units: the books hold amounts below 10**38"]
    assert tale.state.get(Collateral, word("n1")) == Collateral(word("n1"), AMOUNT_LIMIT - 1, 0)
    tale.tell(withdrawn(AMOUNT_LIMIT - 1, "n2"), withdrawn(1, "n2"))
    assert tale.reasons[1:] == [f"{-AMOUNT_LIMIT} base units: the books hold amounts below 10**38"]


_names = st.sampled_from(FEW)
_any_event = anything(["Collateral"]) | st.builds(appealed, _names) | st.builds(reversed_, _names, _names)
_sensible = st.one_of(
    st.builds(deposited, st.integers(0, 50), _names),
    st.builds(flagged, _names, _names),
    st.builds(opened, st.integers(0, 9), _names),
    # The parts of a verdict on nine, or on nothing.
    st.sampled_from([(2, 3, 4, 0), (0, 0, 0, 9), (9, 0, 0, 0), (0, 0, 0, 0)]).flatmap(
        lambda parts: st.builds(decided, *map(st.just, parts), case=_names)
    ),
)


@given(st.lists(_any_event | _sensible, max_size=40))
def test_pockets_and_records_never_disagree(events: list[ChainEvent]) -> None:
    """Tells anything in any order: what is free and frozen is in the pockets, and verdicts divide what was frozen."""
    tale = story(*events)
    balances = tale.balances()
    cases = tale.state.every(CollateralCase)
    for held in tale.state.every(Collateral):
        assert balances.get((f"Collateral:Free:{to_hex(held.node)}", DN), 0) == held.free
        own = [case for case in cases if case.node == held.node and case.stage == "open"]
        assert held.frozen == sum(case.frozen for case in own)
    for case in cases:
        in_pocket = balances.get((f"Collateral:Frozen:{to_hex(case.case)}", DN), 0)
        assert in_pocket == (case.frozen if case.stage == "open" else 0)
        parts = case.burned + case.compensated + case.returned + case.retained
        assert parts == (case.frozen if case.stage in ("decided", "appealed", "reversed") else 0)
        assert (case.stage == "reversed") == (case.successor is not None)
    assert sum(balances.values()) == 0
