"""The live ledger as a side of a comparison: its sealed log, and what its books say of epochs."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from psycopg import Connection
from psycopg.rows import tuple_row

from deepnode_cli.auditing.sides import Side, made_hashes, published_hashes
from deepnode_cli.bundling.books import of_books
from deepnode_cli.progress import Progress
from deepnode_ledger.bundle import entries, points
from deepnode_ledger.database import database_errors
from deepnode_ledger.fsck.one_state import one_state
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.manifest import load_manifest
from deepnode_ledger.transparency.checkpoint import TreeHead, parse_head
from deepnode_ledger.transparency.note import parse


@contextmanager
def live(database: str, manifest: Path, directory: Path | None, beside: Side, *, state_roots: bool) -> Iterator[Side]:
    """Look at the sealed log of a live ledger.

    Args:
        database: its URL.
        manifest: the deployment's.
        directory: where the log is published, if it is: its tiles are believed then, as a bundle's are.
        beside: the other side: what it has not is not looked at.
        state_roots: make the state roots of the epochs that are over, which reads the books once for each.

    Raises:
        BadInput: there is no log, no books, or the books are of another manifest.
        Damaged: a stored batch is not what was sealed, or a published tile is missing or damaged.
        TryAgain: the database is away.
    """
    described, sealed = load_manifest(manifest), points.last_sealed(database)
    hashes = None if directory is None else published_hashes(directory)
    sealed = sealed if hashes is None else min(sealed, hashes.size)
    compared = min(sealed, beside.entries)
    books = of_books(database, described, compared, None, Progress()) if state_roots and compared else None
    with database_errors(database), one_state(database) as connection:

        def read(first: int, last: int) -> Iterator[pa.RecordBatch]:
            return entries.sealed(connection, first, last)

        yield Side(
            name="live",
            entries=sealed,
            hashes=hashes or made_hashes(read, sealed),
            read=read,
            made=hashes is None,
            root=None,
            chain_id=described.chain_id,
            manifest=to_hex(described.digest),
            epochs=None if books is None else {each.epoch: each.root for each in books.epochs},
            rulesets=None if books is None else frozenset(books.rulesets),
            heads=_heads(connection, [head.size for head in beside.heads]),
        )


def _heads(connection: Connection[Any], sizes: list[int]) -> list[TreeHead]:
    """Return the newest signed tree head, and those of some sizes."""
    cursor = connection.cursor(row_factory=tuple_row)
    rows = cursor.execute(
        "SELECT note FROM log.checkpoint WHERE size = ANY(%s) OR size = (SELECT max(size) FROM log.checkpoint)"
        " ORDER BY size",
        (sizes,),
    ).fetchall()
    return [parse_head(parse(note).text) for (note,) in rows]
