"""What each event does to the books, as an accountant would write it down.

Accounts are told with the first byte of their id: ``Wallet:01`` is Anna's, ``Wallet:02`` Ben's.
"""

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.posting import AMOUNT_LIMIT
from deepnode_ledger.vocabulary import KINDS, LEGS
from deepnode_projections.rules.book import RECORDS, has_rule
from deepnode_projections.rules.collateral import CollateralCase
from deepnode_projections.rules.revenue import Receipt
from tests.ledger.paper_deployment import COLLATERAL, DN, ROUTER, USDC
from tests.projections import stories as s


def books(text: str) -> str:
    return inspect.cleandoc(text)


def test_tokens_are_minted_moved_and_burned(manifest: Manifest) -> None:
    """Anna gets 100 new DN, gives Ben 30, who burns 5; nothing of it is lost."""
    paper = s.Paper(manifest).book(
        s.transfer(s.NOBODY, s.ANNA, 100), s.transfer(s.ANNA, s.BEN, 30), s.transfer(s.BEN, s.NOBODY, 5)
    )
    assert paper.told() == books(
        """
        Burn 5 DN
        Mint -100 DN
        Wallet:01 70 DN
        Wallet:02 25 DN
        """
    )


def test_tokens_that_come_to_a_contract_wait_until_it_says_what_for(manifest: Manifest) -> None:
    """Anna sends collateral: it is in the contract at once, and unattributed."""
    paper = s.Paper(manifest).book(s.transfer(s.ANNA, COLLATERAL, 40))
    assert paper.told() == books(
        """
        Collateral:Unattributed 40 DN
        Wallet:01 -40 DN
        """
    )


def test_a_deposit_names_the_node_and_a_withdrawal_takes_it_back(manifest: Manifest) -> None:
    """Anna deposits 40 for node 11 and withdraws 15: the contract's two halves of the story cancel out."""
    paper = s.Paper(manifest).book(
        s.transfer(s.ANNA, COLLATERAL, 40),
        s.deposited(s.NODE_1, 40),
        s.withdrawn(s.NODE_1, 15),
        s.transfer(COLLATERAL, s.ANNA, 15),
    )
    assert paper.told() == books(
        """
        Collateral:Free:11 25 DN
        Wallet:01 -25 DN
        """
    )


def test_a_review_freezes_collateral_of_the_flagged_node(manifest: Manifest) -> None:
    """Node 11 has 40 free; case 21 freezes 30 of it."""
    paper = s.Paper(manifest).book(
        s.transfer(s.ANNA, COLLATERAL, 40),
        s.deposited(s.NODE_1, 40),
        s.flagged(s.CASE_1, s.NODE_1),
        s.review_opened(s.CASE_1, 30),
    )
    assert paper.told() == books(
        """
        Collateral:Free:11 10 DN
        Collateral:Frozen:21 30 DN
        Wallet:01 -40 DN
        """
    )
    [case] = paper.state.every(CollateralCase)
    assert (case.case, case.node, case.stage, case.frozen) == (s.CASE_1, s.NODE_1, "open", 30)


def test_a_verdict_divides_what_was_frozen(manifest: Manifest) -> None:
    """Of 30 frozen, 4 are burned, 5 go to Ben, 6 back to Anna and 15 stay with node 11."""
    paper = s.Paper(manifest).book(
        s.transfer(s.ANNA, COLLATERAL, 40),
        s.deposited(s.NODE_1, 40),
        s.flagged(s.CASE_1, s.NODE_1),
        s.review_opened(s.CASE_1, 30),
        s.review_decided(s.CASE_1, 4, 5, 6, 15),
        s.transfer(COLLATERAL, s.NOBODY, 4),
        s.transfer(COLLATERAL, s.BEN, 5),
        s.transfer(COLLATERAL, s.ANNA, 6),
    )
    assert paper.told() == books(
        """
        Burn 4 DN
        Collateral:Free:11 25 DN
        Wallet:01 -34 DN
        Wallet:02 5 DN
        """
    )


