"""Transfers, payments and splits by compiled twins: the same books as by the rules, in every cell."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from eth_utils.crypto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from deepnode_ledger.account import MINT, wallet
from deepnode_ledger.compiled import Integer, compiled
from deepnode_ledger.decoding import ChainEvent
from deepnode_ledger.posting import AMOUNT_LIMIT, Entry, postings
from deepnode_ledger.vocabulary import LEGS
from deepnode_projections import rulesets
from deepnode_projections.kernel import ops
from deepnode_projections.kernel.holding import LAYOUT, ColumnHoldings
from deepnode_projections.kernel.wide import amount_of_cells, cells_of_amount, is_far, minus, over_ppm, plus, share
from deepnode_projections.kernel.words import Words
from deepnode_projections.maths.carry import carry_forward, split
from deepnode_projections.maths.rates import RatesRefused
from deepnode_projections.registers.state import State
from deepnode_projections.replay.holding import Holdings
from deepnode_projections.rules.comparisons import Difference
from deepnode_projections.rules.domains import Route
from deepnode_projections.rules.parameters import RulesetInForce
from deepnode_projections.rules.registry import Model
from deepnode_projections.rules.revenue import Receipt
from deepnode_projections.rules.splits import Carry, rates_of
from deepnode_projections.state_root import balance_lines
from tests.projections.kernel.money_books import Ruled, Twinned, op_of
from tests.projections.rules.told import DN, MANIFEST, USDC, address, told, word

ROUTER = MANIFEST.by_name("RevenueRouter").address
COLLATERAL = MANIFEST.by_name("Collateral").address
OURS, STRANGE = bytes(keccak(text="deepnode/ruleset/1")), b"\x99" * 32
ROUTE, OTHER_ROUTE = (50_000, 10_000, 10_000, 20_000, 30_000, 5_000), (60_000, 10_000, 10_000, 1, 7, 33_333)


def moved(giver: bytes, taker: bytes, value: int, token: str = "DN") -> ChainEvent:
    return ChainEvent(MANIFEST.by_name(token), "Transfer", {"from": giver, "to": taker, "value": value})


def paid(receipt: str, model: str, amount: int, asset: bytes = USDC) -> ChainEvent:
    args = {"payer": address("ben"), "asset": asset, "amount": amount, "ref": word("t1")}
    return routers("RevenueReceived", {"receipt": word(receipt), "model": word(model)} | args)


def settled(
    receipt: str, model: str, gross: int, legs: Sequence[int], asset: bytes = USDC, ruleset: bytes = OURS
) -> ChainEvent:
    args = {"receipt": word(receipt), "model": word(model), "asset": asset, "gross": gross, "ruleset": ruleset}
    return routers("RevenueSplit", args | dict(zip(LEGS, legs, strict=True)))


def refunded(receipt: str, amount: int) -> ChainEvent:
    return routers("RevenueRefunded", {"receipt": word(receipt), "to": address("ben"), "amount": amount})


def released(leg: int, beneficiary: str, amount: int, asset: bytes = USDC) -> ChainEvent:
    args = {"beneficiary": word(beneficiary), "to": address("olga"), "asset": asset, "amount": amount}
    return routers("Released", {"leg": leg} | args)


def routers(name: str, args: dict[str, Any]) -> ChainEvent:
    return ChainEvent(MANIFEST.by_name("RevenueRouter"), name, args)


def routed(rates: Sequence[int], asset: bytes = USDC) -> ChainEvent:
    return told("Domains", "RevenueRouteSet", domain="d1", asset=asset, old=[], new_=list(rates))


def registered(model: str, a: int = 200_000, b: int = 100_000) -> ChainEvent:
    return told("Models", "ModelRegistered", model=model, domain="d1", creator="carl", a=a, b=b, x=a + b)


MARKET = [told("Domains", "DomainCreated", domain="d1", owner="olga"), registered("m1"), routed(ROUTE)]


def legs_of(state: State, model: str, gross: int, asset: bytes = USDC) -> Sequence[int]:
    """What a router that goes by the default rules makes of a payment, if it knows a route that they allow."""
    known = state.get(Model, word(model))
    route = state.get(Route, known.domain, asset) if known is not None else None
    if known is None or route is None:
        return (*[0] * 8, gross)
    carry = state.get(Carry, known.model, route.version, asset)
    try:
        rates = rates_of(rulesets.default(), known, route)
    except RatesRefused:
        return (*[0] * 8, gross)
    return split(gross, rates, (0,) * 9 if carry is None else carry.legs).legs


def same_books(*events: ChainEvent, books: tuple[Ruled, Twinned] | None = None) -> tuple[Ruled, Twinned]:
    """Tell events to both books, and find them the same."""
    ruled, twinned = books or (Ruled(), Twinned())
    ruled.tell(*events)
    twinned.tell(*events)
    assert twinned.refused == ruled.refused
    held = {key: amount for key, amount in ruled.balances.items() if amount}
    assert {key: amount for key, amount in twinned.holdings.balances.items() if amount} == held
    in_order = list(Holdings(ruled.balances).in_order())
    assert list(twinned.holdings.in_order()) == in_order
    assert b"".join(map(bytes, twinned.holdings.lines())) == b"".join(balance_lines(in_order))
    assert not any(twinned.holdings.sums().values())
    if books is None:
        assert twinned.postings == ruled.postings
        assert sorted(twinned.stood, key=str) == sorted(ruled.stood, key=str)
    for kind in {type(each) for each in ruled.state.records()}:
        assert twinned.state.every(kind) == ruled.state.every(kind)
    return ruled, twinned


_names, _models = st.sampled_from(["r1", "r2", "r3", "r4", "r5"]), st.sampled_from(["m1", "m1", "m2"])
_assets = st.sampled_from([USDC, USDC, DN, ROUTER])
_edges = [2**63, 2**64 - 1, 2**64, 10**30, 2**100, 2**126 - 1, 2**126, AMOUNT_LIMIT // 2, AMOUNT_LIMIT - 1]
_amounts = st.integers(0, 10**7) | st.sampled_from([0, 1, *_edges, AMOUNT_LIMIT, 2**127 - 1, 2**127, 2**256 - 1])
_holders = st.sampled_from([address("anna"), address("ben"), ROUTER, COLLATERAL, bytes(20)])
_setting = st.sampled_from(
    [
        *(registered("m2", 1, 2), registered("m2", 333_333, 333_333)),
        *(routed(ROUTE), routed(OTHER_ROUTE), routed(ROUTE, DN), routed((50_000, 10_000, 9_999, 0, 0, 0))),
        told("Emission", "EpochOpened", epoch=1, startBlock=1),
        told("Emission", "EpochOpened", epoch=2, startBlock=1),
        told("Models", "ModelVersionPublished", model="m1", version=1),
        told("Parameters", "RulesetActivated", version=1, specHash=rulesets.by_name("net_shares").spec_hash),
        told("Parameters", "RulesetActivated", version=2, specHash="none"),
    ]
)


@st.composite
def _steps(draw: st.DrawFn) -> Any:
    """A step of a story: an event, or a function of the state that makes one."""
    what = draw(st.integers(0, 11))
    if what <= 2:
        return moved(draw(_holders), draw(_holders), draw(_amounts), draw(st.sampled_from(["DN", "USDC"])))
    if what == 3:
        return draw(_setting)
    if what == 4:
        return refunded(draw(_names), draw(_amounts))
    if what == 5:
        return released(draw(st.integers(0, 9)), draw(_models), draw(_amounts))
    receipt, model, amount, asset = draw(_names), draw(_models), draw(_amounts), draw(_assets)
    if what <= 7:
        return paid(receipt, model, amount, asset)
    wrong, ruleset = draw(st.integers(-3, 10)), draw(st.sampled_from([OURS, OURS, STRANGE]))

    def settles(state: State) -> ChainEvent:
        known = state.get(Receipt, word(receipt), ROUTER)
        own = (word(model), amount, asset) if known is None else (known.model, known.amount, known.asset)
        name, gross, token = own if wrong != 10 else (word(model), amount, asset)
        legs = list(legs_of(state, name.rstrip(b"\0").decode(), gross, token))
        if 0 <= wrong < 9:
            legs[wrong] += 1
        return settled(receipt, name.rstrip(b"\0").decode(), gross, legs, token, ruleset)

    return settles


@settings(max_examples=60)
@given(st.lists(_steps(), max_size=25))
def test_twins_and_rules_keep_the_same_books(steps: list[Any]) -> None:
    """Tells any story to both: the same records since the same positions, postings, balances and refusals."""
    teller, events = Ruled(), list[ChainEvent]()
    for step in [*MARKET, *steps]:
        events.append(step if isinstance(step, ChainEvent) else step(teller.state))
        teller.tell(events[-1])
    same_books(*events)


@settings(max_examples=30)
@given(st.lists(st.tuples(_models, st.integers(0, 10**7) | st.sampled_from([2**63, 10**30, 2**122])), max_size=12))
def test_what_is_ordinary_is_done_by_twins(payments: list[tuple[str, int]]) -> None:
    """Mints, pays and splits as the rules have it: not one transfer, payment or split is left to the rules."""
    ruled, twinned = same_books(*MARKET, registered("m2", 333_333, 7))
    for number, (model, amount) in enumerate(payments):
        receipt, legs = f"r{number}", legs_of(ruled.state, model, amount)
        told_ = [moved(bytes(20), address("ben"), amount, "USDC"), moved(address("ben"), ROUTER, amount, "USDC")]
        told_ += [paid(receipt, model, amount), settled(receipt, model, amount, legs)]
        same_books(*told_, books=(ruled, twinned))
    assert twinned.left == []
    assert twinned.done == +_counted(payments)
    assert twinned.postings == ruled.postings
    assert ruled.refused == []


def _counted(payments: Sequence[Any]) -> Any:
    count = len(payments)
    return type(Twinned().done)({ops.TRANSFER: 2 * count, ops.RECEIVED: count, ops.SPLIT: count})


def test_what_is_not_as_expected_is_left_to_the_rules() -> None:
    """A wrong leg, a wrong gross, a second payment, a second split, no route: each is left, and only those."""
    legs = [100, 195, 50, 10, 10, 20, 30, 5, 580]
    story = [
        paid("r1", "m1", 1000),
        settled("r1", "m1", 1000, [101, *legs[1:8], 579]),
        paid("r2", "m1", 1000),
        paid("r2", "m1", 1000),
        settled("r2", "m1", 2000, [2 * leg for leg in legs]),
        settled("r2", "m1", 1000, legs),
        settled("r9", "m1", 1000, legs),
        settled("r9", "m1", 1000, legs, DN),
        settled("r9", "m2", 1000, legs),
        paid("r3", "m1", 5, ROUTER),
    ]
    ruled, twinned = same_books(*MARKET, *story)
    assert twinned.left == [5, 7, 8, 9, 11, 12, 13]
    assert len(ruled.state.every(Difference)) == 2 + 1 + 9


@pytest.mark.parametrize(("emission", "left"), [(572, [4]), (571, [4, 5]), (590, [4, 5])])
def test_a_split_as_expected_is_left_where_too_much_or_too_little_waits(emission: int, left: list[int]) -> None:
    """Splits with another emission leg, then as expected: eight units may wait, nine may not, nor less than none."""
    legs = [100, 195, 50, 10, 10, 20, 30, 5]
    story = [settled("r1", "m1", 1000, [*legs, emission]), settled("r2", "m1", 1000, [*legs, 580])]
    _, twinned = same_books(*MARKET, *story)
    assert twinned.left == left


def test_a_split_of_nothing_changes_no_total() -> None:
    """Splits nothing, something, nothing again: the totals and carries have the positions of what changed them."""
    legs = [100, 195, 50, 10, 10, 20, 30, 5, 580]
    story = [settled("r1", "m1", 0, [0] * 9), settled("r2", "m1", 1000, legs), settled("r3", "m1", 0, [0] * 9)]
    _, twinned = same_books(*MARKET, *story)
    assert (twinned.left, twinned.done[ops.SPLIT]) == ([], 3)


def test_a_model_may_be_registered_behind_its_first_payment() -> None:
    """Pays for a model that nobody knows yet; once it is registered, its splits are done by twins."""
    paid_before, splits = paid("r1", "m2", 1000), settled("r1", "m2", 1000, [100, 195, 50, 10, 10, 20, 30, 5, 580])
    _, twinned = same_books(*MARKET, paid_before, registered("m2"), splits)
    assert (twinned.left, twinned.done[ops.SPLIT]) == ([], 1)


def test_under_a_ruleset_that_is_not_known_splits_are_left_to_the_rules() -> None:
    """Activates a ruleset that does not come with us, and splits as the default one would have it."""
    activated = told("Parameters", "RulesetActivated", version=1, specHash="none", fromEpoch=0)
    _, twinned = same_books(*MARKET, activated, settled("r1", "m1", 1000, [100, 195, 50, 10, 10, 20, 30, 5, 580]))
    assert twinned.left == [5]


def test_splits_that_round_otherwise_are_left_to_the_rules() -> None:
    """Lets a ruling floor every leg: of 7 units 6 are the emission's, where 4 would be."""
    default = rulesets.default()
    floors = structs.replace(default, revenue=structs.replace(default.revenue, rounding="floor"))
    ruled, twinned = Ruled(), Twinned()
    for books in (ruled, twinned):
        books.state.ruling = lambda _epoch, _active: floors
    twinned.state.changed.add(RulesetInForce)
    twinned.profiles.forget()
    floored, carried = ([0, 1, *[0] * 6, emission] for emission in (6, 4))
    same_books(*MARKET, settled("r1", "m1", 7, floored), settled("r2", "m1", 7, carried), books=(ruled, twinned))
    assert twinned.left == [4, 5]
    found = [each for each in ruled.state.every(Difference) if each.subject == "RevenueSplit"]
    assert [(each.what, each.expected, each.fact) for each in found] == [("emission", 6, 4)]


