"""The keys of task events beside the events: what makes a second delivery add nothing has to be complete and right."""

import hashlib
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from psycopg import Connection

from deepnode_ledger.fsck.difference import Findings, Report
from deepnode_ledger.fsck.rows import Rows
from deepnode_ledger.record import Kind

COLUMNS: Final = ("producer", "event_id", "sequence")


class TaskKeys:
    """Takes in entries, sealed and pending, and goes along the keys by their positions."""

    def __init__(self, connection: Connection[Any], findings: Findings, report: Report) -> None:
        self._findings = findings
        self._report = report
        self._keys = Rows(
            connection,
            "SELECT producer, event_id, sequence, position, payload_sha256 FROM log.task_key"
            " ORDER BY position, producer, event_id",
        )

    def add(self, batch: pa.RecordBatch) -> None:
        """Take in the entries that follow."""
        events = batch.filter(pc.equal(batch.column("kind"), int(Kind.TASK_EVENT)))
        columns = [events.column(name).to_pylist() for name in (*COLUMNS, "position", "data")]
        for producer, event_id, sequence, position, data in zip(*columns, strict=True):
            self._skip_below(position)
            where = f"log.task_key {producer!r} {event_id!r}"
            key = self._keys.next
            if key is None or key[3] != position:
                self._findings.note(where, f"a key of the event at position {position}", "none")
                continue
            self._keys.take()
            self._report.task_keys += 1
            if self._findings.compare(f"{where}: producer and event_id", (producer, event_id), key[:2]):
                self._findings.compare(f"{where}: sequence", sequence, key[2])
                self._findings.compare(f"{where}: payload_sha256", hashlib.sha256(data).digest(), key[4])

    def finish(self) -> None:
        """Name the keys of no event."""
        self._skip_below(2**63)

    def _skip_below(self, position: int) -> None:
        while self._keys.next is not None and self._keys.next[3] < position:
            key = self._keys.take()
            where = f"log.task_key {key[0]!r} {key[1]!r}"
            self._findings.note(where, f"no key at position {key[3]}: its event is not there", "a key")
