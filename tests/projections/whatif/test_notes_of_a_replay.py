"""What a recording state notes of payments and prices, and the sell pressure that is drawn up from it."""

import pytest

from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.maths.pools import PoolLegs
from deepnode_projections.rules.domains import Route
from deepnode_projections.rules.economics import Economics, Revenue
from deepnode_projections.rules.emission import Allocation
from deepnode_projections.rules.observations import Price
from deepnode_projections.rules.registry import Model
from deepnode_projections.rules.scene import NoEffect
from deepnode_projections.rules.splits import SplitTotal
from deepnode_projections.whatif import Scenario, make
from deepnode_projections.whatif.division import Division, Pool
from deepnode_projections.whatif.pressure import pressures
from deepnode_projections.whatif.recording import RecordingState
from tests.projections.rules.told import DN, USDC, address, word
from tests.projections.whatif.two_domains import D1, D2, MANIFEST

MODEL = word("x1")
ONE = {DN: 10**18, USDC: 10**6}
ROUTE = Route(D1, USDC, 1, 30_000, 10_000, 10_000, 0, 0, 0, 0)


def recording(scenario: Scenario | None = None, *, route: Route | None = ROUTE) -> RecordingState:
    """A state that knows a model with a 100 000 and b 300 000, and the route of its domain."""
    state = RecordingState(scenario or Scenario())
    state.put(Model(MODEL, D1, address("cleo"), 100_000, 300_000, 400_000, 2, 1, bytes(32)))
    if route is not None:
        state.put(route)
    return state


def pay(state: RecordingState, gross: int, *, refused: bool = False) -> None:
    """Let the router split a payment: all of it goes to the emission's leg, whatever the rules say."""
    with state.attempt(1):
        total = state.get(SplitTotal, MODEL, USDC) or SplitTotal(MODEL, USDC, *[0] * 10)
        after = SplitTotal(MODEL, USDC, total.gross + gross, 0, 0, 0, 0, 0, 0, 0, 0, total.emission + gross)
        state.put(after)
        if refused:
            raise NoEffect("a rule behind the split does not allow it")


def test_payments_are_split_with_what_the_ones_before_have_carried() -> None:
    """Splits 7 twice: legs are whole units, the rest waits, and with it the legs are the gross."""
    state = recording()
    pay(state, 7)
    pay(state, 7)
    note = state.splits[0, D1, USDC]
    assert (note.gross, note.payments, note.unexpected) == (14, 2, 0)
    assert note.paid == [0] * 8 + [14]
    # b of 14 is 4.2, a is 1.4, z is 0.55 of 14: 7.7.
    assert note.expected == [4, 1, 0, 0, 0, 0, 0, 0, 7]
    assert note.suspended == 14 - 12


def test_what_an_event_without_effect_has_put_is_not_noted() -> None:
    """Lets an event fail behind its split: nothing is noted, and nothing is carried."""
    state = recording()
    with pytest.raises(NoEffect):
        pay(state, 7, refused=True)
    assert state.splits == {}
    assert state.carries == {}


def test_without_a_route_nothing_is_expected() -> None:
    """Splits a payment of a domain without a route: it is in the gross, and counted."""
    state = recording(route=None)
    pay(state, 7)
    note = state.splits[0, D1, USDC]
    assert (note.gross, note.unexpected, sum(note.expected), note.suspended) == (7, 1, 0, 0)


def test_rates_that_the_router_would_refuse_are_refused() -> None:
    """Sets fees of 70 % beside a model's 40 %: the scenario names the model, the epoch and the rule."""
    state = recording(make(MANIFEST, settings={"route.*.*.fees": 700_000}))
    with pytest.raises(
        BadInput, match=rf"no payment can be split for model {to_hex(MODEL)} in epoch 0: .* above 1000000"
    ):
        pay(state, 7)


def test_a_route_that_kept_the_fixed_rates_keeps_the_scenarios() -> None:
    """Raises the fixed buyback to 2 %: a route that had the chain's 1 % has 2 %, and the emission's leg pays for it."""
    state = recording(make(MANIFEST, settings={"revenue.buyback_ppm": 20_000}))
    pay(state, 100)
    assert state.splits[0, D1, USDC].expected == [30, 10, 3, 2, 1, 0, 0, 0, 54]


def test_pressure_counts_what_has_no_price_and_takes_the_epochs_for_who_has_none() -> None:
    """Draws up a domain with an allocation and one without, at 50 cents a DN; dollars have no price."""
    state = recording()
    state.put(Price(DN, "USD", "source", 500_000, "producer", "event", "2026-01-01T00:00:00Z"))
    state.put(Allocation(1, D1, DN, 10**18, 10**18, 0, 0, 0, 0, 0))
    state.put(Revenue(1, D1, USDC, 5_000_000, 1))
    state.put(Revenue(1, D1, DN, 3 * 10**18, 1))
    with state.attempt(1):
        state.put(Economics(1, D1, 0, 0, 0, 0, None, 0))
    legs = PoolLegs(10**18, 10**18, 0, 0, 0, 0, 0)
    idle = PoolLegs(0, 2 * 10**18, 10**18, 0, 0, 0, 10**18)
    pools = {(1, D1, DN): Pool(2 * 10**18, legs, ()), (1, D2, DN): Pool(4 * 10**18, idle, ())}
    first, second = pressures(state, state, Scenario(), Division(pools, ()), {(1, D1), (1, D2)}, DN, ONE)
    assert (first.emitted, first.sold, first.needed) == (1_000_000, 1_000_000, 1_219_513)
    assert (first.created, first.coverage, first.unpriced) == (1_500_000, 1_229_999, 1)
    assert (first.two_emitted, first.two_needed) == (1_000_000, 1_219_513)
    assert (second.emitted, second.two_emitted, second.created, second.coverage) == (1_500_000, 1_000_000, 0, 0)


def test_an_epoch_without_any_price_is_counted_and_left_out() -> None:
    """Draws up a pool when nobody has told a price."""
    legs = PoolLegs(5, 0, 0, 0, 0, 0, 0)
    state = recording()
    (found,) = pressures(state, state, Scenario(), Division({(1, D1, DN): Pool(5, legs, ())}, ()), {(1, D1)}, DN, ONE)
    assert (found.emitted, found.needed, found.coverage, found.unpriced) == (0, 0, None, 1)
