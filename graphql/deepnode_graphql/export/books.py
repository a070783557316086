"""The books that are exported from, for whoever has no API beside it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from deepnode_graphql.database import make_engine, reading_transaction
from deepnode_graphql.reading import Reading, StateRoots, begin_reading
from deepnode_graphql.rosters import Rosters
from deepnode_ledger.manifest import Manifest
from deepnode_projections.tables import SCHEMA


class Books(Protocol):
    """Whatever opens a reading: the API's service does, and ``open_books``."""

    def reading(self) -> AbstractContextManager[Reading]:
        """Open one consistent view of the books.

        Raises:
            TryAgain: the database is away, or it holds no books of the manifest.
        """


class OwnBooks:
    """Books with a connection of their own, for one export at a time."""

    def __init__(self, database_url: str, manifest: Manifest) -> None:
        self._engine = make_engine(database_url, SCHEMA, connections=1)
        self._manifest = manifest

    @contextmanager
    def reading(self) -> Iterator[Reading]:
        """Open one consistent view of the books."""
        with reading_transaction(self._engine) as database:
            yield begin_reading(database, self._manifest, StateRoots(), Rosters(self._manifest))

    def close(self) -> None:
        """Disconnect."""
        self._engine.dispose()


@contextmanager
def open_books(database_url: str, manifest: Manifest) -> Iterator[OwnBooks]:
    """Hold the books of a database; nothing connects before the first reading.

    Raises:
        BadInput: ``database_url`` is not a connection string.
    """
    books = OwnBooks(database_url, manifest)
    try:
        yield books
    finally:
        books.close()