def test_a_payment_that_differs_in_its_upper_half_alone_is_left_to_the_rules() -> None:
    """Receives 2**64 units more than are split."""
    legs = [100, 195, 50, 10, 10, 20, 30, 5, 580]
    _, twinned = same_books(*MARKET, paid("r1", "m1", 2**64 + 1000), settled("r1", "m1", 1000, legs))
    assert twinned.left == [5]


def test_a_new_route_a_new_rate_and_a_new_ruleset_hold_from_the_next_split_on() -> None:
    """Splits 999 units again and again while the route and the ruleset change between: no twin goes by old rates."""
    net_shares = rulesets.by_name("net_shares")
    story: list[ChainEvent] = [*MARKET]
    for number, change in enumerate(
        [
            routed(OTHER_ROUTE),
            told("Parameters", "RulesetActivated", version=1, specHash=net_shares.spec_hash, fromEpoch=1),
            told("Emission", "EpochOpened", epoch=1, startBlock=1),
        ]
    ):
        teller = Ruled()
        teller.tell(*story)
        story += [settled(f"r{number}", "m1", 999, legs_of(teller.state, "m1", 999)), change]
    teller = Ruled()
    teller.tell(*story)
    known, route = teller.state.get(Model, word("m1")), teller.state.get(Route, word("d1"), USDC)
    assert known is not None
    assert route is not None
    carry = teller.state.get(Carry, word("m1"), 2, USDC)
    assert carry is not None
    legs = split(999, rates_of(net_shares, known, route), carry.legs).legs
    ruled, twinned = same_books(*story, settled("r9", "m1", 999, legs))
    assert [each for each in ruled.state.every(Difference) if each.subject == "RevenueSplit"] == []
    assert (twinned.left, twinned.done[ops.SPLIT]) == ([], 4)


