"""The peer of a replay: the eventsourcing library as it comes, with one stored event an entry and its JSON mapper.

Its application's recorder keeps the events in PostgreSQL; its projection runner reads them in pages, makes objects of
them by the mapper, and gives them to a projection. That one keeps much less than ours: every address's balance of each
token, and every node's verified work units, in dictionaries in memory, because tables would be slower still.
"""

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from benchmarks.marketplace import abi_of
from benchmarks.replay.stored import Kept
from benchmarks.stock import INSERT_EVENTS, STREAM, Logged, as_event
from eventsourcing.application import Application
from eventsourcing.domain import DomainEvent
from eventsourcing.persistence import Tracking
from eventsourcing.popo import POPOTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg.conninfo import conninfo_to_dict
from typing_extensions import override

from deepnode_ledger.batch import entries as entries_of
from deepnode_ledger.record import Finality, LogEntry, TaskEvent
from deepnode_ledger.statement_data import VWU_ASSIGNED

WAIT_SECONDS_MAX: Final = 600.0

_TRANSFER: Final = abi_of("Token", "Transfer").topic0.hex()


@dataclass(frozen=True)
class Told(DomainEvent):
    """A task event as the library's users would write it: what was signed as text, the signature in digits."""

    producer: str
    event_id: str
    sequence: int
    type: str
    payload: str
    signature: str
    block_number: int


class Entries(Application[UUID]):
    """The library's application, whose sequence is the log."""


class Sums(POPOTrackingRecorder):
    """What the projection keeps: base units by (token, address), both in digits, and VWU by node."""

    def __init__(self) -> None:
        super().__init__()
        self.balances: Counter[tuple[str, str]] = Counter()
        self.vwu: Counter[str] = Counter()
        # Whoever waits for the library looks again after most of a second.
        self.ended_at = 0.0

    def move(self, tracking: Tracking, event: Logged) -> None:
        """Let a log count."""
        with self._database_lock:
            if event.topics[0] == _TRANSFER:
                amount = int(event.data, 16)
                self.balances[event.address, event.topics[1][24:]] -= amount
                self.balances[event.address, event.topics[2][24:]] += amount
            self._insert_tracking(tracking)
        self.ended_at = time.perf_counter()

    def work(self, tracking: Tracking, event: Told) -> None:
        """Let a task event count."""
        with self._database_lock:
            if event.type == VWU_ASSIGNED:
                data = json.loads(event.payload)["data"]
                self.vwu[data["node"]] += data["vwu"]
            self._insert_tracking(tracking)
        self.ended_at = time.perf_counter()


class Sheet(Projection[Sums]):
    """The library's projection."""

    name = "sheet"

    @override
    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        """Let an event count, with its place in the sequence."""
        if isinstance(domain_event, Told):
            self.view.work(tracking, domain_event)
        else:
            self.view.move(tracking, domain_event)


class Peer:
    """The library over a share of a history in an empty database."""

    def __init__(self, url: str, history: Kept, entries: int) -> None:
        """Store the events, which is not measured."""
        settings = conninfo_to_dict(url)
        self.entries = entries
        self._env = {
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "SHEET_PERSISTENCE_MODULE": "eventsourcing.popo",
            "POSTGRES_DBNAME": str(settings["dbname"]),
            "POSTGRES_HOST": str(settings["host"]),
            "POSTGRES_PORT": str(settings.get("port", "5432")),
            "POSTGRES_USER": str(settings["user"]),
            "POSTGRES_PASSWORD": str(settings.get("password") or "none"),
        }
        application, version = Entries(self._env), 0
        for batch in history.batches(entries):
            for start in range(0, batch.num_rows, INSERT_EVENTS):
                found = list(entries_of(batch.slice(start, INSERT_EVENTS), Finality.SEALED))
                self._store(application, found, version + 1)
                version += len(found)
        application.close()

    def _store(self, application: Entries, found: Sequence[LogEntry], version: int) -> None:
        events = [_told(entry, n) or as_event(entry, n, _when(entry)) for n, entry in enumerate(found, version)]
        application.recorder.insert_events([application.mapper.to_stored_event(each) for each in events])

    def replay(self) -> tuple[float, Sums]:
        """Project everything from the beginning; return the seconds up to the last event, and what came of it."""
        began = time.perf_counter()
        with ProjectionRunner(
            application_class=Entries, projection_class=Sheet, view_class=Sums, env=self._env
        ) as runner:
            runner.wait(self.entries, WAIT_SECONDS_MAX)
            return runner.view.ended_at - began, runner.view


def _told(entry: LogEntry, version: int) -> Told | None:
    event = entry.record
    if not isinstance(event, TaskEvent):
        return None
    return Told(
        originator_id=STREAM,
        originator_version=version,
        timestamp=_when(entry),
        producer=event.producer,
        event_id=event.event_id,
        sequence=event.sequence,
        type=event.type,
        payload=event.payload.decode(),
        signature=event.signature.hex(),
        block_number=entry.block.number,
    )


def _when(entry: LogEntry) -> datetime:
    return datetime.fromtimestamp(entry.block.time, UTC)
