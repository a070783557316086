"""Domains: owners, routes of revenue, and the weights by which emissions are divided."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnode_ledger.decoding import ChainEvent
from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.rules import domains, parameters
from deepnode_projections.rules.comparisons import Checked, Difference
from deepnode_projections.rules.domains import (
    PPM,
    ROLES,
    Domain,
    EmissionWeights,
    Route,
    bound_key,
    weights_at,
)
from tests.projections.rules.told import DN, USDC, Story, address, anything, told, word

FIXED_PPM = 10_000
GOOD_ROUTE = (30_000, 10_000, 10_000, 20_000, 5_000, 0)
GOOD_WEIGHTS = (400_000, 200_000, 200_000, 50_000, 140_000)
VISION = to_hex(word("vision"))


def created(domain: str = "vision", owner: str = "olga", uri: str = "ipfs://about") -> ChainEvent:
    return told("Domains", "DomainCreated", domain=domain, owner=owner, uri=uri)


def owned(old: str, new: str, domain: str = "vision") -> ChainEvent:
    return told("Domains", "DomainOwnerChanged", domain=domain, old=old, new_=new)


def routed(
    new: Sequence[int], old: Sequence[int] = (), *, domain: str = "vision", asset: bytes = USDC, epoch: int = 0
) -> ChainEvent:
    return told("Domains", "RevenueRouteSet", domain=domain, asset=asset, old=old, new_=new, fromEpoch=epoch)


def weighed(new: Sequence[int], old: Sequence[int] = (0,) * 5, *, domain: str = "vision", epoch: int = 0) -> ChainEvent:
    return told("Domains", "EmissionWeightsSet", domain=domain, old=old, new_=new, fromEpoch=epoch)


def bound(role: str, which: str, value: int, *, scope: str = "", epoch: int = 0) -> ChainEvent:
    args = {"scope": scope, "key": bound_key(role, which), "new_": value, "effectiveAt": epoch}
    return told("Parameters", "ParamSet", **args)


def story(*events: ChainEvent) -> Story:
    return Story(parameters.RULES, domains.RULES).tell(*events)


def test_a_domain_passes_from_owner_to_owner() -> None:
    """Olga hands vision to Paul, who hands it on: the record names the last of them."""
    tale = story(created(), owned("olga", "paul"), owned("paul", "ravi"))
    assert tale.state.every(Domain) == [Domain(word("vision"), address("ravi"), "ipfs://about", 1)]
    assert tale.state.every(Difference) == []


def test_another_old_owner_than_the_books_know_is_a_difference() -> None:
    """The chain says that Nora handed vision over; the books know Olga."""
    tale = story(created(), owned("nora", "paul"))
    assert domains.domain_of(tale.state, word("vision")).owner == address("paul")
    (difference,) = tale.state.every(Difference)
    assert difference.reason == f"expected {to_hex(address('olga'))}, reported {to_hex(address('nora'))}"


def test_a_text_that_no_table_holds_is_kept_as_far_as_it_can_be() -> None:
    """A zero character in the URI becomes the sign for what cannot be shown."""
    assert domains.domain_of(story(created(uri="a\0b")).state, word("vision")).uri == "a\ufffdb"


def test_the_newest_route_counts_at_once_and_each_asset_has_its_own() -> None:
    """Vision's route for USDC changes once, with an epoch to come; that for DN stays at its first version."""
    dearer = (40_000, 10_000, 10_000, 20_000, 5_000, 1_000)
    tale = story(created(), routed(GOOD_ROUTE), routed(GOOD_ROUTE, asset=DN), routed(dearer, GOOD_ROUTE, epoch=9))
    assert tale.state.get(Route, word("vision"), USDC) == Route(
        word("vision"), USDC, 2, 40_000, 10_000, 10_000, 20_000, 5_000, 1_000, 9
    )
    assert tale.state.get(Route, word("vision"), DN) == Route(word("vision"), DN, 1, *GOOD_ROUTE, 0)
    assert tale.state.every(Difference) == []
    assert tale.state.get(Checked, "RevenueRouteSet", "old fees") == Checked("RevenueRouteSet", "old fees", 3, 0)


def test_a_route_that_changes_a_fixed_flow_is_taken_and_is_a_difference() -> None:
    """Buyback at 2 %: the router would split so, and the documents say 1 %."""
    tale = story(created(), routed((30_000, 20_000, 10_000, 0, 0, 0)))
    assert tale.state.every(Difference) == [
        Difference("RevenueRouteSet", "buyback", word("vision") + USDC, 2, FIXED_PPM, 20_000, "")
    ]
    assert [each.buyback for each in tale.state.every(Route)] == [20_000]


def test_old_rates_that_the_books_do_not_hold_are_differences() -> None:
    """The first route that the books see names an old one: it was set before the books began."""
    tale = story(created(), routed(GOOD_ROUTE, GOOD_ROUTE))
    differences = tale.state.every(Difference)
    assert [(each.what, each.expected, each.fact) for each in differences] == sorted(
        (f"old {name}", None, rate) for name, rate in zip(domains.RATES, GOOD_ROUTE, strict=True)
    )


def test_weights_hold_from_their_epoch_on() -> None:
    """Weights for epoch 1; in epoch 3 others are set for that same epoch, so they count from epoch 4 on."""
    other = (990_000, 0, 0, 0, 0)
    tale = story(created(), weighed(GOOD_WEIGHTS, epoch=1)).opens(3).tell(weighed(other, GOOD_WEIGHTS, epoch=3))
    found = [weights_at(tale.state, word("vision"), epoch) for epoch in range(6)]
    assert [each and each.weights for each in found] == [None, *[GOOD_WEIGHTS] * 3, *[other] * 2]
    assert tale.state.every(Difference) == []


