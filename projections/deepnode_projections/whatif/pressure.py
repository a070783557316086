"""Sell pressure under a scenario: what a domain's emission asks of the market, beside the value created, by epoch.

As ``rules.economics`` draws it up, with the scenario's division in place of the chain's. The documents count what
miners and stakers get; the ruleset lets everybody sell. Both are here: ``needed`` for all that was paid out, and
``two_needed`` for the legs of miners and stakers alone.

Source: seeds/001 section 3.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from deepnode_projections.maths.sell_pressure import pressure
from deepnode_projections.registers.state import State
from deepnode_projections.rules.economics import Economics, Revenue
from deepnode_projections.rules.emission import Allocation
from deepnode_projections.rulesets.ruleset import PPM
from deepnode_projections.whatif.division import Division, Where
from deepnode_projections.whatif.recording import RecordingState
from deepnode_projections.whatif.scenario import Scenario
from deepnode_projections.whatif.seen import Seen

TWO_LEGS: Final = ("miners", "stakers")
"""The legs that the documents reckon with: 41 % each."""

Prices = Mapping[bytes, int | None]


@dataclass(frozen=True, slots=True)
class PressureRow:
    """A domain's epoch in millionths of a dollar; the first fields are those of the books' ``Economics``.

    ``two_emitted`` is what miners and stakers got, ``two_needed`` the value from outside that this needs. ``coverage``
    is created of needed in ppm, None where nothing was needed.
    """

    epoch: int
    domain: bytes
    emitted: int
    sold: int
    needed: int
    created: int
    coverage: int | None
    unpriced: int
    two_emitted: int
    two_needed: int

    def is_as(self, books: Economics) -> bool:
        """Say whether the books hold the same of the domain's epoch."""
        held = (books.emitted, books.sold, books.needed, books.created, books.coverage, books.unpriced)
        return held == (self.emitted, self.sold, self.needed, self.created, self.coverage, self.unpriced)


def pressures(
    was: RecordingState,
    state: State,
    scenario: Scenario,
    division: Division,
    places: Collection[tuple[int, bytes]],
    minted: bytes | None,
    one: Mapping[bytes, int],
) -> tuple[PressureRow, ...]:
    """Draw up domains' epochs, in their order.

    Prices are those that were known when the chain allocated the domain's emission; a domain to which the chain
    allocated nothing has those of the epoch's last allocation.

    Args:
        was: the replay as it was.
        state: the replay under the scenario.
        scenario: whose assumptions hold.
        division: of the pools under the scenario.
        places: the epochs and domains that are drawn up.
        minted: the token that emissions are minted in, None if there is none.
        one: base units of a whole token, by token (20 bytes).
    """
    of_epoch: dict[int, Prices] = {}
    for (epoch, _), known in was.prices.items():
        of_epoch[epoch] = known
    made = []
    for epoch, domain in sorted(places):
        own = was.prices.get((epoch, domain))
        prices: Prices = of_epoch.get(epoch, {}) if own is None else own
        dollars = _Dollars(prices, one)
        emitted = two = 0
        where = (epoch, domain, minted or b"")
        if where in division.pools:
            paid, of_two = _paid(was, division, where)
            emitted, two = dollars.of(where[2], paid), dollars.again(where[2], of_two)
        created = sum(dollars.of(each.asset, each.gross) for each in was.every(Revenue, epoch, domain))
        rules = Seen(state, scenario, epoch).rules.economics
        found, of_legs = pressure(rules, emitted, created), pressure(rules, two, created)
        coverage = created * PPM // found.needed if found.needed else None
        made.append(
            PressureRow(
                *(epoch, domain, emitted, found.sold, found.needed, created, coverage, dollars.unpriced),
                *(two, of_legs.needed),
            )
        )
    return tuple(made)


def _paid(was: State, division: Division, where: Where) -> tuple[int, int]:
    """Return what of a pool was paid to anybody, and what to miners and stakers (base units)."""
    legs = division.pools[where].legs
    if legs is not None:
        return legs.total - legs.undistributed, sum(getattr(legs, leg) for leg in TWO_LEGS)
    # Where no weights are known the rules give nothing, and what the chain did stands.
    fact = was.get(Allocation, *where)
    return (0, 0) if fact is None else (fact.pool - fact.undistributed, fact.miners + fact.stakers)


class _Dollars:
    """Values amounts, and counts those that have no price."""

    def __init__(self, prices: Prices, one: Mapping[bytes, int]) -> None:
        self.unpriced = 0
        self._prices = prices
        self._one = one

    def of(self, asset: bytes, base_units: int) -> int:
        """Return the value in millionths of a dollar, rounded down; 0, and counted, without a price."""
        self.unpriced += not self._is_priced(asset)
        return self.again(asset, base_units)

    def again(self, asset: bytes, base_units: int) -> int:
        """Return the value of what was counted already as a part of something else."""
        price = self._prices.get(asset)
        return base_units * price // self._one[asset] if price is not None and self._is_priced(asset) else 0

    def _is_priced(self, asset: bytes) -> bool:
        return self._prices.get(asset) is not None and asset in self._one
