"""Where a chain stands in the log, as one look tells it: what is sealed, what waits, what shows it, what is held.

For more than one question about the same moment use ``snapshot``.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
from eventsourcing.postgres import PostgresDatastore
from psycopg import Cursor
from psycopg.rows import DictRow

from deepnode_ledger import chain as chains
from deepnode_ledger import evidence as evidences
from deepnode_ledger import producer_state, repairing
from deepnode_ledger.database import database_errors, url_of
from deepnode_ledger.evidence import Evidence, Hold
from deepnode_ledger.producer_state import Gap, ProducerState


class Standing:
    """Questions about one chain of a log; each is a look of its own."""

    def __init__(self, datastore: PostgresDatastore, chain_id: int) -> None:
        self.chain_id = chain_id
        self.datastore = datastore

    def first_unsealed(self) -> int:
        """Return the number of the first block that is not sealed."""
        with reading(self.datastore) as cursor:
            chain = chains.load(cursor, self.chain_id)
            assert chain is not None, "create() comes first"
            cursor.execute("SELECT max(last_block) AS sealed FROM log.coverage WHERE chain_id = %s", (self.chain_id,))
            row = cursor.fetchone()
            assert row is not None
            return chain.first_block if row["sealed"] is None else int(row["sealed"]) + 1

    def all_sealed(self) -> bool:
        """Say whether every block of the chain that is covered is sealed."""
        with reading(self.datastore) as cursor:
            chain = chains.load(cursor, self.chain_id)
        assert chain is not None, "create() comes first"
        return chain.tip is None or chain.tip.number < self.first_unsealed()

    def waiting(self, number: int) -> int:
        """Return how many entries of the chain's blocks up to ``number`` are not sealed."""
        with reading(self.datastore) as cursor:
            cursor.execute(
                "SELECT count(*) AS waiting FROM log.pending WHERE chain_id = %s AND block_number <= %s",
                (self.chain_id, number),
            )
            row = cursor.fetchone()
            assert row is not None
            return int(row["waiting"])

    def waiting_logs(self, first: int, last: int) -> pa.RecordBatch:
        """Return the chain's logs of blocks ``first`` to ``last`` that are not sealed (``batch_versions.SCHEMA``)."""
        with reading(self.datastore) as cursor:
            return repairing.waiting_logs(cursor.connection, self.chain_id, first, last)

    def evidence(self, first: int, last: int) -> list[Evidence]:
        """Return what shows that blocks of a range are complete, oldest first."""
        with reading(self.datastore) as cursor:
            return evidences.found(cursor, self.chain_id, first, last)

    def holds(self) -> list[Hold]:
        """Return what is held back, in the order of the blocks."""
        with reading(self.datastore) as cursor:
            return evidences.holds(cursor, self.chain_id)

    def producers(self) -> list[ProducerState]:
        """Return how far each producer has counted."""
        with reading(self.datastore) as cursor:
            return producer_state.producers(cursor)

    def gaps(self, limit: int) -> list[Gap]:
        """Return up to ``limit`` runs of sequence numbers that never came, while later ones did."""
        with reading(self.datastore) as cursor:
            return producer_state.gaps(cursor, limit)

    def offsets(self, source: str) -> dict[int, int]:
        """Return the next offset of each partition of a source, as ``accept`` noted them."""
        with reading(self.datastore) as cursor:
            return producer_state.offsets(cursor, source)


@contextmanager
def reading(datastore: PostgresDatastore) -> Iterator[Cursor[DictRow]]:
    """Open a cursor for a single look; for more than one statement use ``snapshot``."""
    with database_errors(url_of(datastore)), datastore.cursor() as cursor:
        yield cursor
