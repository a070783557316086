"""Rebuilding the books: anew from the log, beside the live ones, then in their place.

The old books are served until the new ones are complete, and the swap is one transaction. The log is not touched. It is
what a changed manifest asks for, and how anyone can see that the books are nothing but the log: with the same manifest
the state root comes out the same.

Where loops can be compiled, a large log is folded in memory, and what comes of it is written by COPY alone, into tables
that get their keys and indexes in the end (``kernel.writing``). Otherwise a projector writes the new books step by
step. Both write the same rows.
"""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from psycopg import sql

from deepnode_ledger.compiled import available
from deepnode_ledger.database import database_errors, open_datastore
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.roster import Roster
from deepnode_ledger.schema import create_log
from deepnode_ledger.snapshot import Snapshot
from deepnode_projections.checkpoint import Checkpoint
from deepnode_projections.projector import Projector, connect, holding_books
from deepnode_projections.schema import create_schema, missing_columns
from deepnode_projections.state_root import state_root
from deepnode_projections.tables import SCHEMA

NEXT_SCHEMA: Final = "books_next"
OLD_SCHEMA: Final = "books_old"

AT_ONCE_ENTRIES: Final = 32_768
"""Fewer entries are projected sooner than the kernel is loaded, or even compiled."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """The new books stand at ``position`` with the state root ``root``; ``old_root`` is the replaced ones' there.

    ``old_root`` is None if there were none, if they had not come as far, or if an older version made them.
    """

    position: int
    root: bytes
    old_root: bytes | None

    @property
    def same(self) -> bool:
        """Whether the new books are the old ones."""
        return self.root == self.old_root


def rebuild(
    url: str, manifest: Manifest, decoded: Path | None = None, *, at_once_entries: int = AT_ONCE_ENTRIES
) -> Rebuilt:
    """Make the books anew from the whole log and put them in place of the live ones.

    Args:
        url: of the database.
        manifest: the deployment.
        decoded: a folder of what was decoded before, made if it is missing; it may be deleted at any time.
        at_once_entries: so many entries in the log are worth being folded in memory.

    Raises:
        TryAgain: the database is away, or a projector is at work: it would go on with books that are gone.
        OSError: the folder cannot be written to.
    """
    with holding_books(url, SCHEMA):
        _drop(url, NEXT_SCHEMA, OLD_SCHEMA)
        _create_log(url)
        position, old_root = _write_at_once(url, manifest, decoded, at_once_entries) or _write(url, manifest)
        root = _root_at(url, NEXT_SCHEMA, position)
        assert root is not None, "the new books stand at the position that they were just brought to"
        with database_errors(url), connect(url, SCHEMA) as connection, connection.transaction():
            connection.execute(_rename(SCHEMA, OLD_SCHEMA))
            connection.execute(_rename(NEXT_SCHEMA, SCHEMA))
        _drop(url, OLD_SCHEMA)
    return Rebuilt(position, root, old_root)


def _write(url: str, manifest: Manifest) -> tuple[int, bytes | None]:
    """Have a projector write the new books; return where they stand, and the old ones' state root there."""
    with closing(Projector(url, manifest, schema=NEXT_SCHEMA)) as projector:
        projector.open()
        position = projector.catch_up().position
    return position, _root_at(url, SCHEMA, position)


def _write_at_once(
    url: str, manifest: Manifest, decoded: Path | None, entries_min: int
) -> tuple[int, bytes | None] | None:
    """Do the same by folding all that is in the log now in memory; None if that is not worth while, or not possible."""
    if not available():
        return None
    with database_errors(url), closing(connect(url, SCHEMA)) as connection, connection.transaction():
        snapshot = Snapshot(connection)
        if snapshot.head.last_position < entries_min:
            return None
        from deepnode_projections.kernel.cache import DecodedCache
        from deepnode_projections.kernel.log_fold import LogFold
        from deepnode_projections.kernel.log_source import decoded_runs
        from deepnode_projections.kernel.writing import HistoryWriter

        create_schema(url, NEXT_SCHEMA)
        fold = LogFold(Roster(manifest))
        cache = None if decoded is None else DecodedCache(decoded, manifest)
        with closing(HistoryWriter(url, NEXT_SCHEMA, fold.roster, fold.state, fold.holdings)) as writer:
            for run in decoded_runs(snapshot, fold.roster, cache):
                writer.take(run.decoded, *fold.feed(run.decoded, run.entry_at))
                run.done()
            checkpoint = _checkpoint(snapshot, manifest)
            writer.finish(checkpoint)
            # While the server makes the keys and indexes of the new books.
            old_root = _root_at(url, SCHEMA, checkpoint.position)
            writer.commit()
    return checkpoint.position, old_root


def _checkpoint(snapshot: Snapshot, manifest: Manifest) -> Checkpoint:
    """Say what a projector's checkpoint says at the log's end."""
    head, reorgs, chain = snapshot.head, snapshot.reorgs(), snapshot.chain(manifest.chain_id)
    return Checkpoint(
        position=head.last_position,
        sealed_position=head.sealed_position,
        reorg_number=reorgs[-1].number if reorgs else 0,
        tip=None if chain is None else chain.tip,
        finalized=None if chain is None else chain.finalized,
    )


def _root_at(url: str, schema: str, position: int) -> bytes | None:
    with database_errors(url), connect(url, schema) as connection, connection.transaction():
        if missing_columns(connection, schema):
            return None
        row = connection.execute("SELECT position FROM checkpoint").fetchone()
        if (0 if row is None else row["position"]) < position:
            return None
        return state_root(connection, position)


def _create_log(url: str) -> None:
    datastore = open_datastore(url, pool_size=1)
    try:
        create_log(datastore)
    finally:
        datastore.close()


def _drop(url: str, *schemas: str) -> None:
    with database_errors(url), connect(url, SCHEMA) as connection:
        for schema in schemas:
            connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema)))


def _rename(schema: str, name: str) -> sql.Composed:
    return sql.SQL("ALTER SCHEMA {} RENAME TO {}").format(sql.Identifier(schema), sql.Identifier(name))
