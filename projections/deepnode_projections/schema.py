"""Making the books' tables, and behind their rows the indexes.

An index of many rows is made several times quicker in one go than row by row. So the tables begin with their primary
keys and what the projector itself looks for, and the other indexes are made when the books have caught up with the log
for the first time. Until then every answer is right, and some take longer.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import psycopg
from psycopg import Connection, sql
from psycopg.rows import tuple_row
from sqlalchemy import Column, MetaData, Table, UniqueConstraint
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.schema import AddConstraint, CreateIndex, CreateTable, ExecutableDDLElement

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


def create_schema(url: str, schema: str) -> None:
    """Make the schema of books without any table in it; who may read the books may read what will be in it.

    Raises:
        TryAgain: the database is away.
    """
    with _connected(url, schema) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
        let_reader_in(connection, schema)


def create_bare(connection: Connection[Any], names: Iterable[str]) -> None:
    """Make tables without their keys and indexes, for many rows to come at once (see ``complete``)."""
    connection.execute(";\n".join(_bare_and_rest()[name][0] for name in names).encode())


def complete(connection: Connection[Any], name: str) -> None:
    """Give a bare table its keys and all indexes: now it is as ``create_books`` and ``create_indexes`` make it."""
    connection.execute(";\n".join(_bare_and_rest()[name][1]).encode())


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


@cache
def _bare_and_rest() -> dict[str, tuple[str, Sequence[str]]]:
    """Write, by table, the statement that makes it bare, and those that add what it lacks then."""
    found: dict[str, tuple[str, Sequence[str]]] = {}
    for table in tables.metadata.sorted_tables:
        bare = Table(table.name, MetaData(), *(Column(c.name, c.type, nullable=c.nullable) for c in table.columns))
        constraints = [table.primary_key, *(each for each in table.constraints if isinstance(each, UniqueConstraint))]
        indexes = sorted(table.indexes, key=lambda each: str(each.name))
        rest = [_written(AddConstraint(each, isolate_from_table=False)) for each in constraints]
        rest += [_written(CreateIndex(each)) for each in indexes]
        found[table.name] = _written(CreateTable(bare)), rest
    return found


def _written(statement: ExecutableDDLElement) -> str:
    return str(statement.compile(dialect=PGDialect()))  # type: ignore[no-untyped-call] # its dialects are untyped


@contextmanager
def _connected(url: str, schema: str) -> Iterator[Connection[tuple[Any, ...]]]:
    with (
        database_errors(url),
        psycopg.connect(url, autocommit=True, options=f"-c search_path={schema}") as connection,
    ):
        yield connection