def test_revenue_waits_in_escrow_and_can_be_refunded(manifest: Manifest) -> None:
    """Ben pays 100 USDC for model 51; 40 come back to him, by the receipt alone."""
    paper = s.Paper(manifest).book(
        s.transfer(s.BEN, ROUTER, 100, "USDC"),
        s.revenue_received(s.RECEIPT_1, s.MODEL_1, 100),
        s.revenue_refunded(s.RECEIPT_1, 40),
        s.transfer(ROUTER, s.BEN, 40, "USDC"),
    )
    assert paper.told() == books(
        """
        Router:Escrow:51 60 USDC
        Wallet:02 -60 USDC
        """
    )
    [receipt] = paper.state.every(Receipt)
    assert (receipt.receipt, receipt.model, receipt.asset, receipt.stage) == (s.RECEIPT_1, s.MODEL_1, USDC, "refunded")


def test_a_split_fills_the_pocket_of_each_leg(manifest: Manifest) -> None:
    """1000 USDC of model 51 in domain 61: legs of models, domains and the network, and 9 left over in suspense."""
    paper = s.Paper(manifest).book(
        s.model_registered(s.MODEL_1, s.DOMAIN_1),
        s.transfer(s.BEN, ROUTER, 1000, "USDC"),
        s.revenue_received(s.RECEIPT_1, s.MODEL_1, 1000),
        s.revenue_split(s.RECEIPT_1, s.MODEL_1, 1000, [100, 101, 102, 103, 104, 105, 106, 107, 163]),
    )
    assert paper.told() == books(
        """
        Router:Backers:51 101 USDC
        Router:Buyback 103 USDC
        Router:Creator:51 100 USDC
        Router:Domain:61 105 USDC
        Router:Emission:61 163 USDC
        Router:Fees:61 102 USDC
        Router:Foundation 104 USDC
        Router:Suspense:51 9 USDC
        Router:VariableBurn:61 106 USDC
        Router:Yield:51 107 USDC
        Wallet:02 -1000 USDC
        """
    )


def test_a_leg_may_draw_on_suspense(manifest: Manifest) -> None:
    """The legs of a second payment sum to one more than it: the unit that waited is paid out."""
    paper = s.Paper(manifest).book(
        s.model_registered(s.MODEL_1, s.DOMAIN_1),
        s.revenue_split(s.RECEIPT_1, s.MODEL_1, 10, [9, 0, 0, 0, 0, 0, 0, 0, 0]),
        s.revenue_split(s.RECEIPT_2, s.MODEL_1, 10, [11, 0, 0, 0, 0, 0, 0, 0, 0]),
    )
    assert paper.told() == books(
        """
        Router:Creator:51 20 USDC
        Router:Escrow:51 -20 USDC
        """
    )


@pytest.mark.parametrize("leg", range(len(LEGS)))
def test_a_release_empties_the_pocket_that_the_split_filled(manifest: Manifest, leg: int) -> None:
    """Fills one leg with 70 and releases 70 to its beneficiary: the pocket is at zero again."""
    legs = [70 if n == leg else 0 for n in range(len(LEGS))]
    of_model = LEGS[leg] in ("creator", "backers", "yield")
    network = LEGS[leg] in ("buyback", "foundation")
    beneficiary = s.MODEL_1 if of_model else s.NOTHING if network else s.DOMAIN_1
    paper = s.Paper(manifest).book(
        s.model_registered(s.MODEL_1, s.DOMAIN_1),
        s.revenue_split(s.RECEIPT_1, s.MODEL_1, 70, legs),
        s.released(leg, beneficiary, 70),
        s.transfer(ROUTER, s.ANNA, 70, "USDC"),
    )
    assert paper.told() == books(
        """
        Router:Escrow:51 -70 USDC
        Wallet:01 70 USDC
        """
    )


