"""Reading the log: one consistent view of its sealed and pending parts.

A snapshot lives inside one REPEATABLE READ transaction, so an entry that is sealed or taken back by a reorg while
somebody reads can neither be missed nor be seen twice. Entries come as Arrow batches with the columns of
``batch.SCHEMA``, oldest first, sealed or pending alike; memory is one batch at a time.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from eventsourcing.postgres import PostgresDatastore
from psycopg import Connection, Cursor, IsolationLevel
from psycopg.rows import DictRow, dict_row, tuple_row

from deepnode_ledger import batch as batches
from deepnode_ledger import chain as chains
from deepnode_ledger.batch import COLUMNS, TOPIC
from deepnode_ledger.chain import Chain
from deepnode_ledger.errors import BadInput
from deepnode_ledger.record import Finality, LogEntry
from deepnode_ledger.recorder import STREAM
from deepnode_ledger.tables import PENDING_COLUMNS

PENDING_PAGE_ENTRIES: Final = 8_192


@dataclass(frozen=True, slots=True)
class Head:
    """The log's last position, the last sealed one, and the number of sealed batches (all 0 in an empty log)."""

    last_position: int
    sealed_position: int
    batches: int


@dataclass(frozen=True, slots=True)
class Reorg:
    """A reorg: what stood behind ``kept_position`` (the state at block ``kept_block``) was replaced.

    ``number`` counts reorgs from 1 without a gap.
    """

    number: int
    kept_position: int
    kept_block: int
    old_tip: tuple[int, bytes]
    new_tip: tuple[int, bytes]


class Snapshot:
    """The log as it stood when the transaction began."""

    def __init__(self, connection: Connection[DictRow]) -> None:
        self.connection = connection
        self.head = load_head(connection.cursor(row_factory=dict_row))

    def chain(self, chain_id: int) -> Chain | None:
        """Say where a chain stands, or None if nothing of it is in the log."""
        return chains.load(self._cursor(), chain_id)

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
            )
            for row in rows
        ]

    def read(self, first: int, last: int | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the entries from position ``first`` to ``last`` (both included; to the end if left out).

        Raises:
            BadInput: ``first`` is below 1.
        """
        if first < 1:
            raise BadInput(f"positions count from 1, not {first}")
        stop = self.head.last_position if last is None else min(last, self.head.last_position)
        expected = first
        for batch in self._sealed_then_pending(first, stop):
            positions = batch.column(0)
            assert positions[0].as_py() == expected, f"gap: {expected} wanted, {positions[0]} found"
            expected += batch.num_rows
            yield batch
        assert expected == max(stop + 1, first), f"the log ends at {expected - 1}, its head says {stop}"

    def entries(self, first: int, last: int | None = None) -> Iterator[LogEntry]:
        """Yield the same as ``read``, entry by entry."""
        for batch in self.read(first, last):
            sealed = batch.column(0)[batch.num_rows - 1].as_py() <= self.head.sealed_position
            yield from batches.entries(batch, Finality.SEALED if sealed else Finality.PENDING)

    def last_position_at_block(self, number: int) -> int:
        """Return the last position at or below a block's height: 0 if nothing stands there.

        Reads the index and at most one batch.
        """
        cursor = self._cursor()
        cursor.execute("SELECT max(position) AS last FROM log.pending WHERE block_number <= %s", (number,))
        pending = cursor.fetchone()
        if pending is not None and pending["last"] is not None:
            return int(pending["last"])
        cursor.execute(
            "SELECT first_position, last_position FROM log.batch WHERE first_block <= %s ORDER BY number DESC LIMIT 1",
            (number,),
        )
        row = cursor.fetchone()
        if row is None:
            return 0
        found = row["first_position"]
        for batch in self.read(row["first_position"], row["last_position"]):
            found += pc.sum(pc.less_equal(batch.column("block_number"), number)).as_py()
        return int(found) - 1

    def _sealed_then_pending(self, first: int, stop: int) -> Iterator[pa.RecordBatch]:
        if first <= min(stop, self.head.sealed_position):
            yield from self._sealed(first, min(stop, self.head.sealed_position))
        if stop > self.head.sealed_position:
            yield from self._pending(max(first, self.head.sealed_position + 1), stop)

    def _sealed(self, first: int, stop: int) -> Iterator[pa.RecordBatch]:
        index = self._cursor().execute(
            "SELECT number, first_position, last_position FROM log.batch"
            " WHERE last_position >= %s AND first_position <= %s ORDER BY number",
            (first, stop),
        )
        for row in index.fetchall():
            stored = self._cursor().execute(
                "SELECT topic, state FROM log.sealed WHERE originator_id = %s AND originator_version = %s",
                (STREAM, row["number"]),
            )
            found = stored.fetchone()
            assert found is not None, f"batch {row['number']} is in the index and not in the log"
            assert found["topic"] == TOPIC, found["topic"]
            batch = batches.decode(bytes(found["state"]))
            assert batch.num_rows == row["last_position"] - row["first_position"] + 1, row
            skip = max(0, first - row["first_position"])
            length = min(stop, row["last_position"]) - row["first_position"] + 1 - skip
            yield batch.slice(skip, length)

    def _pending(self, first: int, stop: int) -> Iterator[pa.RecordBatch]:
        while first <= stop:
            cursor = self.connection.cursor(row_factory=tuple_row, binary=True)
            cursor.execute(
                # Column names are ours, never a caller's.
                f"SELECT {PENDING_COLUMNS} FROM log.pending WHERE position BETWEEN %s AND %s"  # noqa: S608 (constant)
                " ORDER BY position LIMIT %s",
                (first, stop, PENDING_PAGE_ENTRIES),
            )
            rows = cursor.fetchall()
            if not rows:
                return
            yield batches.from_rows(rows)
            first = int(rows[-1][0]) + 1

    def _cursor(self) -> Cursor[DictRow]:
        return self.connection.cursor(row_factory=dict_row)


def load_head(cursor: Cursor[DictRow]) -> Head:
    """Read where the log stands."""
    cursor.execute("SELECT last_position, sealed_position, batches FROM log.head")
    row = cursor.fetchone()
    assert row is not None, "the log's tables exist without their head"
    return Head(row["last_position"], row["sealed_position"], row["batches"])


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
