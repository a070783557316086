"""Making the books' tables, and behind their rows the indexes.

An index of many rows is made several times quicker in one go than row by row. So the tables begin with their primary
keys and what the projector itself looks for, and the other indexes are made when the books have caught up with the log
for the first time. Until then every answer is right, and some take longer.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import psycopg
from psycopg import Connection, sql
from psycopg.rows import tuple_row
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.schema import CreateIndex, CreateTable

from deepnode_ledger.database import database_errors
from deepnode_ledger.reader import let_reader_in
from deepnode_projections import tables
from deepnode_projections.registers.tables import table_of
from deepnode_projections.rules.book import RECORDS

for _kind in RECORDS:
    table_of(_kind, tables.metadata)


def create_books(url: str, schema: str) -> None:
    """Make the books' tables where they are missing; several processes may call this at once.

    Raises:
        TryAgain: the database is away.
    """
    with _connected(url, schema) as connection:
        connection.execute("SELECT pg_advisory_lock(hashtext('deepnode books tables'))")
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
        let_reader_in(connection, schema)
        connection.execute(_tables().encode())


def create_indexes(url: str, schema: str) -> list[str]:
    """Make the indexes that are missing, those of a table in one transaction; return their names.

    The books can be read meanwhile; whoever writes to them waits.

    Raises:
        TryAgain: the database is away.
    """
    with _connected(url, schema) as connection:
        rows = connection.execute("SELECT indexname FROM pg_indexes WHERE schemaname = %s", (schema,)).fetchall()
        there = {name for (name,) in rows}
        made: list[str] = []
        for of_table in _indexes():
            missing = {name: statement for name, statement in of_table.items() if name not in there}
            if missing:
                connection.execute(";\n".join(missing.values()).encode())
                made += missing
    return made


def missing_columns(connection: Connection[Any], schema: str) -> list[str]:
    """Name the columns (``table.column``) that the books in ``schema`` lack, because an older version made them."""
    rows = connection.cursor(row_factory=tuple_row).execute(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = %s", (schema,)
    )
    wanted = {(table.name, column.name) for table in tables.metadata.sorted_tables for column in table.columns}
    return sorted(f"{table}.{column}" for table, column in wanted - set(rows.fetchall()))


@cache
def _tables() -> str:
    """Write the statements for the tables, each with the indexes that come at once: a few hundred lines."""
    statements: list[CreateTable | CreateIndex] = []
    for table in tables.metadata.sorted_tables:
        statements.append(CreateTable(table, if_not_exists=True))
        at_once = [index for index in table.indexes if index.info == tables.AT_ONCE]
        statements += [CreateIndex(index, if_not_exists=True) for index in at_once]
    return ";\n".join(_written(each) for each in statements)


@cache
def _indexes() -> tuple[dict[str, str], ...]:
    """Write the statements for the other indexes, by their names, table by table."""
    return tuple(
        {
            str(index.name): _written(CreateIndex(index, if_not_exists=True))
            for index in sorted(table.indexes, key=lambda each: str(each.name))
            if index.info != tables.AT_ONCE
        }
        for table in tables.metadata.sorted_tables
    )


def _written(statement: CreateTable | CreateIndex) -> str:
    return str(statement.compile(dialect=PGDialect()))  # type: ignore[no-untyped-call] # its dialects are untyped


@contextmanager
def _connected(url: str, schema: str) -> Iterator[Connection[tuple[Any, ...]]]:
    with (
        database_errors(url),
        psycopg.connect(url, autocommit=True, options=f"-c search_path={schema}") as connection,
    ):
        yield connection
