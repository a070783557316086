"""What can be said of the books as a whole, for an operator: how far, of which manifest, and whether kept."""

from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.errors import InvalidSchemaName, UndefinedTable
from psycopg.rows import dict_row

from deepnode_ledger.database import database_errors
from deepnode_projections import tables
from deepnode_projections.projector import is_kept


@dataclass(frozen=True, slots=True)
class BooksState:
    """The books up to ``position``, made with the manifest of this digest (32 bytes) for its home chain.

    ``is_kept``: whether a projector is at work on them.
    """

    position: int
    manifest_digest: bytes
    chain_id: int
    is_kept: bool


def look_at_books(url: str, schema: str = tables.SCHEMA) -> BooksState | None:
    """Look at the books; None if there are none, or nothing is in them yet.

    Raises:
        TryAgain: the database is away.
        psycopg.Error: this login may not read them.
    """
    statement = sql.SQL("SELECT position, manifest_digest, chain_id FROM {}.checkpoint").format(sql.Identifier(schema))
    with database_errors(url), psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
        try:
            row = connection.execute(statement).fetchone()
        except (InvalidSchemaName, UndefinedTable):
            return None
    if row is None:
        return None
    return BooksState(row["position"], bytes(row["manifest_digest"]), row["chain_id"], is_kept(url, schema))
