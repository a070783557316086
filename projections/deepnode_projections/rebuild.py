"""Rebuilding the books: anew from the log, beside the live ones, then in their place.

The old books are served until the new ones are complete, and the swap is one transaction. The log is not touched. It is
what a changed manifest asks for, and how anyone can see that the books are nothing but the log: with the same manifest
the state root comes out the same.
"""

from dataclasses import dataclass
from typing import Final

from psycopg import sql

from deepnode_ledger.database import database_errors
from deepnode_ledger.manifest import Manifest
from deepnode_projections.projector import Projector, connect, holding_books
from deepnode_projections.schema import missing_columns
from deepnode_projections.state_root import state_root
from deepnode_projections.tables import SCHEMA

NEXT_SCHEMA: Final = "books_next"
OLD_SCHEMA: Final = "books_old"


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


def rebuild(url: str, manifest: Manifest) -> Rebuilt:
    """Make the books anew from the whole log and put them in place of the live ones.

    Raises:
        TryAgain: the database is away, or a projector is at work: it would go on with books that are gone.
    """
    with holding_books(url, SCHEMA):
        _drop(url, NEXT_SCHEMA, OLD_SCHEMA)
        projector = Projector(url, manifest, schema=NEXT_SCHEMA)
        projector.open()
        try:
            position = projector.catch_up().position
        finally:
            projector.close()
        old_root = _root_at(url, SCHEMA, position)
        root = _root_at(url, NEXT_SCHEMA, position)
        assert root is not None, "the new books stand at the position that they were just brought to"
        with database_errors(url), connect(url, SCHEMA) as connection, connection.transaction():
            connection.execute(_rename(SCHEMA, OLD_SCHEMA))
            connection.execute(_rename(NEXT_SCHEMA, SCHEMA))
        _drop(url, OLD_SCHEMA)
    return Rebuilt(position, root, old_root)


def _root_at(url: str, schema: str, position: int) -> bytes | None:
    with database_errors(url), connect(url, schema) as connection, connection.transaction():
        if missing_columns(connection, schema):
            return None
        row = connection.execute("SELECT position FROM checkpoint").fetchone()
        if row is None or row["position"] < position:
            return None
        return state_root(connection, position)


def _drop(url: str, *schemas: str) -> None:
    with database_errors(url), connect(url, SCHEMA) as connection:
        for schema in schemas:
            connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema)))


def _rename(schema: str, name: str) -> sql.Composed:
    return sql.SQL("ALTER SCHEMA {} RENAME TO {}").format(sql.Identifier(schema), sql.Identifier(name))
