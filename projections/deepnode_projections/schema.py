"""Making the books' tables, and behind their rows the indexes.

An index of many rows is made several times quicker in one go than row by row. So the tables begin with their primary
keys alone, which everything that writes relies on, and the other indexes are made when the books have caught up with
the log for the first time. Until then every answer is right, and some take longer.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import Connection, sql
from sqlalchemy import Connection as Alchemy
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateIndex, CreateTable

from deepnode_ledger.database import database_errors
from deepnode_projections import tables


def create_books(url: str, schema: str) -> None:
    """Make the books' tables where they are missing; several processes may call this at once.

    Raises:
        TryAgain: the database is away.
    """
    with _connected(url, schema) as connection:
        connection.execute("SELECT pg_advisory_lock(hashtext('deepnode books tables'))")
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
        with _alchemy(connection) as alchemy:
            for table in tables.metadata.sorted_tables:
                alchemy.execute(CreateTable(table, if_not_exists=True))
                for index in table.indexes:
                    if index.info == tables.AT_ONCE:
                        alchemy.execute(CreateIndex(index, if_not_exists=True))


def create_indexes(url: str, schema: str) -> list[str]:
    """Make the indexes that are missing, each in a transaction of its own; return their names.

    The books can be read meanwhile; whoever writes to them waits.

    Raises:
        TryAgain: the database is away.
    """
    indexes = {str(index.name): index for table in tables.metadata.sorted_tables for index in table.indexes}
    with _connected(url, schema) as connection:
        rows = connection.execute("SELECT indexname FROM pg_indexes WHERE schemaname = %s", (schema,)).fetchall()
        missing = sorted(indexes.keys() - {name for (name,) in rows})
        with _alchemy(connection) as alchemy:
            for name in missing:
                alchemy.execute(CreateIndex(indexes[name], if_not_exists=True))
    return missing


@contextmanager
def _connected(url: str, schema: str) -> Iterator[Connection[tuple[Any, ...]]]:
    with (
        database_errors(url),
        psycopg.connect(url, autocommit=True, options=f"-c search_path={schema}") as connection,
    ):
        yield connection


@contextmanager
def _alchemy(connection: Connection[tuple[Any, ...]]) -> Iterator[Alchemy]:
    """Let SQLAlchemy speak over a connection; statements are committed one by one."""
    engine = create_engine("postgresql+psycopg://", creator=lambda: connection, poolclass=NullPool)
    with engine.connect() as alchemy:
        yield alchemy.execution_options(isolation_level="AUTOCOMMIT")
