"""Domains: their owners, the route that revenue takes in each, and how emissions are divided there.

A *route* is six rates in ppm of gross, per domain and asset. Each change is its next version, and the router splits by
the newest from that moment on, epoch or not; ``from_epoch`` only tells readers of epoch statements since when. Buyback
and foundation are fixed by the ruleset (1 % each): a route that says otherwise is taken, because the router goes by it,
and is a difference. So is an old rate or an old owner that the books do not hold. Refused: a route of another number of
rates, or of more than the whole.

*Emission weights* are five rates in ppm that sum with the foundation's fixed one to the whole. They hold from an epoch
on; of those whose epoch has come, the ones set last. Refused: another sum, or a weight outside the floor and the
ceiling that hold for that epoch. Bounds are parameters of the domain or of all (``bound_key``); without one they are
the ruleset's: 0 to 99 %, and for the owner 0 to 10 %.

Sources: seeds/001 section 1 (routes), section 2 (emission ranges) and section 4 (domain-level weights, global floors
and ceilings); seeds/004 section 3 (the two fixed flows).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import ClassVar, Final

from deepnode_ledger.decoding import ChainEvent
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.posting import Posting
from deepnode_projections.registers.state import State
from deepnode_projections.rules.comparisons import compare, compare_words
from deepnode_projections.rules.epochs import current
from deepnode_projections.rules.parameters import effective_epoch, parameter_key, ruleset_at, value_at
from deepnode_projections.rules.reading import number, text
from deepnode_projections.rules.scene import NoEffect, Rules, Scene
from deepnode_projections.rulesets.ruleset import LEG_NAMES

PPM: Final = 1_000_000
"""The whole, in millionths."""

RATES: Final = ("fees", "buyback", "foundation", "share", "variable_burn", "yield_")
"""A route's rates in the order of the event, by their names in ``Route``."""

ROLES: Final = LEG_NAMES
"""Who emissions are for, in the order of the event, by their names in ``EmissionWeights``."""


@dataclass(frozen=True, slots=True)
class Domain:
    """A field of work with its ``owner`` (20 bytes); ``uri`` is where it is described."""

    TABLE: ClassVar[str] = "domain"
    KEY: ClassVar[int] = 1

    domain: bytes
    owner: bytes
    uri: str
    created_position: int


@dataclass(frozen=True, slots=True)
class Route:
    """The newest route of an asset (20 bytes) in a domain: which part of revenue goes where, in ppm of gross.

    ``version`` counts the changes from 1; the remainders of a split are carried by it. ``fees`` is for payment
    processors (y). ``buyback`` is for buyback and burn. ``foundation`` is for the foundation. ``share`` is the domain's
    own. ``variable_burn`` is d. ``yield_`` is c and comes out of the backers' a. What is left to the whole, with the
    model's x, goes to emissions. ``from_epoch`` is the first epoch whose statements use it; splits do at once.
    """

    TABLE: ClassVar[str] = "route"
    KEY: ClassVar[int] = 2

    domain: bytes
    asset: bytes
    version: int
    fees: int
    buyback: int
    foundation: int
    share: int
    variable_burn: int
    yield_: int
    from_epoch: int

    @property
    def rates(self) -> tuple[int, ...]:
        """The six rates in the order of the event."""
        return tuple(getattr(self, name) for name in RATES)


@dataclass(frozen=True, slots=True)
class EmissionWeights:
    """How a domain's emissions are divided, in ppm: with the foundation's fixed part, the whole.

    ``version`` counts the settings from 1. It holds from ``from_epoch`` on, until the epoch of a later version comes.
    """

    TABLE: ClassVar[str] = "emission_weights"
    KEY: ClassVar[int] = 2

    domain: bytes
    version: int
    from_epoch: int
    miners: int
    stakers: int
    validators: int
    owner: int
    models: int

    @property
    def weights(self) -> tuple[int, ...]:
        """The five weights in the order of the event."""
        return tuple(getattr(self, name) for name in ROLES)


def domain_of(state: State, domain: bytes) -> Domain:
    """Return a domain that must be there.

    Raises:
        NoEffect: it was never created.
    """
    found = state.get(Domain, domain)
    if found is None:
        raise NoEffect(f"domain {to_hex(domain)} was never created")
    return found


def weights_at(state: State, domain: bytes, epoch: int) -> EmissionWeights | None:
    """Return how a domain's emissions are divided in an epoch, as far as it is known now; None if nothing was set."""
    for weights in reversed(state.every(EmissionWeights, domain)):
        if weights.from_epoch <= epoch:
            return weights
    return None


