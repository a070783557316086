"""Epochs: opened every so many blocks, and closed behind that: minted, allocated, and put into a root of claims.

What is to be done next is read off the chain's events, never remembered: whatever a reorg undoes is done again, and an
epoch whose opening got lost is opened later. docs/devnet.md tells each step with its integers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from deepnode_indexer.devnet import cast_of_accounts as cast
from deepnode_indexer.devnet.anvil import BLOCK_SECONDS
from deepnode_indexer.devnet.entitlements import LEGS, DomainWork, Standing, apportion, earned, empty_legs
from deepnode_indexer.devnet.history import History
from deepnode_indexer.devnet.mempool import Mempool
from deepnode_indexer.devnet.merkle import ClaimTree
from deepnode_indexer.devnet.population import ASSETS, DN, Population, Turn
from deepnode_indexer.devnet.standing import standing_at
from deepnode_indexer.devnet.workbook import Workbook

EMISSION_PER_EPOCH = b"emission.perEpoch".ljust(32, b"\0")
"""The parameter that says how much DN an epoch mints (base units)."""

EMISSION_LEG = 8
_LEG_NAMES = ("miners", "stakers", "validators", "owner", "models", "foundation")
_CHALLENGE_BLOCKS = 8
"""A root may be claimed by so many blocks behind its submission; until then the guardian can disable it."""

_GUARD_BLOCKS = 2
_TREES_KEPT = 40
_EPOCHS_KEPT = 20
"""So many epochs can be looked at again, more than a reorg can reach: the node keeps states of 256 blocks."""

_WRONG_ROOT_EVERY = 5


@dataclass(frozen=True, slots=True)
class Closing:
    """What an epoch that is over comes to: the pools by domain and asset, what is minted for them, and the masks."""

    standing: Standing
    work: Mapping[bytes, DomainWork]
    minted: int
    from_revenue: int
    pools: Mapping[tuple[bytes, str], int]

    def mask(self, domain: bytes) -> int:
        """The legs that nobody has earned."""
        return empty_legs(self.standing, self.work[domain], domain)


class Epochs:
    """The keeper of epochs and the oracle of entitlements.

    Attributes:
        trees: the newest trees of claims that were submitted, by their roots.
    """

    def __init__(self, population: Population, mempool: Mempool, history: History, workbook: Workbook) -> None:
        self._population = population
        self._mempool = mempool
        self._history = history
        self._workbook = workbook
        self._assets = {asset: bytes.fromhex(population.addresses[asset][2:]) for asset in ASSETS}
        self._foundation = bytes.fromhex(population.accounts[cast.TREASURY][2:])
        self._closings: dict[int, Closing] = {}
        # By epoch, what everybody is entitled to of each asset since the beginning.
        self._entitled: dict[int, Mapping[str, Counter[bytes]]] = {0: {asset: Counter() for asset in ASSETS}}
        self._unfinished = 1
        self.trees: dict[bytes, ClaimTree] = {}

    def founding(self) -> Turn:
        """Open the first epoch."""
        turn = Turn()
        turn.call(cast.EPOCH_KEEPER, "Emission", "openEpoch", 1)
        return turn

    def take_turn(self, turn: Turn) -> None:
        """Do what is due."""
        history = self._history
        if history.epoch == 0:
            turn.call(cast.EPOCH_KEEPER, "Emission", "openEpoch", 1)
            return
        start = history.start_of(history.epoch)
        assert start is not None
        if self._mempool.next_number - start[0] >= self._population.cast.epoch_blocks:
            self._open_next(turn)
        elif self._unfinished < history.epoch:
            self._close(turn, self._unfinished)
        self._guard(turn)

    @property
    def is_changing(self) -> bool:
        """Whether the next block is the one in which an epoch is opened, or stands right beside it."""
        start = self._history.start_of(self._history.epoch)
        if start is None:
            return True
        age = self._mempool.next_number - start[0]
        return age <= 1 or age >= self._population.cast.epoch_blocks - 1

    def forget(self, first_block: int) -> None:
        """Blocks from this one on were replaced: the epochs that they belonged to are looked at again."""
        epoch = max(1, self._history.epoch_of(first_block - 1) - 1)
        self._unfinished = min(self._unfinished, epoch)
        self._closings = {number: closing for number, closing in self._closings.items() if number < self._unfinished}
        # What is missing here was closed long ago, and is made again from the chain.
        self._entitled = {number: held for number, held in self._entitled.items() if number < self._unfinished}

    def _open_next(self, turn: Turn) -> None:
        """Open the next epoch, but first release what the leg of emissions has collected: it counts in this one."""
        for domain in self._population.domains:
            for asset in ASSETS:
                turn.release(self._mempool, EMISSION_LEG, domain, self._population.addresses[asset])
        turn.call(cast.EPOCH_KEEPER, "Emission", "openEpoch", self._history.epoch + 1)

    def _close(self, turn: Turn, epoch: int) -> None:
        closing = self._closing(epoch)
        is_minted = any(self._history.of("EmissionMinted", epoch=epoch))
        if not is_minted and closing.minted + closing.from_revenue > 0:
            if closing.from_revenue > self._available(DN):
                # A reorg has moved a release: what is here now is all that there is.
                self._unfinished += 1
                return
            arguments = (epoch, closing.minted, closing.from_revenue)
            turn.call(cast.EPOCH_KEEPER, "Emission", "mint", *arguments)
            # The pools stand on what was minted: they wait until that is a fact.
            return
        if not self._allocate(turn, epoch, closing):
            self._entitled[epoch] = self._entitlements(epoch, closing)
            self._submit(turn, epoch)

    def _allocate(self, turn: Turn, epoch: int, closing: Closing) -> bool:
        """Allocate the pools that are not allocated yet; False if there is nothing to do."""
        left = {asset: self._available(asset) for asset in ASSETS}
        does = False
        for (domain, asset), pool in closing.pools.items():
            if pool == 0 or self._allocated(epoch, domain, asset) or pool > left[asset]:
                continue
            left[asset] -= pool
            arguments = (epoch, domain, self._population.addresses[asset], pool, closing.mask(domain))
            turn.call(cast.EPOCH_KEEPER, "Emission", "allocate", *arguments)
            does = True
        return does

    def _submit(self, turn: Turn, epoch: int) -> None:
        """Submit a root of each asset whose entitlements have changed. The epoch is done when all of them stand."""
        waits = False
        for asset, address in self._assets.items():
            entitled = self._entitled[epoch][asset]
            if not any(self._history.of("EpochAllocated", epoch=epoch, asset=address)) or not +entitled:
                continue
            standing = self._newest_root(address)
            if standing[0] >= epoch:
                # A lie is disabled within the next blocks, unless a newer root stands: then nobody claims by it.
                waits = waits or (standing[0] == epoch and self._is_wrong_at_first(epoch, asset))
                continue
            tree = ClaimTree(address, entitled)
            claimed: int = self._mempool.read("Rewards", "claimedTotalOf", self._population.addresses[asset])
            held: int = self._mempool.read(asset, "balanceOf", self._population.addresses["Rewards"])
            if tree.total < max(standing[1], claimed) or tree.total - claimed > held:
                # What a reorg has undone is missing here. The next epoch's root makes good for it.
                continue
            waits = True
            if self._is_wrong_at_first(epoch, asset):
                self._send_root(turn, epoch, asset, _altered(tree))
            else:
                self.trees[tree.root] = tree
                self._send_root(turn, epoch, asset, tree)
        if not waits:
            self._unfinished += 1
            self._closings.pop(epoch, None)
            self._entitled = {number: held for number, held in self._entitled.items() if number > epoch - _EPOCHS_KEPT}
            oldest = self._history.start_of(epoch - _EPOCHS_KEPT)
            if oldest is not None:
                self._workbook.forget(oldest[0])
            self.trees = dict(list(self.trees.items())[-_TREES_KEPT:])

    def _is_wrong_at_first(self, epoch: int, asset: str) -> bool:
        """Whether the oracle lies: now and then it submits a root that the guardian has to disable."""
        address = self._assets[asset]
        lies = asset == DN and epoch % _WRONG_ROOT_EVERY == 2
        return lies and not any(self._history.of("RootDisabled", epoch=epoch, asset=address))

    def _send_root(self, turn: Turn, epoch: int, asset: str, tree: ClaimTree) -> None:
        behind = self._history.start_of(epoch + 1)
        assert behind is not None
        arguments = (
            *(epoch, self._population.addresses[asset], tree.root, tree.total, behind[0] - 1),
            f"ipfs://deepnode-devnet/claims/{epoch}/{asset}",
            self._history.ruleset(epoch) or bytes(32),
            self._mempool.next_time + _CHALLENGE_BLOCKS * BLOCK_SECONDS,
        )
        turn.call(cast.EPOCH_KEEPER, "Rewards", "submitRoot", *arguments)

    def _guard(self, turn: Turn) -> None:
        """The guardian disables a newest root that is not what it finds itself."""
        for asset, address in self._assets.items():
            epoch, _, root, block = self._newest_root(address)
            is_wrong = epoch > 0 and root not in self.trees and self._is_wrong_at_first(epoch, asset)
            if is_wrong and self._mempool.next_number - block > _GUARD_BLOCKS:
                reason = b"wrong amounts".ljust(32, b"\0")
                turn.call(cast.GUARDIAN, "Rewards", "disableRoot", epoch, self._population.addresses[asset], reason)

    def _newest_root(self, asset: bytes) -> tuple[int, int, bytes, int]:
        """The newest root of an asset that is not disabled: epoch, total, root, block; zeros if there is none."""
        roots = self._history.roots(asset)
        if not roots:
            return 0, 0, b"", 0
        args = roots[-1].args
        return args["epoch"], args["total"], args["root"], roots[-1].block

    def _closing(self, epoch: int) -> Closing:
        if epoch not in self._closings:
            self._closings[epoch] = self._computed(epoch)
        return self._closings[epoch]

    def _computed(self, epoch: int) -> Closing:
        history, domains = self._history, self._population.domains
        start, behind = history.start_of(epoch), history.start_of(epoch + 1)
        assert start is not None
        assert behind is not None
        work = self._workbook.of_epoch(history, epoch, domains)
        pools = {(domain, asset): 0 for domain in domains for asset in ASSETS}
        names = {address: asset for asset, address in self._assets.items()}
        for event in history.of("Released", behind, leg=EMISSION_LEG):
            if event.place > start:
                pools[event.args["beneficiary"], names[event.args["asset"]]] += event.args["amount"]
        from_revenue = sum(pools[domain, DN] for domain in domains)
        scheduled = history.parameter(EMISSION_PER_EPOCH, epoch) or 0
        parts = apportion(scheduled, {domain: work[domain].verified for domain in domains})
        for domain, part in parts.items():
            pools[domain, DN] += part
        return Closing(standing_at(history, epoch), work, sum(parts.values()), from_revenue, pools)

    def _entitlements(self, epoch: int, closing: Closing) -> Mapping[str, Counter[bytes]]:
        """Add to what everybody had what the chain has allocated."""
        before = self._entitled.get(epoch - 1) or self._entitlements(epoch - 1, self._computed(epoch - 1))
        found = {asset: Counter(held) for asset, held in before.items()}
        for asset, address in self._assets.items():
            for event in self._history.of("EpochAllocated", epoch=epoch, asset=address):
                domain = event.args["domain"]
                amounts = {leg: event.args[name] for leg, name in zip(LEGS, _LEG_NAMES, strict=True)}
                work = closing.work[domain]
                found[asset] += earned(amounts, closing.standing, work, domain, self._foundation)
        return found

    def _allocated(self, epoch: int, domain: bytes, asset: str) -> bool:
        return any(self._history.of("EpochAllocated", epoch=epoch, domain=domain, asset=self._assets[asset]))

    def _available(self, asset: str) -> int:
        found: int = self._mempool.read("Emission", "available", self._population.addresses[asset])
        return found


def _altered(tree: ClaimTree) -> ClaimTree:
    """A tree in which the highest earner has the amount of the lowest, and the lowest that of the highest."""
    ranked = sorted(tree.entitled, key=lambda earner: (tree.entitled[earner], earner))
    lowest, highest = ranked[0], ranked[-1]
    swapped = {lowest: tree.entitled[highest], highest: tree.entitled[lowest]}
    return ClaimTree(tree.asset, {**tree.entitled, **swapped})
