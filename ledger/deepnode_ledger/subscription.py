"""Following the log: every change to it, in order, for a reader that says how far it has come.

Polling is what counts. NOTIFY is a hint that ends a wait early, so nothing is lost when a hint is. A reader keeps its
``Place`` with what it made of the changes, and goes on from there after a crash; the log remembers no reader.

Each read is a short transaction of its own that has ended before its entries are handed out: a slow reader holds up
neither a writer nor a vacuum. A place that this log has never been at is refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

import psycopg
import pyarrow as pa
from psycopg import Connection, IsolationLevel
from psycopg.errors import UndefinedTable
from psycopg.rows import DictRow, dict_row

from deepnode_ledger.batch import ENTRIES_MAX
from deepnode_ledger.database import database_errors, shown_database
from deepnode_ledger.errors import BadInput
from deepnode_ledger.head import Head
from deepnode_ledger.log import CHANNEL
from deepnode_ledger.polled_subscription import POLL_SECONDS
from deepnode_ledger.record import Finality
from deepnode_ledger.snapshot import Snapshot

PAGE_ENTRIES: Final = 8_192
"""A read ends behind the batch with which it has that many entries, so that small batches cost no transaction each."""

PAGE_BYTES: Final = 16 * 1024 * 1024
"""The same by the batches' size in memory."""


@dataclass(frozen=True, slots=True)
class Place:
    """How far a reader has come: all entries up to ``position``, as they were after the reorg number ``reorg``.

    The number belongs to it since a reorg can put other entries at positions that were read already.
    """

    position: int
    reorg: int


START: Final = Place(0, 0)
"""Before the first entry."""


@dataclass(frozen=True, slots=True)
class Extended:
    """The entries that follow, one or more, with the columns of the log's batches, in the order of their positions.

    ``place`` is behind the last of them; ``head`` is where the log stood when they were read. They are all sealed or
    all pending. That pending ones were sealed later is no change: neither their positions nor their bytes do.
    """

    place: Place
    batch: pa.RecordBatch
    head: Head

    @property
    def finality(self) -> Finality:
        """Say whether a reorg could still take the entries back when they were read."""
        return Finality.SEALED if self.place.position <= self.head.sealed_position else Finality.PENDING


@dataclass(frozen=True, slots=True)
class RolledBack:
    """A reorg took back every entry behind ``place``; what the log holds there now comes next.

    Of several reorgs that happened since the reader last looked, this is the deepest.
    """

    place: Place


Change = Extended | RolledBack


class StopSignal(Protocol):
    """What says that it is time to stop: a ``threading.Event`` or one of ``multiprocessing``."""

    def is_set(self) -> bool:
        """Say whether it is time."""


def subscribe(
    url: str,
    after: Place,
    *,
    stop: StopSignal,
    sealed_only: bool = False,
    hints: bool = True,
    poll_seconds: float = POLL_SECONDS,
) -> Iterator[Change]:
    """Yield the changes to the log behind a place, for ever; wait while there are none.

    A reader that carries out each change and resumes from the place of the last one that it carried out holds, at
    every change, exactly the log up to that place: each entry once, in order, and none that a reorg took back.
    Memory is one page: what brings it to ``PAGE_ENTRIES`` entries or ``PAGE_BYTES`` is at most one more batch.

    Args:
        url: of the database.
        after: the place of the last change that was carried out, or ``START``.
        stop: ends the iteration, at the next change or after ``poll_seconds`` at the latest.
        sealed_only: leave out what is pending, so that nothing is ever rolled back. ``after`` must be sealed.
        hints: wake up when the log says that it has changed. Without, a change is seen after ``poll_seconds``: for
            a connection pooler that does not pass LISTEN on.
        poll_seconds: how long to wait when no hint comes.

    Raises:
        TryAgain: the database is away: subscribe again from the last place.
        BadInput: the log has never been at ``after``, so this is another log or an older copy; or there is no log.
    """
    place = after
    with database_errors(url), _connected(url) as connection:
        if hints:
            listen(connection, CHANNEL)
        while not stop.is_set():
            changes, at_end = _read(connection, place, sealed_only=sealed_only)
            for change in changes:
                yield change
                place = change.place
                if stop.is_set():
                    return
            # Also with something left to read, without waiting: hints would pile up in memory otherwise.
            wait_for_hint(connection, poll_seconds if at_end else 0)


def listen(connection: Connection[Any], channel: str) -> None:
    """Let ``wait_for_hint`` on this connection, which must be in autocommit mode, wake up by the channel's hints."""
    assert connection.autocommit, "hints arrive between transactions"
    connection.execute(f"LISTEN {channel}".encode())


def wait_for_hint(connection: Connection[Any], wait_seconds: float) -> bool:
    """Wait for a hint, at most so long; return at once if some came since the last call. Say whether one came.

    Whoever listens first, then looks and then waits misses nothing: a change after the look has a hint behind it.
    """
    return any(True for _ in connection.notifies(timeout=wait_seconds, stop_after=1))


def _connected(url: str) -> Connection[DictRow]:
    connection = psycopg.connect(url, autocommit=True, row_factory=dict_row)
    connection.isolation_level = IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    return connection


def _read(connection: Connection[DictRow], after: Place, *, sealed_only: bool) -> tuple[list[Change], bool]:
    """Read a page of changes in one transaction; say whether they lead to the log's end."""
    try:
        with connection.transaction():
            return _page(Snapshot(connection), after, sealed_only=sealed_only)
    except UndefinedTable as error:
        raise BadInput(f"{shown_database(connection.info.dsn)} holds no log: {error}") from error


def _page(snapshot: Snapshot, after: Place, *, sealed_only: bool) -> tuple[list[Change], bool]:
    head = snapshot.head
    end = head.sealed_position if sealed_only else head.last_position
    reorgs = snapshot.reorgs(after=max(0, after.reorg - 1))
    if after.reorg and (not reorgs or reorgs[0].number != after.reorg):
        raise BadInput(f"the reader has seen reorg {after.reorg}, this log has not: it is another one or an older copy")
    last_reorg = reorgs[-1].number if reorgs else 0
    kept = min([after.position, *(each.kept_position for each in reorgs if each.number > after.reorg)])
    if kept > end:
        which = "is sealed" if sealed_only else "ends"
        raise BadInput(
            f"the reader has come to position {kept}, this log {which} at {end}: it is another one or an older copy"
        )
    place = Place(kept, last_reorg)
    changes: list[Change] = [RolledBack(place)] if kept < after.position else []
    entries = size_bytes = 0
    for batch in snapshot.read(kept + 1, min(end, kept + PAGE_ENTRIES + ENTRIES_MAX)):
        place = Place(place.position + batch.num_rows, last_reorg)
        changes.append(Extended(place, batch, head))
        entries += batch.num_rows
        size_bytes += batch.nbytes
        if entries >= PAGE_ENTRIES or size_bytes >= PAGE_BYTES:
            break
    return changes, place.position == end
