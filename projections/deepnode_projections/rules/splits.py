"""Splits: what each leg of a payment should be, held against what the router made it.

The rates are the model's (b for its creator, a for its backers), those of the newest route of its domain, and what
the ruleset of the open epoch makes of them; the emission's leg is what the others leave. A leg is its rate of
everything that was split so far: what is less than a base unit of it is carried to the next payment of the same
model, asset and version of the route. So all legs together are the gross, but for the carries, which are whole units
together and wait in suspense.

What the router did is a fact that is booked as it is. Each leg that differs from the expectation is a difference.

Sources: seeds/001 section 1, seeds/004 step 3, DESIGN section 6.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import ClassVar, Final

from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.vocabulary import LEGS
from deepnode_projections import rulesets
from deepnode_projections.maths.carry import split_by
from deepnode_projections.maths.rates import Rates, RatesRefused, nine_rates
from deepnode_projections.registers.record import Amount
from deepnode_projections.rules.comparisons import compare
from deepnode_projections.rules.domains import Route
from deepnode_projections.rules.epochs import current
from deepnode_projections.rules.parameters import ruleset_at, ruleset_hash_in_force
from deepnode_projections.rules.pockets import bounded
from deepnode_projections.rules.registry import Model
from deepnode_projections.rules.scene import Scene
from deepnode_projections.rulesets.ruleset import Ruleset

SUBJECT: Final = "RevenueSplit"

_LEGS_OF: Final[Callable[["Carry | SplitTotal"], tuple[int, ...]]] = attrgetter(
    *("creator", "backers", "fees", "buyback", "foundation", "domain", "variable_burn", "yield_", "emission")
)
"""Reads the legs of a record in the order of ``vocabulary.LEGS``."""


@dataclass(frozen=True, slots=True)
class Carry:
    """What is less than a base unit of each leg of revenue, and waits for the next payment.

    ``version`` is that of the domain's route by which was split, ``asset`` the token (20 bytes). All legs are in
    millionths of a base unit.
    """

    TABLE: ClassVar[str] = "carry"
    KEY: ClassVar[int] = 3

    model: bytes
    version: int
    asset: bytes
    creator: int
    backers: int
    fees: int
    buyback: int
    foundation: int
    domain: int
    variable_burn: int
    yield_: int
    emission: int

    @property
    def legs(self) -> tuple[int, ...]:
        """The carries in the order of ``vocabulary.LEGS``."""
        return _LEGS_OF(self)


@dataclass(frozen=True, slots=True)
class SplitTotal:
    """Everything that the router has split for a model in an asset: the gross, and each leg of it, in base units.

    ``asset`` is the token (20 bytes). ``gross`` is what was split. ``yield_`` is the leg that comes out of the
    backers'.
    """

    TABLE: ClassVar[str] = "split_total"
    KEY: ClassVar[int] = 2

    model: bytes
    asset: bytes
    gross: Amount
    creator: Amount
    backers: Amount
    fees: Amount
    buyback: Amount
    foundation: Amount
    domain: Amount
    variable_burn: Amount
    yield_: Amount
    emission: Amount

    @property
    def legs(self) -> tuple[int, ...]:
        """The totals in the order of ``vocabulary.LEGS``."""
        return _LEGS_OF(self)

    @property
    def suspense(self) -> int:
        """What no leg has got yet."""
        return self.gross - sum(self.legs)


def rates_of(ruleset: Ruleset, model: Model, route: Route) -> Rates:
    """Return the rates of the nine legs of a model's revenue on a route.

    Raises:
        RatesRefused: the model's and the route's rates do not go together.
    """
    return nine_rates(
        ruleset.revenue,
        a=model.a,
        b=model.b,
        fees=route.fees,
        buyback=route.buyback,
        foundation=route.foundation,
        domain=route.share,
        variable_burn=route.variable_burn,
        yield_=route.yield_,
    )


def add_split(
    scene: Scene, model: Model, asset: bytes, receipt: bytes, gross: int, legs: Sequence[int], ruleset: bytes
) -> bool:
    """Add a split to its model's totals, and hold it against what the rules give; return whether it is as expected.

    Args:
        scene: of the event that reports the split.
        model: whose revenue it is.
        asset: the token (20 bytes).
        receipt: of the payment (32 bytes); differences are named by it.
        gross: what was split, in base units.
        legs: what the router made of it, in the order of ``vocabulary.LEGS``.
        ruleset: the hash of the ruleset by which the router says that it split.

    Raises:
        AmountTooLarge: the totals become too large.
    """
    before = scene.state.get(SplitTotal, model.model, asset) or SplitTotal(model.model, asset, 0, *[0] * len(LEGS))
    sums = [bounded(total + leg) for total, leg in zip(before.legs, legs, strict=True)]
    total = SplitTotal(model.model, asset, bounded(before.gross + gross), *sums)
    scene.state.put(total)
    route = scene.state.get(Route, model.domain, asset)
    if route is None:
        expected, reason = _NOTHING, f"no route is known of {to_hex(asset)} in domain {to_hex(model.domain)}"
    else:
        expected, reason = _expected(scene, model, route, gross, ruleset)
    agreed = [
        compare(scene, SUBJECT, leg, receipt, should_be, is_, reason)
        for leg, should_be, is_ in zip(LEGS, expected, legs, strict=True)
    ]
    if route is not None:
        # Nine carries, each less than a unit and whole units together: eight units at most, for each of the versions.
        suspense = bounded(total.suspense)
        within = min(max(suspense, 0), (len(LEGS) - 1) * route.version)
        reason = "less than nothing" if suspense < 0 else "more than carries can be"
        agreed.append(compare(scene, SUBJECT, "suspense", receipt, within, suspense, reason))
    return all(agreed)


RECORDS: Final = (Carry, SplitTotal)

_NOTHING: Final[Sequence[int | None]] = (None,) * len(LEGS)


def _expected(scene: Scene, model: Model, route: Route, gross: int, said: bytes) -> tuple[Sequence[int | None], str]:
    """Return what the legs should be, carrying what they leave; and why they may differ, or why nothing is expected."""
    epoch = current(scene.state)
    in_force = ruleset_hash_in_force(scene.state, epoch)
    if in_force is not None and scene.state.ruling is None and rulesets.by_hash(in_force) is None:
        return _NOTHING, f"the ruleset in force is not known: {to_hex(in_force)}"
    ruleset = ruleset_at(scene.state, epoch)
    try:
        rates = rates_of(ruleset, model, route)
    except RatesRefused as refused:
        return _NOTHING, str(refused)
    key = (model.model, route.version, route.asset)
    before = scene.state.get(Carry, *key) or Carry(*key, *[0] * len(LEGS))
    made = split_by(ruleset.revenue.rounding, gross, rates, before.legs)
    scene.state.put(Carry(*key, *made.carries))
    other = "" if rulesets.by_hash(said) == ruleset else f"split by another ruleset than that in force: {to_hex(said)}"
    return made.legs, other
