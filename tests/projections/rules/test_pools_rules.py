"""What the rules make of an allocation: its legs, their lines, the tree of claims; and what is wrong with another."""

import inspect
from dataclasses import replace
from typing import Final

import pytest

from deepnode_ledger.decoding import ChainEvent
from deepnode_projections.maths.claims import ClaimTree, Entitlement
from deepnode_projections.rules import claims, domains, emission, epochs, funding, pools, registry, staking
from deepnode_projections.rules.claims import ExpectedRoot, claim_tree
from deepnode_projections.rules.comparisons import Checked, Difference
from deepnode_projections.rules.pools import Earned, Reward
from deepnode_projections.rules.work import ModelUse, ValidatorWork, Work
from tests.projections.rules import told as t
from tests.projections.rules.told import DN, Story, address, told, word

LEGS: Final = ("miners", "stakers", "validators", "owner", "models", "foundation", "undistributed")
RIGHT: Final = (500, 200, 150, 50, 90, 10, 0)
"""A pool of 1000 at 50, 20, 15, 5, 9 and 1 per cent."""

FOUNDATION: Final = address("foundation")


def allocated(*legs: int, epoch: int = 1) -> ChainEvent:
    parts = dict(zip(LEGS, legs, strict=True))
    return told("Emission", "EpochAllocated", epoch=epoch, domain="d1", asset=DN, **parts)


def opened(epoch: int) -> ChainEvent:
    return told("Emission", "EpochOpened", epoch=epoch)


def submitted(root: bytes, total: int, epoch: int = 1) -> ChainEvent:
    return told("Rewards", "RootSubmitted", epoch=epoch, asset=DN, root=root, total=total)


def domain(monkeypatch: pytest.MonkeyPatch) -> Story:
    """Domain d1 of Olga, with two miners, a validator that has delegators, a staker, and a model that has backers."""
    monkeypatch.setattr(t, "MANIFEST", replace(t.MANIFEST, foundation=FOUNDATION))
    tale = Story(*(each.RULES for each in (domains, registry, staking, funding, epochs, emission, pools, claims)))
    tale.tell(told("Domains", "DomainCreated", domain="d1", owner="olga"))
    for node, role, operator in (("m1", 1, "mia"), ("m2", 1, "max"), ("v1", 2, "vera")):
        tale.tell(told("Nodes", "Registered", domain="d1", node=node, operator=operator, role=role))
    tale.tell(
        told("Models", "ModelRegistered", model="x1", domain="d1", creator="cleo", a=100_000, b=300_000, x=400_000),
        told("Funding", "RoundOpened", round="r1", model="x1", creator="cleo", target=3, deadline=2**40),
        told("Funding", "Backed", round="r1", backer="bea", amount=2, shares=2),
        told("Funding", "Backed", round="r1", backer="bob", amount=1, shares=1),
        told("Staking", "CommissionSet", target="v1", new_=100_000, fromEpoch=1),
        told("Staking", "Staked", staker="dora", targetType=1, target="v1", amount=30, shares=30),
        told("Staking", "Staked", staker="dave", targetType=1, target="v1", amount=10, shares=10),
        told("Staking", "Staked", staker="sam", targetType=4, target="d1", amount=7, shares=7),
        told(
            "Domains",
            "EmissionWeightsSet",
            domain="d1",
            new_=[500_000, 200_000, 150_000, 50_000, 90_000],
            fromEpoch=1,
        ),
    )
    assert tale.reasons == []
    return tale.tell(opened(1))


def work(tale: Story) -> Story:
    """Epoch 1: two parts of the work are m1's and one is m2's; x1 alone is used, and nobody rates it."""
    d1 = word("d1")
    for record in (
        Work(1, d1, word("m1"), 4, 4_000_000, 2),
        Work(1, d1, word("m2"), 2, 2_000_000, 1),
        ValidatorWork(1, d1, word("v1"), 6, 5, 5_000_000),
        ModelUse(1, d1, word("x1"), 3, 6, 6_000_000),
    ):
        tale.state.put(record)
    return tale.tell(opened(2))


def lines(tale: Story) -> str:
    """The lines as text: role, kind, subject, earner, amount, and the divisions that led to it."""
    shown = [
        f"{r.role} {r.kind} {_text(r.subject)} {_text(r.earner)} {r.amount}: {r.path}" for r in tale.state.every(Reward)
    ]
    return "\n".join(shown)


def _text(name: bytes) -> str:
    return name.rstrip(b"\0").decode()


def differing(tale: Story) -> list[tuple[str, str, int | None, int | None]]:
    return [(each.subject, each.what, each.expected, each.fact) for each in tale.state.every(Difference)]


