"""Economics: what an epoch's emission would cost the market, beside the value that was created in the same time.

The "41/41" argument: who is paid in new tokens sells some of them, and the market has to bring that much, and what a
sale costs, from outside. Here it is drawn up by domain and epoch, in millionths of a dollar, from what the books hold:
the revenue that was split, what was allocated, and the prices that were observed. How much is sold, and what a sale
costs, are assumptions of the ruleset, so that the argument can be replayed under others. What has no price in dollars
is left out, and counted.

Source: seeds/001 section 3.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from deepnode_ledger.decoding import ChainEvent
from deepnode_ledger.posting import Posting
from deepnode_projections.maths.sell_pressure import pressure
from deepnode_projections.registers.record import Amount
from deepnode_projections.registers.state import State
from deepnode_projections.rules.emission import Allocation
from deepnode_projections.rules.epochs import current
from deepnode_projections.rules.observations import Price
from deepnode_projections.rules.parameters import ruleset_at
from deepnode_projections.rules.pockets import bounded, token
from deepnode_projections.rules.reading import amount, number
from deepnode_projections.rules.registry import Model
from deepnode_projections.rules.scene import Rules, Scene
from deepnode_projections.rulesets.ruleset import PPM

FIAT: Final = "USD"


@dataclass(frozen=True, slots=True)
class Revenue:
    """What came in for a domain's models and was split in an epoch (base units of the asset), in so many receipts."""

    TABLE: ClassVar[str] = "revenue"
    KEY: ClassVar[int] = 3

    epoch: int
    domain: bytes
    asset: bytes
    gross: Amount
    receipts: int


@dataclass(frozen=True, slots=True)
class Economics:
    """A domain's epoch in millionths of a dollar, at the prices that were known when its emission was allocated.

    ``emitted`` is what was allocated to somebody, ``sold`` the part of it that the ruleset takes for sold, ``needed``
    the value from outside that it takes to bear that, ``created`` the revenue. ``coverage`` is what was created of what
    was needed, in ppm; None if nothing was needed. ``unpriced`` counts amounts left out for want of a price.
    """

    TABLE: ClassVar[str] = "economics"
    KEY: ClassVar[int] = 2

    epoch: int
    domain: bytes
    emitted: Amount
    sold: Amount
    needed: Amount
    created: Amount
    coverage: Amount | None
    unpriced: int


def _split(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    state, asset = scene.state, token(event, scene)
    model = state.get(Model, event.word("model"))
    assert model is not None, "rules.revenue has a rule for the same event, and comes first"
    key = (current(state), model.domain, asset)
    before = state.get(Revenue, *key) or Revenue(*key, 0, 0)
    gross = bounded(before.gross + amount(event, "gross"))
    state.put(replace(before, gross=gross, receipts=before.receipts + 1))
    return ()


def _allocated(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    state, epoch, domain = scene.state, number(event, "epoch"), event.word("domain")
    emitted = created = unpriced = 0
    for allocation in state.every(Allocation, epoch, domain):
        # What revenue brought in another token was sold by nobody: it is paid on as it came.
        if allocation.asset == _minted(event, scene):
            paid = allocation.pool - allocation.undistributed
            value = _in_dollars(scene, allocation.asset, paid)
            emitted, unpriced = emitted + (value or 0), unpriced + (value is None)
    for revenue in state.every(Revenue, epoch, domain):
        value = _in_dollars(scene, revenue.asset, revenue.gross)
        created, unpriced = created + (value or 0), unpriced + (value is None)
    found = pressure(ruleset_at(state, epoch).economics, emitted, created)
    coverage = found.created * PPM // found.needed if found.needed else None
    state.put(Economics(epoch, domain, emitted, found.sold, found.needed, created, coverage, unpriced))
    return ()


def price_of(state: State, asset: bytes) -> int | None:
    """Return the price of a whole token in millionths of a dollar: the lower median of what the sources say newest."""
    told = [each.price_ppm for each in state.every(Price, asset, FIAT)]
    prices = sorted(price for price in told if price is not None)
    return prices[(len(prices) - 1) // 2] if prices else None


def _in_dollars(scene: Scene, asset: bytes, base_units: int) -> int | None:
    price, contract = price_of(scene.state, asset), scene.contract(asset)
    if price is None or contract is None or contract.decimals is None:
        return None
    one: int = 10**contract.decimals
    return base_units * price // one


def _minted(event: ChainEvent, scene: Scene) -> bytes | None:
    """The token that the emission contract mints, if the manifest says which."""
    return None if event.contract.asset is None else scene.manifest.by_name(event.contract.asset).address


RULES: Final[Rules] = {
    ("RevenueRouter", "RevenueSplit"): _split,
    ("Emission", "EpochAllocated"): _allocated,
}
RECORDS: Final = (Revenue, Economics)
