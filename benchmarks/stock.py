"""The peer: the eventsourcing library as it comes, with one stored event an entry and its JSON mapper."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from eventsourcing.domain import DomainEvent
from eventsourcing.persistence import DatetimeAsISO, DecimalAsStr, JSONTranscoder, Mapper, UUIDAsHex
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from psycopg.conninfo import conninfo_to_dict

from deepnode_ledger.record import ChainLog, LogEntry

INSERT_EVENTS = 400
"""The library sends a run through one pipeline, which hangs for ever at about a megabyte; longer is faster."""
READ_EVENTS = 1_000
STREAM = uuid5(NAMESPACE_URL, "log")


@dataclass(frozen=True)
class Logged(DomainEvent):
    """A chain log as the library's users would write it: hashes as hexadecimal text, because JSON has no bytes."""

    block_number: int
    block_hash: str
    block_time: int
    transaction_hash: str
    transaction_index: int
    log_index: int
    address: str
    topics: list[str]
    data: str


class Stock:
    """The library's recorder and mapper on a table of their own."""

    def __init__(self, url: str, table: str) -> None:
        settings = conninfo_to_dict(url)
        self._store = PostgresDatastore(
            dbname=str(settings["dbname"]),
            host=str(settings["host"]),
            port=str(settings.get("port", "5432")),
            user=str(settings["user"]),
            password=str(settings.get("password") or ""),
            schema="public",
        )
        self._recorder = PostgresApplicationRecorder(self._store, events_table_name=table)
        self._recorder.create_table()
        transcoder = JSONTranscoder()
        # What the library's own Application registers.
        for transcoding in (UUIDAsHex(), DecimalAsStr(), DatetimeAsISO()):
            transcoder.register(transcoding)
        self._mapper: Mapper[UUID] = Mapper(transcoder=transcoder)

    def append(self, events: Sequence[Logged]) -> None:
        """Write events, so many in a transaction as go fastest."""
        for start in range(0, len(events), INSERT_EVENTS):
            run = events[start : start + INSERT_EVENTS]
            self._recorder.insert_events([self._mapper.to_stored_event(each) for each in run])

    def read(self) -> Iterator[Any]:
        """Yield every event, in pages."""
        start: int | None = None
        while page := self._recorder.select_notifications(start=start, limit=READ_EVENTS, inclusive_of_start=False):
            yield from map(self._mapper.to_domain_event, page)
            start = page[-1].id

    def close(self) -> None:
        """Disconnect."""
        self._store.close()


def as_events(entries: Sequence[LogEntry], when: datetime) -> list[Logged]:
    """Turn entries into the library's events."""
    return [as_event(entry, version, when) for version, entry in enumerate(entries, 1)]


def as_event(entry: LogEntry, version: int, when: datetime) -> Logged:
    """Turn a contract log into the library's event."""
    log = entry.record
    assert isinstance(log, ChainLog)
    return Logged(
        originator_id=STREAM,
        originator_version=version,
        timestamp=when,
        block_number=entry.block.number,
        block_hash=entry.block.hash.hex(),
        block_time=entry.block.time,
        transaction_hash=log.transaction_hash.hex(),
        transaction_index=log.transaction_index,
        log_index=log.log_index,
        address=log.address.hex(),
        topics=[topic.hex() for topic in log.topics],
        data=log.data.hex(),
    )
