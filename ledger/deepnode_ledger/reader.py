"""The role that only reads: what a program that answers strangers works as.

Whatever a query might be made to do, the server refuses it everything but SELECT. The log's tables let the role in when
they are made, and the books' when the projections make these; where the role is missing a program works as its login,
in transactions that are read-only all the same.
"""

from typing import Any, Final

from psycopg import Connection, sql
from psycopg.errors import InsufficientPrivilege

from deepnode_ledger import tables

READER: Final = "deepnode_reader"

BECOME_READER: Final = """
    SELECT set_config('role', role.rolname, false) FROM pg_roles role
    WHERE role.rolname = %(reader)s
    AND pg_has_role(session_user, role.oid,
        CASE WHEN current_setting('server_version_num')::integer >= 160000 THEN 'SET' ELSE 'MEMBER' END)
    AND has_schema_privilege(role.oid, to_regnamespace(%(log)s), 'USAGE')
    AND has_schema_privilege(role.oid, to_regnamespace(quote_ident(%(books)s)), 'USAGE')"""
"""Makes the session the reader's, where this login may become it and it may read both schemas; else gives no row."""


def reader_of(books: str) -> dict[str, str]:
    """Return the parameters of ``BECOME_READER`` for the books in a schema."""
    return {"reader": READER, "log": tables.SCHEMA, "books": books}


def become_reader(connection: Connection[Any], books: str) -> bool:
    """Go on as the reader of the log and of the books in the schema ``books``; say whether that could be.

    The connection is in autocommit mode.
    """
    assert connection.autocommit, "at the end of a transaction that fails the role would be the old one"
    return connection.execute(BECOME_READER, reader_of(books)).fetchone() is not None


def let_reader_in(connection: Connection[Any], schema: str) -> None:
    """Let the reader read what is in a schema and what this login will make there, unless it may already.

    The connection is in autocommit mode. Where the role is missing, or this login owns nothing there, nothing happens.
    """
    missing = connection.execute(
        "SELECT FROM pg_roles WHERE rolname = %s AND NOT has_schema_privilege(oid, %s, 'USAGE')",
        (READER, schema),
    ).fetchone()
    if missing is None:
        return
    names = {"schema": sql.Identifier(schema), "reader": sql.Identifier(READER)}
    try:
        for statement in (
            "ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {reader}",
            "GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {reader}",
            "GRANT USAGE ON SCHEMA {schema} TO {reader}",
        ):
            connection.execute(sql.SQL(statement).format(**names))
    except InsufficientPrivilege:
        return
