"""The calls that the fault tests make, each with what it does to a log that works: a list, a tip and two numbers.

A call is a value, so that a forked process can make it and the test can say what must have come of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

import pyarrow as pa
from psycopg.rows import dict_row

from deepnode_ledger import chain as chains
from deepnode_ledger.batch import entries as entries_of
from deepnode_ledger.database import open_datastore
from deepnode_ledger.errors import Conflict
from deepnode_ledger.log import Log
from deepnode_ledger.publishing import Publisher
from deepnode_ledger.record import Block, BlockRef, ChainLog, Finality, Header, TaskEvent
from deepnode_ledger.snapshot import Snapshot
from deepnode_ledger.transparency import Signer
from tests.ledger.histories import CHAIN_ID, FIRST_BLOCK, GENESIS, placed

Held = tuple[BlockRef, ChainLog | TaskEvent]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a log is: its database, the directory that it is published in, and the key that signs it."""

    url: str
    directory: Path
    signer: str


class Desk:
    """What calls are made with: a log, and a publisher, each opened at its first use and kept."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.datastore = open_datastore(place.url, pool_size=1)
        # One connection for all calls: then the backend that is faulted is the one that serves them.
        self.datastore.pool.resize(1, 1)

    @cached_property
    def log(self) -> Log:
        """The log. Its recorder asks the database for types, once, by a connection of its own."""
        log = Log(self.datastore, CHAIN_ID)
        assert log._recorder is not None
        return log

    @cached_property
    def publisher(self) -> Publisher:
        """The publisher, with its directory locked."""
        publisher = Publisher(self.place.url, self.place.directory, Signer.parse(self.place.signer))
        publisher._datastore.pool.resize(1, 1)
        return publisher.open()

    def create(self) -> None:
        """Make the log of the chain of ``histories``."""
        self.log.create(GENESIS, FIRST_BLOCK)

    def close(self) -> None:
        """Close what was opened."""
        self.datastore.close()
        if "publisher" in self.__dict__:
            self.publisher.close()


@dataclass(frozen=True, slots=True)
class LogState:
    """What a log holds: its entries in order, how many are sealed and signed, and where its chain stands.

    ``headers`` are oldest first: the newest sealed block's, if any is sealed, and those of the tail.
    """

    entries: tuple[Held, ...] = ()
    sealed: int = 0
    headers: tuple[Header, ...] = ()
    finalized: BlockRef | None = None
    reorgs: int = 0
    signed: int = 0

    @property
    def tip(self) -> BlockRef:
        """The newest covered block."""
        return self.headers[-1].block


class Call(Protocol):
    """Something that is asked of the log."""

    def make(self, desk: Desk) -> object:
        """Ask it; what comes back is the acknowledgement."""

    def after(self, state: LogState) -> LogState:
        """Return what the log holds when it was done."""

    def check(self, answer: object, before: LogState, after: LogState) -> None:
        """Check the acknowledgement of the first attempt against what the log holds before and after."""


@dataclass(frozen=True, slots=True)
class Extend:
    """``Log.extend``: blocks of the tail, behind ``kept``."""

    kept: BlockRef | None
    blocks: tuple[Block, ...]

    def make(self, desk: Desk) -> object:
        desk.log.extend(self.kept, self.blocks)
        return None

    def after(self, state: LogState) -> LogState:
        number = -1 if self.kept is None else self.kept.number
        stay = tuple(held for held in state.entries if held[0].number <= number)
        moved = [record for at, record in state.entries[len(stay) :] if isinstance(record, TaskEvent)]
        headers = tuple(header for header in state.headers if header.block.number <= number)
        is_reorg = len(headers) < len(state.headers)
        headers += tuple(block.header for block in self.blocks)
        entries = (*stay, *placed(self.blocks), *((headers[-1].block, event) for event in moved))
        return replace(state, entries=entries, headers=headers, reorgs=state.reorgs + is_reorg)

    def check(self, answer: object, before: LogState, after: LogState) -> None:
        assert answer is None


@dataclass(frozen=True, slots=True)
class Accept:
    """``Log.accept``: task events, some of which may be known."""

    events: tuple[TaskEvent, ...]

    def make(self, desk: Desk) -> object:
        answers = desk.log.accept(self.events)
        assert not any(isinstance(answer, Conflict) for answer in answers), answers
        return [answer.position for answer in answers if not isinstance(answer, Conflict)]

    def after(self, state: LogState) -> LogState:
        known = {record for _, record in state.entries if isinstance(record, TaskEvent)}
        new = [event for event in dict.fromkeys(self.events) if event not in known]
        return replace(state, entries=(*state.entries, *((state.tip, event) for event in new)))

    def check(self, answer: object, before: LogState, after: LogState) -> None:
        records = [record for _, record in after.entries]
        assert answer == [records.index(event) + 1 for event in self.events]


@dataclass(frozen=True, slots=True)
class AppendFinalized:
    """``Log.append_finalized``: a range of final blocks; what is pending is sealed with it."""

    blocks: tuple[Block, ...]

    def make(self, desk: Desk) -> object:
        header = self.blocks[-1].header
        desk.log.append_finalized(self.blocks[0].header.block.number, header, placed(self.blocks), "test")
        return None

    def after(self, state: LogState) -> LogState:
        entries = (*state.entries, *placed(self.blocks))
        header = self.blocks[-1].header
        return replace(state, entries=entries, sealed=len(entries), headers=(header,), finalized=header.block)

    def check(self, answer: object, before: LogState, after: LogState) -> None:
        assert answer is None


@dataclass(frozen=True, slots=True)
class Seal:
    """``Log.seal``: what is final becomes immutable."""

    finalized: BlockRef

    def make(self, desk: Desk) -> object:
        sealed = desk.log.seal(self.finalized)
        return None if sealed is None else (sealed.first, sealed.last)

    def after(self, state: LogState) -> LogState:
        number = self.finalized.number
        sealed = sum(at.number <= number for at, _ in state.entries)
        headers = tuple(header for header in state.headers if header.block.number >= number)
        return replace(state, sealed=sealed, headers=headers, finalized=self.finalized)

    def check(self, answer: object, before: LogState, after: LogState) -> None:
        assert answer == (None if before.sealed == after.sealed else (before.sealed + 1, after.sealed))


@dataclass(frozen=True, slots=True)
class Publish:
    """One round of the publisher."""

    def make(self, desk: Desk) -> object:
        published = desk.publisher.publish()
        return None if published is None else published.head.size

    def after(self, state: LogState) -> LogState:
        return replace(state, signed=state.sealed)

    def check(self, answer: object, before: LogState, after: LogState) -> None:
        assert answer == (after.signed if after.signed > before.signed else None)


def state_of(view: Snapshot, read: Sequence[pa.RecordBatch]) -> LogState:
    """Say what a log holds by all that was ``read``, and check what readers are promised: no gap, and finality."""
    entries = [entry for batch in read for entry in entries_of(batch, view.finality(batch))]
    sealed = view.head.sealed_position
    assert [entry.position for entry in entries] == list(range(1, len(entries) + 1))
    assert view.head.last_position == len(entries)
    for entry in entries:
        assert entry.finality == (Finality.SEALED if entry.position <= sealed else Finality.PENDING), entry
    chain = view.chain(CHAIN_ID)
    assert chain is not None
    cursor = view.connection.cursor(row_factory=dict_row)
    headers = tuple(reversed(chains.headers(cursor, CHAIN_ID)))
    assert chain.tip == (headers[-1].block if headers else None)
    reorgs = view.reorgs()
    assert [reorg.number for reorg in reorgs] == list(range(1, len(reorgs) + 1))
    cursor.execute("SELECT coalesce(max(size), 0) AS signed FROM log.checkpoint")
    row = cursor.fetchone()
    assert row is not None
    held = tuple((entry.block, entry.record) for entry in entries)
    return LogState(held, sealed, headers, chain.finalized, len(reorgs), row["signed"])
