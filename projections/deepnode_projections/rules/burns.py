"""Burns: how legs of revenue become DN that no longer exists.

Three events, each with its own total: the accrual (the router releases the buyback or the variable-burn leg:
``revenue.ReleasedTotal``), the swap of what accrued for DN (``Buyback``), and the burn (``Burned``). A burn may name
the batch that its DN was bought in. No money moves here: it does so by transfers, and a burn is one to the zero
address.

Refused: a batch of a known id within its contract, and a swap of what is no token of the manifest. That a swap
brought less than its minimum, or that more of a batch is burned than it bought, is not refused: it is a difference.

Source: seeds/001 section 1, seeds/004 section 3.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from deepnode_ledger.decoding import ChainEvent
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.posting import Posting
from deepnode_projections.registers.record import Amount
from deepnode_projections.rules.comparisons import compare
from deepnode_projections.rules.pockets import bounded, token
from deepnode_projections.rules.reading import amount
from deepnode_projections.rules.scene import NoEffect, Rules, Scene


@dataclass(frozen=True, slots=True)
class Buyback:
    """A swap of what has accrued to be burned, for DN.

    ``batch`` is its id within the ``contract`` (20 bytes). ``amount_in`` is in base units of the token ``asset_in`` (20
    bytes). ``dn_out`` is what the swap brought, ``min_out`` what it had to bring at least, ``burned`` what is burned of
    it by now; all three in base units of DN.
    """

    TABLE: ClassVar[str] = "buyback"
    KEY: ClassVar[int] = 2

    batch: bytes
    contract: bytes
    asset_in: bytes
    amount_in: Amount
    dn_out: Amount
    min_out: Amount
    burned: Amount
    executed_position: int


@dataclass(frozen=True, slots=True)
class BuybackTotal:
    """All swaps of a token for DN together.

    ``amount_in`` is in base units of the token ``asset_in`` (20 bytes), ``dn_out`` in base units of DN.
    """

    TABLE: ClassVar[str] = "buyback_total"
    KEY: ClassVar[int] = 1

    asset_in: bytes
    amount_in: Amount
    dn_out: Amount


@dataclass(frozen=True, slots=True)
class Burn:
    """A burn of DN.

    ``source`` says by what it came: a text padded with zeros, such as buyback or variableBurn. ``ref`` is what it
    belongs to. ``amount`` is in base units of DN. ``of_batch`` says that it belongs to the batch of a buyback.
    """

    TABLE: ClassVar[str] = "burn"
    KEY: ClassVar[int] = 1

    burned_position: int
    source: bytes
    ref: bytes
    amount: Amount
    of_batch: bool


@dataclass(frozen=True, slots=True)
class Burned:
    """All burns of a source together.

    ``source`` is a text padded with zeros, such as buyback or variableBurn. ``amount`` is in base units of DN.
    """

    TABLE: ClassVar[str] = "burned"
    KEY: ClassVar[int] = 1

    source: bytes
    amount: Amount


def _buyback_executed(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    state, batch, contract = scene.state, event.word("batch"), event.contract.address
    if state.get(Buyback, batch, contract) is not None:
        raise NoEffect(f"a second buyback of one id: batch {to_hex(batch)}")
    asset_in = token(event, scene, "assetIn")
    amount_in, dn_out, min_out = (amount(event, name) for name in ("amountIn", "dnOut", "minOut"))
    state.put(Buyback(batch, contract, asset_in, amount_in, dn_out, min_out, 0, scene.position))
    total = state.get(BuybackTotal, asset_in) or BuybackTotal(asset_in, 0, 0)
    state.put(BuybackTotal(asset_in, bounded(total.amount_in + amount_in), bounded(total.dn_out + dn_out)))
    compare(scene, event.name, "dnOut", batch, max(dn_out, min_out), dn_out, "less than the minimum of the swap")
    return ()


def _burned(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    state, source, ref, burned = scene.state, event.word("source"), event.word("ref"), amount(event, "amount")
    batch = state.get(Buyback, ref, event.contract.address)
    state.put(Burn(scene.position, source, ref, burned, batch is not None))
    total = state.get(Burned, source) or Burned(source, 0)
    state.put(Burned(source, bounded(total.amount + burned)))
    if batch is not None:
        of_batch = bounded(batch.burned + burned)
        state.put(replace(batch, burned=of_batch))
        reason = "more than the batch bought"
        compare(scene, event.name, "batch", ref, min(of_batch, batch.dn_out), of_batch, reason)
    return ()


RULES: Final[Rules] = {("Burner", "BuybackExecuted"): _buyback_executed, ("Burner", "DNBurned"): _burned}
RECORDS: Final = (Buyback, BuybackTotal, Burn, Burned)
