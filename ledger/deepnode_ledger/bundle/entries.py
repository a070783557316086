"""The sealed entries of a log as one stream, each batch compared with the hash under which it was sealed."""

import hashlib
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa
from psycopg import Connection

from deepnode_ledger import batch as batches
from deepnode_ledger.errors import Damaged
from deepnode_ledger.fsck.rows import Rows
from deepnode_ledger.recorder import STREAM

BATCHES_AT_ONCE: Final = 2
"""Stored batches that are fetched together."""


def sealed(connection: Connection[Any], first: int, last: int) -> Iterator[pa.RecordBatch]:
    """Yield the entries from position ``first`` to ``last`` in order; memory is a few batches.

    The connection is in a transaction, which sees one state.

    Raises:
        Damaged: a batch cannot be read, is not the one that was sealed, or leaves a gap.
    """
    expected = first
    rows = Rows(
        connection,
        "SELECT b.number, b.sha256, s.topic, s.state FROM log.batch b JOIN log.sealed s ON s.originator_id = %s"
        " AND s.originator_version = b.number WHERE b.last_position >= %s AND b.first_position <= %s ORDER BY b.number",
        (STREAM, first, last),
        at_once=BATCHES_AT_ONCE,
    )
    for number, digest, topic, state in rows if first <= last else ():
        stored = bytes(state)
        if hashlib.sha256(stored).digest() != digest:
            raise Damaged(f"batch {number} has other bytes than were sealed: run `deepnode log fsck`")
        try:
            batch = batches.decode(topic, stored)
        except Damaged as error:
            raise Damaged(f"batch {number} is damaged: {error}; run `deepnode log fsck`") from error
        positions = batch.column("position").to_numpy()
        begins = int(positions[0])
        if begins > expected or not np.array_equal(positions, np.arange(begins, begins + batch.num_rows)):
            raise Damaged(f"batch {number} leaves a gap behind position {expected - 1}: run `deepnode log fsck`")
        part = batch.slice(expected - begins, last - expected + 1)
        expected += part.num_rows
        yield part
    if expected != last + 1:
        raise Damaged(f"the sealed log ends at position {expected - 1}, its head says {last}: run `deepnode log fsck`")