def test_governance_narrows_what_a_domain_may_choose() -> None:
    """A floor of 45 % for miners everywhere from epoch 2, and a lower one for vision: each has its own bounds."""
    tale = story(created(), created("code"), bound("miners", "floor", 450_000, epoch=2))
    tale.tell(bound("miners", "floor", 400_000, scope="vision", epoch=2))
    tale.tell(weighed(GOOD_WEIGHTS, epoch=1, domain="code"))
    tale.tell(weighed(GOOD_WEIGHTS, epoch=2, domain="code"), weighed(GOOD_WEIGHTS, epoch=2))
    assert tale.reasons == ["weight 400000 of miners is not within 450000 and 990000 ppm in epoch 2"]
    assert weights_at(tale.state, word("vision"), 2) is not None


@pytest.mark.parametrize(
    ("before", "event", "reason"),
    [
        ((created(),), created(owner="paul"), f"domain {VISION} is there already, owned by {to_hex(address('olga'))}"),
        ((), owned("olga", "paul"), f"domain {VISION} was never created"),
        ((), routed(GOOD_ROUTE), f"domain {VISION} was never created"),
        ((created(),), routed(GOOD_ROUTE[:5]), "5 rates: a route has the 6 of fees, buyback, foundation, share"),
        ((created(),), routed((*GOOD_ROUTE, 0)), "7 rates: a route has the 6 of"),
        (
            (created(),),
            routed((980_000, 10_000, 10_000, 0, 0, 1)),
            "rates 980000 + 10000 + 10000 + 0 + 0 + 1 sum to 1000001 ppm, which is more than 1000000",
        ),
        ((created(),), routed(GOOD_ROUTE, epoch=2**63), f"fromEpoch {2**63}: the books hold numbers below 2**63"),
        ((), weighed(GOOD_WEIGHTS), f"domain {VISION} was never created"),
        (
            (created(),),
            weighed((400_000, 200_000, 200_000, 50_000, 140_001)),
            "weights 400000 + 200000 + 200000 + 50000 + 140001 sum with the foundation's 10000 to 1000001 ppm, not to",
        ),
        (
            (created(),),
            weighed((889_999, 0, 0, 100_001, 0)),
            "weight 100001 of owner is not within 0 and 100000 ppm in epoch 0",
        ),
        (
            (created(), bound("stakers", "ceiling", 100_000)),
            weighed(GOOD_WEIGHTS),
            "weight 200000 of stakers is not within 0 and 100000 ppm in epoch 0",
        ),
    ],
)
def test_what_domains_refuse(before: tuple[ChainEvent, ...], event: ChainEvent, reason: str) -> None:
    """Says one thing too much behind a good beginning: it has no effect, and the reason names the values."""
    tale, same = story(*before).tell(event), story(*before)
    assert len(tale.reasons) == 1
    assert tale.reasons[0].startswith(reason)
    for kind in domains.RECORDS:
        assert tale.state.every(kind) == same.state.every(kind)


_weights = st.lists(st.integers(0, 990_000), min_size=4, max_size=4).map(
    lambda cuts: tuple(
        high - low for low, high in zip([0, *sorted(cuts)], [*sorted(cuts), PPM - FIXED_PPM], strict=True)
    )
)


@given(_weights)
def test_any_division_of_the_whole_within_bounds_is_taken(weights: tuple[int, ...]) -> None:
    """Cuts 99 % at four places: taken unless the owner's part is above 10 %."""
    tale = story(created(), weighed(weights))
    assert (tale.reasons == []) is (weights[ROLES.index("owner")] <= 100_000)


def _history(domain: str) -> list[ChainEvent]:
    bounded = bound("models", "ceiling", 140_000, scope=domain)
    return [
        created(domain),
        routed(GOOD_ROUTE, domain=domain),
        weighed(GOOD_WEIGHTS, domain=domain),
        owned("olga", "paul", domain),
        bounded,
        weighed((390_000, 200_000, 200_000, 50_000, 150_000), GOOD_WEIGHTS, domain=domain),
        routed(GOOD_ROUTE, GOOD_ROUTE, domain=domain),
    ]


NAMES = ("vision", "code", "speech")


@given(st.permutations([name for name in NAMES for _ in _history(name)]))
def test_domains_do_not_depend_on_each_other(turns: list[str]) -> None:
    """Interleaves the same history of three domains in any way: each has what it has alone."""
    waiting = {name: iter(_history(name)) for name in NAMES}
    mixed = story(*(next(waiting[name]) for name in turns))
    for name in NAMES:
        alone = story(*_history(name))
        assert mixed.state.every(Route, word(name)) == alone.state.every(Route, word(name))
        assert mixed.state.every(EmissionWeights, word(name)) == alone.state.every(EmissionWeights, word(name))
        assert domains.domain_of(mixed.state, word(name)).owner == address("paul")
    assert mixed.reasons == ["weight 150000 of models is not within 0 and 140000 ppm in epoch 0"] * len(NAMES)


@given(st.lists(anything(["Domains"], also={"uint32[]": [GOOD_ROUTE], "uint32[5]": [GOOD_WEIGHTS]}), max_size=25))
def test_garbage_makes_no_impossible_domain(events: list[ChainEvent]) -> None:
    """Tells any events: what is taken keeps the rules, what is refused has a reason."""
    tale = story(*events)
    assert all(tale.reasons)
    for route in tale.state.every(Route):
        assert sum(route.rates) <= PPM
    for weights in tale.state.every(EmissionWeights):
        assert sum(weights.weights) + FIXED_PPM == PPM
