"""Payments for models: escrow, split, refund, release, and each leg beside what the rules give."""

import inspect
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import pytest
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from deepnode_ledger.decoding import ChainEvent
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.vocabulary import LEGS
from deepnode_projections import rulesets
from deepnode_projections.maths.carry import split
from deepnode_projections.rules import domains, parameters, registry, revenue
from deepnode_projections.rules.comparisons import Checked, Difference
from deepnode_projections.rules.revenue import Receipt, ReleasedTotal
from deepnode_projections.rules.splits import Carry, SplitTotal
from tests.projections.rules.told import DN, FEW, MANIFEST, USDC, Story, address, anything, told, word

ROUTER = MANIFEST.by_name("RevenueRouter").address
ROUTER_RULESET = bytes(keccak(text="deepnode/ruleset/1"))

ROUTE: Final = (50_000, 10_000, 10_000, 20_000, 30_000, 5_000)
"""Fees, buyback, foundation, the domain's own, variable burn, yield; in ppm."""

RATES: Final = (100_000, 195_000, 50_000, 10_000, 10_000, 20_000, 30_000, 5_000, 580_000)
"""What follows for a model with b = 10 % and a = 20 %: the legs' rates."""


def market(route: Sequence[int] | None = ROUTE) -> Story:
    """A model m1 of domain d1, with a route for USDC."""
    tale = Story(domains.RULES, parameters.RULES, registry.RULES, revenue.RULES).tell(
        told("Domains", "DomainCreated", domain="d1", owner="olga"),
        told("Models", "ModelRegistered", model="m1", domain="d1", creator="carl", a=200_000, b=100_000, x=300_000),
    )
    return tale if route is None else tale.tell(routed(route))


def routed(rates: Sequence[int], old: Sequence[int] = ()) -> ChainEvent:
    return told("Domains", "RevenueRouteSet", domain="d1", asset=USDC, old=list(old), new_=list(rates))


def paid(amount: int, receipt: str = "r1", model: str = "m1", asset: bytes = USDC) -> ChainEvent:
    args = {"payer": "ben", "asset": asset, "amount": amount, "ref": "t1"}
    return told("RevenueRouter", "RevenueReceived", receipt=receipt, model=model, **args)


def refunded(amount: int, receipt: str = "r1") -> ChainEvent:
    return told("RevenueRouter", "RevenueRefunded", receipt=receipt, to="ben", amount=amount)


def settled(
    gross: int,
    legs: Sequence[int],
    receipt: str = "r1",
    *,
    model: str = "m1",
    asset: bytes = USDC,
    ruleset: bytes = ROUTER_RULESET,
) -> ChainEvent:
    args = {"asset": asset, "gross": gross, "ruleset": ruleset} | dict(zip(LEGS, legs, strict=True))
    return told("RevenueRouter", "RevenueSplit", receipt=receipt, model=model, **args)


def released(leg: int, beneficiary: str, amount: int, asset: bytes = USDC) -> ChainEvent:
    args = {"to": "olga", "asset": asset, "amount": amount}
    return told("RevenueRouter", "Released", leg=leg, beneficiary=beneficiary, **args)


def differences(tale: Story) -> list[tuple[str, str, int | None, int | None, str]]:
    """What differs in splits and refunds."""
    found = [each for each in tale.state.every(Difference) if each.subject.startswith("Revenue")]
    return [(each.subject, each.what, each.expected, each.fact, each.reason) for each in found]


def receipt_of(tale: Story, receipt: str = "r1") -> Receipt:
    found = tale.state.get(Receipt, word(receipt), ROUTER)
    assert found is not None
    return found


AS_EXPECTED = [100, 195, 50, 10, 10, 20, 30, 5, 580]


