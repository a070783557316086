"""Buyback and burn: dollars of the legs 3 and 6 buy DN on the market, and all DN that came by them is burned."""

from __future__ import annotations

from random import Random

from deepnode_indexer.devnet import cast_of_accounts as cast
from deepnode_indexer.devnet.history import History
from deepnode_indexer.devnet.mempool import Mempool
from deepnode_indexer.devnet.population import DN, USDC, Population, Turn

FIRST_PRICE = 2 * 10**18 + 33
"""DN base units for a dollar (10**6 base units of USDC)."""

_BUYBACK_LEG, _BURN_LEG = 3, 6
_SOURCES = {_BUYBACK_LEG: b"buyback".ljust(32, b"\0"), _BURN_LEG: b"variableBurn".ljust(32, b"\0")}
_PRICE_UNIT = 10**6
_EVERY_STEPS = 12
_SLIPPAGE_PERCENT = 1


class Burning:
    """The keeper of the burner, and the market's moods. What is due is read off the chain's events."""

    def __init__(self, population: Population, mempool: Mempool, history: History) -> None:
        self._population = population
        self._rng = Random(f"{population.seed} burning")  # noqa: S311 - nothing here is secret
        self._mempool = mempool
        self._history = history
        self._legs_of_batches: dict[bytes, int] = {}

    def take_turn(self, turn: Turn, step: int) -> None:
        """Release and swap every dozen blocks; burn what the last swap has brought."""
        if step % _EVERY_STEPS == 0:
            self._release(turn)
        elif step % _EVERY_STEPS == 2:
            left: int = self._mempool.read(USDC, "balanceOf", self._population.addresses["Burner"])
            for leg in _SOURCES:
                left -= self._buy(turn, leg, step, left)
        elif step % _EVERY_STEPS == 4:
            self._burn(turn)
        # Behind the swaps: they were promised the price of the block before.
        if self._rng.randrange(1_000) < 50:
            price = FIRST_PRICE * self._rng.randrange(60, 160) // 100
            turn.call(cast.DEPLOYER, "MarketStandIn", "setPrice", self._population.addresses[USDC], price)

    def _release(self, turn: Turn) -> None:
        for asset in (DN, USDC):
            address = self._population.addresses[asset]
            turn.release(self._mempool, _BUYBACK_LEG, bytes(32), address)
            for domain in self._population.domains:
                turn.release(self._mempool, _BURN_LEG, domain, address)

    def _buy(self, turn: Turn, leg: int, step: int, left: int) -> int:
        """Spend the dollars that came by a leg, but no more than are left here; how many that is."""
        usdc = self._population.addresses[USDC]
        spent = sum(
            event.args["amountIn"]
            for event in self._history.of("BuybackExecuted")
            if self._legs_of_batches.get(event.args["batch"]) == leg
        )
        amount: int = min(self._released(leg, USDC) - spent, left)
        price: int = self._mempool.read("MarketStandIn", "priceOf", usdc)
        least = amount * price // _PRICE_UNIT * (100 - _SLIPPAGE_PERCENT) // 100
        if least <= 0:
            return 0
        batch = self._population.identity(f"batch of leg {leg}", step)
        self._legs_of_batches[batch] = leg
        turn.call(cast.BURN_KEEPER, "Burner", "executeBuyback", batch, usdc, amount, least)
        return amount

    def _burn(self, turn: Turn) -> None:
        """Burn what each swap has brought, and the buyback's share of payments in DN, which needs no market.

        The variable burn's share of those never comes here: it burns at its release.
        """
        due: list[tuple[bytes, bytes, int]] = []
        burned = {event.args["ref"] for event in self._history.of("DNBurned")}
        for event in self._history.of("BuybackExecuted"):
            batch = event.args["batch"]
            if batch not in burned:
                due.append((_SOURCES[self._legs_of_batches[batch]], batch, event.args["dnOut"]))
        direct = [e for e in self._history.of("DNBurned") if e.args["ref"] not in self._legs_of_batches]
        amount = self._released(_BUYBACK_LEG, DN) - sum(event.args["amount"] for event in direct)
        if amount > 0:
            due.append((_SOURCES[_BUYBACK_LEG], self._population.identity("direct burn", len(direct)), amount))
        # A reorg can burn a swap's DN and undo the swap: then there is less here than the sums say.
        left: int = self._mempool.read(DN, "balanceOf", self._population.addresses["Burner"])
        for source, ref, amount in due:
            if amount <= left:
                left -= amount
                turn.call(cast.BURN_KEEPER, "Burner", "burn", source, ref, amount)

    def _released(self, leg: int, asset: str) -> int:
        address = bytes.fromhex(self._population.addresses[asset][2:])
        return sum(event.args["amount"] for event in self._history.of("Released", leg=leg, asset=address))
