"""The tail: entries of blocks that are not final yet, and how a reorg takes them back.

The functions run in the caller's transaction, which holds the log's lock.
"""

import hashlib
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import pyarrow as pa
from psycopg import Connection, Cursor
from psycopg.rows import DictRow, tuple_row

from deepnode_ledger import batch as batches
from deepnode_ledger import tables
from deepnode_ledger.batch import row_of
from deepnode_ledger.chain import Chain
from deepnode_ledger.errors import BadInput, Conflict
from deepnode_ledger.finding import Selection
from deepnode_ledger.head import load_head
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.record import Block, BlockRef, ChainLog, Finality, LogEntry, TaskEvent
from deepnode_ledger.task import task_of

PAGE_ENTRIES: Final = 8_192


class NotContiguous(BadInput):
    """The blocks do not follow on what the log covers. Nothing was changed."""


class ReorgBelowSealed(BadInput):
    """The chain replaced a block that was final: the provider or the chain broke its word. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A task event is durable at ``position`` (which a reorg may move); ``duplicate`` if it was so before the call."""

    position: int
    duplicate: bool


def pages(connection: Connection[Any], first: int, last: int) -> Iterator[pa.RecordBatch]:
    """Yield the pending entries from position ``first`` to ``last`` in batches of bounded length and size."""
    while first <= last and (page := _matching(connection, "true", (first, last))) is not None:
        yield page
        first = page.column(0)[page.num_rows - 1].as_py() + 1


def find(
    connection: Connection[Any], selection: Selection, first: int, last: int, page_entries: int, *, newest_first: bool
) -> Iterator[pa.RecordBatch]:
    """Yield the pending entries that a selection means, in pages of ascending positions; the pages in either order."""
    condition, values = selection.condition
    low, high = first, last
    while low <= high:
        # The condition's columns are ours, its values are parameters.
        page = _matching(connection, condition, (*values, low, high), page_entries, newest_first=newest_first)
        if page is None:
            return
        yield page
        if newest_first:
            high = page.column(0)[0].as_py() - 1
        else:
            low = page.column(0)[page.num_rows - 1].as_py() + 1


def at_block(connection: Connection[Any], chain_id: int, number: int) -> Iterator[pa.RecordBatch]:
    """Yield the pending entries of one block of a chain."""
    low = 1
    condition = "chain_id = %s AND block_number = %s"
    while (page := _matching(connection, condition, (chain_id, number, low, 2**62))) is not None:
        yield page
        low = page.column(0)[page.num_rows - 1].as_py() + 1


def _matching(
    connection: Connection[Any],
    condition: str,
    values: tuple[Any, ...],
    page_entries: int = PAGE_ENTRIES,
    *,
    newest_first: bool = False,
) -> pa.RecordBatch | None:
    order = "DESC" if newest_first else "ASC"
    cursor = connection.cursor(row_factory=tuple_row, binary=True)
    cursor.execute(
        f"SELECT {tables.PENDING_COLUMNS} FROM ("  # noqa: S608 (constants)
        f" SELECT *, sum(octet_length(data)) OVER (ORDER BY position {order}) - octet_length(data) AS bytes_before"
        f" FROM log.pending WHERE {condition} AND position BETWEEN %s AND %s ORDER BY position {order} LIMIT %s"
        ") page WHERE bytes_before < %s ORDER BY position".encode(),
        (*values, page_entries, batches.RUN_BYTES),
    )
    rows = cursor.fetchall()
    return batches.from_rows(rows, gapless=False) if rows else None


def fill_tasks(cursor: Cursor[DictRow]) -> None:
    """Give task events that were accepted before the column was there the task that they name."""
    cursor.execute("SELECT position, data FROM log.pending WHERE event_id IS NOT NULL AND task IS NULL")
    named = [(task, row["position"]) for row in cursor.fetchall() if (task := task_of(bytes(row["data"]))) is not None]
    if named:
        cursor.executemany("UPDATE log.pending SET task = %s WHERE position = %s", named)


def append(
    cursor: Cursor[DictRow], chain_id: int, placed: Sequence[tuple[BlockRef, ChainLog | TaskEvent]]
) -> list[int]:
    """Write records of a chain behind the last position, each under its block; return their positions."""
    return _write(cursor, [(chain_id, block, record) for block, record in placed])


def put_back(cursor: Cursor[DictRow], entries: Sequence[LogEntry]) -> None:
    """Write entries that a reorg has moved behind the last position, in their order."""
    _write(cursor, [(entry.chain_id, entry.block, entry.record) for entry in entries])