@pytest.mark.parametrize("value", [2**126 - 1, 2**126, AMOUNT_LIMIT - 1])
def test_a_balance_that_goes_too_far_is_refused_in_the_same_words(value: int) -> None:
    """Mints up to the bound, moves it about and to oneself, and once beyond it."""
    anna, ben = address("anna"), address("ben")
    story = [moved(bytes(20), anna, value), moved(anna, anna, value), moved(anna, ben, 1), moved(bytes(20), ben, value)]
    story += [moved(ben, anna, value), paid("r1", "m1", value), paid("r2", "m1", value)]
    ruled, _ = same_books(*MARKET, *story)
    assert len(ruled.refused) >= 2
    assert "balances stay below 10**38" in ruled.refused[-1][1]


def test_accounts_that_have_one_name_are_one() -> None:
    """Takes a wallet by its word and by its account, and a pocket twice."""
    words = Words()
    holdings, anna = ColumnHoldings(words), wallet(address("anna"))
    ids = words.numbers(np.frombuffer(word("x") + word("anna"), np.uint8).reshape(2, 32))
    found = holdings.accounts_of(np.array([1, -1], np.int64), [MINT], ids).tolist()
    assert [holdings.account(anna), holdings.account(MINT)] == found
    assert [holdings.holder(number) for number in found] == [anna, MINT]
    assert holdings.account(replace(anna)) == found[0]


