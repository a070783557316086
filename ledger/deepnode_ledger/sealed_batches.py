"""Sealed batches by what binds their content: a reader who knows a batch's bytes by their digest need not fetch them.

The digest is the one that was written down when the batch was sealed. A batch that is read here is held against it;
``deepnode log fsck`` holds all of them against it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import pyarrow as pa
from psycopg.rows import dict_row

from deepnode_ledger import batch as batches
from deepnode_ledger import stored
from deepnode_ledger.errors import Damaged
from deepnode_ledger.snapshot import Snapshot
from deepnode_ledger.trays import Trays


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


def read_sealed(snapshot: Snapshot, sealed: SealedBatchRef, trays: Trays | None = None) -> pa.RecordBatch:
    """Read a sealed batch with the columns of ``batch_versions.SCHEMA``, in a tray if there are any.

    Raises:
        Damaged: it is not there, or not what was sealed.
    """
    topic, state = stored.stored_bytes(snapshot.connection.cursor(row_factory=dict_row), sealed.number)
    return _unpacked(sealed, topic, state, trays)


def read_sealed_run(snapshot: Snapshot, run: Sequence[SealedBatchRef], trays: Trays | None = None) -> pa.RecordBatch:
    """Read sealed batches that follow one another as one, as ``read_sealed`` does: the server is asked once.

    Raises:
        Damaged: one is not there, or not what was sealed.
    """
    if len(run) == 1:
        return read_sealed(snapshot, run[0], trays)
    cursor = snapshot.connection.cursor(row_factory=dict_row)
    found = list(stored.stored_bytes_between(cursor, run[0].number, run[-1].number))
    if [number for number, _, _ in found] != [each.number for each in run]:
        raise Damaged(f"of batches {run[0].number} to {run[-1].number} one is not in the log: run `deepnode log fsck`")
    return pa.concat_batches(
        [_unpacked(sealed, topic, state, trays) for sealed, (_, topic, state) in zip(run, found, strict=True)]
    )


def _unpacked(sealed: SealedBatchRef, topic: str, state: bytes, trays: Trays | None) -> pa.RecordBatch:
    if hashlib.sha256(state).digest() != sealed.sha256:
        raise Damaged(f"batch {sealed.number} is not the one that was sealed: run `deepnode log fsck`")
    try:
        batch = batches.decode(topic, state, trays)
    except Damaged as error:
        raise Damaged(f"batch {sealed.number} is damaged: {error}; run `deepnode log fsck`") from error
    place = stored.BatchPlace(sealed.number, sealed.first_position, sealed.last_position)
    return stored.part(place, batch, sealed.first_position, sealed.last_position)
