"""Funding: the rounds in which backers pay for a model's development.

A round is open until it has reached its target (funded), has missed it at its deadline (failed), or everything was
released to the creator (closed). No contract says when a deadline passes, so a round becomes failed with the first
event behind it. Backers hold shares, which they may hand on. Idle money may earn in a vault: it is there at what was
paid in, and what comes back above or below that is the round's gain.

Refused: backing that comes too late or is more than the round lacks, a release from a round that is not funded, a
refund after something was released, and whatever takes more than is there. A round is known by its id within its
contract. A round may be opened before its model is registered: money comes first.

Source: seeds/004 steps 1 and 3 (c is the yield on idle capital).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from deepnode_ledger.account import Account
from deepnode_ledger.decoding import ChainEvent
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.posting import Posting
from deepnode_projections.registers.record import Amount
from deepnode_projections.registers.state import State
from deepnode_projections.rules.pockets import asset_of, bounded, comes_in, goes_out, pocket_of
from deepnode_projections.rules.reading import amount
from deepnode_projections.rules.scene import NoEffect, Rules, Scene

OPEN: Final = "open"
FUNDED: Final = "funded"
FAILED: Final = "failed"
CLOSED: Final = "closed"


@dataclass(frozen=True, slots=True)
class Round:
    """A round in which backers pay for a model's development, and its money in base units.

    ``round`` is its id within the ``contract`` (20 bytes). ``creator`` (20 bytes) is paid what is released. ``target``
    is what it wants to raise. ``deadline`` is the last moment to back it, in seconds since 1970. ``terms_hash`` (32
    bytes) is that of the agreement with its backers. ``stage`` is open, funded, failed or closed. ``raised`` is what
    backers paid in altogether, ``released`` what the creator was paid, ``refunded`` what backers got back. ``in_vault``
    is what is lent now, at what was paid in. ``yield_earned`` is what came back from vaults beyond what was paid in,
    below 0 for a loss.
    """

    TABLE: ClassVar[str] = "round"
    KEY: ClassVar[int] = 2
    FOUND_BY: ClassVar[tuple[str, ...]] = ("model",)

    round: bytes
    contract: bytes
    model: bytes
    creator: bytes
    target: Amount
    deadline: Amount
    terms_hash: bytes
    stage: str
    raised: Amount = 0
    released: Amount = 0
    refunded: Amount = 0
    in_vault: Amount = 0
    yield_earned: Amount = 0

    @property
    def idle(self) -> int:
        """What is in the round's pocket: neither lent nor paid out."""
        return self.raised + self.yield_earned - self.released - self.refunded - self.in_vault

    @property
    def backed(self) -> int:
        """What backers have in the round."""
        return self.raised - self.refunded


@dataclass(frozen=True, slots=True)
class RoundOfModel:
    """Says that a round is for a model: rounds are found by their model with it.

    ``round`` is the id within the ``contract`` (20 bytes).
    """

    TABLE: ClassVar[str] = "round_of_model"
    KEY: ClassVar[int] = 3

    model: bytes
    round: bytes
    contract: bytes


@dataclass(frozen=True, slots=True)
class BackerShare:
    """A backer's part in a round.

    ``round`` is the id within the ``contract`` (20 bytes), ``backer`` an address (20 bytes). ``shares`` may be handed
    on. ``contributed`` is what was paid in for the shares and not refunded, in base units.
    """

    TABLE: ClassVar[str] = "backer_share"
    KEY: ClassVar[int] = 3
    FOUND_BY: ClassVar[tuple[str, ...]] = ("backer",)

    round: bytes
    contract: bytes
    backer: bytes
    shares: Amount
    contributed: Amount


@dataclass(frozen=True, slots=True)
class VaultPosition:
    """What a round has in a vault.

    ``round`` is the id within the ``contract`` (20 bytes), ``vault`` an address (20 bytes). ``shares`` are the vault's.
    ``assets`` is what was paid in for them, in base units.
    """

    TABLE: ClassVar[str] = "vault_position"
    KEY: ClassVar[int] = 3

    round: bytes
    contract: bytes
    vault: bytes
    shares: Amount
    assets: Amount


