"""Producers as the log knows them: how far each has counted, and which sequence numbers never came.

A producer numbers its events from 1 without a gap. A number that is missing is an event that was lost on its way or
is late; the log shows it and waits for nobody.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg import Cursor
from psycopg.rows import DictRow


@dataclass(frozen=True, slots=True)
class ProducerState:
    """A producer's highest sequence number and how many of its events are in the log."""

    producer: str
    last_sequence: int
    events: int

    @property
    def missing(self) -> int:
        """How many numbers up to the highest never came."""
        return self.last_sequence - self.events


@dataclass(frozen=True, slots=True)
class Gap:
    """The sequence numbers ``first`` to ``last`` of a producer are not in the log, a later one is."""

    producer: str
    first: int
    last: int


def producers(cursor: Cursor[DictRow]) -> list[ProducerState]:
    """Return every producer of the log, by id."""
    cursor.execute(
        'SELECT producer COLLATE "C" AS producer, max(sequence) AS last, count(*) AS events'
        " FROM log.task_key GROUP BY 1 ORDER BY 1"
    )
    return [ProducerState(row["producer"], row["last"], row["events"]) for row in cursor.fetchall()]


def gaps(cursor: Cursor[DictRow], limit: int) -> list[Gap]:
    """Return up to ``limit`` gaps, by producer and number."""
    cursor.execute(
        "SELECT producer, before + 1 AS first, sequence - 1 AS last FROM ("
        '   SELECT producer COLLATE "C" AS producer, sequence,'
        "     coalesce(lag(sequence) OVER (PARTITION BY producer ORDER BY sequence), 0) AS before FROM log.task_key"
        " ) counted WHERE sequence > before + 1 ORDER BY producer, first LIMIT %s",
        (limit,),
    )
    return [Gap(row["producer"], row["first"], row["last"]) for row in cursor.fetchall()]


def offsets(cursor: Cursor[DictRow], source: str) -> dict[int, int]:
    """Return the next offset of each partition of a source that was read before."""
    cursor.execute("SELECT partition, next_offset FROM log.intake_offset WHERE source = %s", (source,))
    return {row["partition"]: row["next_offset"] for row in cursor.fetchall()}


def move_offsets(cursor: Cursor[DictRow], moved: Mapping[tuple[str, int], int]) -> None:
    """Note how far sources (by name and partition) were read; an offset only goes up."""
    cursor.executemany(
        "INSERT INTO log.intake_offset VALUES (%s, %s, %s) ON CONFLICT (source, partition)"
        " DO UPDATE SET next_offset = greatest(intake_offset.next_offset, excluded.next_offset)",
        [(source, partition, offset) for (source, partition), offset in moved.items()],
    )
