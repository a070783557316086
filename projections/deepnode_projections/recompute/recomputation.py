"""A recomputation of the books, in SQL over PostgreSQL's NUMERIC, which shares no code with the folds.

The log's entries are copied raw into a schema of their own; statements decode them and compute, mechanism by mechanism,
what the books should hold (``sql/``); and each relation is joined with the books' table, row by row. All of it is one
transaction over one look at log and books, so a projector may go on meanwhile, and nothing is left unless it is kept.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from psycopg import Connection, Cursor, sql
from psycopg.rows import tuple_row

from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.roster import Roster
from deepnode_ledger.snapshot import Snapshot
from deepnode_projections.recompute import loading
from deepnode_projections.recompute.loading import statements
from deepnode_projections.recompute.relation import Compared, Differing, chosen, forget_books, look_at_books
from deepnode_projections.tables import SCHEMA as BOOKS

SCHEMA: Final = "recompute"

_KEPT: Final = "deepnode recompute"
"""What the comment of a schema that was kept says: no other schema is ever replaced."""


@dataclass(frozen=True, slots=True)
class Recomputation:
    """What was compared at ``position``, over so many log ``entries``."""

    position: int
    entries: int
    relations: tuple[Compared, ...]

    @property
    def rows(self) -> int:
        """How many rows were compared."""
        return sum(each.rows for each in self.relations)

    @property
    def differing(self) -> int:
        """How many rows differ."""
        return sum(each.differing for each in self.relations)

    @property
    def values(self) -> Iterator[Differing]:
        """The differing values, as far as they are listed."""
        for each in self.relations:
            yield from each.values


def recompute(
    connection: Connection[Any],
    manifest: Manifest,
    *,
    position: int | None = None,
    only: tuple[str, ...] = (),
    keep: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> Recomputation:
    """Recompute the books from the log, and compare.

    Args:
        connection: in autocommit mode, with REPEATABLE READ for its transactions.
        manifest: the deployment.
        position: compare as of this log position; that of the books if left out.
        only: names of relations to compare; all if empty. Everything is recomputed in any case.
        keep: leave the schema ``SCHEMA`` behind, in which everything is computed, for looking into it.
        progress: is told what is done next.

    Raises:
        BadInput: the books are of another manifest or behind the position, there is no relation of a name, or the
            schema is there and is no recomputation.
        Damaged: the log cannot be read.
    """
    wanted = chosen(only)
    with loaded(connection, manifest, position=position, keep=keep) as begun:
        for name, text in statements():
            progress(name)
            begun.cursor.execute(text.encode())
        found = []
        for relation in wanted:
            progress(f"comparing {relation.name}")
            found.append(relation.compare(begun.cursor))
    return Recomputation(begun.position, begun.entries, tuple(found))


@dataclass(frozen=True, slots=True)
class Begun:
    """A schema with the log's ``entries`` up to ``position``, and nothing computed yet. Only valid while it is open."""

    cursor: Cursor[Any]
    position: int
    entries: int


@contextmanager
def loaded(
    connection: Connection[Any],
    manifest: Manifest,
    *,
    position: int | None = None,
    keep: bool = False,
) -> Iterator[Begun]:
    """Begin a recomputation: yield where statements can be run and relations be compared. See ``recompute``."""
    # What is never committed need not be dropped.
    with connection.transaction(force_rollback=not keep), connection.cursor(row_factory=tuple_row) as cursor:
        snapshot = Snapshot(connection)
        at = _position(cursor, snapshot, manifest, position)
        _check_name(cursor)
        loading.begin(cursor, SCHEMA)
        cursor.execute(sql.SQL("COMMENT ON SCHEMA {} IS {}").format(sql.Identifier(SCHEMA), sql.Literal(_KEPT)))
        look_at_books(cursor, BOOKS, at)
        entries = loading.load_log(cursor, snapshot.read(1, at)) if at else 0
        loading.load_deployment(cursor, manifest, Roster.load(snapshot, manifest, at).children)
        loading.load_rules(cursor)
        yield Begun(cursor, at, entries)
        if keep:
            # They would hold on to the books' tables, which a rebuild drops.
            forget_books(cursor, SCHEMA)


def _position(cursor: Cursor[Any], snapshot: Snapshot, manifest: Manifest, wanted: int | None) -> int:
    """Return the position to compare at: one that both the books and the log have, as they stand."""
    cursor.execute("SELECT to_regclass(%s) IS NULL", (f'"{BOOKS}".checkpoint',))
    if cursor.fetchone() != (False,):
        raise BadInput(f"there are no books in the schema {BOOKS!r}: run `deepnode project` first")
    cursor.execute(
        sql.SQL("SELECT position, reorg_number, manifest_digest FROM {} WHERE name = 'journal'").format(
            sql.Identifier(BOOKS, "checkpoint")
        )
    )
    row = cursor.fetchone()
    held, reorg_number, digest = row or (0, 0, manifest.digest)
    if bytes(digest) != manifest.digest:
        raise BadInput(
            f"the books were made with the manifest {to_hex(bytes(digest))}, not with {to_hex(manifest.digest)}"
        )
    # What a reorg has replaced in the log, and the projector has not followed yet, cannot be compared.
    held = min([held, *(reorg.kept_position for reorg in snapshot.reorgs(after=reorg_number))])
    if wanted is not None and wanted > held:
        raise BadInput(f"position {wanted} is ahead of the books, which are at {held}")
    return held if wanted is None else wanted


def _check_name(cursor: Cursor[Any]) -> None:
    cursor.execute("SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = %s", (SCHEMA,))
    row = cursor.fetchone()
    if row is not None and row[0] != _KEPT:
        raise BadInput(f"the schema {SCHEMA!r} is there already and is no recomputation: it is not replaced")
