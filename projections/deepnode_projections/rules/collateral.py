"""Collateral: what stands behind a node's work, and the cases in which it may be taken.

A node's collateral is free until a review freezes some of it. A case is flagged, its review opened (the amount is
frozen), and decided: the frozen amount is burned, paid as compensation, returned to the operator, or kept as the
node's free collateral. A decided case may be appealed. A review that is reversed upon an appeal is reviewed once more
as a new case, which begins open and with nothing frozen: what the old verdict moved is not undone by it.

Refused: whatever does not follow in this order, a case of a known id, and a verdict that divides another amount than
is frozen. A case is known by its id within its contract.

What a contract pays out is booked even where it had not told of so much coming in: ``free`` is then negative. A
withdrawal that was announced moves nothing; the money stays within a review's reach.

Source: seeds/000 steps 0 and 3 and section 3 (e is burned, f is returned).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from deepnode_ledger.account import UNATTRIBUTED
from deepnode_ledger.decoding import ChainEvent
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.posting import Posting, postings
from deepnode_projections.registers.record import Amount
from deepnode_projections.rules.pockets import asset_of, bounded, comes_in, goes_out, pocket_of
from deepnode_projections.rules.reading import amount, number, text
from deepnode_projections.rules.scene import NoEffect, Rules, Scene

FLAGGED: Final = "flagged"
OPEN: Final = "open"
DECIDED: Final = "decided"
APPEALED: Final = "appealed"
REVERSED: Final = "reversed"


@dataclass(frozen=True, slots=True)
class Collateral:
    """What stands behind a node's work.

    ``free`` is what no review has frozen, in base units; it is below 0 where the contract paid out more than it had
    told of coming in. ``frozen`` is what reviews that are open hold back, in base units.
    """

    TABLE: ClassVar[str] = "collateral"
    KEY: ClassVar[int] = 1

    node: bytes
    free: Amount
    frozen: Amount


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What a node's operator announced to take out of its free collateral.

    ``amount`` is in base units, and 0 once it was taken. ``unlock_at`` is the time from which on it may be taken, in
    seconds since 1970.
    """

    TABLE: ClassVar[str] = "withdrawal"
    KEY: ClassVar[int] = 1

    node: bytes
    amount: Amount
    unlock_at: int


@dataclass(frozen=True, slots=True)
class CollateralCase:
    """An accusation against a node, and what came of it.

    ``case`` is its id within the ``contract`` (20 bytes) that holds the collateral. ``task`` is the one that ``node``
    is said to have misbehaved in, ``reporter`` (20 bytes) who says so. ``severity`` counts from 1 up. ``evidence_hash``
    (32 bytes) is that of the reporter's evidence. ``stage`` is flagged, open, decided, appealed or reversed. ``frozen``
    is what the review froze, in base units. Of it, ``burned`` is destroyed, ``compensated`` goes to those who were
    harmed, ``returned`` to the operator, and ``retained`` stays as free collateral; they sum to what was frozen.
    ``verdict`` is 0 for a dismissed case, 1 for minor and 2 for harmful behaviour. ``reviewer`` (20 bytes) decided so.
    The reason stands at ``uri`` and has the hash ``reason_hash`` (32 bytes). ``appealed_by`` (20 bytes) has objected to
    the verdict, with grounds of the hash ``appeal_hash`` (32 bytes). ``successor`` is the case in which a reversed one
    is reviewed again. ``reverses`` is the case that this one is the successor of.
    """

    TABLE: ClassVar[str] = "collateral_case"
    KEY: ClassVar[int] = 2
    FOUND_BY: ClassVar[tuple[str, ...]] = ("node",)

    case: bytes
    contract: bytes
    node: bytes
    task: bytes
    reporter: bytes
    severity: int
    evidence_hash: bytes
    stage: str
    flagged_position: int
    frozen: Amount = 0
    burned: Amount = 0
    compensated: Amount = 0
    returned: Amount = 0
    retained: Amount = 0
    verdict: int | None = None
    reviewer: bytes | None = None
    reason_hash: bytes | None = None
    uri: str | None = None
    decided_position: int | None = None
    appealed_by: bytes | None = None
    appeal_hash: bytes | None = None
    reverses: bytes | None = None
    successor: bytes | None = None


