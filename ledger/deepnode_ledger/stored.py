"""Stored batches: which one holds a position or a block, and its bytes."""

import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from psycopg import Connection, Cursor
from psycopg.rows import DictRow, dict_row

from deepnode_ledger import batch as batches
from deepnode_ledger.errors import Damaged
from deepnode_ledger.recorder import STREAM
from deepnode_ledger.trays import Trays


@dataclass(frozen=True, slots=True)
class BatchPlace:
    """Batch ``number`` holds positions from the first to the last, both included."""

    number: int
    first_position: int
    last_position: int


def places(cursor: Cursor[DictRow], first: int, last: int) -> Iterator[BatchPlace]:
    """Yield where the batches are that hold positions ``first`` to ``last``, oldest first."""
    if first > last:
        return
    cursor.execute(
        f"{_PLACE} WHERE last_position >= %s AND first_position <= %s ORDER BY number".encode(), (first, last)
    )
    yield from [BatchPlace(**row) for row in cursor.fetchall()]


def numbers_at_block(cursor: Cursor[DictRow], chain_id: int, block: int) -> list[int]:
    """Return the batches that may hold entries of a chain's block, by the block's number: several if it was cut."""
    cursor.execute(
        # A chain's blocks go up with batches: the newest that begins before the block, and those beside it.
        "SELECT number FROM log.batch_block WHERE chain_id = %s AND first_block <= %s AND last_block >= %s"
        " AND number >= coalesce((SELECT number FROM log.batch_block WHERE chain_id = %s AND first_block < %s"
        " ORDER BY first_block DESC, number DESC LIMIT 1), 1) ORDER BY number",
        (chain_id, block, block, chain_id, block),
    )
    return [row["number"] for row in cursor.fetchall()]


def last_number_at_block(cursor: Cursor[DictRow], chain_id: int, block: int) -> int | None:
    """Return the newest batch that holds an entry of a chain at or below a block's height, or None."""
    cursor.execute(
        "SELECT number FROM log.batch_block WHERE chain_id = %s AND first_block <= %s"
        " ORDER BY first_block DESC, number DESC LIMIT 1",
        (chain_id, block),
    )
    row = cursor.fetchone()
    return None if row is None else int(row["number"])


def numbers_between(cursor: Cursor[DictRow], first: int, last: int) -> tuple[int, int] | None:
    """Return the first and the last batch that hold positions ``first`` to ``last``, or None."""
    if first > last:
        return None
    cursor.execute(
        "SELECT (SELECT min(number) FROM log.batch WHERE last_position >= %s) AS low,"
        " (SELECT max(number) FROM log.batch WHERE first_position <= %s) AS high",
        (first, last),
    )
    row = cursor.fetchone()
    assert row is not None
    if row["low"] is None or row["high"] is None or row["low"] > row["high"]:
        return None
    return row["low"], row["high"]


def place_of(cursor: Cursor[DictRow], number: int) -> BatchPlace:
    """Return where batch ``number`` is.

    Raises:
        Damaged: the index of batches lacks it.
    """
    cursor.execute(f"{_PLACE} WHERE number = %s".encode(), (number,))
    row = cursor.fetchone()
    if row is None:
        raise Damaged(f"batch {number} is not in the index of batches: run `deepnode log fsck`")
    return BatchPlace(**row)


def stored_bytes(cursor: Cursor[DictRow], number: int) -> tuple[str, bytes]:
    """Return the topic and the bytes of batch ``number``, as they are stored.

    Raises:
        Damaged: it is not there.
    """
    cursor.execute(
        "SELECT topic, state FROM log.sealed WHERE originator_id = %s AND originator_version = %s",
        (STREAM, number),
        # As text, every byte would travel as two digits.
        binary=True,
    )
    row = cursor.fetchone()
    if row is None:
        raise Damaged(f"batch {number} is in the index and not in the log: run `deepnode log fsck`")
    return row["topic"], bytes(row["state"])


def stored_bytes_between(cursor: Cursor[DictRow], first: int, last: int) -> Iterator[tuple[int, str, bytes]]:
    """Yield the numbers, topics and bytes of the batches ``first`` to ``last`` (both included) that are there."""
    cursor.execute(
        "SELECT originator_version, topic, state FROM log.sealed WHERE originator_id = %s"
        " AND originator_version BETWEEN %s AND %s ORDER BY originator_version",
        (STREAM, first, last),
        binary=True,
    )
    for row in cursor:
        yield row["originator_version"], row["topic"], bytes(row["state"])


def stored_batch(cursor: Cursor[DictRow], number: int) -> pa.RecordBatch:
    """Read batch ``number`` with the columns of ``batch_versions.SCHEMA``.

    Raises:
        Damaged: it is not there, or its bytes cannot be read.
    """
    return _decoded(number, *stored_bytes(cursor, number))


def stored_batches(connection: Connection[Any], places: Sequence[BatchPlace]) -> Iterator[pa.RecordBatch]:
    """Read batches one after another as ``stored_batch`` does; the server sends the next while one is unpacked.

    Two are held at a time. What else the caller does on the connection meanwhile waits for the fetch, or it for that.

    Raises:
        Damaged: one is not there, or its bytes cannot be read.
    """

    def fetch(place: BatchPlace) -> tuple[str, bytes]:
        return stored_bytes(connection.cursor(row_factory=dict_row), place.number)

    if len(places) < 2:
        for place in places:
            yield _decoded(place.number, *fetch(place))
        return
    trays = Trays()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="next batch") as ahead:
        coming = ahead.submit(fetch, places[0])
        for place, following in itertools.zip_longest(places, places[1:]):
            found = coming.result()
            if following is not None:
                coming = ahead.submit(fetch, following)
            yield _decoded(place.number, *found, trays)


def part(place: BatchPlace, batch: pa.RecordBatch, first: int, last: int) -> pa.RecordBatch:
    """Cut out the rows of a batch that lie between two positions.

    Raises:
        Damaged: it has more or fewer entries than the index says.
    """
    if batch.num_rows != place.last_position - place.first_position + 1:
        raise Damaged(f"batch {place.number} has {batch.num_rows} entries, by the index {place}")
    skip = max(0, first - place.first_position)
    return batch.slice(skip, min(last, place.last_position) - place.first_position + 1 - skip)


def _decoded(number: int, topic: str, state: bytes, trays: Trays | None = None) -> pa.RecordBatch:
    try:
        return batches.decode(topic, state, trays)
    except Damaged as error:
        raise Damaged(f"batch {number} is damaged: {error}; run `deepnode log fsck`") from error


_PLACE = "SELECT number, first_position, last_position FROM log.batch"
