"""The log's store under the library's own tools: its test cases, its applications, its projection runners."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal
from uuid import UUID, uuid4

import pytest
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import StoredEvent, Tracking
from eventsourcing.postgres import PostgresDatastore, PostgresTrackingRecorder
from eventsourcing.projection import ApplicationSubscription, Projection, ProjectionRunner
from eventsourcing.tests.persistence import (
    AggregateRecorderTestCase,
    InfrastructureFactoryTestCase,
    ProcessRecorderTestCase,
    TrackingRecorderTestCase,
)
from eventsourcing.utils import Environment
from typing_extensions import override

from deepnode_ledger.batch import entries
from deepnode_ledger.errors import BadInput
from deepnode_ledger.log import Log
from deepnode_ledger.persistence import (
    Factory,
    LogAggregateRecorder,
    LogProcessRecorder,
    SealedBatch,
    SealedLog,
    environment,
)
from deepnode_ledger.record import Finality
from deepnode_ledger.recorder import LogRecorder
from tests.ledger.histories import contents, placed, records, ref, run, task


class _OnRealPostgres:
    """Gives the library's cases a factory of ours on an empty database, for one type of stream ids."""

    id_type: Literal["uuid", "text"] = "text"

    @pytest.fixture(autouse=True)
    def _database(self, database_url: str) -> Iterator[None]:
        self.env = Environment("tests", {**environment(database_url), "ORIGINATOR_ID_TYPE": self.id_type})
        self.made = Factory(self.env)
        yield
        self.made.close()

    def new_originator_id(self) -> UUID | str:
        return uuid4() if self.id_type == "uuid" else f"stream-{uuid4()}"


class TestAggregateRecorderWithTextIds(_OnRealPostgres, AggregateRecorderTestCase):
    """The library's own cases for a recorder that nobody follows: versions, conflicts, all or nothing."""

    @override
    def create_recorder(self) -> LogAggregateRecorder:
        recorder = self.made.aggregate_recorder()
        assert isinstance(recorder, LogAggregateRecorder)
        return recorder


class TestAggregateRecorderWithUuidIds(TestAggregateRecorderWithTextIds):
    """The same with UUIDs."""

    id_type = "uuid"


class TestProcessRecorderWithTextIds(_OnRealPostgres, ProcessRecorderTestCase):
    """The library's own cases for events and tracking in one transaction."""

    @override
    def create_recorder(self) -> LogProcessRecorder:
        recorder = self.made.process_recorder()
        assert isinstance(recorder, LogProcessRecorder)
        return recorder


class TestProcessRecorderWithUuidIds(TestProcessRecorderWithTextIds):
    """The same with UUIDs."""

    id_type = "uuid"


class TestTracking(_OnRealPostgres, TrackingRecorderTestCase):
    """The library's own cases for tracking, on the process recorder."""

    @override
    def create_recorder(self) -> LogProcessRecorder:
        recorder = self.made.process_recorder()
        assert isinstance(recorder, LogProcessRecorder)
        return recorder


class _OtherTrackingRecorder(PostgresTrackingRecorder):
    """A class that the library's case can ask the factory for."""


class TestFactory(_OnRealPostgres, InfrastructureFactoryTestCase[Factory]):
    """The library's own cases: which recorders and mappers a factory makes from the settings."""

    @override
    def expected_factory_class(self) -> type[Factory]:
        return Factory

    @override
    def expected_aggregate_recorder_class(self) -> type[LogAggregateRecorder]:
        return LogAggregateRecorder

    @override
    def expected_application_recorder_class(self) -> type[LogRecorder]:
        return LogRecorder

    @override
    def expected_tracking_recorder_class(self) -> type[PostgresTrackingRecorder]:
        return PostgresTrackingRecorder

    @override
    def tracking_recorder_subclass(self) -> type[PostgresTrackingRecorder]:
        return _OtherTrackingRecorder

    @override
    def expected_process_recorder_class(self) -> type[LogProcessRecorder]:
        return LogProcessRecorder


class Door(Aggregate):
    """An aggregate as the library's users write them."""

    opened = 0

    @event("Opened")
    def open(self) -> None:
        self.opened += 1


def test_an_application_of_the_library_runs_on_the_recorders(database_url: str) -> None:
    """Saves an aggregate of 100 events with snapshots, and reads it back in another application."""
    settings = {**environment(database_url), "IS_SNAPSHOTTING_ENABLED": "y"}
    with Application[UUID](settings) as app:
        door = Door()
        for _ in range(99):
            door.open()
        app.save(door)
        app.take_snapshot(door.id)
    with Application[UUID](settings) as app:
        assert app.snapshots is not None
        assert len(list(app.snapshots.get(door.id))) == 1
        again: Door = app.repository.get(door.id)
        assert again.opened == 99


class EntryCounts(PostgresTrackingRecorder):
    """How many entries there are of each kind, and the last position: committed with the tracking."""

    def __init__(self, datastore: PostgresDatastore, **settings: Any) -> None:
        super().__init__(datastore, **settings)
        with self.datastore.transaction(commit=True) as cursor:
            cursor.execute("CREATE TABLE IF NOT EXISTS entry_counts (kind text PRIMARY KEY, n bigint, last bigint)")

    def count(self, positions: dict[str, list[int]], tracking: Tracking, fail: Callable[[int], None]) -> None:
        """Add to the counts."""
        with self.datastore.transaction(commit=True) as cursor:
            for kind, found in positions.items():
                cursor.execute(
                    "INSERT INTO entry_counts AS c VALUES (%s, %s, %s)"
                    " ON CONFLICT (kind) DO UPDATE SET n = c.n + excluded.n, last = excluded.last",
                    (kind, len(found), found[-1]),
                )
            fail(tracking.notification_id)
            self._insert_tracking(cursor, tracking)

    def counted(self) -> dict[str, tuple[int, int]]:
        """The counts by kind."""
        with self.datastore.cursor() as cursor:
            cursor.execute("SELECT * FROM entry_counts")
            return {row["kind"]: (row["n"], row["last"]) for row in cursor.fetchall()}


