"""Checkpoints that were signed, and witnesses' lines under them: ``log.checkpoint`` and ``log.cosignature``.

A checkpoint is stored before anybody sees it, so the log can never be shown in two ways: after a crash the stored one
is published, and a publisher that finds another one than it started from signs nothing.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from psycopg import Cursor
from psycopg.rows import DictRow

from deepnode_ledger.errors import TryAgain
from deepnode_ledger.transparency import Signature, TreeHead, Witness

PAGE: Final = 1_000


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """The tree of ``size`` leaves has the root ``root`` (32 bytes), by ``note``, which the log signed."""

    size: int
    root: bytes
    note: str


def newest(cursor: Cursor[DictRow]) -> SignedCheckpoint | None:
    """Return the newest checkpoint that was signed, or None."""
    cursor.execute("SELECT size, root, note FROM log.checkpoint ORDER BY size DESC LIMIT 1")
    return _checkpoint(cursor.fetchone())


def at(cursor: Cursor[DictRow], size: int) -> SignedCheckpoint | None:
    """Return the checkpoint of a size, or None if none was signed there."""
    cursor.execute("SELECT size, root, note FROM log.checkpoint WHERE size = %s", (size,))
    return _checkpoint(cursor.fetchone())


def page_behind(cursor: Cursor[DictRow], size: int) -> list[SignedCheckpoint]:
    """Return the next checkpoints of more than ``size`` leaves, ``PAGE`` at most, smallest first."""
    cursor.execute("SELECT size, root, note FROM log.checkpoint WHERE size > %s ORDER BY size LIMIT %s", (size, PAGE))
    return [SignedCheckpoint(row["size"], row["root"], row["note"]) for row in cursor.fetchall()]


def add(cursor: Cursor[DictRow], head: TreeHead, note: str, *, behind: int) -> SignedCheckpoint:
    """Store a checkpoint that follows on the one of size ``behind`` (0: none). It is durable when the caller commits.

    Raises:
        TryAgain: another publisher has stored one since.
    """
    # Whatever the server's default: a commit that a power cut takes back would let two checkpoints get out.
    cursor.execute(
        "SELECT set_config('synchronous_commit', 'on', true)"
        " WHERE current_setting('synchronous_commit') <> 'remote_apply'"
    )
    # Two publishers, on two machines, would both find the same newest one and both go on from there.
    cursor.execute("SELECT pg_advisory_xact_lock(hashtext('deepnode checkpoints'))")
    found = newest(cursor)
    if (found.size if found else 0) != behind:
        raise TryAgain(
            f"another publisher has signed size {found.size if found else 0} meanwhile, behind {behind}: "
            "one is enough, and nothing was signed here"
        )
    cursor.execute("INSERT INTO log.checkpoint (size, root, note) VALUES (%s, %s, %s)", (head.size, head.root, note))
    return SignedCheckpoint(head.size, head.root, note)


def cosignatures(cursor: Cursor[DictRow], size: int) -> str:
    """Return the lines that witnesses have put under the checkpoint of a size, in the order of their names."""
    cursor.execute("SELECT line FROM log.cosignature WHERE size = %s ORDER BY name, key_id", (size,))
    return "".join(row["line"] for row in cursor.fetchall())


def last_cosigned(cursor: Cursor[DictRow], witnesses: Collection[Witness]) -> dict[Witness, int]:
    """Return for each witness that ever cosigned the size of the last tree that it cosigned."""
    found = {}
    for witness in witnesses:
        cursor.execute(
            "SELECT max(size) AS size FROM log.cosignature WHERE name = %s AND key_id = %s",
            (witness.name, witness.key_id),
        )
        row = cursor.fetchone()
        if row is not None and row["size"] is not None:
            found[witness] = row["size"]
    return found


def add_cosignatures(cursor: Cursor[DictRow], size: int, lines: Collection[Signature]) -> None:
    """Store verified cosignatures of the checkpoint of a size; a witness's first one stays."""
    for line in lines:
        cursor.execute(
            "INSERT INTO log.cosignature (size, name, key_id, line) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (size, line.name, line.key_id, str(line)),
        )


def _checkpoint(row: DictRow | None) -> SignedCheckpoint | None:
    return None if row is None else SignedCheckpoint(row["size"], row["root"], row["note"])
