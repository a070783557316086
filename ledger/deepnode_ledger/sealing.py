"""Sealing: how an entry becomes part of the immutable log.

A block that Base has finalized cannot be replaced, so its entries can be committed to. Sealing keeps positions and
bytes; it refuses a gap. The functions run in the caller's transaction, which holds the log's lock.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from eventsourcing.persistence import StoredEvent
from psycopg import Cursor
from psycopg.rows import DictRow, tuple_row

from deepnode_ledger import batch as batches
from deepnode_ledger import tables
from deepnode_ledger.batch import ENTRIES_MAX, TOPIC, Row
from deepnode_ledger.chain import forget_headers_below
from deepnode_ledger.record import BlockRef
from deepnode_ledger.recorder import STREAM, LogRecorder
from deepnode_ledger.snapshot import load_head


@dataclass(frozen=True, slots=True)
class Sealed:
    """Positions ``first`` to ``last`` (both included) became immutable."""

    first: int
    last: int


def seal_up_to(cursor: Cursor[DictRow], recorder: LogRecorder, chain_id: int, final: BlockRef) -> Sealed | None:
    """Move the pending entries of blocks up to ``final`` into the sealed part, and record what covers them."""
    rows_cursor = cursor.connection.cursor(row_factory=tuple_row, binary=True)
    rows_cursor.execute(
        f"DELETE FROM log.pending WHERE block_number <= %s RETURNING {tables.PENDING_COLUMNS}".encode(),  # noqa: S608 (constant)
        (final.number,),
    )
    rows = sorted(rows_cursor.fetchall())
    cursor.execute(
        "SELECT coalesce(max(last_block) + 1, (SELECT first_block FROM log.chain WHERE chain_id = %s)) AS first"
        " FROM log.coverage WHERE chain_id = %s",
        (chain_id, chain_id),
    )
    row = cursor.fetchone()
    assert row is not None
    if row["first"] <= final.number:
        cover(cursor, chain_id, row["first"], final, "header-continuity")
    # The header of the newest final block stays: it is what the tail is continued from.
    forget_headers_below(cursor, chain_id, final.number)
    return insert_sealed(cursor, recorder, rows)


def insert_sealed(cursor: Cursor[DictRow], recorder: LogRecorder, rows: Sequence[Row]) -> Sealed | None:
    """Write rows as batches behind the sealed part. This is the one way in: a tree over the entries hooks in here."""
    if not rows:
        return None
    head = load_head(cursor)
    assert rows[0][0] == head.sealed_position + 1, (rows[0][0], head)
    runs = [rows[start : start + ENTRIES_MAX] for start in range(0, len(rows), ENTRIES_MAX)]
    stored, index = [], []
    for number, run in enumerate(runs, start=head.batches + 1):
        assert run[-1][3] >= run[0][3], "blocks go up with positions"
        stored.append(StoredEvent(STREAM, number, TOPIC, batches.encode(batches.from_rows(run))))
        digest = hashlib.sha256(stored[-1].state).digest()
        index.append((number, run[0][0], run[-1][0], run[0][3], run[-1][3], digest))
    recorder.insert_locked(cursor, stored)
    cursor.executemany("INSERT INTO log.batch VALUES (%s, %s, %s, %s, %s, %s)", index)
    cursor.execute(
        "UPDATE log.head SET sealed_position = %s, last_position = greatest(last_position, %s), batches = %s",
        (rows[-1][0], rows[-1][0], index[-1][0]),
    )
    return Sealed(rows[0][0], rows[-1][0])


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
