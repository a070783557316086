"""The roster: every contract that is known at a place, those of the manifest and the children that factories made.

A child is known from the log that announces it, and from nothing else: the roster is read back from the log at every
start and stored nowhere. The log that announces is judged by its place on its chain (block, log index), which a reorg
of another chain does not move. The first announcement of an address counts, and the manifest's word before any.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Self

import pyarrow as pa
import pyarrow.compute as pc

from deepnode_ledger import batch as batches
from deepnode_ledger.contract import Contract, Creates, Place
from deepnode_ledger.decoding import ChainEvent, decode_log
from deepnode_ledger.finding import OfType
from deepnode_ledger.gathering import gather
from deepnode_ledger.hexadecimal import ADDRESS_BYTES, to_hex
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.record import BlockRef, ChainLog, Finality, LogEntry
from deepnode_ledger.snapshot import Snapshot

ZERO_ADDRESS: Final = bytes(ADDRESS_BYTES)


@dataclass(frozen=True, slots=True)
class Child:
    """A contract that ``factory`` (20 bytes) announced by the log at ``place``, which stands at ``position``.

    ``position`` is None if the log was learned before it had one.
    """

    contract: Contract
    factory: bytes
    place: Place
    position: int | None


class Roster:
    """The contracts of a manifest, and the children learned so far. For one thread at a time."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self._children: dict[tuple[int, bytes], Child] = {}
        self._topics = sorted(_creating_topics(each for c in manifest.contracts.values() for each in c.creates))
        self._creating = pa.array(self._topics, pa.binary(32))

    @classmethod
    def load(cls, snapshot: Snapshot, manifest: Manifest, position: int | None = None) -> Self:
        """Learn from the log up to a position (included; None: all of it).

        Only the logs that may announce a child are read, by their first topic; none where there are no factories.

        Raises:
            Damaged: a stored batch cannot be read.
        """
        roster = cls(manifest)
        roster.catch_up(snapshot, 1, position)
        return roster

    def catch_up(self, snapshot: Snapshot, first: int, last: int | None = None) -> list[Child]:
        """Learn from the log's entries ``first`` to ``last`` (both included; None: to its end); return what was new.

        Raises:
            Damaged: a stored batch cannot be read.
        """
        if not self._topics or (last is not None and last < first):
            return []
        found = snapshot.find(OfType.named(self._topics), first, last)
        return [child for each in found for child in self.learn(each.entries)]

    def copy(self) -> "Roster":
        """Return one that knows the same now and learns for itself."""
        other = Roster(self.manifest)
        other._children = dict(self._children)
        return other

    @property
    def topics(self) -> list[bytes]:
        """The first topics (32 bytes each) of the logs that may announce a child; none where there are no factories."""
        return list(self._topics)

    @property
    def children(self) -> list[Child]:
        """The children, in the order in which they were learned."""
        return list(self._children.values())

    def get(
        self, address: bytes, chain_id: int | None = None, place: Place | None = None, position: int | None = None
    ) -> Contract | None:
        """Return the contract at an address of a chain (None: the home chain), or None if it is not known.

        A child is known behind the log that announces it: to a log by its ``place`` on the chain, to what has none by
        its ``position``. With neither it is known as soon as it was learned.
        """
        declared = self.manifest.get(address, chain_id)
        if declared is not None or not self._children:
            return declared
        child = self._children.get((self.manifest.chain_id if chain_id is None else chain_id, address))
        if child is None or (place is not None and child.place >= place):
            return None
        if position is not None and child.position is not None and child.position >= position:
            return None
        return child.contract

    def on(self, chain_id: int) -> list[Contract]:
        """Return the contracts of a chain: the manifest's in its order, then the children as they were learned."""
        children = [child.contract for (on, _), child in self._children.items() if on == chain_id]
        return self.manifest.on(chain_id) + children

    def addresses(self, chain_id: int) -> list[bytes]:
        """Return the addresses (20 bytes each) of the contracts of a chain, in the order of ``on``."""
        return [contract.address for contract in self.on(chain_id)]

    def learn(self, source: pa.RecordBatch | LogEntry) -> list[Child]:
        """Take note of the children that entries announce; return those that were not known.

        Entries come in the order of the log. Of a batch that holds a factory's child and what that announces in turn,
        both are learned.
        """
        if not self._topics:
            return []
        if isinstance(source, LogEntry):
            announcing = [source]
        else:
            meant = pc.is_in(source.column("topic0"), self._creating)
            announcing = list(batches.entries(source.filter(meant), Finality.PENDING))
        new: list[Child] = []
        for entry in announcing:
            if isinstance(entry.record, ChainLog):
                new += self._learn(entry.chain_id, entry.block.number, entry.record, entry.position)
        return new

    def learn_logs(self, chain_id: int, logs: Iterable[tuple[BlockRef, ChainLog]]) -> list[Child]:
        """Take note of the children that logs announce which have no positions yet; return those not known."""
        if not self._topics:
            return []
        return [child for block, log in logs for child in self._learn(chain_id, block.number, log, None)]

    def forget_behind(self, position: int) -> None:
        """Forget the children whose announcement stands behind a position: a reorg has put other entries there."""
        self._keep(lambda _, child: child.position is None or child.position <= position)

    def forget_blocks(self, chain_id: int, above: int) -> None:
        """Forget the children that were announced above a block of a chain: a reorg has replaced those blocks."""
        self._keep(lambda on, child: on != chain_id or child.place[0] <= above)

    def unknown(self, batch: pa.RecordBatch) -> Counter[tuple[bytes, bytes | None]]:
        """Count a batch's contract logs that no ABI explains, by address and first topic (None: it has no topic).

        Whether the data can be read is not looked at.
        """
        counts: Counter[tuple[bytes, bytes | None]] = Counter()
        for stranger in gather(batch, self).strangers:
            counts[stranger.address, stranger.topic0] += len(stranger.rows)
        return counts

    def _learn(self, chain_id: int, block_number: int, log: ChainLog, position: int | None) -> Iterable[Child]:
        place = (block_number, log.log_index)
        factory = self.get(log.address, chain_id, place)
        if factory is None or not factory.creates or not log.topics:
            return
        key = (log.topics[0], len(log.topics))
        announced = [each for each in factory.creates if key in each.keys]
        event = decode_log(log, self, chain_id=chain_id, block_number=block_number) if announced else None
        if not isinstance(event, ChainEvent):
            return
        for creates in announced:
            address = event.address(creates.argument)
            if address != ZERO_ADDRESS and self.get(address, chain_id) is None:
                child = Child(_child(creates, address, chain_id, block_number), factory.address, place, position)
                self._children[chain_id, address] = child
                yield child

    def _keep(self, stays: Callable[[int, Child], bool]) -> None:
        self._children = {key: child for key, child in self._children.items() if stays(key[0], child)}


def _creating_topics(all_creates: Iterable[Creates]) -> set[bytes]:
    topics: set[bytes] = set()
    for creates in all_creates:
        topics |= {topic0 for topic0, _ in creates.keys} | _creating_topics(creates.creates)
    return topics


def _child(creates: Creates, address: bytes, chain_id: int, block_number: int) -> Contract:
    return Contract(
        f"{creates.name}.{to_hex(address)}",
        creates.kind,
        address,
        block_number,
        creates.events,
        creates.symbol,
        creates.decimals,
        creates.asset,
        chain_id,
        creates.abis,
        creates.creates,
    )