def test_a_payment_is_split_and_each_pocket_is_paid_out() -> None:
    """Ben pays 1000 USDC; the legs are what the rules give; the domain's and the buyback's pockets are released."""
    tale = market().tell(paid(1000), settled(1000, AS_EXPECTED))
    assert tale.books() == inspect.cleandoc(
        """
        RevenueRouter:Backers:m1 195 USDC
        RevenueRouter:Buyback 10 USDC
        RevenueRouter:Creator:m1 100 USDC
        RevenueRouter:Domain:d1 20 USDC
        RevenueRouter:Emission:d1 580 USDC
        RevenueRouter:Fees:d1 50 USDC
        RevenueRouter:Foundation 10 USDC
        RevenueRouter:Unattributed -1000 USDC
        RevenueRouter:VariableBurn:d1 30 USDC
        RevenueRouter:Yield:m1 5 USDC
        """
    )
    assert receipt_of(tale) == Receipt(
        word("r1"), ROUTER, word("m1"), USDC, address("ben"), 1000, word("t1"), "settled", True, 4, 5
    )
    tale.tell(released(5, "d1", 20), released(3, "", 4), released(3, "", 6))
    assert tale.state.get(ReleasedTotal, "domain", word("d1"), USDC) == ReleasedTotal("domain", word("d1"), USDC, 20)
    assert tale.state.get(ReleasedTotal, "buyback", bytes(32), USDC) == ReleasedTotal("buyback", bytes(32), USDC, 10)
    assert not {name for name, _ in tale.balances()} & {
        f"RevenueRouter:Domain:{to_hex(word('d1'))}",
        "RevenueRouter:Buyback",
    }
    assert (tale.reasons, differences(tale)) == ([], [])
    assert tale.state.get(Checked, "RevenueSplit", "emission") == Checked("RevenueSplit", "emission", 1, 0)


