"""Sealed batches by what binds their content: a reader who knows a batch's bytes by their digest need not fetch them.

The digest is the one that was written down when the batch was sealed. A batch that is read here is held against it;
``deepnode log fsck`` holds all of them against it.
"""

import hashlib
from dataclasses import dataclass
from itertools import pairwise

import pyarrow as pa
from psycopg.rows import dict_row

from deepnode_ledger import batch as batches
from deepnode_ledger import stored
from deepnode_ledger.errors import Damaged
from deepnode_ledger.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class SealedBatchRef:
    """Batch ``number`` (from 1) holds positions from the first to the last, both included.

    ``sha256`` is the digest of its stored bytes (32 bytes).
    """

    number: int
    first_position: int
    last_position: int
    sha256: bytes


def sealed_batches(snapshot: Snapshot) -> list[SealedBatchRef]:
    """Return all sealed batches, oldest first; none of them is read.

    Raises:
        Damaged: one is missing from the index of batches.
    """
    cursor = snapshot.connection.cursor(row_factory=dict_row)
    # As text, every byte would travel as two digits.
    cursor.execute("SELECT number, first_position, last_position, sha256 FROM log.batch ORDER BY number", binary=True)
    found = [SealedBatchRef(**row) for row in cursor.fetchall()]
    before = SealedBatchRef(0, 0, 0, b"")
    for one, following in pairwise([before, *found]):
        if (following.number, following.first_position) != (one.number + 1, one.last_position + 1):
            raise Damaged(f"batch {following.number} does not follow batch {one.number}: run `deepnode log fsck`")
    if (found or [before])[-1].last_position != snapshot.head.sealed_position:
        raise Damaged(f"{len(found)} batches do not end where the sealed log does: run `deepnode log fsck`")
    return found


def read_sealed(snapshot: Snapshot, sealed: SealedBatchRef) -> pa.RecordBatch:
    """Read a sealed batch with the columns of ``batch_versions.SCHEMA``.

    Raises:
        Damaged: it is not there, or not what was sealed.
    """
    topic, state = stored.stored_bytes(snapshot.connection.cursor(row_factory=dict_row), sealed.number)
    if hashlib.sha256(state).digest() != sealed.sha256:
        raise Damaged(f"batch {sealed.number} is not the one that was sealed: run `deepnode log fsck`")
    try:
        batch = batches.decode(topic, state)
    except Damaged as error:
        raise Damaged(f"batch {sealed.number} is damaged: {error}; run `deepnode log fsck`") from error
    place = stored.BatchPlace(sealed.number, sealed.first_position, sealed.last_position)
    return stored.part(place, batch, sealed.first_position, sealed.last_position)
