"""The database as a thing that can be away."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from eventsourcing.persistence import InterfaceError, OperationalError
from eventsourcing.postgres import PostgresDatastore
from psycopg.conninfo import conninfo_to_dict

from deepnode_ledger.errors import TryAgain


@contextmanager
def database_errors(url: str) -> Iterator[None]:
    """Turn the loss of a database into ``TryAgain``, which names it: whoever waits and calls again loses nothing."""
    try:
        yield
    except (OperationalError, InterfaceError, psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise TryAgain(f"the database {shown_database(url)} is away: {error}") from error


def url_of(datastore: PostgresDatastore) -> str:
    """Return the URL that a datastore was opened with."""
    url = datastore.pool.conninfo
    assert isinstance(url, str), "open_datastore gives the pool a text"
    return url


def shown_database(url: str) -> str:
    """Write a database's URL for a message: its name, host and port, without a user or a password."""
    settings = conninfo_to_dict(url)
    name = settings.get("dbname", "postgres")
    return f"{name!r} at {settings.get('host', 'this machine')}:{settings.get('port', '5432')}"
