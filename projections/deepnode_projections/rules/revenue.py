"""Revenue: every payment for the use of a model, from its receipt to the pockets of nine legs and out of them.

A payment waits in escrow until it is split or refunded, once. A split fills the pockets of its legs; what is less
than a base unit of a leg waits in suspense (``splits`` says what each leg should be). A pocket is paid out by
``Released``.

Refused: an asset that is no token of the manifest, revenue of a model that was never registered, a second receipt of
one id, a second split or refund of a receipt, a refund of a receipt that was never seen, and a leg that there is not.
A split of a receipt that was never seen is booked: the money is there, whoever paid it. A receipt is known by its id
within its contract.

Sources: seeds/001 section 1, seeds/004 step 3, seeds/000 section 4.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from deepnode_ledger.decoding import ChainEvent
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.posting import Posting, postings
from deepnode_ledger.vocabulary import LEGS
from deepnode_projections.registers.record import Amount
from deepnode_projections.rules.comparisons import compare
from deepnode_projections.rules.pockets import bounded, comes_in, goes_out, leg_pocket, pocket_of, token
from deepnode_projections.rules.registry import Model
from deepnode_projections.rules.scene import NoEffect, Rules, Scene
from deepnode_projections.rules.splits import RECORDS as SPLIT_RECORDS
from deepnode_projections.rules.splits import add_split

RECEIVED: Final = "received"
SETTLED: Final = "settled"
REFUNDED: Final = "refunded"


@dataclass(frozen=True, slots=True)
class Receipt:
    """A payment for the use of a model, and what became of it.

    ``receipt`` is its id within the ``contract`` (20 bytes), ``asset`` the token and ``payer`` who paid (20 bytes
    each). ``amount`` is in base units of the asset. ``ref`` names the task. ``stage`` is received, settled or refunded.
    ``as_expected`` says whether the payment was split as the rules give.
    """

    TABLE: ClassVar[str] = "receipt"
    KEY: ClassVar[int] = 2
    FOUND_BY: ClassVar[tuple[str, ...]] = ("model",)

    receipt: bytes
    contract: bytes
    model: bytes
    asset: bytes
    payer: bytes
    amount: Amount
    ref: bytes
    stage: str
    as_expected: bool | None
    received_position: int
    closed_position: int | None


@dataclass(frozen=True, slots=True)
class ReleasedTotal:
    """What was paid out of the pocket of a leg of revenue, all of the time together.

    ``leg`` is one of the nine legs of a split. ``beneficiary`` is the model or the domain, or zeros for the whole
    network. ``asset`` is the token (20 bytes). ``amount`` is in base units; of the legs buyback and variableBurn it is
    what has accrued to be swapped and burned.
    """

    TABLE: ClassVar[str] = "released_total"
    KEY: ClassVar[int] = 3

    leg: str
    beneficiary: bytes
    asset: bytes
    amount: Amount


def _received(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    asset = token(event, scene)
    receipt, model, paid = event.word("receipt"), event.word("model"), event.uint("amount")
    moved = comes_in(event, asset, paid, pocket_of(event.contract, "Escrow", model))
    if _receipt(event, scene) is not None:
        raise NoEffect(f"a second receipt of one id: {_named(receipt)}")
    payer, ref = event.address("payer"), event.word("ref")
    scene.state.put(
        Receipt(receipt, event.contract.address, model, asset, payer, paid, ref, RECEIVED, None, scene.position, None)
    )
    return moved


def _refunded(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    receipt, back = _receipt(event, scene), event.uint("amount")
    if receipt is None:
        raise NoEffect(f"a refund of a receipt that was never seen: {_named(event.word('receipt'))}")
    _require_received(receipt, "a refund")
    moved = goes_out(event, receipt.asset, back, pocket_of(event.contract, "Escrow", receipt.model))
    scene.state.put(replace(receipt, stage=REFUNDED, closed_position=scene.position))
    compare(scene, event.name, "amount", receipt.receipt, receipt.amount, back)
    return moved


def _split(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    asset = token(event, scene)
    model, gross = scene.state.get(Model, event.word("model")), event.uint("gross")
    if model is None:
        raise NoEffect(f"revenue of a model that was never registered: model {to_hex(event.word('model'))}")
    receipt, legs = _receipt(event, scene), [event.uint(leg) for leg in LEGS]
    if receipt is not None:
        _require_received(receipt, "a split")
    pockets = [leg_pocket(event.contract, leg, model.model, model.domain) for leg in LEGS]
    moves = [(pocket_of(event.contract, "Escrow", model.model), -gross), *zip(pockets, legs, strict=True)]
    # What is less than a base unit of a leg waits here for the next payment; a leg may also draw on it.
    moves.append((pocket_of(event.contract, "Suspense", model.model), gross - sum(legs)))
    moved = postings(asset, moves)
    as_expected = add_split(scene, model, asset, event.word("receipt"), gross, legs, event.word("ruleset"))
    if receipt is not None:
        as_expected &= compare(scene, event.name, "gross", receipt.receipt, receipt.amount, gross)
        closed = replace(receipt, stage=SETTLED, as_expected=as_expected, closed_position=scene.position)
        scene.state.put(closed)
    return moved


def _released(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    number, paid = event.uint("leg"), event.uint("amount")
    if number >= len(LEGS):
        raise NoEffect(f"leg {number}: a split has the legs 0 to {len(LEGS) - 1}")
    leg, beneficiary, asset = LEGS[number], event.word("beneficiary"), token(event, scene)
    moved = goes_out(event, asset, paid, leg_pocket(event.contract, leg, beneficiary, beneficiary))
    before = scene.state.get(ReleasedTotal, leg, beneficiary, asset) or ReleasedTotal(leg, beneficiary, asset, 0)
    scene.state.put(replace(before, amount=bounded(before.amount + paid)))
    return moved


RULES: Final[Rules] = {
    ("RevenueRouter", "RevenueReceived"): _received,
    ("RevenueRouter", "RevenueRefunded"): _refunded,
    ("RevenueRouter", "RevenueSplit"): _split,
    ("RevenueRouter", "Released"): _released,
}
RECORDS: Final = (Receipt, ReleasedTotal, *SPLIT_RECORDS)


def _receipt(event: ChainEvent, scene: Scene) -> Receipt | None:
    return scene.state.get(Receipt, event.word("receipt"), event.contract.address)


def _require_received(receipt: Receipt, step: str) -> None:
    if receipt.stage != RECEIVED:
        raise NoEffect(f"{step} of a receipt that is {receipt.stage} already: {_named(receipt.receipt)}")


def _named(receipt: bytes) -> str:
    return f"receipt {to_hex(receipt)}"