def backers_of(state: State, model: bytes) -> list[tuple[bytes, int]]:
    """Return who backed a model and with how many shares, all its rounds that reached their target together.

    By ascending address, without those who have none left.
    """
    shares: dict[bytes, int] = {}
    for each in state.every(RoundOfModel, model):
        entry = state.get(Round, each.round, each.contract)
        if entry is not None and entry.stage in (FUNDED, CLOSED):
            for part in state.every(BackerShare, each.round, each.contract):
                shares[part.backer] = shares.get(part.backer, 0) + part.shares
    return sorted((backer, held) for backer, held in shares.items() if held)


def _round_opened(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    name, model = event.word("round"), event.word("model")
    if scene.state.get(Round, name, event.contract.address) is not None:
        raise NoEffect(f"a second round of one id: {_named(name)}")
    target, deadline = amount(event, "target"), amount(event, "deadline")
    creator, terms_hash = event.address("creator"), event.word("termsHash")
    scene.state.put(Round(name, event.contract.address, model, creator, target, deadline, terms_hash, OPEN))
    scene.state.put(RoundOfModel(model, name, event.contract.address))
    return ()


def _backed(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    entry, paid = _known(event, scene, "backing"), amount(event, "amount")
    if scene.block_time > entry.deadline:
        raise NoEffect(f"backing at {scene.block_time}, behind the deadline {entry.deadline}: {_named(entry.round)}")
    if paid > entry.target - entry.backed:
        raise NoEffect(f"{paid} backs what lacks {entry.target - entry.backed}: {_named(entry.round)}")
    _share(scene, entry, event.address("backer"), amount(event, "shares"), paid)
    _keep(scene, replace(entry, raised=bounded(entry.raised + paid)))
    return comes_in(event, asset_of(event, scene), paid, _pocket(event, entry))


def _funds_released(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    entry, paid = _known(event, scene, "a release"), amount(event, "amount")
    if entry.stage not in (FUNDED, CLOSED):
        raise NoEffect(f"a release from a round that is {entry.stage}: {_named(entry.round)}")
    _require_idle(entry, paid)
    _keep(scene, replace(entry, released=bounded(entry.released + paid)))
    return goes_out(event, asset_of(event, scene), paid, _pocket(event, entry))


def _refunded(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    entry, paid = _known(event, scene, "a refund"), amount(event, "amount")
    if entry.released:
        raise NoEffect(f"a refund after {entry.released} was released: {_named(entry.round)}")
    _require_idle(entry, paid)
    part = _part(scene, entry, event.address("backer"))
    if paid > part.contributed:
        raise NoEffect(f"a refund of {paid} to one who paid {part.contributed}: {_named(entry.round)}")
    # The shares go with the money that they were given for; all of it takes all of them.
    taken = part.shares * paid // part.contributed if paid else 0
    _share(scene, entry, part.backer, -taken, -paid)
    _keep(scene, replace(entry, refunded=bounded(entry.refunded + paid)))
    return goes_out(event, asset_of(event, scene), paid, _pocket(event, entry))


def _yield_deposited(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    entry, lent, shares = _known(event, scene, "a loan to a vault"), amount(event, "assets"), amount(event, "shares")
    _require_idle(entry, lent)
    if not shares:
        raise NoEffect(f"a vault takes {lent} and gives no share: {_named(entry.round)}")
    position = _position(event, scene, entry)
    held = replace(position, shares=bounded(position.shares + shares), assets=bounded(position.assets + lent))
    scene.state.put(held)
    _keep(scene, replace(entry, in_vault=bounded(entry.in_vault + lent)))
    return goes_out(event, asset_of(event, scene), lent, _pocket(event, entry))


def _yield_withdrawn(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    entry, back, shares = _known(event, scene, "a return from a vault"), amount(event, "assets"), event.uint("shares")
    position = _position(event, scene, entry)
    if not 0 < shares <= position.shares:
        raise NoEffect(f"{shares} shares of a vault come back of {position.shares}: {_named(entry.round)}")
    # What was paid for these shares, on average; the last of them take what is left.
    paid_in = position.assets * shares // position.shares
    scene.state.put(replace(position, shares=position.shares - shares, assets=position.assets - paid_in))
    gained = bounded(entry.yield_earned + back - paid_in)
    _keep(scene, replace(entry, in_vault=entry.in_vault - paid_in, yield_earned=gained))
    return comes_in(event, asset_of(event, scene), back, _pocket(event, entry))


def _share_transferred(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    entry, shares = _known(event, scene, "a transfer of shares"), event.uint("shares")
    giver = _part(scene, entry, event.address("from"))
    if shares > giver.shares:
        raise NoEffect(f"{shares} shares are handed on of {giver.shares}: {_named(entry.round)}")
    contributed = giver.contributed * shares // giver.shares if shares else 0
    _share(scene, entry, giver.backer, -shares, -contributed)
    _share(scene, entry, event.address("to"), shares, contributed)
    return ()


RULES: Final[Rules] = {
    ("Funding", "RoundOpened"): _round_opened,
    ("Funding", "Backed"): _backed,
    ("Funding", "FundsReleased"): _funds_released,
    ("Funding", "Refunded"): _refunded,
    ("Funding", "YieldDeposited"): _yield_deposited,
    ("Funding", "YieldWithdrawn"): _yield_withdrawn,
    ("Funding", "BackerShareTransferred"): _share_transferred,
}
RECORDS: Final = (Round, RoundOfModel, BackerShare, VaultPosition)


def _known(event: ChainEvent, scene: Scene, what: str) -> Round:
    name = event.word("round")
    entry = scene.state.get(Round, name, event.contract.address)
    if entry is None:
        raise NoEffect(f"{what} of a round that was never opened: {_named(name)}")
    return entry


def _keep(scene: Scene, entry: Round) -> None:
    """Put a round whose amounts changed, with the stage that follows from them."""
    if entry.released:
        stage = FUNDED if entry.idle or entry.in_vault else CLOSED
    elif entry.backed >= entry.target:
        stage = FUNDED
    else:
        stage = FAILED if scene.block_time > entry.deadline else OPEN
    scene.state.put(replace(entry, stage=stage))


def _require_idle(entry: Round, wanted: int) -> None:
    if wanted > entry.idle:
        raise NoEffect(f"{wanted} leaves a round in which {entry.idle} is idle: {_named(entry.round)}")


def _part(scene: Scene, entry: Round, backer: bytes) -> BackerShare:
    found = scene.state.get(BackerShare, entry.round, entry.contract, backer)
    return found or BackerShare(entry.round, entry.contract, backer, 0, 0)


def _share(scene: Scene, entry: Round, backer: bytes, shares: int, contributed: int) -> None:
    """Add to a backer's part, or take from it."""
    part = _part(scene, entry, backer)
    shares, contributed = bounded(part.shares + shares), bounded(part.contributed + contributed)
    assert shares >= 0, (part, shares)
    assert contributed >= 0, (part, contributed)
    scene.state.put(replace(part, shares=shares, contributed=contributed))


def _position(event: ChainEvent, scene: Scene, entry: Round) -> VaultPosition:
    vault = event.address("vault")
    found = scene.state.get(VaultPosition, entry.round, entry.contract, vault)
    return found or VaultPosition(entry.round, entry.contract, vault, 0, 0)


def _pocket(event: ChainEvent, entry: Round) -> Account:
    return pocket_of(event.contract, "Round", entry.round)


def _named(name: bytes) -> str:
    return f"round {to_hex(name)}"
