"""The schema ``log`` brought to the version that this program knows.

The steps are alembic's, in ``migrations``. An older log is upgraded in one transaction, so that a crash leaves the old
version or the new one. A log that is up to date costs one look, and where there is none the steps' statements are run
as they are: neither needs alembic, whose import alone takes longer. Refused are a version that this program does not
know, and a login that may not change an older one.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Final

import psycopg
from eventsourcing.postgres import PostgresDatastore
from psycopg.conninfo import make_conninfo
from psycopg.errors import InsufficientPrivilege, InvalidRoleSpecification, InvalidSchemaName, UndefinedTable

from deepnode_ledger.database import CONNECT_TIMEOUT_SECONDS, become_role, database_errors, parse_url, url_of
from deepnode_ledger.errors import BadInput
from deepnode_ledger.migrations import versions
from deepnode_ledger.tables import ROLE, VERSION

if TYPE_CHECKING:
    from sqlalchemy import Connection

FIRST_VERSION: Final = "0001"
"""What a log counts as that was made before there were versions."""

_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtext('deepnode log tables'))"
"""CREATE … IF NOT EXISTS still fails when two sessions do it at the same moment."""

_VERSION_TABLE: Final = (
    "CREATE TABLE log.alembic_version"
    " (version_num varchar(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)
"""As alembic makes it."""

_alembic_is_busy = threading.Lock()


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A schema went from version ``before`` (None: there was none) to ``after``; equal ones if nothing was to do."""

    before: str | None
    after: str


def create_log(datastore: PostgresDatastore) -> None:
    """Make the log's tables in a database where they are missing or old; several processes may call this at once.

    Raises:
        BadInput: the tables are newer than this program, or this login may not change them.
        TryAgain: the database is away.
    """
    if upgrade(url_of(datastore)).before != VERSION and not datastore.pool.closed:
        # Connections that were opened before do not work as the role that there is now.
        datastore.pool.drain()


def upgrade(url: str) -> Upgrade:
    """Bring the schema to the newest version.

    Raises:
        BadInput: the schema is newer than this program, or this login may not change it.
        TryAgain: the database is away.
    """
    with database_errors(url):
        before = _version(url)
        if before is None and _make_newest(url):
            return Upgrade(None, VERSION)
        if before != VERSION:
            before = _run_migrations(url)
    return Upgrade(before, VERSION)


def _version(url: str) -> str | None:
    """Read the version that the database says, or None if it says nothing."""
    with _connect(url) as connection:
        become_role(connection)
        try:
            row = connection.execute("SELECT version_num FROM log.alembic_version").fetchone()
        except (InvalidSchemaName, UndefinedTable):
            return None
        except InsufficientPrivilege as error:
            why = error.diag.message_primary
            raise BadInput(f"this login may not read the log ({why}): an administrator grants it {ROLE}") from error
    return None if row is None else _known(row[0])


def _make_newest(url: str) -> bool:
    """Make the schema where there is none; say whether it was so."""
    try:
        with _connect(url, autocommit=False) as connection:
            connection.execute(_LOCK)
            row = connection.execute("SELECT to_regnamespace('log') IS NULL").fetchone()
            assert row is not None
            if row[0]:
                connection.execute(";\n".join(["CREATE SCHEMA log", _VERSION_TABLE, *_statements()]).encode())
                connection.execute("INSERT INTO log.alembic_version VALUES (%s)", (VERSION,))
            return bool(row[0])
    except (InsufficientPrivilege, InvalidRoleSpecification) as error:
        raise _explained(error) from error


def _statements() -> Iterator[str]:
    """Yield what the migrations do, from the first to the newest."""
    for module in sorted(each.name for each in iter_modules(versions.__path__)):
        yield from import_module(f"{versions.__name__}.{module}").STATEMENTS


def _run_migrations(url: str) -> str | None:
    """Upgrade in one transaction, and return what the version was when the lock was had."""
    with own_transaction(url) as connection:
        return upgrade_within(connection)


@contextmanager
def own_transaction(url: str) -> Iterator["Connection"]:
    """Open a connection as the login, with a transaction that is committed in the end, as alembic wants it.

    Errors are those of the driver, as everywhere else, not SQLAlchemy's.
    """
    from sqlalchemy import NullPool, create_engine
    from sqlalchemy.exc import DBAPIError

    engine = create_engine("postgresql+psycopg://", creator=lambda: _connect(url, autocommit=False), poolclass=NullPool)
    try:
        with engine.begin() as connection:
            yield connection
    except DBAPIError as error:
        raise _explained(error.orig) from error
    finally:
        engine.dispose()


def upgrade_within(connection: "Connection") -> str | None:
    """Bring the schema to the newest version in a transaction of ``own_transaction``, under a lock.

    Returns:
        What the version was when the lock was had, or None if there was no schema.

    Raises:
        BadInput: the schema is newer than this program.
    """
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "deepnode_ledger:migrations")
    config.attributes["connection"] = connection
    connection.exec_driver_sql(_LOCK)
    before = _begin(connection)
    # alembic keeps what it works on in global variables: one thread of a process at a time.
    with _alembic_is_busy:
        command.upgrade(config, VERSION)
    return before


def _begin(connection: "Connection") -> str | None:
    """Make the schema if there is none, and read its version."""
    has_schema, has_head, has_version = connection.exec_driver_sql(
        "SELECT to_regnamespace('log') IS NOT NULL, to_regclass('log.head') IS NOT NULL,"
        " to_regclass('log.alembic_version') IS NOT NULL"
    ).one()
    if not has_schema:
        connection.exec_driver_sql("CREATE SCHEMA log")
    if not has_version:
        return FIRST_VERSION if has_head else None
    return _known(connection.exec_driver_sql("SELECT version_num FROM log.alembic_version").scalar_one())


def _known(version: str) -> str:
    if version > VERSION:
        raise BadInput(
            f"the log's tables are of version {version}, this program knows up to {VERSION}: upgrade the program"
        )
    return version


def _explained(error: BaseException | None) -> BaseException:
    """Say what to do about a refusal of the server; other errors are for those who know psycopg's."""
    if isinstance(error, InvalidRoleSpecification):
        return BadInput(f"{error.diag.message_primary}: {error.diag.message_hint}")
    if isinstance(error, InsufficientPrivilege):
        return BadInput(
            f"the log's tables have to be brought to version {VERSION}, and this login may not do it "
            f"({error.diag.message_primary}): run `deepnode log migrate` as their owner"
        )
    assert error is not None, "the driver raised it"
    return error


def _connect(url: str, *, autocommit: bool = True) -> psycopg.Connection:
    # As the login: the role that programs work as may not change tables.
    timeout_seconds = parse_url(url).get("connect_timeout", CONNECT_TIMEOUT_SECONDS)
    return psycopg.connect(make_conninfo(url, connect_timeout=timeout_seconds), autocommit=autocommit)
