"""The API's way to the database: a pool, and one read-only transaction for each request.

A request's fields are read in one REPEATABLE READ transaction, so they all see one state of the books, whatever the
projector writes meanwhile. Nothing connects before the first request: the API starts and says "try again" while the
database is away.
"""

import logging
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, Final
from weakref import WeakKeyDictionary

import psycopg
from psycopg import IsolationLevel
from psycopg.adapt import Buffer, Loader
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool
from typing_extensions import override

from deepnode_graphql.liveness import check_liveness
from deepnode_ledger.database import parse_url
from deepnode_ledger.errors import BadInput, TryAgain
from deepnode_ledger.reader import READER, become_reader

logger = logging.getLogger(__name__)

STATEMENT_SECONDS_MAX: Final = 10
CONNECT_SECONDS_MAX: Final = 5
POOL_WAIT_SECONDS_MAX: Final = 5
LOCK_SECONDS_MAX: Final = 5
IDLE_SECONDS_MAX: Final = 300
"""How long a transaction may wait for its client: an export is read at the speed of who takes it."""

LOGIN_SECONDS_MAX: Final = 600
"""A connection that could not become the reader is replaced at this age: the books may have been made meanwhile."""

SESSION: Final[Mapping[str, str]] = {
    "default_transaction_read_only": "on",
    "statement_timeout": f"{STATEMENT_SECONDS_MAX}s",
    "lock_timeout": f"{LOCK_SECONDS_MAX}s",
    "idle_in_transaction_session_timeout": f"{IDLE_SECONDS_MAX}s",
}
"""What the server holds every session of the API to."""


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
    tried_at: WeakKeyDictionary[psycopg.Connection[Any], float] = WeakKeyDictionary()

    def connect() -> psycopg.Connection[Any]:
        connection = psycopg.connect(
            database_url,
            connect_timeout=CONNECT_SECONDS_MAX,
            application_name="deepnode-api",
            options=" ".join(f"-c {name}={value}" for name, value in {"search_path": schema, **SESSION}.items()),
            autocommit=True,
        )
        if not become_reader(connection, schema):
            _warn_once(connection.info.user)
            tried_at[connection] = time.monotonic()
        connection.autocommit = False
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        # The driver drops what it has prepared, and everybody else's, at the end of each transaction.
        connection.prepare_threshold = None
        connection.adapters.register_loader("numeric", _WholeNumber)
        return connection

    def replace_login(driver: psycopg.Connection[Any], _record: object, _proxy: object) -> None:
        if time.monotonic() - tried_at.get(driver, math.inf) > LOGIN_SECONDS_MAX:
            raise DisconnectionError("another look whether this login may become the reader")

    engine = create_engine(
        "postgresql+psycopg://",
        creator=connect,
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=POOL_WAIT_SECONDS_MAX,
    )
    event.listen(engine, "checkout", replace_login)
    return check_liveness(engine)


@cache
def _warn_once(user: str) -> None:
    logger.warning(
        "the API reads as %s, which may do more than read: make the role %s (see docs/database.md)", user, READER
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
        case psycopg.errors.LockNotAvailable():
            return TryAgain("the books are being changed")
        case psycopg.errors.InsufficientPrivilege():
            return TryAgain(f"the API's login may not read the books: grant it {READER}")
        case psycopg.errors.IdleInTransactionSessionTimeout():
            return TryAgain(f"nothing was read for {IDLE_SECONDS_MAX} seconds")
        case psycopg.Error(sqlstate="42P01" | "3F000"):
            return TryAgain("the books are not there yet: the projections make their tables when they start")
        case psycopg.OperationalError() | psycopg.InterfaceError():
            return TryAgain("the database is away")
    return None
