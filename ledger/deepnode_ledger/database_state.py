"""What can be said of a database before the log in it is read: its version, its roles, its locks, its clock.

One look of one connection, which changes nothing and makes nothing. It works on an empty database, on one whose tables
are older or newer than this program's, and for a login that may do little: what it may not see is None.
"""

import time
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import Connection
from psycopg.conninfo import make_conninfo
from psycopg.errors import InsufficientPrivilege, InvalidSchemaName, UndefinedTable
from psycopg.rows import DictRow, dict_row

from deepnode_ledger.database import CONNECT_TIMEOUT_SECONDS, become_role, database_errors, parse_url
from deepnode_ledger.recorder import LOG_TABLE
from deepnode_ledger.tables import ROLE, SCHEMA

SERVER_VERSION_MIN: Final = 150000
"""PostgreSQL 15, as ``server_version_num`` writes it."""


@dataclass(frozen=True, slots=True)
class LogLock:
    """The lock that every writer of the log takes. ``held_seconds``: for how long, None if this login may not see it.

    ``process`` is the holder's, on the server; ``waiting``: how many others want it.
    """

    process: int
    held_seconds: float | None
    waiting: int


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """A database as one look found it.

    Attributes:
        server_version: as the server writes it.
        server_version_num: the same as a number, such as 180001.
        is_log_there: whether there is a schema for the log at all.
        tables_version: of the log's tables; None if there are none, or none that this login may read.
        login: who connected; ``is_role_granted``: whether it can become ``tables.ROLE``, ``is_role_there``: whether
            the server has that role at all.
        connections: how many clients there are, ``connections_max`` how many this login can have beside its own kind.
        lock: of the log's writers, None if nobody holds it.
        ahead_seconds: by how much the server's clock is ahead of this machine's, ``round_trip_seconds`` how exact
            that is.
    """

    server_version: str
    server_version_num: int
    is_log_there: bool
    tables_version: str | None
    login: str
    is_role_there: bool
    is_role_granted: bool
    connections: int
    connections_max: int
    lock: LogLock | None
    ahead_seconds: float
    round_trip_seconds: float


def look_at(url: str, *, timeout_seconds: float) -> DatabaseState:
    """Look at a database; no statement may take longer than ``timeout_seconds``.

    Raises:
        BadInput: the URL is none.
        TryAgain: the database is away.
    """
    with database_errors(url), connected(url, timeout_seconds=timeout_seconds) as connection:
        server = _row(
            connection,
            "SELECT current_setting('server_version') AS version, session_user AS login,"
            " current_setting('server_version_num')::integer AS number, to_regrole(%s) IS NOT NULL AS has_role,"
            " to_regnamespace(%s) IS NOT NULL AS has_log",
            ROLE,
            SCHEMA,
        )
        # As the login: what its other connections do, the role that programs work as may not see.
        lock = _lock(connection)
        become_role(connection)
        is_role_granted = bool(_row(connection, "SELECT current_user = %s AS granted", ROLE)["granted"])
        connections, connections_max = _connections(connection)
        ahead_seconds, round_trip_seconds = _clock_seconds(connection)
        return DatabaseState(
            server["version"],
            server["number"],
            server["has_log"],
            _tables_version(connection),
            server["login"],
            server["has_role"],
            is_role_granted,
            connections,
            connections_max,
            lock,
            ahead_seconds,
            round_trip_seconds,
        )


def connected(url: str, *, timeout_seconds: float) -> Connection[DictRow]:
    """Connect for a look: no statement may take longer, and none may write.

    Raises:
        psycopg.Error: the database is away; see ``database_errors``.
    """
    settings = parse_url(url)
    limit = f"-c statement_timeout={round(timeout_seconds * 1000)} -c default_transaction_read_only=on"
    conninfo = make_conninfo(
        url,
        connect_timeout=settings.get("connect_timeout", CONNECT_TIMEOUT_SECONDS),
        options=f"{settings.get('options') or ''} {limit}".strip(),
    )
    return psycopg.connect(conninfo, autocommit=True, row_factory=dict_row)


def _tables_version(connection: Connection[DictRow]) -> str | None:
    try:
        row = connection.execute("SELECT version_num FROM log.alembic_version").fetchone()
    except (InvalidSchemaName, UndefinedTable, InsufficientPrivilege):
        # Without the right to look, there is no log for this login; whether there is a role to get tells the rest.
        return None
    return None if row is None else str(row["version_num"])


def _connections(connection: Connection[DictRow]) -> tuple[int, int]:
    row = _row(
        connection,
        "SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS used,"
        " current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer"
        " - coalesce(current_setting('reserved_connections', true)::integer, 0) AS most,"
        " (SELECT datconnlimit FROM pg_database WHERE datname = current_database()) AS of_database,"
        " (SELECT rolconnlimit FROM pg_roles WHERE rolname = session_user) AS of_login",
    )
    limits = [row["most"], *(each for each in (row["of_database"], row["of_login"]) if each is not None and each >= 0)]
    return row["used"], min(limits)


def _lock(connection: Connection[DictRow]) -> LogLock | None:
    row = connection.execute(
        "SELECT l.pid, extract(epoch FROM clock_timestamp() - a.xact_start)::double precision AS held_seconds,"
        " (SELECT count(*) FROM pg_locks w WHERE w.relation = l.relation AND w.database = l.database"
        "   AND NOT w.granted) AS waiting"
        " FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)"
        " WHERE l.locktype = 'relation' AND l.granted AND l.mode = 'ExclusiveLock' AND l.relation ="
        " (SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        "   WHERE n.nspname = %s AND c.relname = %s)"
        " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) LIMIT 1",
        (SCHEMA, LOG_TABLE.removeprefix(f"{SCHEMA}.")),
    ).fetchone()
    return None if row is None else LogLock(row["pid"], row["held_seconds"], row["waiting"])


def _clock_seconds(connection: Connection[DictRow]) -> tuple[float, float]:
    """How far the server's clock is ahead of ours, as of the middle of a round trip, and how long that took."""
    before_seconds = time.time()
    started_seconds = time.monotonic()
    row = _row(connection, "SELECT extract(epoch FROM clock_timestamp())::double precision AS now")
    round_trip_seconds = time.monotonic() - started_seconds
    return row["now"] - (before_seconds + round_trip_seconds / 2), round_trip_seconds


def _row(connection: Connection[DictRow], statement: Any, *parameters: Any) -> DictRow:
    row = connection.execute(statement, parameters).fetchone()
    assert row is not None, "the statement always finds one row"
    return row