def bound_key(role: str, bound: str) -> bytes:
    """Return the key of the parameter that is the ``floor`` or the ``ceiling`` of a role's weight, in ppm."""
    assert role in ROLES, role
    assert bound in ("floor", "ceiling"), bound
    return parameter_key(f"emission.{role}.{bound}")


def bounds_at(state: State, domain: bytes, role: str, epoch: int) -> tuple[int, int]:
    """Return the lowest and the highest weight of a role in a domain and an epoch, in ppm."""
    ruled = ruleset_at(state, epoch).emission.bounds_of(role)
    floor = value_at(state, domain, bound_key(role, "floor"), epoch)
    ceiling = value_at(state, domain, bound_key(role, "ceiling"), epoch)
    return ruled.floor_ppm if floor is None else floor, ruled.ceiling_ppm if ceiling is None else ceiling


def _created(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    domain = event.word("domain")
    taken = scene.state.get(Domain, domain)
    if taken is not None:
        raise NoEffect(f"domain {to_hex(domain)} is there already, owned by {to_hex(taken.owner)}")
    scene.state.put(Domain(domain, event.address("owner"), text(event, "uri"), scene.position))
    return ()


def _owner_changed(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    known = domain_of(scene.state, event.word("domain"))
    compare_words(scene, "DomainOwnerChanged", "old", known.domain, known.owner, event.address("old"))
    scene.state.put(replace(known, owner=event.address("new_")))
    return ()


def _route_set(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    domain, asset = domain_of(scene.state, event.word("domain")).domain, event.address("asset")
    rates: tuple[int, ...] = tuple(event.args["new_"])
    if len(rates) != len(RATES):
        raise NoEffect(f"{len(rates)} rates: a route has the {len(RATES)} of {', '.join(RATES)}")
    if sum(rates) > PPM:
        raise NoEffect(f"rates {_told(rates)} sum to {sum(rates)} ppm, which is more than {PPM}")
    before = scene.state.get(Route, domain, asset)
    old = tuple(event.args["old"])
    for name, held, said in zip_longest(RATES, before.rates if before else (), old[: len(RATES)]):
        compare(scene, "RevenueRouteSet", f"old {name}", domain + asset, held, said)
    fixed = ruleset_at(scene.state, current(scene.state)).revenue
    for name, ppm in (("buyback", fixed.buyback_ppm), ("foundation", fixed.foundation_ppm)):
        compare(scene, "RevenueRouteSet", name, domain + asset, ppm, rates[RATES.index(name)])
    version = 1 if before is None else before.version + 1
    fees, buyback, foundation, share, variable_burn, yield_ = rates
    scene.state.put(
        Route(
            domain,
            asset,
            version,
            fees,
            buyback,
            foundation,
            share,
            variable_burn,
            yield_,
            number(event, "fromEpoch"),
        )
    )
    return ()


def _weights_set(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    domain = domain_of(scene.state, event.word("domain")).domain
    from_epoch = effective_epoch(scene, number(event, "fromEpoch"))
    weights: tuple[int, ...] = tuple(event.args["new_"])
    foundation = ruleset_at(scene.state, from_epoch).emission.foundation_ppm
    total = sum(weights) + foundation
    if total != PPM:
        raise NoEffect(f"weights {_told(weights)} sum with the foundation's {foundation} to {total} ppm, not to {PPM}")
    for role, weight in zip(ROLES, weights, strict=True):
        floor, ceiling = bounds_at(scene.state, domain, role, from_epoch)
        if not floor <= weight <= ceiling:
            raise NoEffect(f"weight {weight} of {role} is not within {floor} and {ceiling} ppm in epoch {from_epoch}")
    settings = scene.state.every(EmissionWeights, domain)
    held = settings[-1].weights if settings else (0,) * len(ROLES)
    for role, before, said in zip(ROLES, held, event.args["old"], strict=True):
        compare(scene, "EmissionWeightsSet", f"old {role}", domain, before, said)
    miners, stakers, validators, owner, models = weights
    version = len(settings) + 1
    scene.state.put(EmissionWeights(domain, version, from_epoch, miners, stakers, validators, owner, models))
    return ()


def _told(rates: Sequence[int]) -> str:
    return " + ".join(map(str, rates))


RULES: Final[Rules] = {
    ("Domains", "DomainCreated"): _created,
    ("Domains", "DomainOwnerChanged"): _owner_changed,
    ("Domains", "RevenueRouteSet"): _route_set,
    ("Domains", "EmissionWeightsSet"): _weights_set,
}
RECORDS: Final = (Domain, Route, EmissionWeights)
