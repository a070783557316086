"""Sealing: how an entry becomes part of the immutable log.

A block that Base has finalized cannot be replaced, so its entries can be committed to. Sealing keeps positions and
bytes; it refuses a gap. The functions run in the caller's transaction, which holds the log's lock. Memory is one batch
at a time, however much is sealed at once.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from eventsourcing.persistence import StoredEvent
from psycopg import Cursor
from psycopg.rows import DictRow

from deepnode_ledger import batch as batches
from deepnode_ledger import segment, tail
from deepnode_ledger.batch_versions import TOPIC
from deepnode_ledger.chain import forget_headers_below, headers
from deepnode_ledger.head import Head, load_head
from deepnode_ledger.record import BlockRef, Header
from deepnode_ledger.recorder import STREAM, LogRecorder
from deepnode_ledger.stored import stored_batch


@dataclass(frozen=True, slots=True)
class Sealed:
    """Positions ``first`` to ``last`` (both included) became immutable."""

    first: int
    last: int


def seal_up_to(
    cursor: Cursor[DictRow], recorder: LogRecorder, chain_id: int, final: BlockRef, why: str
) -> Sealed | None:
    """Move the pending entries of blocks up to ``final`` into the sealed part, and record what covers them."""
    cursor.execute("SELECT max(position) AS last FROM log.pending WHERE block_number <= %s", (final.number,))
    row = cursor.fetchone()
    assert row is not None
    sealed = None
    if row["last"] is not None:
        pending = tail.pages(cursor.connection, load_head(cursor).sealed_position + 1, row["last"])
        sealed = insert_sealed(cursor, recorder, _filled(pending))
        cursor.execute("DELETE FROM log.pending WHERE position <= %s", (row["last"],))
    cursor.execute(
        "SELECT coalesce(max(last_block) + 1, (SELECT first_block FROM log.chain WHERE chain_id = %s)) AS first"
        " FROM log.coverage WHERE chain_id = %s",
        (chain_id, chain_id),
    )
    row = cursor.fetchone()
    assert row is not None
    if row["first"] <= final.number:
        cover(cursor, chain_id, row["first"], final, why)
    # The header of the newest final block stays: it is what the tail is continued from.
    forget_headers_below(cursor, chain_id, final.number)
    if row["first"] <= final.number or sealed is not None:
        # Task events that were accepted under a block that was sealed already come without a new block.
        note_sealing(cursor, headers(cursor, chain_id)[-1])
    return sealed


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


def note_sealing(cursor: Cursor[DictRow], last: Header) -> None:
    """Note a moment that the log can be restored to: what is sealed now holds everything up to block ``last``."""
    cursor.execute(
        "INSERT INTO log.sealing"
        " (number, sealed_position, batches, block_number, block_hash, parent_hash, block_time)"
        " SELECT (SELECT coalesce(max(number), 0) + 1 FROM log.sealing), sealed_position, batches, %s, %s, %s, %s"
        " FROM log.head",
        (last.block.number, last.block.hash, last.parent_hash, last.block.time),
    )


def index_missing(cursor: Cursor[DictRow]) -> None:
    """Make the segments of batches that have none: of a log from before there were segments, or of a restored one."""
    head = load_head(cursor)
    for number in range(segment.last_batch(cursor) + 1, head.batches + 1):
        segment.add(cursor, segment.of_batch(number, stored_batch(cursor, number)))


def _insert(cursor: Cursor[DictRow], recorder: LogRecorder, head: Head, batch: pa.RecordBatch) -> Head:
    first, last = batch.column("position")[0].as_py(), batch.column("position")[batch.num_rows - 1].as_py()
    blocks = batch.column("block_number")
    assert first == head.sealed_position + 1, (first, head)
    assert last - first + 1 == batch.num_rows, (first, last, batch.num_rows)
    assert not np.any(np.diff(blocks.to_numpy()) < 0), "blocks go up with positions"
    number = head.batches + 1
    state = batches.encode(batch)
    recorder.insert_locked(cursor, [StoredEvent(STREAM, number, TOPIC, state)])
    cursor.execute(
        "INSERT INTO log.batch (number, first_position, last_position, first_block, last_block, sha256)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        (number, first, last, blocks[0].as_py(), blocks[len(blocks) - 1].as_py(), hashlib.sha256(state).digest()),
    )
    segment.add(cursor, segment.of_batch(number, batch))
    return Head(max(head.last_position, last), last, number)


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
