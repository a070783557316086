"""The sealed log's store: the ``eventsourcing`` library's application recorder, writing by COPY.

Each stored event is a batch (see ``batch``). The library's stock insert sends parameters through a pipeline, which
hangs on payloads of some MB and is many times slower; COPY has neither trouble. The lock, the notification order and
the interface stay the library's own.
"""

from collections.abc import Sequence
from typing import Any, Final

from eventsourcing.persistence import ApplicationRecorder, StoredEvent, Subscription
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from psycopg import Cursor
from psycopg.rows import DictRow
from psycopg.sql import SQL, Identifier, Literal
from typing_extensions import override

from deepnode_ledger.polled_subscription import PolledSubscription

STREAM: Final = "log"
"""The originator id of every batch: there is one log."""

LOG_TABLE: Final = "log.sealed"


class LogRecorder(PostgresApplicationRecorder):
    """An ``ApplicationRecorder`` whose inserts are one COPY under the library's table lock."""

    def __init__(self, datastore: PostgresDatastore, *, events_table_name: str = "sealed") -> None:
        # The library's database functions take no table lock, so a tailing reader can pass a position that is
        # filled in later: entries are lost for it. They are refused here, and not even created.
        assert not datastore.enable_db_functions
        super().__init__(datastore, events_table_name=events_table_name)
        del self.sql_create_statements[self.create_insert_function_statement_index]
        table = f"{datastore.schema}.{events_table_name}"
        if table == LOG_TABLE:
            # The role that programs work as may insert, which is not enough for LOCK TABLE.
            self.lock_table_statements[-1] = SQL("SELECT log.lock_sealed()")
        self._next_ids_statement = SQL(
            "SELECT nextval(pg_get_serial_sequence({}, 'notification_id')) FROM generate_series(1, %s)"
        ).format(Literal(table))
        self._copy_statement = SQL(
            "COPY {}.{} (originator_id, originator_version, topic, state, notification_id)"
            " FROM STDIN WITH (FORMAT BINARY)"
        ).format(Identifier(datastore.schema), Identifier(events_table_name))

    def lock(self, cursor: Cursor[DictRow]) -> None:
        """Become the log's only writer until the transaction ends. Readers are not held up.

        Every allocation of a position happens behind this lock, which is held to commit: otherwise a later position
        could become visible before an earlier one, and a reader that follows the log would never see the earlier.
        """
        self._lock_table(cursor)

    def insert_locked(self, cursor: Cursor[DictRow], stored_events: Sequence[StoredEvent]) -> list[int]:
        """Write stored events in the caller's transaction, which holds the lock; return their notification ids."""
        if not stored_events:
            return []
        cursor.execute(self._next_ids_statement, (len(stored_events),))
        notification_ids = [int(row["nextval"]) for row in cursor.fetchall()]
        with cursor.copy(self._copy_statement) as copy:
            originator = self.datastore.originator_id_type
            copy.set_types([originator, "int8", "text", "bytea", "int8"])
            for stored, notification_id in zip(stored_events, notification_ids, strict=True):
                copy.write_row(
                    (stored.originator_id, stored.originator_version, stored.topic, stored.state, notification_id)
                )
        self._notify_channel(cursor)
        return notification_ids

    @override
    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        """Write stored events in a transaction of their own; return their notification ids.

        Raises:
            eventsourcing.persistence.IntegrityError: a version of the stream exists already; nothing was written.
        """
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_events(cursor, stored_events, **kwargs)
            if stored_events:
                self.lock(cursor)
            return self.insert_locked(cursor, stored_events)

    @override
    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Subscription[ApplicationRecorder]:
        """Follow the events behind the notification id ``gt``, one in memory at a time."""
        return PolledSubscription(self, gt, topics)
