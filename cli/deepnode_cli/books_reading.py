"""One consistent look at the books for a command, as the API has it, but for the time that a query may take."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from deepnode_graphql.reading import Reading
    from deepnode_ledger.manifest import Manifest

SECONDS_MAX: Final = 600
"""For each query of the database: nobody else waits for a command."""


@contextmanager
def books_reading(database: str, manifest: "Manifest") -> "Iterator[Reading]":
    """Look at the books.

    Raises:
        BadInput: ``database`` is not a connection string.
        TryAgain: the database is away, or it holds no books of the manifest.
    """
    # The other commands start sooner without all that this brings in.
    from sqlalchemy import text

    from deepnode_graphql.export.books import open_books

    with open_books(database, manifest) as books, books.reading() as reading:
        reading.database.execute(text(f"SET LOCAL statement_timeout = '{SECONDS_MAX}s'"))
        yield reading
