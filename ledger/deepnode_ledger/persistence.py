"""The log's store as a persistence module of the ``eventsourcing`` library.

``SealedLog`` shows the sealed log as an application of the library, so that its subscriptions and projection runners
work on it: each domain event is a batch. ``Factory`` gives applications of one's own the log's recorders, which write
by COPY. Select it with ``PERSISTENCE_MODULE=deepnode_ledger.persistence``; ``environment`` writes all of its settings.

Refused here: writing to the sealed log (only ``Log`` does that), and the library's database functions, which lose
events for readers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

# Not its names one by one: the library takes every factory that it finds in a persistence module for the module's own.
from eventsourcing import postgres
from eventsourcing.application import Application
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import ApplicationRecorder, Mapper, StoredEvent
from eventsourcing.utils import Environment, EnvType
from psycopg import Cursor
from psycopg.rows import DictRow, dict_row
from psycopg.sql import SQL, Identifier
from typing_extensions import override

from deepnode_ledger import batch as batches
from deepnode_ledger import tables
from deepnode_ledger.database import parse_url
from deepnode_ledger.errors import BadInput
from deepnode_ledger.recorder import LogRecorder

POSTGRES_URL: Final = "POSTGRES_URL"
"""The setting that names the database by a URL, in place of the library's POSTGRES_DBNAME, _HOST, _PORT, _USER and
_PASSWORD. Its other settings hold as they are."""


def environment(url: str, *, schema: str = "public") -> dict[str, str]:
    """Return the library's settings for applications and projections that keep their tables in ``schema`` at ``url``.

    Raises:
        BadInput: the text is not a connection string.
    """
    parse_url(url)
    return {"PERSISTENCE_MODULE": __name__, POSTGRES_URL: url, "POSTGRES_SCHEMA": schema}


@dataclass(frozen=True, slots=True)
class SealedBatch:
    """A batch of the sealed log as a domain event: number ``originator_version`` (from 1) of the stream ``log``.

    ``batch`` has the columns of ``batch.SCHEMA``; batches follow one another without a gap in the position.
    """

    originator_id: str
    originator_version: int
    batch: pa.RecordBatch


class SealedLog(Application[str]):
    """The sealed log, to be subscribed to and projected. It has neither aggregates nor a way to write."""

    @override
    def construct_env(self, name: str, env: EnvType | None = None) -> Environment:
        made = super().construct_env(name, env)
        # A projection keeps its tables where it likes; the log's are where they are.
        made.update(PERSISTENCE_MODULE=__name__, POSTGRES_SCHEMA=tables.SCHEMA, ORIGINATOR_ID_TYPE="text")
        return made

    @override
    def construct_mapper(self) -> Mapper[str]:
        return self.factory.mapper(mapper_class=BatchMapper)

    @override
    def construct_recorder(self) -> ApplicationRecorder:
        assert isinstance(self.factory, Factory), type(self.factory)
        return SealedRecorder(self.factory.datastore)


class BatchMapper(Mapper[str]):
    """Reads stored batches; it writes none."""

    @override
    def to_domain_event(self, stored_event: StoredEvent) -> DomainEventProtocol[str]:
        assert isinstance(stored_event.originator_id, str), stored_event.originator_id
        batch = batches.decode(stored_event.topic, stored_event.state)
        return SealedBatch(stored_event.originator_id, stored_event.originator_version, batch)

    @override
    def to_stored_event(self, domain_event: DomainEventProtocol[str]) -> StoredEvent:
        raise BadInput(f"{type(domain_event).__name__} cannot be saved: the sealed log is written by Log alone")


class SealedRecorder(LogRecorder):
    """The sealed log's recorder for readers."""

    @override
    def create_table(self) -> None:
        """Do nothing: ``Log.create`` makes the log's tables."""

    @override
    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        """Refuse.

        Raises:
            BadInput: always, since a batch that ``Log`` does not know of would break the order of positions.
        """
        raise BadInput(f"{len(stored_events)} events cannot be saved: the sealed log is written by Log alone")


class LogAggregateRecorder(postgres.PostgresAggregateRecorder):
    """The library's recorder for streams that nobody follows, such as snapshots, writing by COPY."""

    @override
    def _insert_stored_events(self, curs: Cursor[DictRow], stored_events: Sequence[StoredEvent], **_: Any) -> None:
        statement = SQL(
            "COPY {}.{} (originator_id, originator_version, topic, state) FROM STDIN WITH (FORMAT BINARY)"
        ).format(Identifier(self.datastore.schema), Identifier(self.events_table_name))
        with curs.copy(statement) as copy:
            copy.set_types([self.datastore.originator_id_type, "int8", "text", "bytea"])
            for stored in stored_events:
                copy.write_row((stored.originator_id, stored.originator_version, stored.topic, stored.state))


class LogProcessRecorder(postgres.PostgresProcessRecorder, LogRecorder):
    """Events, and how far what they were made from was read, in one transaction. It writes by COPY."""


class Factory(postgres.PostgresFactory):
    """The library's PostgreSQL factory with the log's recorders.

    Raises:
        BadInput: the settings ask for the library's database functions, or the URL is none.
        OSError: neither ``POSTGRES_URL`` nor the library's own settings name a database.
    """

    aggregate_recorder_class = LogAggregateRecorder
    application_recorder_class = LogRecorder
    process_recorder_class = LogProcessRecorder

    def __init__(self, env: Environment | EnvType | None) -> None:
        given = env if isinstance(env, Environment) else Environment(env=env)
        url = given.get(POSTGRES_URL)
        if url is not None:
            parse_url(url)
            for key in (self.POSTGRES_DBNAME, self.POSTGRES_HOST, self.POSTGRES_USER, self.POSTGRES_PASSWORD):
                given.setdefault(key, "")
        super().__init__(given)
        if self.datastore.enable_db_functions:
            raise BadInput(f"{self.POSTGRES_ENABLE_DB_FUNCTIONS} must not be set: readers lose events with it")
        if url is not None:
            # libpq reads the text as it came: sslmode, options and a password file mean what they mean everywhere.
            self.datastore.pool.conninfo = url
            self.datastore.pool.kwargs = {"row_factory": dict_row}
