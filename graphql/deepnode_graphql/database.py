"""The API's way to the database: a pool, and one read-only transaction for each request.

A request's fields are read in one REPEATABLE READ transaction, so they all see one state of the books, whatever the
projector writes meanwhile. Nothing connects before the first request: the API starts and says "try again" while the
database is away.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from psycopg import IsolationLevel
from psycopg.adapt import Buffer, Loader
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool
from typing_extensions import override

from deepnode_graphql.liveness import check_liveness
from deepnode_ledger.database import parse_url
from deepnode_ledger.errors import BadInput, TryAgain

STATEMENT_SECONDS_MAX: Final = 10
CONNECT_SECONDS_MAX: Final = 5
POOL_WAIT_SECONDS_MAX: Final = 5


class TookTooLong(BadInput):
    """A statement ran into the time limit: the request asks for too much at once."""


class _WholeNumber(Loader):
    """Reads NUMERIC as ``int``: the books' amounts have no fraction, and no Decimal should ever carry one."""

    @override
    def load(self, data: Buffer) -> int:
        return int(bytes(data))


def make_engine(database_url: str, schema: str, *, connections: int) -> Engine:
    """Describe the database; nothing connects yet.

    Args:
        database_url: what libpq takes, such as ``postgresql://user@host:5432/name``.
        schema: the PostgreSQL schema that holds the books.
        connections: how many may be open at once.

    Raises:
        BadInput: the text is not a connection string.
    """
    parse_url(database_url)

    def connect() -> psycopg.Connection[Any]:
        connection = psycopg.connect(
            database_url,
            connect_timeout=CONNECT_SECONDS_MAX,
            application_name="deepnode-api",
            options=f"-c search_path={schema} -c statement_timeout={STATEMENT_SECONDS_MAX * 1000}",
        )
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        connection.adapters.register_loader("numeric", _WholeNumber)
        return connection

    return check_liveness(
        create_engine(
            "postgresql+psycopg://",
            creator=connect,
            poolclass=QueuePool,
            pool_size=connections,
            max_overflow=0,
            pool_timeout=POOL_WAIT_SECONDS_MAX,
        )
    )


@contextmanager
def reading_transaction(engine: Engine) -> Iterator[Connection]:
    """Open one consistent, read-only view of the database.

    Raises:
        TryAgain: the database is away, busy, or has no books yet.
        TookTooLong: a statement ran into the time limit.
    """
    with database_errors(), engine.connect() as connection:
        yield connection


@contextmanager
def database_errors() -> Iterator[None]:
    """Turn what the database says into our families of errors."""
    try:
        yield
    except (DBAPIError, psycopg.Error, PoolTimeout) as error:
        known = known_error(error)
        if known is None:
            raise
        raise known from error


def known_error(error: BaseException | None) -> TryAgain | TookTooLong | None:
    """Say which of our errors a database error means; None if it is a bug of ours."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    match cause:
        case PoolTimeout():
            return TryAgain("every connection to the database is in use")
        case psycopg.errors.QueryCanceled():
            return TookTooLong(f"the query took more than {STATEMENT_SECONDS_MAX} seconds: ask for less at once")
        case psycopg.Error(sqlstate="42P01" | "3F000"):
            return TryAgain("the books are not there yet: the projections make their tables when they start")
        case psycopg.OperationalError() | psycopg.InterfaceError():
            return TryAgain("the database is away")
    return None