def test_what_the_rules_move_and_what_is_taken_are_kept_apart() -> None:
    """Posts two entries, of which one goes too far, and takes the postings twice."""
    holdings, anna, ben = ColumnHoldings(Words(), keeps=True), wallet(address("anna")), wallet(address("ben"))
    most = AMOUNT_LIMIT - 1
    entries = [Entry(n, "Transfer", "DN", postings(DN, [(anna, -most), (ben, most)])) for n in (1, 2)]
    [(entry, why)] = holdings.post(entries)
    assert (entry.position, why.reason) == (2, f"{anna.name} would have {-2 * most}: balances stay below 10**38")
    assert holdings.balances[anna.name, DN] == -most
    assert (anna.name, USDC) not in holdings.balances
    assert len(holdings.balances) == 2
    assert holdings.take_postings()[:, :2].tolist() == [[1, 0], [1, 1]]
    assert len(holdings.take_postings()) == 0
    assert holdings.table.cells[:2, LAYOUT.since].tolist() == [1, 1]


_near = st.integers(-(2**126), 2**126 - 1) | st.sampled_from([-(2**126), 2**126 - 1, 2**64, 2**64 - 1, -1, 0, -(2**64)])


@compiled
def _worked_out(low: Integer, high: Integer, other_low: Integer, other_high: Integer) -> Any:
    """The sum, the difference, and whether the sum is far."""
    total = plus(low, high, other_low, other_high)
    return total, minus(low, high, other_low, other_high), is_far(total[1])


