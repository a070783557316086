"""A connection that sees one state of a log, for who reads all of it: writers go on meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import Connection, IsolationLevel
from psycopg.conninfo import make_conninfo
from psycopg.errors import InsufficientPrivilege, InvalidSchemaName, UndefinedTable

from deepnode_ledger import tables
from deepnode_ledger.database import CONNECT_TIMEOUT_SECONDS, become_role, database_errors, parse_url
from deepnode_ledger.errors import BadInput
from deepnode_ledger.fsck.rows import one


@contextmanager
def one_state(url: str) -> Iterator[Connection[Any]]:
    """Open a connection with a read-only transaction that sees one state."""
    timeout_seconds = parse_url(url).get("connect_timeout", CONNECT_TIMEOUT_SECONDS)
    with psycopg.connect(make_conninfo(url, connect_timeout=timeout_seconds), autocommit=True) as connection:
        become_role(connection)
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        with connection.transaction():
            yield connection


@contextmanager
def state_of_log(url: str) -> Iterator[Connection[Any]]:
    """Open one state of a log whose version this program knows.

    Raises:
        BadInput: there is no such log.
        TryAgain: the database is away, or goes away meanwhile.
    """
    with database_errors(url), one_state(url) as connection:
        check_version(connection)
        yield connection


def check_version(connection: Connection[Any]) -> None:
    """Refuse a database whose log is not of the version that this program knows.

    Raises:
        BadInput: there is no log, its tables are of another version, or this login may not read it.
    """
    try:
        row = one(connection, "SELECT version_num FROM log.alembic_version")
    except (InvalidSchemaName, UndefinedTable) as error:
        raise BadInput("there is no log in this database, or one from before its tables had versions") from error
    except InsufficientPrivilege as error:
        raise BadInput(f"this login may not read the log ({error.diag.message_primary})") from error
    if row is None or row[0] != tables.VERSION:
        found = None if row is None else row[0]
        raise BadInput(
            f"the log's tables are of version {found}, this program knows {tables.VERSION}: run `deepnode log migrate`"
        )
