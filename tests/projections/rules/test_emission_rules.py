"""What epochs mint and allocate, what roots entitle to, and what earners claim."""

import inspect
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnode_ledger.decoding import ChainEvent
from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.rules import emission
from deepnode_projections.rules.emission import Allocation, ClaimedTotal, EmissionMint, Root, RootInForce
from tests.projections.rules.told import DN, FEW, MANIFEST, USDC, Story, address, anything, told, word

REWARDS = MANIFEST.by_name("Rewards").address
AN_ASSET = f"asset {to_hex(DN)}"


def minted(epoch: int, amount: int, from_revenue: int = 0) -> ChainEvent:
    return told("Emission", "EmissionMinted", epoch=epoch, amount=amount, fromRevenue=from_revenue)


def allocated(epoch: int, legs: Sequence[int], undistributed: int, domain: str = "d1", asset: bytes = DN) -> ChainEvent:
    names = ("miners", "stakers", "validators", "owner", "models", "foundation")
    args = {"domain": domain, "asset": asset, "undistributed": undistributed} | dict(zip(names, legs, strict=True))
    return told("Emission", "EpochAllocated", epoch=epoch, **args)


def submitted(epoch: int, total: int, root: str = "root", asset: bytes = DN) -> ChainEvent:
    args = {"root": root, "asset": asset, "endBlock": 9, "uri": "ipfs://tree", "ruleset": "rules", "activatesAt": 77}
    return told("Rewards", "RootSubmitted", epoch=epoch, total=total, **args)


def disabled(epoch: int, asset: bytes = DN) -> ChainEvent:
    return told("Rewards", "RootDisabled", epoch=epoch, asset=asset, reason="wrong")


def claimed(epoch: int, amount: int, earner: str = "anna", asset: bytes = DN) -> ChainEvent:
    return told("Rewards", "Claimed", epoch=epoch, earner=earner, asset=asset, to=earner, amount=amount)


def story(*events: ChainEvent) -> Story:
    return Story(emission.RULES).tell(*events)


def standing(tale: Story, asset: bytes = DN) -> tuple[int | None, bytes | None, int, int]:
    """The epoch, the root and the total that stand, and what was claimed."""
    found = tale.state.get(RootInForce, asset)
    assert found is not None
    return found.epoch, found.root, found.total, found.claimed


def test_what_nobody_can_receive_stays_undistributed() -> None:
    """Of a pool of 100, 90 leave for the contract of rewards by a transfer, and 10 stay for the domain."""
    tale = story(minted(1, 80, 20), allocated(1, [50, 20, 10, 5, 4, 1], 10))
    assert tale.books() == inspect.cleandoc(
        """
        Emission:Unattributed -10 DN
        Emission:Undistributed:d1 10 DN
        """
    )
    assert tale.state.get(EmissionMint, 1) == EmissionMint(1, 80, 20)
    divided = Allocation(1, word("d1"), DN, 50, 20, 10, 5, 4, 1, 10)
    assert tale.state.get(Allocation, 1, word("d1"), DN) == divided
    assert divided.pool == 100


def test_a_root_makes_payable_what_it_adds_and_claims_take_from_it() -> None:
    """Epoch 1 entitles to 100, of which Anna claims 60; epoch 2 to 130 in all, of which she claims 20 and Ben 50."""
    tale = story(submitted(1, 100), claimed(1, 60))
    assert tale.books() == inspect.cleandoc(
        """
        Rewards:Payable 40 DN
        Rewards:Unattributed -40 DN
        """
    )
    tale.tell(submitted(2, 130, "second"), claimed(2, 20), claimed(2, 50, "ben"))
    assert tale.books() == ""
    assert standing(tale) == (2, word("second"), 130, 130)
    assert tale.state.get(ClaimedTotal, address("anna"), DN) == ClaimedTotal(address("anna"), DN, 80)
    assert tale.state.get(ClaimedTotal, address("ben"), DN) == ClaimedTotal(address("ben"), DN, 50)
    second = Root(2, DN, word("second"), 130, 9, "ipfs://tree", word("rules"), 77, 1, None, 3)
    assert tale.state.get(Root, 2, DN) == second
    assert tale.reasons == []


def test_when_a_root_is_disabled_the_one_before_stands_again() -> None:
    """Disables epoch 2's root, which does not stand, then 3's: epoch 1's stands again, and 2's is submitted again."""
    tale = story(submitted(1, 100, "one"), submitted(2, 120, "two"), submitted(3, 150, "three"), disabled(2))
    assert standing(tale) == (3, word("three"), 150, 0)
    tale.tell(disabled(3))
    assert standing(tale) == (1, word("one"), 100, 0)
    assert tale.balances()["Rewards:Payable", DN] == 100
    tale.tell(submitted(2, 110, "two again"), claimed(2, 110), disabled(2))
    assert tale.reasons == []
    assert standing(tale) == (1, word("one"), 100, 110)
    # Claims by a root that was disabled afterwards passed the one that stands.
    assert tale.balances()["Rewards:Payable", DN] == -10
    tale.tell(disabled(1))
    assert standing(tale) == (None, None, 0, 110)


