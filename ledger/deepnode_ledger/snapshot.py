"""Reading the log: one consistent view of its sealed and pending parts.

A snapshot lives inside one REPEATABLE READ transaction, so an entry that is sealed or taken back by a reorg while
somebody reads can neither be missed nor be seen twice. Entries come as Arrow batches with the columns of
``batch_versions.SCHEMA``, sealed or pending alike; memory is one batch at a time.

Every way to look something up reads an index and the batches that hold what is looked for: by position or range
(``read``), by block and log index (``chain_log``), and by transaction, type, task, producer or contract (``find``).
"""

import itertools
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from eventsourcing.postgres import PostgresDatastore
from psycopg import Connection, Cursor, IsolationLevel
from psycopg.rows import DictRow, dict_row

from deepnode_ledger import batch as batches
from deepnode_ledger import chain as chains
from deepnode_ledger import segment, stored, tail
from deepnode_ledger.batch_versions import COLUMNS
from deepnode_ledger.chain import Chain
from deepnode_ledger.errors import BadInput, Damaged
from deepnode_ledger.finding import OfType, Selection
from deepnode_ledger.head import load_head
from deepnode_ledger.record import Finality, LogEntry

PIECE_ENTRIES: Final = 1_024


@dataclass(frozen=True, slots=True)
class Reorg:
    """A reorg of a chain: its blocks behind ``kept_block`` were replaced.

    What stood behind ``kept_position`` stands there no more; logs of other chains and task events among it come again
    behind the new blocks. ``number`` counts reorgs from 1 without a gap, whichever chain they are of.
    """

    number: int
    kept_position: int
    kept_block: int
    old_tip: tuple[int, bytes]
    new_tip: tuple[int, bytes]
    chain_id: int


@dataclass(frozen=True, slots=True)
class Found:
    """What one look found: ``entries``, maybe none, in the order that was asked for.

    In that order, every position up to ``through`` (included) has been looked at.
    """

    entries: pa.RecordBatch
    through: int