def test_a_contract_may_hold_several_tokens(manifest: Manifest) -> None:
    """Model 51 is paid in DN and in USDC: one pocket, two balances that never mix."""
    paper = s.Paper(manifest).book(
        s.revenue_received(s.RECEIPT_1, s.MODEL_1, 7, DN), s.revenue_received(s.RECEIPT_2, s.MODEL_1, 8, USDC)
    )
    assert {k: v for k, v in paper.balances.items() if "Escrow" in k[0]} == {
        (f"Router:Escrow:{to_hex(s.MODEL_1)}", DN): 7,
        (f"Router:Escrow:{to_hex(s.MODEL_1)}", USDC): 8,
    }


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (s.review_opened(s.CASE_1, 5), f"a review of a case that was never flagged: case {to_hex(s.CASE_1)}"),
        (
            s.review_decided(s.CASE_1, 1, 1, 1, 1),
            f"a verdict on a case that was never flagged: case {to_hex(s.CASE_1)}",
        ),
        (
            s.revenue_refunded(s.RECEIPT_1, 5),
            f"a refund of a receipt that was never seen: receipt {to_hex(s.RECEIPT_1)}",
        ),
        (
            s.revenue_split(s.RECEIPT_1, s.MODEL_1, 5, [0] * 9),
            f"revenue of a model that was never registered: model {to_hex(s.MODEL_1)}",
        ),
        (
            s.revenue_received(s.RECEIPT_1, s.MODEL_1, 5, s.ANNA),
            f"the asset {to_hex(s.ANNA)} is no token of the manifest",
        ),
        (
            s.revenue_received(s.RECEIPT_1, s.MODEL_1, 5, ROUTER),
            f"the asset {to_hex(ROUTER)} is no token of the manifest",
        ),
        (s.released(0, s.MODEL_1, 5, s.ANNA), f"the asset {to_hex(s.ANNA)} is no token of the manifest"),
        (s.released(9, s.MODEL_1, 5), "leg 9: a split has the legs 0 to 8"),
        (s.released(255, s.MODEL_1, 5), "leg 255: a split has the legs 0 to 8"),
        (s.transfer(s.ANNA, s.BEN, AMOUNT_LIMIT), f"-{AMOUNT_LIMIT} base units: the books hold amounts below 10**38"),
        (s.deposited(s.NODE_1, 2**256 - 1), f"-{2**256 - 1} base units: the books hold amounts below 10**38"),
    ],
)
def test_an_event_without_effect_is_refused_with_its_reason(manifest: Manifest, said: s.Said, reason: str) -> None:
    """Says one thing that the rules give no effect, to empty books."""
    paper = s.Paper(manifest).book(said)
    assert paper.refusals == [reason]
    assert paper.balances == {}
    assert not any(paper.every(kind) for kind in RECORDS)


def test_amounts_that_are_too_large_together_are_refused(manifest: Manifest) -> None:
    """Decides a case over three parts that are each within the limit and together are not."""
    part = AMOUNT_LIMIT // 2
    paper = s.Paper(manifest).book(s.flagged(s.CASE_1, s.NODE_1), s.review_decided(s.CASE_1, part, part, part, 0))
    assert paper.balances == {}
    assert len(paper.refusals) == 1


def test_an_event_that_the_books_do_not_speak_of_does_nothing(manifest: Manifest) -> None:
    """Approves a spender."""
    paper = s.Paper(manifest).book(s.approval())
    assert (paper.balances, paper.refusals) == ({}, [])


def test_a_case_is_flagged_once(manifest: Manifest) -> None:
    """Flags a case for two nodes, one after the other: the second has no effect."""
    paper = s.Paper(manifest).book(
        s.flagged(s.CASE_1, s.NODE_1), s.flagged(s.CASE_1, s.NODE_2), s.review_opened(s.CASE_1, 3)
    )
    assert len(paper.refusals) == 1
    assert paper.told() == books(
        """
        Collateral:Free:11 -3 DN
        Collateral:Frozen:21 3 DN
        """
    )


@given(st.lists(s.anything, max_size=25))
def test_value_is_conserved_and_a_refusal_changes_nothing(manifest: Manifest, story: list[s.Said]) -> None:
    """Tells any story: each entry balances, all accounts of an asset sum to zero, refusals leave no record."""
    paper = s.Paper(manifest)
    for said in story:
        before = [paper.every(kind) for kind in RECORDS]
        refused = len(paper.refusals)
        paper.book(said)
        if len(paper.refusals) > refused:
            assert paper.refusals[-1]
            assert [paper.every(kind) for kind in RECORDS] == before
    assert all(0 < abs(p.amount) < AMOUNT_LIMIT for entry in paper.entries for p in entry.postings)
    for asset in (DN, USDC):
        assert sum(amount for (_, of), amount in paper.balances.items() if of == asset) == 0


def test_every_event_of_the_vocabulary_has_a_rule() -> None:
    """Goes through the vocabulary: what the books understand on chain does something to them."""
    assert [(kind, e.name) for kind, events in KINDS.items() for e in events if not has_rule(kind, e.name)] == []