def _write(cursor: Cursor[DictRow], placed: Sequence[tuple[int, BlockRef, ChainLog | TaskEvent]]) -> list[int]:
    if not placed:
        return []
    head = load_head(cursor)
    positions = list(range(head.last_position + 1, head.last_position + 1 + len(placed)))
    with cursor.copy(f"COPY log.pending ({tables.PENDING_COLUMNS}) FROM STDIN".encode()) as copy:
        for position, (chain_id, block, record) in zip(positions, placed, strict=True):
            copy.write_row(row_of(position, chain_id, block, record))
    cursor.execute("UPDATE log.head SET last_position = %s", (positions[-1],))
    keys = [
        (record.producer, record.event_id, record.sequence, position, payload_sha256(record))
        for position, (_, _, record) in zip(positions, placed, strict=True)
        if isinstance(record, TaskEvent)
    ]
    if keys:
        # An event that a reorg moved has its key already: only its position is new. One statement for all
        # of them: with one each, writing a thousand events took half as long again.
        cursor.execute(
            "INSERT INTO log.task_key"
            " SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::bytea[])"
            " ON CONFLICT (producer, event_id) DO UPDATE SET position = excluded.position",
            [list(column) for column in zip(*keys, strict=True)],
        )
    return positions


def drop_behind(
    cursor: Cursor[DictRow], chain: Chain, kept: BlockRef | None, blocks: Sequence[Block]
) -> list[LogEntry]:
    """Drop the chain's logs behind ``kept``, note the reorg, and take out what others have put behind the first.

    Returns:
        What is to be put back behind the new blocks, in its old order: logs of other chains, and task events. Those of
        this chain are under its new tip.
    """
    assert chain.tip is not None, "nothing is covered, so nothing can be dropped"
    _check_kept(cursor, chain, kept)
    _check_new(cursor, chain, blocks)
    kept_number = chain.first_block - 1 if kept is None else kept.number
    new_tip = blocks[-1].header.block if blocks else kept
    assert new_tip is not None
    dropped = take_out(cursor, chain, kept_number, new_tip)
    cursor.execute("DELETE FROM log.header WHERE chain_id = %s AND number > %s", (chain.chain_id, kept_number))
    return [entry for entry in dropped if entry.chain_id != chain.chain_id or isinstance(entry.record, TaskEvent)]


def take_out(cursor: Cursor[DictRow], chain: Chain, kept_number: int, new_tip: BlockRef) -> list[LogEntry]:
    """Take every entry out from the first one of a chain's block above ``kept_number`` on, and note it as a reorg.

    Returns:
        The entries, of all chains, in their order; the chain's task events are under ``new_tip``.
    """
    assert chain.tip is not None, "nothing is covered, so nothing can be taken out"
    first = first_above(cursor, chain.chain_id, kept_number)
    kept_position = load_head(cursor).last_position if first is None else first - 1
    rows = cursor.connection.cursor(row_factory=tuple_row, binary=True)
    rows.execute(
        f"DELETE FROM log.pending WHERE position > %s RETURNING {tables.PENDING_COLUMNS}".encode(),  # noqa: S608 (constant)
        (kept_position,),
    )
    taken = [batches.entry_of(row, Finality.PENDING) for row in sorted(rows.fetchall(), key=operator.itemgetter(0))]
    cursor.execute(
        "INSERT INTO log.reorg SELECT coalesce(max(number), 0) + 1, %s, %s, %s, %s, %s, %s, %s FROM log.reorg",
        (chain.chain_id, kept_position, kept_number, chain.tip.number, chain.tip.hash, new_tip.number, new_tip.hash),
    )
    cursor.execute("UPDATE log.head SET last_position = %s", (kept_position,))
    return [
        replace(entry, block=new_tip)
        if entry.chain_id == chain.chain_id and isinstance(entry.record, TaskEvent)
        else entry
        for entry in taken
    ]


def first_above(cursor: Cursor[DictRow], chain_id: int, number: int) -> int | None:
    """Return the first pending position of a chain's block above a height, or None if there is none."""
    cursor.execute(
        # A chain's blocks go up with positions.
        "SELECT position FROM log.pending WHERE chain_id = %s AND block_number > %s"
        " ORDER BY block_number, position LIMIT 1",
        (chain_id, number),
    )
    row = cursor.fetchone()
    return None if row is None else int(row["position"])


