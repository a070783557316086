"""Emission and rewards: what is minted and allocated for epochs, what roots entitle to, and what was claimed of it.

An allocation divides a pool of a domain. What nobody can receive stays, undistributed; the rest goes to the contract of
rewards by a transfer, where it is payable as soon as a root entitles to it. A root counts all epochs up to its own
(entitlements are cumulative), so it adds what its total is above that of the root before; if it is disabled, that is
taken back and the root before stands again. So what is payable is always the total of the newest root that stands, less
what was claimed; it is below 0 where claims by a root that was disabled passed the one that stands now.

Refused: a second mint or allocation of the same, a root that is not newer than the one that stands or entitles to
less, and claims by a root that does not stand or beyond its total. Whether allocations and roots are right is not
asked here: they are facts, which others compare.

Source: seeds/001 sections 2 and 4, DESIGN section 6.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from deepnode_ledger.decoding import ChainEvent
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.posting import Posting
from deepnode_projections.registers.record import Amount
from deepnode_projections.rules.pockets import bounded, comes_in, goes_out, pocket_of, token
from deepnode_projections.rules.reading import amount, number, text
from deepnode_projections.rules.scene import NoEffect, Rules, Scene


@dataclass(frozen=True, slots=True)
class EmissionMint:
    """What was minted for an epoch's pools.

    ``amount`` is in base units of DN. ``from_revenue`` is the DN that revenue had brought for the same pools.
    """

    TABLE: ClassVar[str] = "emission_mint"
    KEY: ClassVar[int] = 1

    epoch: int
    amount: Amount
    from_revenue: Amount


@dataclass(frozen=True, slots=True)
class Allocation:
    """How a pool of a domain was divided for an epoch, in base units of the asset.

    ``asset`` is the token (20 bytes). ``owner`` is the part of the domain's owner. ``undistributed`` is what nobody
    could receive.
    """

    TABLE: ClassVar[str] = "allocation"
    KEY: ClassVar[int] = 3

    epoch: int
    domain: bytes
    asset: bytes
    miners: Amount
    stakers: Amount
    validators: Amount
    owner: Amount
    models: Amount
    foundation: Amount
    undistributed: Amount

    @property
    def pool(self) -> int:
        """What was divided: all legs and what nobody can receive."""
        legs = (self.miners, self.stakers, self.validators, self.owner, self.models, self.foundation)
        return sum(legs) + self.undistributed


@dataclass(frozen=True, slots=True)
class Root:
    """What everybody has earned of an asset up to the end of an epoch, as a Merkle root.

    ``asset`` is the token (20 bytes). ``root`` (32 bytes) is that of the tree of all entitlements, which stands at
    ``uri``. ``total`` is their sum in base units. ``end_block`` is the last block that counts. ``ruleset`` is the hash
    (32 bytes) of the rules by which they were computed. ``activates_at`` is the time from which on claims use it, in
    seconds since 1970. ``before_epoch`` is that of the root which stood before it. ``disabled_reason`` (32 bytes) says
    why it does not stand any more.
    """

    TABLE: ClassVar[str] = "reward_root"
    KEY: ClassVar[int] = 2

    epoch: int
    asset: bytes
    root: bytes
    total: Amount
    end_block: int
    uri: str
    ruleset: bytes
    activates_at: int
    before_epoch: int | None
    disabled_reason: bytes | None
    submitted_position: int


@dataclass(frozen=True, slots=True)
class RootInForce:
    """The newest root of an asset that is not disabled, whether it is activated already or not.

    ``asset`` is the token (20 bytes). ``epoch`` is that of the root, ``root`` the root itself (32 bytes). ``total`` is
    what it entitles to, and ``claimed`` what was claimed by any root, both in base units.
    """

    TABLE: ClassVar[str] = "root_in_force"
    KEY: ClassVar[int] = 1

    asset: bytes
    epoch: int | None
    root: bytes | None
    total: Amount
    claimed: Amount

    @property
    def payable(self) -> int:
        """What earners can still claim (base units)."""
        return self.total - self.claimed


@dataclass(frozen=True, slots=True)
class ClaimedTotal:
    """What an earner has claimed of an asset, all epochs together.

    ``earner`` is an address, ``asset`` the token (20 bytes each). ``amount`` is in base units.
    """

    TABLE: ClassVar[str] = "claimed_total"
    KEY: ClassVar[int] = 2

    earner: bytes
    asset: bytes
    amount: Amount


def _emission_minted(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    epoch = number(event, "epoch")
    if scene.state.get(EmissionMint, epoch) is not None:
        raise NoEffect(f"a second mint for epoch {epoch}")
    scene.state.put(EmissionMint(epoch, amount(event, "amount"), amount(event, "fromRevenue")))
    return ()


def _epoch_allocated(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    epoch, domain, asset = number(event, "epoch"), event.word("domain"), token(event, scene)
    if scene.state.get(Allocation, epoch, domain, asset) is not None:
        raise NoEffect(f"a second allocation of epoch {epoch}: domain {to_hex(domain)}, asset {to_hex(asset)}")
    legs = ("miners", "stakers", "validators", "owner", "models", "foundation", "undistributed")
    divided = Allocation(epoch, domain, asset, *(amount(event, leg) for leg in legs))
    scene.state.put(divided)
    return comes_in(event, asset, divided.undistributed, pocket_of(event.contract, "Undistributed", domain))


def _root_submitted(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    asset, epoch, total = token(event, scene), number(event, "epoch"), amount(event, "total")
    standing = _standing(scene, asset)
    if epoch <= (standing.epoch or 0):
        raise NoEffect(f"a root of epoch {epoch} behind that of epoch {standing.epoch or 0}: asset {to_hex(asset)}")
    if total < standing.total:
        raise NoEffect(f"a root that entitles to {total} after {standing.total}: asset {to_hex(asset)}")
    root = Root(
        epoch,
        asset,
        event.word("root"),
        total,
        number(event, "endBlock"),
        text(event, "uri"),
        event.word("ruleset"),
        number(event, "activatesAt"),
        standing.epoch,
        None,
        scene.position,
    )
    scene.state.put(root)
    scene.state.put(replace(standing, epoch=epoch, root=root.root, total=total))
    return comes_in(event, asset, total - standing.total, pocket_of(event.contract, "Payable"))


def _root_disabled(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    asset, epoch = token(event, scene), number(event, "epoch")
    root = _root(scene, epoch, asset, "a disabling of")
    scene.state.put(replace(root, disabled_reason=event.word("reason")))
    standing = _standing(scene, asset)
    if standing.epoch != epoch:
        return ()
    earlier: Root | None = root
    while earlier is not None and (earlier.epoch == epoch or earlier.disabled_reason is not None):
        # Each step goes to an earlier epoch, so this ends.
        assert earlier.before_epoch is None or earlier.before_epoch < earlier.epoch, earlier
        earlier = None if earlier.before_epoch is None else scene.state.get(Root, earlier.before_epoch, asset)
    now = replace(standing, epoch=None, root=None, total=0)
    if earlier is not None:
        now = replace(standing, epoch=earlier.epoch, root=earlier.root, total=earlier.total)
    scene.state.put(now)
    return comes_in(event, asset, now.total - standing.total, pocket_of(event.contract, "Payable"))


def _claimed(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    asset, epoch, paid = token(event, scene), number(event, "epoch"), amount(event, "amount")
    root, standing = _root(scene, epoch, asset, "a claim by"), _standing(scene, asset)
    if standing.claimed + paid > root.total:
        raise NoEffect(f"a claim of {paid}, where {standing.claimed} of {root.total} is claimed: asset {to_hex(asset)}")
    scene.state.put(replace(standing, claimed=standing.claimed + paid))
    earner = event.address("earner")
    before = scene.state.get(ClaimedTotal, earner, asset) or ClaimedTotal(earner, asset, 0)
    scene.state.put(replace(before, amount=bounded(before.amount + paid)))
    return goes_out(event, asset, paid, pocket_of(event.contract, "Payable"))


RULES: Final[Rules] = {
    ("Emission", "EmissionMinted"): _emission_minted,
    ("Emission", "EpochAllocated"): _epoch_allocated,
    ("Rewards", "RootSubmitted"): _root_submitted,
    ("Rewards", "RootDisabled"): _root_disabled,
    ("Rewards", "Claimed"): _claimed,
}
RECORDS: Final = (EmissionMint, Allocation, Root, RootInForce, ClaimedTotal)


def _standing(scene: Scene, asset: bytes) -> RootInForce:
    return scene.state.get(RootInForce, asset) or RootInForce(asset, None, None, 0, 0)


def _root(scene: Scene, epoch: int, asset: bytes, what: str) -> Root:
    root = scene.state.get(Root, epoch, asset)
    if root is None:
        raise NoEffect(f"{what} a root that was never submitted: epoch {epoch}, asset {to_hex(asset)}")
    if root.disabled_reason is not None:
        raise NoEffect(f"{what} a root that is disabled: epoch {epoch}, asset {to_hex(asset)}")
    return root
