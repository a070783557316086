"""The checkpoint: how far the books are, written in the transaction of the rows that it counts."""

from dataclasses import dataclass
from typing import Final

from psycopg import Cursor
from psycopg.rows import DictRow

from deepnode_ledger.manifest import Manifest
from deepnode_ledger.record import BlockRef

NAME: Final = "journal"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Every log entry up to ``position`` is in the books, and every block up to ``tip`` is in the log.

    Entries up to ``sealed_position`` can no longer be taken back; reorgs up to ``reorg_number`` have been followed.
    """

    position: int
    sealed_position: int
    reorg_number: int
    tip: BlockRef | None
    finalized: BlockRef | None


EMPTY: Final = Checkpoint(0, 0, 0, None, None)


def load_checkpoint(cursor: Cursor[DictRow], manifest: Manifest) -> Checkpoint:
    """Read the checkpoint; that of empty books if there is none yet."""
    cursor.execute("SELECT * FROM checkpoint WHERE name = %s AND chain_id = %s", (NAME, manifest.chain_id))
    row = cursor.fetchone()
    if row is None:
        return EMPTY
    blocks = [
        None
        if row[f"{which}_number"] is None
        else BlockRef(row[f"{which}_number"], bytes(row[f"{which}_hash"]), row[f"{which}_time"])
        for which in ("tip", "finalized")
    ]
    return Checkpoint(row["position"], row["sealed_position"], row["reorg_number"], *blocks)


def save_checkpoint(cursor: Cursor[DictRow], manifest: Manifest, checkpoint: Checkpoint) -> None:
    """Write the checkpoint in place of the one before."""
    tip, finalized = checkpoint.tip, checkpoint.finalized
    cursor.execute(
        "INSERT INTO checkpoint VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (name) DO UPDATE SET position = excluded.position, sealed_position = excluded.sealed_position,"
        " reorg_number = excluded.reorg_number, tip_number = excluded.tip_number, tip_hash = excluded.tip_hash,"
        " tip_time = excluded.tip_time, finalized_number = excluded.finalized_number,"
        " finalized_hash = excluded.finalized_hash, finalized_time = excluded.finalized_time",
        (
            NAME,
            manifest.digest,
            manifest.chain_id,
            checkpoint.position,
            checkpoint.sealed_position,
            checkpoint.reorg_number,
            *((tip.number, tip.hash, tip.time) if tip else (None, None, None)),
            *((finalized.number, finalized.hash, finalized.time) if finalized else (None, None, None)),
        ),
    )
