"""The sealed log's store keeps the promises of the library's recorders, and some that the library does not make."""

import itertools
import threading
from collections.abc import Iterator
from typing import Any, Literal
from uuid import UUID, uuid4

import pytest
from eventsourcing.persistence import IntegrityError, StoredEvent
from eventsourcing.postgres import PostgresDatastore
from eventsourcing.tests.persistence import ApplicationRecorderTestCase, NonInterleavingNotificationIDsBaseCase
from psycopg.conninfo import make_conninfo
from typing_extensions import override

from deepnode_ledger.database import open_datastore
from deepnode_ledger.errors import BadInput
from deepnode_ledger.recorder import LogRecorder
from tests.ledger import histories

_tables = itertools.count(1)


def stored(version: int, state: bytes = b"state", stream: str = "log") -> StoredEvent:
    return StoredEvent(stream, version, "topic", state)


class _OnRealPostgres:
    """Gives the library's cases a recorder of ours in a fresh table, for one type of stream ids."""

    id_type: Literal["uuid", "text"]

    @pytest.fixture(autouse=True)
    def _database(self, database_url: str) -> Iterator[None]:
        self._url = database_url
        self._stores: list[PostgresDatastore] = []
        yield
        for store in self._stores:
            store.close()

    def create_recorder(self) -> LogRecorder:
        store = open_datastore(self._url)
        store.originator_id_type = self.id_type
        store.schema = "public"
        self._stores.append(store)
        recorder = LogRecorder(store, events_table_name=f"events_{next(_tables)}")
        recorder.create_table()
        return recorder

    def close_db_connection(self, *_: Any) -> None:
        for store in self._stores:
            store.close()


class TestApplicationRecorderWithTextIds(_OnRealPostgres, ApplicationRecorderTestCase[LogRecorder]):
    """The library's own cases: insert and select, notifications, concurrent writers, throughput, subscriptions."""

    id_type = "text"

    @override
    def new_originator_id(self) -> str:
        return f"stream-{uuid4()}"

    def test_insert_subscribe(self) -> None:
        """The library's optional case for recorders that can be subscribed to."""
        self.optional_test_insert_subscribe()


class TestApplicationRecorderWithUuidIds(_OnRealPostgres, ApplicationRecorderTestCase[LogRecorder]):
    """The same cases with UUIDs, which is what the library takes unless told otherwise."""

    id_type = "uuid"

    @override
    def new_originator_id(self) -> UUID:
        return uuid4()

    def test_insert_subscribe(self) -> None:
        """The library's optional case for recorders that can be subscribed to."""
        self.optional_test_insert_subscribe()


class TestNotificationsDoNotInterleave(_OnRealPostgres, NonInterleavingNotificationIDsBaseCase):
    """The library's case: two writers at once get one run of notification ids each."""

    id_type = "text"

    @override
    def new_originator_id(self) -> str:
        return f"stream-{uuid4()}"


@pytest.fixture
def recorder(database_url: str) -> Iterator[LogRecorder]:
    with histories.opened(database_url) as log:
        yield LogRecorder(log.datastore)


def test_a_second_writer_of_a_version_is_refused(recorder: LogRecorder) -> None:
    """Writes version 2 again, alone and behind a new one: neither leaves anything."""
    recorder.insert_events([stored(1), stored(2, b"first")])
    for again in ([stored(2, b"second")], [stored(3), stored(2, b"second")]):
        with pytest.raises(IntegrityError):
            recorder.insert_events(again)
    assert [(e.originator_version, e.state) for e in recorder.select_events("log")] == [(1, b"state"), (2, b"first")]