def test_an_epoch_in_which_nobody_earned_has_a_root_of_the_same_total() -> None:
    """Submits the tree of epoch 1 for epoch 2 too."""
    tale = story(submitted(1, 100), submitted(2, 100))
    assert (tale.reasons, standing(tale)) == ([], (2, word("root"), 100, 0))


def test_assets_have_roots_of_their_own() -> None:
    """Submits roots of one epoch in DN and USDC."""
    tale = story(submitted(1, 100), submitted(1, 7, asset=USDC), claimed(1, 7, asset=USDC))
    assert tale.balances()["Rewards:Payable", DN] == 100
    assert ("Rewards:Payable", USDC) not in tale.balances()
    assert standing(tale, USDC) == (1, word("root"), 7, 7)


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (minted(1, 5), "a second mint for epoch 1"),
        (allocated(1, [0] * 6, 5), f"a second allocation of epoch 1: domain {to_hex(word('d1'))}, {AN_ASSET}"),
        (submitted(1, 200), f"a root of epoch 1 behind that of epoch 1: {AN_ASSET}"),
        (submitted(0, 200), f"a root of epoch 0 behind that of epoch 1: {AN_ASSET}"),
        (submitted(2, 99), f"a root that entitles to 99 after 100: {AN_ASSET}"),
        (disabled(2), f"a disabling of a root that was never submitted: epoch 2, {AN_ASSET}"),
        (claimed(2, 1), f"a claim by a root that was never submitted: epoch 2, {AN_ASSET}"),
        (claimed(1, 71), f"a claim of 71, where 30 of 100 is claimed: {AN_ASSET}"),
        (claimed(1, 1, asset=REWARDS), f"the asset {to_hex(REWARDS)} is no token of the manifest"),
        (submitted(2**63, 200), f"epoch {2**63}: the books hold numbers below 2**63"),
    ],
)
def test_what_the_rules_do_not_allow_has_no_effect(event: ChainEvent, reason: str) -> None:
    """Epoch 1 was minted and allocated for, and 30 of 100 are claimed; what cannot follow has no effect."""
    tale = story(minted(1, 5), allocated(1, [0] * 6, 5), submitted(1, 100), claimed(1, 30))
    books, stands = tale.books(), standing(tale)
    tale.tell(event)
    assert tale.reasons == [reason]
    assert (tale.books(), standing(tale)) == (books, stands)


def test_a_disabled_root_pays_nothing() -> None:
    """Claims by a root that is disabled, and disables it once more."""
    tale = story(submitted(1, 100), disabled(1), claimed(1, 1), disabled(1))
    assert tale.reasons == [
        f"a claim by a root that is disabled: epoch 1, {AN_ASSET}",
        f"a disabling of a root that is disabled: epoch 1, {AN_ASSET}",
    ]
    root = tale.state.get(Root, 1, DN)
    assert root is not None
    assert root.disabled_reason == word("wrong")


_epochs, _few, _assets, _amounts = (
    st.integers(0, 6),
    st.sampled_from(FEW),
    st.sampled_from([DN, USDC]),
    st.integers(0, 30),
)
_sensible = st.one_of(
    st.builds(submitted, _epochs, _amounts, _few, _assets),
    st.builds(disabled, _epochs, _assets),
    st.builds(claimed, _epochs, _amounts, _few, _assets),
    st.builds(allocated, _epochs, st.lists(_amounts, min_size=6, max_size=6), _amounts, _few, _assets),
)


@given(st.lists(anything(["Rewards"], also={"asset": [DN, USDC]}) | _sensible, max_size=50))
def test_pockets_and_records_never_disagree(events: list[ChainEvent]) -> None:
    """Tells anything in any order: what is payable is the newest standing root's total less all that was claimed."""
    tale = story(*events)
    balances, roots = tale.balances(), tale.state.every(Root)
    for stands in tale.state.every(RootInForce):
        assert balances.get(("Rewards:Payable", stands.asset), 0) == stands.payable
        own = [root for root in roots if root.asset == stands.asset and root.disabled_reason is None]
        newest = max(own, key=lambda root: root.epoch, default=None)
        assert (stands.epoch, stands.total) == ((None, 0) if newest is None else (newest.epoch, newest.total))
        claims = [each.amount for each in tale.state.every(ClaimedTotal) if each.asset == stands.asset]
        assert sum(claims) == stands.claimed
    allocations = tale.state.every(Allocation)
    for asset in (DN, USDC):
        for domain in map(word, FEW):
            kept = sum(a.undistributed for a in allocations if (a.domain, a.asset) == (domain, asset))
            assert balances.get((f"Emission:Undistributed:{to_hex(domain)}", asset), 0) == kept
    assert sum(balances.values()) == 0
