"""Staking: DN upon validators, miners, models and domains, and what each stake was when an epoch began.

Stake is upon a target until its staker asks for it back; then it is unbonding, and at last it leaves. It may be moved
from target to target at once. Rewards of an epoch go by the stakes at its start, so a change counts from the epoch
behind the one in which it is made, and ``stakes_at`` and ``commission_at`` answer for any epoch.

Refused: what nobody can stake upon, and stake, shares or unbonding DN that are taken and were never there.

Source: seeds/002 section 3, DESIGN sections 2 (10) and 6.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from deepnode_ledger.decoding import ChainEvent
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.posting import Posting, postings
from deepnode_projections.registers.record import Amount
from deepnode_projections.registers.state import State
from deepnode_projections.rules.epochs import current
from deepnode_projections.rules.parameters import effective_epoch
from deepnode_projections.rules.pockets import asset_of, bounded, comes_in, goes_out, pocket_of
from deepnode_projections.rules.reading import amount, number
from deepnode_projections.rules.registry import PPM
from deepnode_projections.rules.scene import NoEffect, Rules, Scene

TARGETS: Final = {1: "validator", 2: "miner", 3: "model", 4: "domain"}
"""What can be staked upon, by the number that contracts give it (a node's role has other numbers)."""


@dataclass(frozen=True, slots=True)
class Stake:
    """What a staker has upon a target now.

    ``target_type`` is 1 for a validator, 2 for a miner, 3 for a model, 4 for a domain. ``target`` is its id. ``staker``
    is an address (20 bytes). ``amount`` is in base units, ``shares`` is the part of the target's stake that it stands
    for. ``since_epoch`` is the first epoch at whose start it was, or will be, so much.
    """

    TABLE: ClassVar[str] = "stake"
    KEY: ClassVar[int] = 3
    FOUND_BY: ClassVar[tuple[str, ...]] = ("staker",)

    target_type: int
    target: bytes
    staker: bytes
    amount: Amount
    shares: Amount
    since_epoch: int


@dataclass(frozen=True, slots=True)
class StakeAt:
    """What a staker had upon a target when an epoch began.

    ``target_type`` is 1 for a validator, 2 for a miner, 3 for a model, 4 for a domain. ``staker`` is an address (20
    bytes). ``amount`` (base units) holds from the start of ``from_epoch`` up to that of the next change's epoch.
    ``before_epoch`` is that of the change before.
    """

    TABLE: ClassVar[str] = "stake_at"
    KEY: ClassVar[int] = 4
    FOUND_BY: ClassVar[tuple[str, ...]] = ("staker",)

    target_type: int
    target: bytes
    staker: bytes
    from_epoch: int
    amount: Amount
    before_epoch: int | None


@dataclass(frozen=True, slots=True)
class StakeTotal:
    """What all stakers together have upon a target now.

    ``target_type`` is 1 for a validator, 2 for a miner, 3 for a model, 4 for a domain. ``amount`` is in base units,
    ``shares`` are those of all stakers.
    """

    TABLE: ClassVar[str] = "stake_total"
    KEY: ClassVar[int] = 2

    target_type: int
    target: bytes
    amount: Amount
    shares: Amount


@dataclass(frozen=True, slots=True)
class Unbonding:
    """What a staker asked back from a target and has not got yet.

    ``staker`` is an address (20 bytes). ``target_type`` is 1 for a validator, 2 for a miner, 3 for a model, 4 for a
    domain. ``amount`` is in base units. ``unlock_at`` is the time from which on it leaves, in seconds since 1970; a
    request that joins an earlier one makes both wait until the later time.
    """

    TABLE: ClassVar[str] = "unbonding"
    KEY: ClassVar[int] = 3

    staker: bytes
    target_type: int
    target: bytes
    amount: Amount
    unlock_at: int


@dataclass(frozen=True, slots=True)
class Commission:
    """What a validator keeps of its delegators' rewards.

    ``target`` is the validator's node. ``rate`` is in ppm and holds from ``from_epoch`` on, until another one does that
    was announced later.
    """

    TABLE: ClassVar[str] = "commission"
    KEY: ClassVar[int] = 2

    target: bytes
    from_epoch: int
    rate: int
    announced_position: int


def stakes_at(state: State, target_type: int, target: bytes, epoch: int) -> list[tuple[bytes, int]]:
    """Return who had how much (base units) upon a target at an epoch's start, by ascending address.

    Nobody is in it with nothing. The cost is one look a staker, and one more for each of a staker's changes since.
    """
    found = []
    for stake in state.every(Stake, target_type, target):
        held = stake.amount
        if stake.since_epoch > epoch:
            at = state.get(StakeAt, target_type, target, stake.staker, stake.since_epoch)
            while at is not None and at.from_epoch > epoch:
                before = at.before_epoch
                at = None if before is None else state.get(StakeAt, target_type, target, stake.staker, before)
            held = 0 if at is None else at.amount
        if held:
            found.append((stake.staker, held))
    return found


def commission_at(state: State, target: bytes, epoch: int) -> int:
    """Return a validator's commission in an epoch in ppm, 0 if it never announced one.

    Of the rates that hold by then, the one that was announced last counts.
    """
    known = [each for each in state.every(Commission, target) if each.from_epoch <= epoch]
    return max(known, key=lambda each: each.announced_position).rate if known else 0


def _staked(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    target_type, target = _target(event, "targetType", "target")
    added = amount(event, "amount")
    _change(scene, target_type, target, event.address("staker"), added, amount(event, "shares"))
    return comes_in(event, asset_of(event, scene), added, pocket_of(event.contract, "Staked", target))


def _unstake_requested(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    target_type, target = _target(event, "targetType", "target")
    staker, asked = event.address("staker"), amount(event, "amount")
    _change(scene, target_type, target, staker, -asked, -amount(event, "shares"))
    before = scene.state.get(Unbonding, staker, target_type, target)
    waiting = bounded(asked + (0 if before is None else before.amount))
    scene.state.put(Unbonding(staker, target_type, target, waiting, number(event, "unlockAt")))
    moves = [
        (pocket_of(event.contract, "Staked", target), -asked),
        (pocket_of(event.contract, "Unbonding", staker), asked),
    ]
    return postings(asset_of(event, scene), moves)


def _unstaked(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    target_type, target = _target(event, "targetType", "target")
    staker, paid = event.address("staker"), amount(event, "amount")
    waiting = scene.state.get(Unbonding, staker, target_type, target)
    held = 0 if waiting is None else waiting.amount
    if waiting is None or paid > held:
        raise NoEffect(f"{paid} leaves where {held} is unbonding: {_named(target_type, target, staker)}")
    scene.state.put(replace(waiting, amount=held - paid))
    return goes_out(event, asset_of(event, scene), paid, pocket_of(event.contract, "Unbonding", staker))


def _redelegated(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    source_type, source = _target(event, "fromType", "from")
    target_type, target = _target(event, "toType", "to")
    staker, moved, shares = event.address("staker"), amount(event, "amount"), amount(event, "shares")
    _change(scene, source_type, source, staker, -moved, -shares)
    _change(scene, target_type, target, staker, moved, shares)
    moves = [
        (pocket_of(event.contract, "Staked", source), -moved),
        (pocket_of(event.contract, "Staked", target), moved),
    ]
    return postings(asset_of(event, scene), moves)


def _commission_set(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    target, rate = event.word("target"), event.uint("new_")
    if rate > PPM:
        raise NoEffect(f"a commission of {rate} ppm is more than all: validator {to_hex(target)}")
    from_epoch = effective_epoch(scene, number(event, "fromEpoch"))
    scene.state.put(Commission(target, from_epoch, rate, scene.position))
    return ()


RULES: Final[Rules] = {
    ("Staking", "Staked"): _staked,
    ("Staking", "UnstakeRequested"): _unstake_requested,
    ("Staking", "Unstaked"): _unstaked,
    ("Staking", "Redelegated"): _redelegated,
    ("Staking", "CommissionSet"): _commission_set,
}
RECORDS: Final = (Stake, StakeAt, StakeTotal, Unbonding, Commission)


def _target(event: ChainEvent, type_name: str, name: str) -> tuple[int, bytes]:
    target_type, target = event.uint(type_name), event.word(name)
    if target_type not in TARGETS:
        known = ", ".join(f"{each} a {what}" for each, what in TARGETS.items())
        raise NoEffect(f"target type {target_type} of {to_hex(target)}: there are {known}")
    return target_type, target


def _change(scene: Scene, target_type: int, target: bytes, staker: bytes, amount: int, shares: int) -> None:
    """Add to a stake, or take from it."""
    state, epoch = scene.state, current(scene.state) + 1
    before = state.get(Stake, target_type, target, staker)
    stake = before or Stake(target_type, target, staker, 0, 0, epoch)
    if stake.amount + amount < 0 or stake.shares + shares < 0:
        held = f"{stake.amount} for {stake.shares} shares"
        raise NoEffect(f"{-amount} for {-shares} shares of {held}: {_named(target_type, target, staker)}")
    changed = Stake(target_type, target, staker, bounded(stake.amount + amount), bounded(stake.shares + shares), epoch)
    state.put(changed)
    this_epoch = state.get(StakeAt, target_type, target, staker, epoch)
    # A second change within an epoch takes the place of the first, and stands before the same one.
    before_epoch = this_epoch.before_epoch if this_epoch else before.since_epoch if before else None
    state.put(StakeAt(target_type, target, staker, epoch, changed.amount, before_epoch))
    total = state.get(StakeTotal, target_type, target) or StakeTotal(target_type, target, 0, 0)
    state.put(replace(total, amount=bounded(total.amount + amount), shares=bounded(total.shares + shares)))


def _named(target_type: int, target: bytes, staker: bytes) -> str:
    return f"{TARGETS[target_type]} {to_hex(target)}, staker {to_hex(staker)}"
