"""The database: described by its URL, and a thing that can be away."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from eventsourcing.persistence import InterfaceError, InternalError, OperationalError
from eventsourcing.postgres import PostgresDatastore
from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row
from typing_extensions import override

from deepnode_ledger import tables
from deepnode_ledger.errors import BadInput, TryAgain

CONNECT_TIMEOUT_SECONDS: Final = 5

BECOME_ROLE: Final = """
    SELECT set_config('role', role.rolname, false)
    FROM pg_roles role JOIN pg_namespace schema ON schema.nspname = %s
    WHERE role.rolname = %s AND has_schema_privilege(role.oid, schema.oid, 'USAGE')
    AND pg_has_role(session_user, role.oid,
        CASE WHEN current_setting('server_version_num')::integer >= 160000 THEN 'SET' ELSE 'MEMBER' END)"""


def parse_url(url: str) -> dict[str, Any]:
    """Read a database's URL, or a libpq connection string, into libpq's settings.

    Raises:
        BadInput: it is neither. The message does not repeat it: there may be a password in it.
    """
    try:
        settings: dict[str, Any] = conninfo_to_dict(url)
    except psycopg.Error:
        raise BadInput("the database URL must be like postgresql://user@host:5432/name; this one is not") from None
    port = str(settings.get("port", "5432"))
    if not re.fullmatch(r"[0-9]{1,5}(,[0-9]{1,5})*", port):
        raise BadInput(f"the database URL must be like postgresql://user@host:5432/name: {port!r} is no port")
    return settings


class LogDatastore(PostgresDatastore):
    """A datastore whose connections work as ``tables.ROLE``, so that a change to the sealed log is refused to them."""

    @override
    def after_connect_func(self) -> Callable[[Connection[Any]], None]:
        prepare = super().after_connect_func()

        def after_connect(connection: Connection[Any]) -> None:
            prepare(connection)
            become_role(connection)

        return after_connect


def open_datastore(url: str, *, pool_size: int = 2) -> PostgresDatastore:
    """Describe a database by its URL (``postgresql://user@host:port/name`` or a libpq connection string).

    Nothing connects yet: the pool opens at the first use.

    Raises:
        BadInput: the text is not a connection string.
    """
    settings = parse_url(url)
    datastore = LogDatastore(
        dbname=str(settings.get("dbname", "postgres")),
        host=str(settings.get("host", "127.0.0.1")),
        port=str(settings.get("port", "5432")),
        user=str(settings.get("user", "postgres")),
        password=str(settings.get("password", "")),
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        pool_size=pool_size,
        max_overflow=8,
        pre_ping=True,
        schema=tables.SCHEMA,
        originator_id_type="text",
    )
    # The library passes on five settings and drops the rest. libpq is given the text as it came, so that sslmode,
    # options, a password file and PGPASSWORD mean here what they mean everywhere.
    datastore.pool.conninfo = url
    datastore.pool.kwargs = {"row_factory": dict_row}
    return datastore


def become_role(connection: Connection[Any]) -> None:
    """Go on as ``tables.ROLE``, where this database's log knows that role and the login may become it.

    The connection is in autocommit mode. Where there is no such role yet, it stays the login's own.
    """
    assert connection.autocommit, "at the end of a transaction that fails the role would be the old one"
    connection.execute(BECOME_ROLE, (tables.SCHEMA, tables.ROLE))


@contextmanager
def database_errors(url: str) -> Iterator[None]:
    """Turn the loss of a database into ``TryAgain``, which names it: whoever waits and calls again loses nothing.

    Raises:
        TryAgain: the database is away, or failed by a fault of its own.
        BadInput: the URL is none.
    """
    where = shown_database(url)
    try:
        yield
    except (OperationalError, InterfaceError, psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise TryAgain(f"the database {where} is away: {error}") from error
    except (InternalError, psycopg.errors.InternalError_) as error:
        # What the server calls a fault of its own, such as a file that it cannot close. The library's class holds other
        # errors too, so the driver's decides.
        cause = error.__cause__ if isinstance(error, InternalError) else error
        if not isinstance(cause, psycopg.errors.InternalError_):
            raise
        raise TryAgain(f"the database {where} had a fault of its own: {error}") from error


def url_of(datastore: PostgresDatastore) -> str:
    """Return the URL that a datastore was opened with."""
    url = datastore.pool.conninfo
    assert isinstance(url, str), "open_datastore gives the pool a text"
    return url


def shown_database(url: str) -> str:
    """Write a database's URL for a message: its name, host and port, without a user or a password."""
    settings = parse_url(url)
    name = settings.get("dbname", "postgres")
    return f"{name!r} at {settings.get('host', 'this machine')}:{settings.get('port', '5432')}"