@compiled
def _shared(low: Integer, high: Integer, rate: Integer, carry: Integer) -> Any:
    part_low, part_high, rest = over_ppm(low, high)
    return share(part_low, part_high, rest, rate, carry)


@given(_near, _near)
def test_wide_sums_are_those_of_whole_numbers(one: int, other: int) -> None:
    """Adds and takes away what is not far, against Python's own numbers."""
    total, rest, is_far_ = _worked_out(*cells_of_amount(one), *cells_of_amount(other))
    assert (amount_of_cells(*total), amount_of_cells(*rest)) == (one + other, one - other)
    assert is_far_ == (not -(2**126) <= one + other < 2**126)


@given(_near.map(abs), st.integers(0, 1_000_000), st.integers(0, 999_999))
def test_a_share_is_what_carrying_forward_gives(amount: int, rate: int, carry: int) -> None:
    """Takes a rate of any amount that is not far."""
    amount = min(amount, 2**126 - 1)
    low, high, after = _shared(*cells_of_amount(amount), rate, carry)
    assert (amount_of_cells(low, high), after) == carry_forward(carry, amount, rate)


def test_only_what_a_row_can_say_is_put_to_a_twin() -> None:
    """An amount that the books refuse is no operation."""
    assert op_of(moved(address("anna"), address("ben"), AMOUNT_LIMIT)) == ops.RULES
