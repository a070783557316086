"""The log: one total order over the contract logs of one chain or several, and signed task events.

It has two parts. *Sealed* entries belong to finalized blocks and never change; they lie in batches. *Pending* entries
are newer: durable and visible at once, but a reorg can take them back. Every change below is one transaction under one
lock, so a crash leaves the log as it was before or as it is after, and positions have no gap at any moment that a
reader can see.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Final

import pyarrow as pa
from eventsourcing.persistence import OperationalError
from psycopg import Cursor
from psycopg.rows import DictRow

from deepnode_ledger import chain as chains
from deepnode_ledger import evidence as evidences
from deepnode_ledger import producer_state, repairing, tail
from deepnode_ledger.batch import check_range, from_rows, placed_behind, row_of
from deepnode_ledger.chain import Chain
from deepnode_ledger.database import database_errors, url_of
from deepnode_ledger.errors import Conflict, TryAgain
from deepnode_ledger.evidence import Evidence, Hold
from deepnode_ledger.head import load_head
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.record import Block, BlockRef, ChainLog, Header, LogEntry, TaskEvent
from deepnode_ledger.recorder import LogRecorder
from deepnode_ledger.schema import create_log
from deepnode_ledger.sealing import Readiness, Sealed, cover, index_missing, insert_sealed, note_sealing
from deepnode_ledger.standing import Standing, reading
from deepnode_ledger.tail import Accepted, NotContiguous

CHANNEL: Final = "deepnode_log"
"""NOTIFY goes out here with every change. It is a hint: a follower polls all the same."""

ACCEPT_MAX: Final = 1_000
"""Task events in one call."""

CONTINUITY: Final = "header-continuity"
"""What covers a block of which nothing is known but that its header follows on those before it."""


class Behind(TryAgain):
    """Another chain's entries that are not final yet stand in the tail: nothing can be sealed behind them.

    Nothing was changed. ``extend`` takes the same blocks; or the other chain's follower seals its entries first.
    """


class Log(Standing):
    """The log, open for writing what happens on one chain.

    Any number of processes may hold one, for the same chain or another: the database's lock makes them take turns.
    """

    @cached_property
    def _recorder(self) -> LogRecorder:
        # The library's constructor connects, to learn types; so it waits until somebody writes.
        return LogRecorder(self.datastore)

    def create(self, genesis_hash: bytes, first_block: int, *, beside: Collection[int] = ()) -> Chain:
        """Make the log's tables if they are missing, and check that this is the log of this chain.

        Args:
            genesis_hash: of the chain's block 0, 32 bytes.
            first_block: where intake starts.
            beside: the ids of the other chains that are meant to be in the same log.

        Raises:
            chain.WrongChain: the database holds the log of another chain.
            BadInput: the tables are newer than this program.
            TryAgain: the database is away.
        """
        create_log(self.datastore)
        with self._writing() as cursor:
            index_missing(cursor)
            tail.fill_tasks(cursor)
            return chains.enrol(cursor, self.chain_id, genesis_hash, first_block, beside)

    def chain(self) -> Chain:
        """Say how far the chain is covered and finalized."""
        with reading(self.datastore) as cursor:
            chain = chains.load(cursor, self.chain_id)
        assert chain is not None, "create() comes first"
        return chain

    def headers(self) -> list[Header]:
        """Return the headers by which a reorg is recognised, newest first; the last is of a sealed block."""
        with reading(self.datastore) as cursor:
            return chains.headers(cursor, self.chain_id)

    def extend(self, kept: BlockRef | None, blocks: Sequence[Block]) -> None:
        """Put the blocks that follow ``kept`` behind it; whatever stood behind ``kept`` until now is a reorg.

        A reorg drops the logs of the orphaned blocks. Logs of other chains that came since, and task events, are kept,
        in their old order, behind the new blocks: a producer was told that they are durable.

        Args:
            kept: the block to build on; None before the first block is covered, or if not even that one stayed.
            blocks: each the child of the one before it; empty if the chain only became shorter.

        Raises:
            NotContiguous: ``kept`` is not covered, or a block is not the child of the one before it.
            ReorgBelowSealed: ``kept`` is older than the sealed part.
            TryAgain: the database is away.
        """
        _check_continuity(kept, blocks)
        with self._writing() as cursor:
            chain = chains.load(cursor, self.chain_id)
            assert chain is not None
            moved: list[LogEntry] = []
            if chain.tip is None and kept is not None:
                raise NotContiguous(f"no block is covered yet, so none can be built on, not even {kept.number}")
            if kept is None and (not blocks or blocks[0].header.block.number != chain.first_block):
                raise NotContiguous(f"without a block to build on, the first must be {chain.first_block}")
            if kept != chain.tip:
                moved = tail.drop_behind(cursor, chain, kept, blocks)
            tip = blocks[-1].header.block if blocks else kept
            assert tip is not None
            chains.add_headers(cursor, self.chain_id, [block.header for block in blocks])
            chains.set_tip(cursor, self.chain_id, tip)
            placed = [(block.header.block, log) for block in blocks for log in block.logs]
            tail.append(cursor, self.chain_id, placed)
            tail.put_back(cursor, moved)

    def append_finalized(
        self,
        first: int,
        last: Header,
        logs: Sequence[tuple[BlockRef, ChainLog]] | pa.RecordBatch,
        why: str,
        *,
        evidence: Sequence[Evidence] = (),
        release: bool = False,
    ) -> None:
        """Put the logs of a finalized range straight into the sealed part.

        Everything pending is sealed first: it belongs to older blocks, which are final too, or to another chain.

        Args:
            first: number of the range's first block; it must follow on the covered ones.
            last: header of the range's last block.
            logs: in the order of the chain; one by one or, quicker, as columns (``batch_versions.SCHEMA``), whose
                positions are of no account.
            why: the evidence that the range is complete, in a word, for the coverage table.
            evidence: the same in full.
            release: let go of what the range is held by: the evidence settles the doubt.

        Raises:
            evidence.Held: a block of the range is held, and ``release`` is not asked for.
            Behind: another chain's entries that are not final stand before it.
            NotContiguous: the range does not follow on what is covered.
            TryAgain: the database is away.
        """
        assert first <= last.block.number, (first, last)
        added = self._columns(logs)
        if added is not None:
            check_range(added, self.chain_id, first, last.block.number)
        with self._writing() as cursor:
            chain = chains.load(cursor, self.chain_id)
            assert chain is not None
            expected = chain.first_block if chain.tip is None else chain.tip.number + 1
            if first != expected:
                raise NotContiguous(f"the next block to cover is {expected}, not {first}")
            if release:
                evidences.release(cursor, self.chain_id, first, last.block.number)
            evidences.check_free(cursor, self.chain_id, 0, last.block.number)
            chains.set_finalized(cursor, self.chain_id, last.block)
            self._seal_all(cursor, chain)
            chains.add_headers(cursor, self.chain_id, [last])
            chains.forget_headers_below(cursor, self.chain_id, last.block.number)
            chains.set_tip(cursor, self.chain_id, last.block)
            if added is not None:
                placed = placed_behind(added, load_head(cursor).last_position)
                insert_sealed(cursor, self._recorder, [placed])
            cover(cursor, self.chain_id, first, last.block, why)
            evidences.record(cursor, self.chain_id, evidence)
            note_sealing(cursor)

    def _seal_all(self, cursor: Cursor[DictRow], chain: Chain) -> None:
        """Seal everything pending, before a final range."""
        tip = chain.first_block - 1 if chain.tip is None else chain.tip.number
        ready = Readiness(cursor, self.chain_id, tip, CONTINUITY)
        if ready.waiting:
            raise Behind(
                f"{ready.waiting} entries, the first of which is not final on its own chain, stand before the blocks "
                f"behind {tip} of chain {self.chain_id}: extend the log by these, or wait"
            )
        ready.seal(self._recorder)

    def _columns(self, logs: Sequence[tuple[BlockRef, ChainLog]] | pa.RecordBatch) -> pa.RecordBatch | None:
        if isinstance(logs, pa.RecordBatch):
            return logs if logs.num_rows else None
        rows = [row_of(number, self.chain_id, block, log) for number, (block, log) in enumerate(logs, start=1)]
        return from_rows(rows) if rows else None

    def accept(
        self, events: Sequence[TaskEvent], offsets: Mapping[tuple[str, int], int] | None = None
    ) -> list[Accepted | Conflict]:
        """Make task events durable; return for each where it is, or why it is refused.

        The caller has checked signatures and schema. An event that is known with the same payload is accepted again and
        adds nothing; the same key or sequence number with another payload is refused and changes nothing.

        Args:
            events: at most ``ACCEPT_MAX``.
            offsets: how far their source was read, by its name and partition, to be noted in the same transaction.

        Raises:
            TryAgain: the database is away, or no block is covered yet to place the events under.
        """
        assert len(events) <= ACCEPT_MAX, len(events)
        with self._writing() as cursor:
            chain = chains.load(cursor, self.chain_id)
            assert chain is not None
            if chain.tip is None:
                raise TryAgain("no block is covered yet: task events are placed under the head block")
            known = tail.KnownTasks(cursor, events)
            answers: list[Accepted | Conflict] = []
            new: list[tuple[BlockRef, TaskEvent]] = []
            first = load_head(cursor).last_position + 1
            for event in events:
                answer = known.find(event)
                if answer is None:
                    answer = Accepted(first + len(new), duplicate=False)
                    known.add(event, answer.position)
                    new.append((chain.tip, event))
                answers.append(answer)
            tail.append(cursor, self.chain_id, new)
            if offsets:
                producer_state.move_offsets(cursor, offsets)
            return answers

    def enrol_contracts(self, contracts: Sequence[tuple[bytes, int]]) -> None:
        """Note whose logs are asked for from now on: pairs of an address (20 bytes) and its first block.

        Raises:
            evidence.UncoveredContract: a new one begins in blocks that are covered already, without its logs.
        """
        with self._writing() as cursor:
            evidences.enrol_contracts(cursor, self.chain_id, contracts)

    def show(self, evidence: Sequence[Evidence]) -> None:
        """Keep evidence that came to light after the blocks were sealed."""
        with self._writing() as cursor:
            evidences.record(cursor, self.chain_id, evidence)

    def hold(self, held: Hold) -> bool:
        """Hold blocks back from sealing until ``release`` is asked for; say whether they were not held before."""
        with self._writing() as cursor:
            return evidences.hold(cursor, self.chain_id, held)

    def release(self, first: int, last: int) -> None:
        """Let go of what blocks of a range are held by: what was in doubt there has been shown."""
        with self._writing() as cursor:
            evidences.release(cursor, self.chain_id, first, last)

    def seal(
        self, finalized: BlockRef, *, entries_min: int = 1, why: str = CONTINUITY, evidence: Sequence[Evidence] = ()
    ) -> Sealed | None:
        """Make the pending entries of blocks up to ``finalized`` immutable, keeping positions and bytes.

        Nothing is sealed of a block that is held, or behind one; nor behind another chain's entry that is not final.
        Another chain's final entries that stand before are sealed, too.

        Args:
            finalized: the chain's newest final block.
            entries_min: wait while fewer entries than this could be sealed, so that batches do not become tiny.
            why: the evidence that the blocks are complete, in a word, for the coverage table.
            evidence: the same in full; kept once for a block that nothing covers yet, unless entries are waited for.

        Raises:
            ReorgBelowSealed: the covered block at that height has another hash.
            TryAgain: the database is away.
        """
        with self._writing() as cursor:
            chain = chains.load(cursor, self.chain_id)
            assert chain is not None
            if chain.tip is None:
                return None
            if finalized.number > chain.tip.number:
                # Nothing that is covered says whether the tip lies below that block.
                return None
            tail.check_final(cursor, self.chain_id, finalized)
            chains.set_finalized(cursor, self.chain_id, finalized)
            until = _before_holds(cursor, self.chain_id, finalized)
            if until is None:
                return None
            ready = Readiness(cursor, self.chain_id, until.number, why)
            if 0 < ready.entries < entries_min:
                return None
            if ready.news and chains.set_sealable(cursor, self.chain_id, until, why):
                evidences.record(cursor, self.chain_id, evidence)
            return ready.seal(self._recorder)

    def replace(self, first: int, last: int, logs: pa.RecordBatch) -> None:
        """Put what was proven in the place of what waits of blocks ``first`` to ``last``; readers see a reorg.

        Args:
            first: the first of the blocks; it and all behind it are covered and not sealed.
            last: the last of them.
            logs: all logs of these blocks (``batch_versions.SCHEMA``, in the order of the chain).

        Raises:
            NotContiguous: a block is sealed, is not covered, or has another hash than its logs say.
            TryAgain: the database is away.
        """
        with self._writing() as cursor:
            chain = chains.load(cursor, self.chain_id)
            assert chain is not None
            hashes = {header.block.number: header.block.hash for header in chains.headers(cursor, self.chain_id)}
            cursor.execute("SELECT max(last_block) AS sealed FROM log.coverage WHERE chain_id = %s", (self.chain_id,))
            row = cursor.fetchone()
            assert row is not None
            if row["sealed"] is not None and first <= row["sealed"]:
                raise NotContiguous(f"block {first} cannot be replaced: the blocks up to {row['sealed']} are sealed")
            for number, block_hash in zip(
                logs.column("block_number").to_pylist(), logs.column("block_hash").to_pylist(), strict=True
            ):
                if not first <= number <= last or hashes.get(number) != block_hash:
                    raise NotContiguous(f"block {number} {to_hex(block_hash)} is not covered by the log")
            repairing.replace_logs(cursor, chain, first, last, logs)

    @contextmanager
    def _writing(self) -> Iterator[Cursor[DictRow]]:
        with database_errors(url_of(self.datastore)), self.datastore.transaction(commit=True) as cursor:
            self._recorder.lock(cursor)
            try:
                yield cursor
            except ValueError as error:
                # The driver stumbles where a COPY ends in two errors: why the server gave up, and that it hung up.
                if not cursor.connection.broken:
                    raise
                raise OperationalError("the connection was lost during a COPY") from error
            cursor.execute(f"NOTIFY {CHANNEL}")


def _before_holds(cursor: Cursor[DictRow], chain_id: int, finalized: BlockRef) -> BlockRef | None:
    """Return the newest block up to ``finalized`` that no hold stands before, if the log still has its header."""
    held = [each for each in evidences.holds(cursor, chain_id) if each.first <= finalized.number]
    if not held:
        return finalized
    below = (header.block for header in chains.headers(cursor, chain_id) if header.block.number < held[0].first)
    return next(below, None)


def _check_continuity(kept: BlockRef | None, blocks: Sequence[Block]) -> None:
    parent = kept
    for block in blocks:
        header = block.header
        if parent is not None and (header.parent_hash != parent.hash or header.block.number != parent.number + 1):
            raise NotContiguous(
                f"block {header.block.number} {to_hex(header.block.hash)} has the parent {to_hex(header.parent_hash)}, "
                f"the block before it is {parent.number} {to_hex(parent.hash)}"
            )
        parent = header.block