class Crash(Exception):
    """Stands for whatever ends a process in the middle of a transaction."""


class Counting(Projection[EntryCounts]):
    """A projection of the sealed log as the library's users write them."""

    crashes_at = 0

    @override
    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        assert isinstance(domain_event, SealedBatch)
        positions: dict[str, list[int]] = {}
        for entry in entries(domain_event.batch, Finality.SEALED):
            positions.setdefault(type(entry.record).__name__, []).append(entry.position)
        self.view.count(positions, tracking, self._maybe_crash)

    def _maybe_crash(self, notification_id: int) -> None:
        if notification_id == self.crashes_at:
            raise Crash


@contextmanager
def counting(url: str) -> Iterator[ProjectionRunner[SealedLog, EntryCounts]]:
    with ProjectionRunner(
        application_class=SealedLog, projection_class=Counting, view_class=EntryCounts, env=environment(url)
    ) as runner:
        try:
            yield runner
        finally:
            runner.view.datastore.close()


def seal_in_small_batches(log: Log, first: int, last: int) -> None:
    """Blocks of two logs, each with a task event, sealed one by one."""
    for number in range(first, last + 1):
        log.append_finalized(number, run(number, number)[0].header, placed(run(number, number, logs=2)), "test")
        log.accept([task(number)])


def test_the_librarys_projection_runner_counts_the_sealed_log_exactly_once(
    log: Log, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Follows the log with a projection that crashes in the middle of a transaction, restarts it, and counts again."""
    seal_in_small_batches(log, 5, 24)
    middle = 17
    monkeypatch.setattr(Counting, "crashes_at", middle)
    with pytest.raises(Crash), counting(database_url) as runner:
        runner.run_forever()
    monkeypatch.setattr(Counting, "crashes_at", 0)
    with counting(database_url) as runner:
        assert runner.view.max_tracking_id("SealedLog") in range(middle - 1, 100)
        # The last task event is pending: only what is sealed is followed.
        runner.wait(runner.app.recorder.max_notification_id(), timeout=60)
        assert runner.view.counted() == {"ChainLog": (40, 59), "TaskEvent": (19, 57)}
        # What comes in while it runs.
        seal_in_small_batches(log, 25, 30)
        log.seal(ref(30))
        runner.wait(runner.app.recorder.max_notification_id(), timeout=60)
        assert runner.view.counted() == {"ChainLog": (52, 77), "TaskEvent": (26, 78)}
    assert len(contents(log)) == 78


def test_a_subscription_shows_every_sealed_batch_and_stops_when_told(log: Log, database_url: str) -> None:
    """Reads the batches by the library's subscription: the first ones, and those behind a notification id."""
    seal_in_small_batches(log, 5, 9)
    log.seal(ref(9))
    expected = records(log)
    with SealedLog(environment(database_url)) as app:
        last = app.recorder.max_notification_id()
        with ApplicationSubscription(app) as subscription:
            read = []
            for batch, tracking in subscription:
                assert isinstance(batch, SealedBatch)
                read.append((batch, tracking))
                if tracking.notification_id == last:
                    subscription.stop()
        assert [number for number, _ in enumerate(read, 1)] == [batch.originator_version for batch, _ in read]
        assert [e.record for batch, _ in read for e in entries(batch.batch, Finality.SEALED)] == expected
        middle = read[2][1].notification_id
        with ApplicationSubscription(app, gt=middle) as subscription:
            assert next(subscription)[1].notification_id == read[3][1].notification_id


def test_the_sealed_log_cannot_be_written_through_the_library(log: Log, database_url: str) -> None:
    """Saves an aggregate and inserts a stored event: both are refused, and nothing is changed."""
    seal_in_small_batches(log, 5, 6)
    before = contents(log)
    with SealedLog(environment(database_url)) as app:
        with pytest.raises(BadInput, match="written by Log alone"):
            app.recorder.insert_events([StoredEvent("log", 99, "deepnode.log.batch/1", b"state")])
        with pytest.raises(BadInput, match="Created cannot be saved"):
            app.save(Door())  # type: ignore[arg-type]  # an aggregate with a UUID is just what it is refused for
    assert contents(log) == before


def test_settings_that_lose_events_or_name_no_database_are_refused(database_url: str) -> None:
    """Asks for the library's database functions, gives no URL, and gives text that is none."""
    with pytest.raises(BadInput, match="POSTGRES_ENABLE_DB_FUNCTIONS"):
        Factory({**environment(database_url), "POSTGRES_ENABLE_DB_FUNCTIONS": "y"})
    with pytest.raises(OSError, match="POSTGRES_DBNAME"):
        Factory({})
    with pytest.raises(BadInput, match="postgresql://"):
        environment("not a url")
    with pytest.raises(BadInput, match="postgresql://"):
        Factory({"POSTGRES_URL": "not a url"})