def test_of_writers_that_race_for_a_version_one_wins(recorder: LogRecorder) -> None:
    """Lets eight threads write version 1 at once."""
    outcomes: list[str] = []
    start = threading.Barrier(8)

    def write(name: int) -> None:
        start.wait()
        try:
            recorder.insert_events([stored(1, b"writer %d" % name)])
            outcomes.append("written")
        except IntegrityError:
            outcomes.append("refused")

    threads = [threading.Thread(target=write, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused"] * 7 + ["written"]
    assert len(recorder.select_events("log")) == 1


def test_payloads_of_many_megabytes_are_written_and_read_back(recorder: LogRecorder) -> None:
    """Writes several of 5 MB in one call: the library's stock pipeline hangs on that."""
    payloads = [bytes([n]) * 5_000_000 for n in range(4)]
    writer = threading.Thread(
        target=recorder.insert_events, args=([stored(n, each) for n, each in enumerate(payloads, 1)],), daemon=True
    )
    writer.start()
    writer.join(timeout=60)
    assert not writer.is_alive(), "the insert hangs"
    assert [each.state for each in recorder.select_events("log")] == payloads


def test_ids_of_notifications_follow_the_order_of_writing(recorder: LogRecorder) -> None:
    """Writes nothing, one and three events: their ids go up and are those that a reader gets."""
    assert recorder.insert_events([]) == []
    first = list(recorder.insert_events([stored(1)]) or [])
    rest = list(recorder.insert_events([stored(2), stored(3), stored(4)]) or [])
    ids = [n.id for n in recorder.select_notifications(start=None, limit=10)]
    assert ids == [*first, *rest]
    assert ids == sorted(set(ids))


def test_a_subscriber_does_not_miss_what_comes_without_a_notification(recorder: LogRecorder) -> None:
    """Writes behind a subscriber's back, as a NOTIFY that went out before its LISTEN would leave it: it still hears."""
    recorder.insert_events([stored(1, b"first")])
    with recorder.subscribe() as subscription:
        assert next(subscription).state == b"first"
        with recorder.datastore.transaction(commit=True) as cursor:
            cursor.execute(
                "INSERT INTO log.sealed (originator_id, originator_version, topic, state)"
                " VALUES ('log', 2, 'topic', 'second')"
            )
        heard: list[bytes] = []
        reader = threading.Thread(target=lambda: heard.append(next(subscription).state), daemon=True)
        reader.start()
        reader.join(timeout=60)
        assert heard == [b"second"]


def test_the_functions_that_lose_events_are_refused(database_url: str) -> None:
    """Opens a recorder with the library's database functions switched on; without, none is created."""
    with histories.opened(database_url) as log:
        with log.datastore.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) AS n FROM pg_proc p JOIN pg_namespace s ON s.oid = p.pronamespace"
                " WHERE s.nspname = 'log' AND p.proname LIKE 'es\\_%'"
            )
            row = cursor.fetchone()
            assert row is not None
            assert row["n"] == 0
        log.datastore.enable_db_functions = True
        with pytest.raises(AssertionError):
            LogRecorder(log.datastore)


def test_what_the_url_says_reaches_the_server(database_url: str) -> None:
    """Opens a datastore with a name, options of the server and a timeout in the URL, and asks the server for them."""
    url = make_conninfo(database_url, application_name="a ledger", options="-c statement_timeout=12345 -c work_mem=7MB")
    with histories.datastore(url) as store, store.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('application_name') AS name, current_setting('work_mem') AS memory,"
            " current_setting('statement_timeout') AS timeout, current_database() AS database"
        )
        row = cursor.fetchone()
    assert row is not None
    assert (row["name"], row["memory"], row["timeout"]) == ("a ledger", "7MB", "12345ms")
    assert f"dbname={row['database']}" in database_url


@pytest.mark.parametrize(
    "url", ["postgresql://[::1/name", "postgresql://host/name?colour=red", "not a url", "postgres//x", "sslmode"]
)
def test_what_is_no_url_of_a_database_is_refused(url: str) -> None:
    """Offers text that libpq cannot read; the message shows what one looks like."""
    with pytest.raises(BadInput, match="postgresql://user@host:5432/name"):
        open_datastore(url)