def test_what_is_less_than_a_unit_is_carried_and_waits_in_suspense() -> None:
    """Splits 7 base units three times; carries of each leg go from payment to payment, and totals are their sums."""
    tale = market()
    carries: Sequence[int] = (0,) * 9
    for number in range(3):
        made = split(7, RATES, carries)
        carries = made.carries
        tale.tell(settled(7, made.legs, f"r{number}"))
    assert tale.state.get(Carry, word("m1"), 1, USDC) == Carry(word("m1"), 1, USDC, *carries)
    total = tale.state.get(SplitTotal, word("m1"), USDC)
    assert total is not None
    assert total.gross == 21
    assert total.legs == tuple(21 * rate // 1_000_000 for rate in RATES)
    assert total.suspense == sum(carries) // 1_000_000 == 21 - sum(total.legs)
    assert tale.balances()[f"RevenueRouter:Suspense:{to_hex(word('m1'))}", USDC] == total.suspense
    assert differences(tale) == []


def test_a_new_version_of_the_route_carries_from_zero() -> None:
    """Splits 7 under two routes: the second one's carries do not know of the first's."""
    other = (60_000, 10_000, 10_000, 20_000, 30_000, 5_000)
    rates = (*RATES[:2], 60_000, *RATES[3:8], 570_000)
    tale = market().tell(settled(7, split(7, RATES, [0] * 9).legs), routed(other, ROUTE))
    tale.tell(settled(7, split(7, rates, [0] * 9).legs, "r2"))
    assert [each.version for each in tale.state.every(Carry, word("m1"))] == [1, 2]
    assert differences(tale) == []


def test_a_leg_that_the_rules_do_not_give_is_booked_and_is_a_difference() -> None:
    """The router pays the creator one unit that is the emission's: the books follow it, and two legs differ."""
    tale = market().tell(paid(1000), settled(1000, [101, *AS_EXPECTED[1:8], 579]))
    assert tale.balances()[f"RevenueRouter:Creator:{to_hex(word('m1'))}", USDC] == 101
    assert differences(tale) == [
        ("RevenueSplit", "creator", 100, 101, ""),
        ("RevenueSplit", "emission", 580, 579, ""),
    ]
    assert receipt_of(tale).as_expected is False


def test_a_split_that_leaves_too_much_in_suspense_is_a_difference() -> None:
    """The router keeps nine units back where carries are eight at most, then pays out ten that it never kept."""
    tale = market().tell(settled(1000, [*AS_EXPECTED[:8], 571]), settled(1000, [*AS_EXPECTED[:8], 590], "r2"))
    found = [each for each in differences(tale) if each[1] == "suspense"]
    assert found == [
        ("RevenueSplit", "suspense", 8, 9, "more than carries can be"),
        ("RevenueSplit", "suspense", 0, -1, "less than nothing"),
    ]


@pytest.mark.parametrize(
    ("before", "ruleset", "reason"),
    [
        ([], word("none"), f"split by another ruleset than that in force: {to_hex(word('none'))}"),
        (
            [told("Parameters", "RulesetActivated", version=1, specHash="none", fromEpoch=0)],
            ROUTER_RULESET,
            f"the ruleset in force is not known: {to_hex(word('none'))}",
        ),
        (
            [
                told(
                    "Parameters",
                    "RulesetActivated",
                    version=1,
                    specHash=rulesets.by_name("net_shares").spec_hash,
                    fromEpoch=0,
                )
            ],
            ROUTER_RULESET,
            f"split by another ruleset than that in force: {to_hex(ROUTER_RULESET)}",
        ),
        (
            [routed((50_000, 10_000, 10_000, 20_000, 30_000, 200_001), ROUTE)],
            ROUTER_RULESET,
            "yield of 200001 ppm: it is taken out of the backers' 200000",
        ),
    ],
)
def test_a_difference_says_why_if_that_is_known(before: list[ChainEvent], ruleset: bytes, reason: str) -> None:
    """Splits 10 units to the foundation alone, under a ruleset or a route of which the rules make something else."""
    tale = market().tell(*before, settled(10, [0, 0, 0, 0, 10, 0, 0, 0, 0], ruleset=ruleset))
    assert tale.reasons == []
    assert {each[4] for each in differences(tale) if each[1] == "foundation"} == {reason}


def test_a_receipt_is_known_by_its_id_within_its_contract() -> None:
    """Receives one id in two routers and refunds both."""
    other = replace(MANIFEST.by_name("RevenueRouter"), name="Older", address=b"\xee" * 20)
    tale = market().tell(paid(5), replace(paid(6), contract=other), refunded(5), replace(refunded(6), contract=other))
    assert (tale.reasons, tale.books()) == ([], "")


def test_without_a_route_nothing_is_expected_and_the_split_is_booked() -> None:
    """Splits a payment in a domain that no route is known of."""
    tale = market(None).tell(settled(9, [1] * 9))
    why = f"no route is known of {to_hex(USDC)} in domain {to_hex(word('d1'))}"
    assert sorted(differences(tale)) == sorted(("RevenueSplit", leg, None, 1, why) for leg in LEGS)
    assert tale.state.every(Carry) == []
    assert tale.balances()[f"RevenueRouter:Escrow:{to_hex(word('m1'))}", USDC] == -9


def test_a_refund_gives_a_payment_back_by_its_receipt_alone() -> None:
    """Ben gets 1000 back; of another payment only 40 of 100, which is a difference."""
    tale = market().tell(paid(1000), refunded(1000), paid(100, "r2"), refunded(40, "r2"))
    assert tale.books() == inspect.cleandoc(
        """
        RevenueRouter:Escrow:m1 60 USDC
        RevenueRouter:Unattributed -60 USDC
        """
    )
    assert [receipt_of(tale, each).stage for each in ("r1", "r2")] == ["refunded", "refunded"]
    assert differences(tale) == [("RevenueRefunded", "amount", 100, 40, "")]


def test_a_split_of_another_amount_than_was_paid_is_a_difference() -> None:
    """Splits 2000 of a payment of 1000."""
    tale = market().tell(paid(1000), settled(2000, [2 * leg for leg in AS_EXPECTED]))
    assert differences(tale) == [("RevenueSplit", "gross", 1000, 2000, "")]
    assert receipt_of(tale).as_expected is False


@pytest.mark.parametrize(
    ("before", "event", "reason"),
    [
        ([paid(5)], paid(6), f"a second receipt of one id: receipt {to_hex(word('r1'))}"),
        ([], refunded(5), f"a refund of a receipt that was never seen: receipt {to_hex(word('r1'))}"),
        (
            [paid(5), refunded(5)],
            refunded(5),
            f"a refund of a receipt that is refunded already: receipt {to_hex(word('r1'))}",
        ),
        (
            [paid(5), refunded(5)],
            settled(5, [0] * 9),
            f"a split of a receipt that is refunded already: receipt {to_hex(word('r1'))}",
        ),
        (
            [paid(5), settled(5, [0] * 9)],
            settled(5, [0] * 9),
            f"a split of a receipt that is settled already: receipt {to_hex(word('r1'))}",
        ),
        (
            [],
            settled(5, [0] * 9, model="m2"),
            f"revenue of a model that was never registered: model {to_hex(word('m2'))}",
        ),
        ([], paid(5, asset=ROUTER), f"the asset {to_hex(ROUTER)} is no token of the manifest"),
        ([], settled(5, [0] * 9, asset=ROUTER), f"the asset {to_hex(ROUTER)} is no token of the manifest"),
        ([], released(0, "m1", 5, ROUTER), f"the asset {to_hex(ROUTER)} is no token of the manifest"),
        ([], released(9, "m1", 5), "leg 9: a split has the legs 0 to 8"),
    ],
)
def test_a_payment_goes_one_way_only(before: list[ChainEvent], event: ChainEvent, reason: str) -> None:
    """Tells a payment up to a stage, then something that cannot follow: it moves nothing, with the reason."""
    tale = market().tell(*before)
    books = tale.books()
    tale.tell(event)
    assert tale.reasons == [reason]
    assert tale.books() == books


_few, _assets, _amounts = st.sampled_from(FEW), st.sampled_from([USDC, DN]), st.integers(0, 10**7)
_sensible = st.one_of(
    st.builds(paid, _amounts, _few, _few, _assets),
    st.builds(refunded, _amounts, _few),
    st.builds(settled, _amounts, st.lists(_amounts, min_size=9, max_size=9), _few, model=_few, asset=_assets),
    st.builds(released, st.integers(0, 8), _few, _amounts, _assets),
    st.builds(
        lambda model, domain: told("Models", "ModelRegistered", model=model, domain=domain, a=1, b=2, x=3), _few, _few
    ),
)


@given(st.lists(anything(["RevenueRouter", "Models", "Domains"], also={"asset": [DN, USDC]}) | _sensible, max_size=40))
def test_pockets_and_records_never_disagree(events: list[ChainEvent]) -> None:
    """Tells anything in any order: escrow, suspense and each pocket of a model's are what the totals say."""
    tale = Story(domains.RULES, registry.RULES, revenue.RULES).tell(*events)
    balances = tale.balances()
    released_of = {(each.leg, each.beneficiary, each.asset): each.amount for each in tale.state.every(ReleasedTotal)}
    for total in tale.state.every(SplitTotal):
        for leg in ("creator", "backers", "yield"):
            name = f"RevenueRouter:{leg.capitalize()}:{to_hex(total.model)}"
            in_pocket = total.legs[LEGS.index(leg)] - released_of.get((leg, total.model, total.asset), 0)
            assert balances.get((name, total.asset), 0) == in_pocket
        suspense = balances.get((f"RevenueRouter:Suspense:{to_hex(total.model)}", total.asset), 0)
        assert suspense == total.suspense
    for carry in tale.state.every(Carry):
        assert all(0 <= each < 1_000_000 for each in carry.legs)
        assert sum(carry.legs) % 1_000_000 == 0
    assert sum(balances.values()) == 0


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=30), st.data())
def test_a_router_that_carries_forward_is_always_as_expected(payments: list[int], data: st.DataObject) -> None:
    """Plays the router over any payments and rates: no difference, and every leg is its rate of everything so far."""
    a, b = data.draw(st.integers(0, 400_000)), data.draw(st.integers(0, 400_000))
    own = [data.draw(st.integers(0, 40_000)) for _ in range(3)]
    cut = data.draw(st.integers(0, min(a, 40_000)))
    route = (own[0], 10_000, 10_000, own[1], own[2], cut)
    rates = (b, a - cut, *route, 1_000_000 - b - a + cut - sum(route))
    tale = Story(domains.RULES, registry.RULES, revenue.RULES).tell(
        told("Domains", "DomainCreated", domain="d1", owner="olga"),
        told("Models", "ModelRegistered", model="m1", domain="d1", creator="carl", a=a, b=b, x=a + b),
        routed(route),
    )
    carries: Sequence[int] = (0,) * 9
    for number, payment in enumerate(payments):
        legs = [(carry + payment * rate) // 1_000_000 for carry, rate in zip(carries, rates, strict=True)]
        carries = [(carry + payment * rate) % 1_000_000 for carry, rate in zip(carries, rates, strict=True)]
        tale.tell(paid(payment, f"r{number}"), settled(payment, legs, f"r{number}"))
        assert receipt_of(tale, f"r{number}").as_expected
    total = tale.state.get(SplitTotal, word("m1"), USDC)
    assert total is not None
    assert total.legs == tuple(sum(payments) * rate // 1_000_000 for rate in rates)
    assert 0 <= total.suspense <= 8
    assert (tale.reasons, differences(tale)) == ([], [])