class Snapshot:
    """The log as it stood when the transaction began."""

    def __init__(self, connection: Connection[DictRow]) -> None:
        self.connection = connection
        self.head = load_head(connection.cursor(row_factory=dict_row))

    def chain(self, chain_id: int) -> Chain | None:
        """Say where a chain stands, or None if nothing of it is in the log."""
        return chains.load(self._cursor(), chain_id)

    def chains(self) -> list[Chain]:
        """Say where each chain of the log stands, in the order of their ids."""
        return chains.load_all(self._cursor())

    def reorgs(self, *, after: int = 0) -> list[Reorg]:
        """Return the reorgs numbered above ``after``, oldest first."""
        rows = self._cursor().execute("SELECT * FROM log.reorg WHERE number > %s ORDER BY number", (after,))
        return [
            Reorg(
                row["number"],
                row["kept_position"],
                row["kept_block"],
                (row["old_tip_number"], row["old_tip_hash"]),
                (row["new_tip_number"], row["new_tip_hash"]),
                row["chain_id"],
            )
            for row in rows
        ]

    def read(
        self, first: int, last: int | None = None, *, types: Collection[bytes | str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the entries from position ``first`` to ``last`` (both included; to the end if left out), oldest first.

        Args:
            first: from 1.
            last: a position behind the log's end means its end.
            types: only chain logs with one of these first topics (bytes) and task events of one of these types (text).

        Raises:
            BadInput: ``first`` is below 1, or ``types`` is empty or holds what is no topic.
            Damaged: a stored batch cannot be read, or the log has a gap.
        """
        if types is not None:
            found = self.find(OfType.named(types), first, last)
            yield from (each.entries for each in found if each.entries.num_rows)
            return
        stop = self._stop(first, last)
        expected = first
        for batch in self._all(first, stop):
            positions = batch.column(0)
            if (
                positions[0].as_py() != expected
                or positions[batch.num_rows - 1].as_py() != expected + batch.num_rows - 1
            ):
                raise Damaged(f"the log has a gap: position {expected} was wanted, {positions[0]} stands there")
            expected += batch.num_rows
            yield batch
        if expected != max(stop + 1, first):
            raise Damaged(f"the log ends at {expected - 1}, its head says {stop}")

    def entries(self, first: int, last: int | None = None) -> Iterator[LogEntry]:
        """Yield the same as ``read``, entry by entry."""
        for batch in self.read(first, last):
            yield from batches.entries(batch, self.finality(batch))

    def find(
        self,
        selection: Selection,
        first: int = 1,
        last: int | None = None,
        *,
        newest_first: bool = False,
        page_entries: int = tail.PAGE_ENTRIES,
    ) -> Iterator[Found]:
        """Look for entries from position ``first`` to ``last``, in one order or the other.

        Only the batches that may hold what is looked for are read, one at a time and as the caller goes on; of pending
        entries, ``page_entries`` at a time.

        Raises:
            BadInput: ``first`` is below 1.
            Damaged: a stored batch cannot be read.
        """
        stop = self._stop(first, last)
        sealed = self._find_sealed(selection, first, stop, newest_first)
        pending = self._find_pending(selection, first, stop, newest_first, page_entries)
        for found, through in itertools.chain(*((pending, sealed) if newest_first else (sealed, pending))):
            yield from _newest_first(found, through) if newest_first else (Found(found, through),)

    def chain_log(self, chain_id: int, block_hash: bytes, log_index: int, *, block_number: int) -> LogEntry | None:
        """Return the entry of a chain log by its key, or None. The block's number says where to look."""
        for batch in self._at_block(chain_id, block_number):
            meant = pc.and_(
                pc.and_(pc.equal(batch.column("chain_id"), chain_id), pc.equal(batch.column("log_index"), log_index)),
                pc.equal(batch.column("block_hash"), pa.scalar(block_hash, pa.binary(32))),
            )
            for entry in batches.entries(batch.filter(meant), self.finality(batch)):
                return entry
        return None

    def finality(self, batch: pa.RecordBatch) -> Finality:
        """Say whether a batch that was read from here is sealed; none is so in part."""
        sealed = batch.column(0)[batch.num_rows - 1].as_py() <= self.head.sealed_position
        return Finality.SEALED if sealed else Finality.PENDING

    def last_position_at_block(self, chain_id: int, number: int) -> int:
        """Return the last position of a chain's entry at or below a block's height: 0 if there is none.

        Reads the index and at most one batch.
        """
        cursor = self._cursor()
        cursor.execute(
            "SELECT position FROM log.pending WHERE chain_id = %s AND block_number <= %s"
            " ORDER BY block_number DESC, position DESC LIMIT 1",
            (chain_id, number),
        )
        pending = cursor.fetchone()
        if pending is not None:
            return int(pending["position"])
        found = stored.last_number_at_block(cursor, chain_id, number)
        if found is None:
            return 0
        batch = stored.stored_batch(cursor, found)
        below = pc.and_(
            pc.equal(batch.column("chain_id"), chain_id), pc.less_equal(batch.column("block_number"), number)
        )
        return int(pc.max(batch.filter(below).column(0)).as_py())

    def _stop(self, first: int, last: int | None) -> int:
        if first < 1:
            raise BadInput(f"positions count from 1, not {first}")
        return self.head.last_position if last is None else min(last, self.head.last_position)

    def _all(self, first: int, stop: int) -> Iterator[pa.RecordBatch]:
        places = list(stored.places(self._cursor(), first, min(stop, self.head.sealed_position)))
        for place, batch in zip(places, stored.stored_batches(self.connection, places), strict=True):
            yield stored.part(place, batch, first, stop)
        yield from tail.pages(self.connection, max(first, self.head.sealed_position + 1), stop)

    def _find_sealed(
        self, selection: Selection, first: int, stop: int, newest_first: bool
    ) -> Iterator[tuple[pa.RecordBatch, int]]:
        cursor = self._cursor()
        held = stored.numbers_between(cursor, first, min(stop, self.head.sealed_position))
        if held is None:
            return
        for number in segment.batches_with_all(cursor, selection.terms, *held, newest_first=newest_first):
            place = stored.place_of(cursor, number)
            batch = stored.part(place, stored.stored_batch(cursor, number), first, stop)
            yield batch.filter(selection.mask(batch)), place.first_position if newest_first else place.last_position

    def _find_pending(
        self, selection: Selection, first: int, stop: int, newest_first: bool, page_entries: int
    ) -> Iterator[tuple[pa.RecordBatch, int]]:
        first = max(first, self.head.sealed_position + 1)
        for page in tail.find(self.connection, selection, first, stop, page_entries, newest_first=newest_first):
            yield page, page.column(0)[0 if newest_first else page.num_rows - 1].as_py()

    def _at_block(self, chain_id: int, block: int) -> Iterator[pa.RecordBatch]:
        for number in stored.numbers_at_block(self._cursor(), chain_id, block):
            yield stored.stored_batch(self._cursor(), number)
        yield from tail.at_block(self.connection, chain_id, block)

    def _cursor(self) -> Cursor[DictRow]:
        return self.connection.cursor(row_factory=dict_row)


def _newest_first(found: pa.RecordBatch, through: int) -> Iterator[Found]:
    # In pieces: turning a whole batch round is in vain for a caller who wants the newest few.
    for stop in range(found.num_rows, 0, -PIECE_ENTRIES):
        start = max(0, stop - PIECE_ENTRIES)
        piece = found.take(pa.array(range(stop - 1, start - 1, -1), pa.int64()))
        yield Found(piece, piece.column(0)[piece.num_rows - 1].as_py() if start else through)
    if found.num_rows == 0:
        yield Found(found, through)


@contextmanager
def snapshot(datastore: PostgresDatastore) -> Iterator[Snapshot]:
    """Open a consistent, read-only view of the log."""
    with datastore.get_connection() as connection:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        try:
            with connection.transaction():
                yield Snapshot(connection)
        finally:
            connection.isolation_level = None


assert COLUMNS[0] == "position"  # ``read`` checks continuity on column 0