def test_every_line_of_a_pool_shows_the_divisions_that_led_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Divides a pool of 1000 by hand: work 2 to 1, commission of a tenth, stakes 3 to 1, b to a as 3 to 1."""
    tale = work(domain(monkeypatch)).tell(allocated(*RIGHT))
    assert tale.reasons == []
    assert differing(tale) == []
    assert lines(tale) == inspect.cleandoc(
        """
        backer backing x1 bea 15: 90 * 4500000000000 / 4500000000000 + 0; 90 * 100000 / 400000 + 0; 22 * 2 / 3 + 1
        backer backing x1 bob 7: 90 * 4500000000000 / 4500000000000 + 0; 90 * 100000 / 400000 + 0; 22 * 1 / 3 + 0
        creator royalty x1 cleo 68: 90 * 4500000000000 / 4500000000000 + 0; 90 * 300000 / 400000 + 1
        delegator delegation v1 dave 34: 150 * 5000000 / 5000000 + 0; 150 * 900000 / 1000000 + 0; 135 * 10 / 40 + 1
        delegator delegation v1 dora 101: 150 * 5000000 / 5000000 + 0; 150 * 900000 / 1000000 + 0; 135 * 30 / 40 + 0
        foundation fixed d1 foundation 10: 10 * 1 / 1 + 0
        miner work m1 mia 333: 500 * 4000000 / 6000000 + 0
        miner work m2 max 167: 500 * 2000000 / 6000000 + 1
        owner owner d1 olga 50: 50 * 1 / 1 + 0
        staker stake d1 sam 200: 200 * 7 / 7 + 0
        validator commission v1 vera 15: 150 * 5000000 / 5000000 + 0; 150 * 100000 / 1000000 + 0
        """
    )
    assert sum(each.amount for each in tale.state.every(Earned, DN)) == 1000


@pytest.mark.parametrize("part", range(len(LEGS)))
def test_one_base_unit_too_many_in_a_leg_is_found_and_named(monkeypatch: pytest.MonkeyPatch, part: int) -> None:
    """Moves one unit from another leg into each: both legs are named, with what they should be."""
    other = 0 if part else 1
    wrong = [amount + (leg == part) - (leg == other) for leg, amount in enumerate(RIGHT)]
    tale = work(domain(monkeypatch)).tell(allocated(*wrong))
    assert sorted(differing(tale)) == sorted(
        ("EpochAllocated", LEGS[leg], RIGHT[leg], wrong[leg]) for leg in (part, other)
    )


def test_a_leg_that_nobody_has_earned_is_undistributed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An epoch without any work: miners', validators' and models' legs stay, stakers and the owner get theirs."""
    tale = domain(monkeypatch).tell(opened(2), allocated(0, 200, 0, 50, 0, 10, 740))
    assert differing(tale) == []
    assert [(r.role, r.amount) for r in tale.state.every(Reward)] == [
        ("foundation", 10),
        ("owner", 50),
        ("staker", 200),
    ]


def test_what_is_allocated_before_its_epoch_is_over_has_no_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allocates epoch 1 while it is open."""
    tale = domain(monkeypatch).tell(allocated(*RIGHT))
    assert tale.reasons == ["an allocation of epoch 1, which is not over: epoch 1 is open"]


def test_a_submitted_root_is_the_one_that_the_rules_give(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the tree of epoch 1 by hand and submits its root: nothing differs, and the root is kept."""
    tale = work(domain(monkeypatch)).tell(allocated(*RIGHT))
    earned = [Entitlement(each.earner, DN, each.amount) for each in tale.state.every(Earned, DN)]
    tree = ClaimTree(earned)
    tale.tell(submitted(tree.root, 1000))
    assert differing(tale) == []
    assert tale.state.get(ExpectedRoot, 1, DN) == ExpectedRoot(1, DN, tree.root, 1000, 11)
    assert claim_tree(tale.state, DN, 0).root == bytes(32)


@pytest.mark.parametrize(("total", "flip"), [(1001, 0), (999, 0), (1000, 1)])
def test_a_wrong_root_or_total_is_found_and_named(monkeypatch: pytest.MonkeyPatch, total: int, flip: int) -> None:
    """Submits a total one off, or a root with one bit changed."""
    tale = work(domain(monkeypatch)).tell(allocated(*RIGHT))
    root = claim_tree(tale.state, DN, 1).root
    tale.tell(submitted(bytes([root[0] ^ flip]) + root[1:], total))
    [found] = tale.state.every(Difference)
    if flip:
        assert (found.what, found.expected, found.fact) == ("root", None, None)
        assert found.reason.startswith("expected 0x")
    else:
        assert (found.what, found.expected, found.fact) == ("total", 1000, total)


@pytest.mark.parametrize(("paid", "expected"), [(333, []), (332, [332]), (334, [334])])
def test_a_payment_is_what_the_tree_entitles_to(
    monkeypatch: pytest.MonkeyPatch, paid: int, expected: list[int]
) -> None:
    """Mia claims what she has earned, or one unit more or less."""
    tale = work(domain(monkeypatch)).tell(allocated(*RIGHT))
    tale.tell(submitted(claim_tree(tale.state, DN, 1).root, 1000))
    tale.tell(told("Rewards", "Claimed", epoch=1, earner="mia", asset=DN, to="mia", amount=paid))
    assert [each.fact for each in tale.state.every(Difference)] == expected
    checked = tale.state.get(Checked, "Claimed", "cumulative")
    assert checked is not None
    assert (checked.comparisons, checked.differing) == (1, len(expected))