def _deposited(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    node, paid = event.word("node"), event.uint("amount")
    moved = comes_in(event, asset_of(event, scene), paid, pocket_of(event.contract, "Free", node))
    _change(scene, node, free=paid)
    return moved


def _withdrawal_requested(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    # A later request takes the place of an earlier one.
    scene.state.put(Withdrawal(event.word("node"), amount(event, "amount"), number(event, "unlockAt")))
    return ()


def _withdrawn(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    node, taken = event.word("node"), event.uint("amount")
    moved = goes_out(event, asset_of(event, scene), taken, pocket_of(event.contract, "Free", node))
    _change(scene, node, free=-taken)
    requested = scene.state.get(Withdrawal, node)
    if requested is not None:
        scene.state.put(replace(requested, amount=0))
    return moved


def _flagged(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    case = CollateralCase(
        _new_id(event, scene, "caseId"),
        event.contract.address,
        event.word("node"),
        event.word("taskId"),
        event.address("reporter"),
        event.uint("severity"),
        event.word("evidenceHash"),
        FLAGGED,
        scene.position,
    )
    scene.state.put(case)
    return ()


def _review_opened(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    case = _case_at(event, scene, FLAGGED, "a review of")
    frozen = event.uint("frozen")
    moves = [
        (pocket_of(event.contract, "Free", case.node), -frozen),
        (pocket_of(event.contract, "Frozen", case.case), frozen),
    ]
    moved = postings(asset_of(event, scene), moves)
    _change(scene, case.node, free=-frozen, frozen=frozen)
    scene.state.put(replace(case, stage=OPEN, frozen=frozen))
    return moved


def _review_decided(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    case = _case_at(event, scene, OPEN, "a verdict on")
    burned, compensated, returned, retained = (
        event.uint(part) for part in ("burned", "compensated", "returned", "retained")
    )
    # These three leave the contract by transfers of the same transaction.
    leaving = burned + compensated + returned
    if leaving + retained != case.frozen:
        raise NoEffect(f"a verdict divides {leaving + retained} where {case.frozen} is frozen: {_named(case.case)}")
    moves = [
        (pocket_of(event.contract, "Frozen", case.case), -case.frozen),
        (pocket_of(event.contract, UNATTRIBUTED), leaving),
        (pocket_of(event.contract, "Free", case.node), retained),
    ]
    moved = postings(asset_of(event, scene), moves)
    _change(scene, case.node, free=retained, frozen=-case.frozen)
    decided = replace(
        case,
        stage=DECIDED,
        burned=burned,
        compensated=compensated,
        returned=returned,
        retained=retained,
        verdict=event.uint("verdict"),
        reviewer=event.address("reviewer"),
        reason_hash=event.word("reasonHash"),
        uri=text(event, "uri"),
        decided_position=scene.position,
    )
    scene.state.put(decided)
    return moved


def _appealed(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    case = _case_at(event, scene, DECIDED, "an appeal of")
    scene.state.put(replace(case, stage=APPEALED, appealed_by=event.address("by"), appeal_hash=event.word("hash")))
    return ()


def _review_reversed(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    case = _case_at(event, scene, APPEALED, "a reversal of")
    successor = _new_id(event, scene, "newCaseId")
    scene.state.put(replace(case, stage=REVERSED, successor=successor))
    again = CollateralCase(
        successor,
        case.contract,
        case.node,
        case.task,
        case.reporter,
        case.severity,
        case.evidence_hash,
        OPEN,
        scene.position,
        reverses=case.case,
    )
    scene.state.put(again)
    return ()


RULES: Final[Rules] = {
    ("Collateral", "Deposited"): _deposited,
    ("Collateral", "WithdrawalRequested"): _withdrawal_requested,
    ("Collateral", "Withdrawn"): _withdrawn,
    ("Collateral", "Flagged"): _flagged,
    ("Collateral", "ReviewOpened"): _review_opened,
    ("Collateral", "ReviewDecided"): _review_decided,
    ("Collateral", "Appealed"): _appealed,
    ("Collateral", "ReviewReversed"): _review_reversed,
}
RECORDS: Final = (Collateral, Withdrawal, CollateralCase)


def _change(scene: Scene, node: bytes, *, free: int, frozen: int = 0) -> None:
    now = scene.state.get(Collateral, node) or Collateral(node, 0, 0)
    scene.state.put(Collateral(node, bounded(now.free + free), bounded(now.frozen + frozen)))


def _case_at(event: ChainEvent, scene: Scene, stage: str, step: str) -> CollateralCase:
    """Return the event's case, which must be at ``stage`` for the ``step`` to be the next."""
    case_id = event.word("caseId")
    case = scene.state.get(CollateralCase, case_id, event.contract.address)
    if case is None:
        raise NoEffect(f"{step} a case that was never flagged: {_named(case_id)}")
    if case.stage != stage:
        raise NoEffect(f"{step} a case that is {case.stage} and not {stage}: {_named(case.case)}")
    return case


def _new_id(event: ChainEvent, scene: Scene, name: str) -> bytes:
    case = event.word(name)
    if scene.state.get(CollateralCase, case, event.contract.address) is not None:
        raise NoEffect(f"a second case of one id: {_named(case)}")
    return case


def _named(case: bytes) -> str:
    return f"case {to_hex(case)}"
