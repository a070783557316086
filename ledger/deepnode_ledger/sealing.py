"""Sealing: how an entry becomes part of the immutable log.

A block that its chain has finalized cannot be replaced, so its entries can be committed to. Sealing keeps positions and
bytes; it refuses a gap, so an entry that is not final yet holds up what stands behind it, of whatever chain. The
functions run in the caller's transaction, which holds the log's lock. Memory is one batch at a time, however much is
sealed at once.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from eventsourcing.persistence import StoredEvent
from psycopg import Cursor
from psycopg.rows import DictRow

from deepnode_ledger import batch as batches
from deepnode_ledger import segment, tail
from deepnode_ledger.batch_versions import TOPIC
from deepnode_ledger.chain import clear_sealable, forget_headers_below
from deepnode_ledger.head import Head, load_head
from deepnode_ledger.record import BlockRef, Kind
from deepnode_ledger.recorder import STREAM, LogRecorder
from deepnode_ledger.stored import stored_batch


@dataclass(frozen=True, slots=True)
class Sealed:
    """Positions ``first`` to ``last`` (both included) became immutable."""

    first: int
    last: int


class Readiness:
    """What the log could seal now, chain by chain.

    Args:
        cursor: of the transaction that holds the log's lock.
        chain_id: the chain on whose behalf entries are sealed; ``final`` is its newest block that may be.
        final: a number; other chains' blocks may be sealed up to what they said last and still hold.
        evidence: what the chain's blocks are covered by, in a word.
    """

    def __init__(self, cursor: Cursor[DictRow], chain_id: int, final: int, evidence: str) -> None:
        self._cursor = cursor
        self._chain_id = chain_id
        # A block that a reorg has replaced since is not final; a chain is not sealed into what it holds back.
        cursor.execute(
            "SELECT chain_id, first_block, sealable_evidence AS evidence, (SELECT max(last_block) FROM log.coverage"
            "  WHERE coverage.chain_id = chain.chain_id) AS covered, (SELECT number FROM log.header WHERE"
            "  header.chain_id = chain.chain_id AND number = sealable_number AND hash = sealable_hash) AS sealable,"
            " (SELECT min(first_block) FROM log.hold WHERE hold.chain_id = chain.chain_id) AS held"
            " FROM log.chain ORDER BY chain_id"
        )
        self._chains = [
            _Ready(row, final, evidence) if row["chain_id"] == chain_id else _Ready(row, row["sealable"])
            for row in cursor.fetchall()
        ]
        self._head = load_head(cursor)
        self.last = self._last()

    def _last(self) -> int:
        """The end of the longest run of entries that are final, each on its own chain."""
        if self._head.last_position == self._head.sealed_position:
            return self._head.last_position
        waiting = (tail.first_above(self._cursor, each.chain_id, each.final) for each in self._chains)
        return min((first - 1 for first in waiting if first is not None), default=self._head.last_position)

    @property
    def news(self) -> bool:
        """Whether the chain on whose behalf this is has a final block that nothing covers yet."""
        return any(each.chain_id == self._chain_id and each.uncovered <= each.final for each in self._chains)

    @property
    def entries(self) -> int:
        """How many entries could be sealed."""
        return self.last - self._head.sealed_position

    @property
    def waiting(self) -> int:
        """How many entries stay pending: the first of them is not final."""
        return self._head.last_position - self.last

    def seal(self, recorder: LogRecorder) -> Sealed | None:
        """Move those entries into the sealed part, and record what is covered by it, on every chain."""
        sealed = None
        if self.entries:
            pending = tail.pages(self._cursor.connection, self._head.sealed_position + 1, self.last)
            sealed = insert_sealed(self._cursor, recorder, _filled(pending))
            self._cursor.execute("DELETE FROM log.pending WHERE position <= %s", (self.last,))
        covered = [self._cover(each) for each in self._chains]
        if sealed is not None or any(covered):
            # Task events that were accepted under a block that was sealed already come without a new block.
            note_sealing(self._cursor)
        return sealed

    def _cover(self, chain: "_Ready") -> bool:
        """Cover the blocks of a chain all of whose logs are sealed; say whether there is a new one."""
        last = min(chain.final, self._whole(chain)) if self.waiting else chain.final
        if last < chain.uncovered:
            return False
        self._cursor.execute(
            "SELECT hash, time FROM log.header WHERE chain_id = %s AND number = %s", (chain.chain_id, last)
        )
        row = self._cursor.fetchone()
        assert row is not None, (chain, last)
        cover(self._cursor, chain.chain_id, chain.uncovered, BlockRef(last, row["hash"], row["time"]), chain.evidence)
        # The header of the newest covered block stays: it is what the tail is continued from.
        forget_headers_below(self._cursor, chain.chain_id, last)
        clear_sealable(self._cursor, chain.chain_id, last)
        return True

    def _whole(self, chain: "_Ready") -> int:
        """The last block of a chain that no pending log is of, nor a pending task event below it."""
        self._cursor.execute(
            "SELECT kind, block_number FROM log.pending WHERE chain_id = %s ORDER BY block_number, position LIMIT 1",
            (chain.chain_id,),
        )
        row = self._cursor.fetchone()
        if row is None:
            return chain.final
        # A block's logs stand side by side and before its task events, so the first entry says it all.
        number = int(row["block_number"])
        return number if row["kind"] == Kind.TASK_EVENT else number - 1


class _Ready:
    """A chain: ``final`` is the newest block that may be sealed, ``uncovered`` the first that nothing covers."""

    def __init__(self, row: dict[str, Any], final: int | None, evidence: str | None = None) -> None:
        self.chain_id: int = row["chain_id"]
        self.uncovered: int = row["first_block"] if row["covered"] is None else row["covered"] + 1
        self.evidence: str = row["evidence"] if evidence is None else evidence
        until = self.uncovered - 1 if final is None else final
        self.final = until if row["held"] is None else min(until, row["held"] - 1)


def insert_sealed(cursor: Cursor[DictRow], recorder: LogRecorder, added: Iterable[pa.RecordBatch]) -> Sealed | None:
    """Write entries behind the sealed part, as stored batches. This is the one way in.

    Args:
        cursor: of the transaction that holds the log's lock.
        recorder: of the sealed log.
        added: batches of ``batch_versions.SCHEMA``, of any length; their positions go on from the sealed ones.
    """
    before = load_head(cursor)
    head = before
    for batch in (run for each in added for run in batches.runs(each)):
        head = _insert(cursor, recorder, head, batch)
    if head == before:
        return None
    cursor.execute(
        "UPDATE log.head SET sealed_position = %s, last_position = greatest(last_position, %s), batches = %s",
        (head.sealed_position, head.sealed_position, head.batches),
    )
    return Sealed(before.sealed_position + 1, head.sealed_position)


def cover(cursor: Cursor[DictRow], chain_id: int, first: int, last: BlockRef, evidence: str) -> None:
    """Record that blocks ``first`` to ``last`` are complete, and why; a range that continues its neighbour joins it."""
    cursor.execute(
        "UPDATE log.coverage SET last_block = %s, last_hash = %s"
        " WHERE chain_id = %s AND last_block = %s AND evidence = %s",
        (last.number, last.hash, chain_id, first - 1, evidence),
    )
    if cursor.rowcount == 0:
        cursor.execute(
            "INSERT INTO log.coverage VALUES (%s, %s, %s, %s, %s)", (chain_id, first, last.number, last.hash, evidence)
        )


def note_sealing(cursor: Cursor[DictRow]) -> None:
    """Note a moment that the log can be restored to: what is sealed now, and up to which block of each chain."""
    cursor.execute(
        "INSERT INTO log.sealing (number, sealed_position, batches)"
        " SELECT (SELECT coalesce(max(number), 0) + 1 FROM log.sealing), sealed_position, batches FROM log.head"
        " RETURNING number"
    )
    row = cursor.fetchone()
    assert row is not None
    cursor.execute(
        "INSERT INTO log.sealing_block (number, chain_id, block_number, block_hash, parent_hash, block_time)"
        " SELECT %s, chain_id, header.number, hash, parent_hash, time FROM log.header JOIN"
        " (SELECT chain_id, max(last_block) AS number FROM log.coverage GROUP BY chain_id) covered"
        " USING (chain_id, number) ORDER BY chain_id",
        (row["number"],),
    )


def index_missing(cursor: Cursor[DictRow]) -> None:
    """Make the segments of batches that have none: of a log from before there were segments, or of a restored one."""
    head = load_head(cursor)
    for number in range(segment.last_batch(cursor) + 1, head.batches + 1):
        segment.add(cursor, segment.of_batch(number, stored_batch(cursor, number)))


def _insert(cursor: Cursor[DictRow], recorder: LogRecorder, head: Head, batch: pa.RecordBatch) -> Head:
    first, last = batch.column("position")[0].as_py(), batch.column("position")[batch.num_rows - 1].as_py()
    assert first == head.sealed_position + 1, (first, head)
    assert last - first + 1 == batch.num_rows, (first, last, batch.num_rows)
    number = head.batches + 1
    state = batches.encode(batch)
    recorder.insert_locked(cursor, [StoredEvent(STREAM, number, TOPIC, state)])
    insert_index(cursor, number, batch, hashlib.sha256(state).digest())
    segment.add(cursor, segment.of_batch(number, batch))
    return Head(max(head.last_position, last), last, number)


def insert_index(cursor: Cursor[DictRow], number: int, batch: pa.RecordBatch, sha256: bytes) -> None:
    """Write down where the positions and the blocks of a stored batch are; ``sha256`` is that of its bytes."""
    positions = batch.column("position")
    cursor.execute(
        "INSERT INTO log.batch (number, first_position, last_position, sha256) VALUES (%s, %s, %s, %s)",
        (number, positions[0].as_py(), positions[batch.num_rows - 1].as_py(), sha256),
    )
    for chain_id, blocks in batches.blocks_by_chain(batch).items():
        assert not np.any(np.diff(blocks) < 0), "a chain's blocks go up with positions"
        cursor.execute(
            "INSERT INTO log.batch_block (number, chain_id, first_block, last_block) VALUES (%s, %s, %s, %s)",
            (number, chain_id, int(blocks[0]), int(blocks[-1])),
        )


def _filled(pages: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Join pages until they fill a stored batch, so that sealing a long tail makes few batches."""
    waiting: list[pa.RecordBatch] = []
    for page in pages:
        if waiting and sum(each.num_rows for each in waiting) + page.num_rows > batches.ENTRIES_MAX:
            yield _joined(waiting)
            waiting = []
        waiting.append(page)
        if sum(each.column("data").nbytes for each in waiting) > batches.RUN_BYTES:
            yield _joined(waiting)
            waiting = []
    if waiting:
        yield _joined(waiting)


def _joined(waiting: list[pa.RecordBatch]) -> pa.RecordBatch:
    return waiting[0] if len(waiting) == 1 else pa.concat_batches(waiting)
