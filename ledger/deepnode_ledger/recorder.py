"""The sealed log's store: the ``eventsourcing`` library's application recorder, writing by COPY.

Each stored event is a batch (see ``batch``). The library's stock insert sends parameters through a pipeline, which
hangs on payloads of some MB and is many times slower; COPY has neither trouble. The lock, the notification order and
the interface stay the library's own.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from psycopg import Cursor
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row
from psycopg.sql import SQL, Identifier, Literal
from typing_extensions import override

from deepnode_ledger import tables
from deepnode_ledger.errors import BadInput

STREAM: Final = "log"
"""The originator id of every batch: there is one log."""

CONNECT_TIMEOUT_SECONDS: Final = 5


def open_datastore(url: str, *, pool_size: int = 2) -> PostgresDatastore:
    """Describe a database by its URL (``postgresql://user@host:port/name`` or a libpq connection string).

    Nothing connects yet: the pool opens at the first use.

    Raises:
        BadInput: the text is not a connection string.
    """
    try:
        settings: dict[str, Any] = conninfo_to_dict(url)
    except Exception as error:  # psycopg raises its own ProgrammingError, without a word of what was expected
        raise BadInput(f"the database URL must be like postgresql://user@host:5432/name: {error}") from error
    port = str(settings.get("port", "5432"))
    if not re.fullmatch(r"[0-9]{1,5}(,[0-9]{1,5})*", port):
        raise BadInput(f"the database URL must be like postgresql://user@host:5432/name: {port!r} is no port")
    datastore = PostgresDatastore(
        dbname=str(settings.get("dbname", "postgres")),
        host=str(settings.get("host", "127.0.0.1")),
        port=port,
        user=str(settings.get("user", "postgres")),
        password=str(settings.get("password", "")),
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        pool_size=pool_size,
        max_overflow=8,
        pre_ping=True,
        schema=tables.SCHEMA,
        originator_id_type="text",
    )
    # The library passes on five settings and drops the rest. libpq is given the text as it came, so that sslmode,
    # options, a password file and PGPASSWORD mean here what they mean everywhere.
    datastore.pool.conninfo = url
    datastore.pool.kwargs = {"row_factory": dict_row}
    return datastore


class LogRecorder(PostgresApplicationRecorder):
    """An ``ApplicationRecorder`` whose inserts are one COPY under the library's table lock."""

    def __init__(self, datastore: PostgresDatastore, *, events_table_name: str = "sealed") -> None:
        # The library's database functions take no table lock, so a tailing reader can pass a position that is
        # filled in later: entries are lost for it. They are refused here, and not even created.
        assert not datastore.enable_db_functions
        super().__init__(datastore, events_table_name=events_table_name)
        del self.sql_create_statements[self.create_insert_function_statement_index]
        table = f"{datastore.schema}.{events_table_name}"
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