def check_final(cursor: Cursor[DictRow], chain_id: int, finalized: BlockRef) -> None:
    """Check that the covered block at the height of ``finalized`` is that block.

    Raises:
        ReorgBelowSealed: it is another one.
    """
    cursor.execute("SELECT hash FROM log.header WHERE chain_id = %s AND number = %s", (chain_id, finalized.number))
    row = cursor.fetchone()
    if row is not None and row["hash"] != finalized.hash:
        raise ReorgBelowSealed(
            f"block {finalized.number} is final as {to_hex(finalized.hash)}, covered as {to_hex(row['hash'])}"
        )


class KnownTasks:
    """The task events of one call that are in the log already, by id and by sequence number."""

    def __init__(self, cursor: Cursor[DictRow], events: Sequence[TaskEvent]) -> None:
        self._by_id: dict[tuple[str, str], tuple[int, bytes]] = {}
        self._by_sequence: dict[tuple[str, int], str] = {}
        cursor.execute(
            "SELECT k.* FROM log.task_key k JOIN unnest(%s::text[], %s::text[]) AS w(producer, event_id)"
            " USING (producer, event_id)"
            " UNION SELECT k.* FROM log.task_key k JOIN unnest(%s::text[], %s::bigint[]) AS w(producer, sequence)"
            " USING (producer, sequence)",
            (
                [event.producer for event in events],
                [event.event_id for event in events],
                [event.producer for event in events],
                [event.sequence for event in events],
            ),
        )
        for row in cursor.fetchall():
            self._by_id[(row["producer"], row["event_id"])] = (row["position"], row["payload_sha256"])
            self._by_sequence[(row["producer"], row["sequence"])] = row["event_id"]

    def find(self, event: TaskEvent) -> Accepted | Conflict | None:
        """Say whether an event is in the log, stands against one that is, or is new (None)."""
        known = self._by_id.get((event.producer, event.event_id))
        if known is not None and known[1] == payload_sha256(event):
            return Accepted(known[0], duplicate=True)
        if known is not None:
            return Conflict(
                f"event {event.event_id!r} of {event.producer} is in the log with other bytes "
                f"(sha256 {known[1].hex()}): an accepted event cannot be changed, send a Correction"
            )
        owner = self._by_sequence.get((event.producer, event.sequence))
        if owner is not None:
            return Conflict(
                f"sequence {event.sequence} of {event.producer} belongs to event {owner!r}, "
                f"not to {event.event_id!r}: each event has a sequence number of its own"
            )
        return None

    def add(self, event: TaskEvent, position: int) -> None:
        """Note an event of the same call: a later line may be the same one again, or stand against it."""
        self._by_id[(event.producer, event.event_id)] = (position, payload_sha256(event))
        self._by_sequence[(event.producer, event.sequence)] = event.event_id


def payload_sha256(event: TaskEvent) -> bytes:
    """Hash the signed bytes: two deliveries are the same event when this is equal, however often it was signed."""
    return hashlib.sha256(event.payload).digest()


def _check_kept(cursor: Cursor[DictRow], chain: Chain, kept: BlockRef | None) -> None:
    cursor.execute("SELECT max(last_block) AS sealed FROM log.coverage WHERE chain_id = %s", (chain.chain_id,))
    row = cursor.fetchone()
    assert row is not None
    sealed = row["sealed"]
    if sealed is not None and (kept is None or kept.number < sealed):
        what = "nothing" if kept is None else f"block {kept.number}"
        raise ReorgBelowSealed(f"only {what} would be kept, but the blocks up to {sealed} are sealed and stay")
    if kept is None:
        return
    cursor.execute(
        "SELECT 1 FROM log.header WHERE chain_id = %s AND number = %s AND hash = %s",
        (chain.chain_id, kept.number, kept.hash),
    )
    if cursor.fetchone() is None:
        raise NotContiguous(f"block {kept.number} {to_hex(kept.hash)} is not covered by the log")


def _check_new(cursor: Cursor[DictRow], chain: Chain, blocks: Sequence[Block]) -> None:
    # Two followers of one log: the slower one offers blocks that the faster one has put in since. Taken for a reorg,
    # they would drop whatever came behind them.
    if not blocks:
        return
    first = blocks[0].header.block
    cursor.execute(
        "SELECT 1 FROM log.header WHERE chain_id = %s AND number = %s AND hash = %s",
        (chain.chain_id, first.number, first.hash),
    )
    if cursor.fetchone() is not None:
        raise NotContiguous(f"block {first.number} {to_hex(first.hash)} is covered already: look again")
