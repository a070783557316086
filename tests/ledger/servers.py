"""PostgreSQL servers beside the one of the test run, and logins of any server."""

import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from deepnode_ledger.tables import ROLE

OLDEST = Path("/usr/lib/postgresql/15/bin")
"""Debian's programs of the oldest PostgreSQL that the log runs on."""

_logins = itertools.count(1)


@contextmanager
def debian_server(programs: Path) -> Iterator[str]:
    """Run a server of the machine's own PostgreSQL for a while; the URL of its superuser."""
    # PostgreSQL refuses to run as root.
    user = "nobody" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="deepnode-pg-"))
    data = folder / "data"

    def run(*argv: str | Path) -> None:
        subprocess.run(argv, user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL, timeout=60)

    try:
        if user is not None:
            shutil.chown(folder, user)
        run(programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
        run(programs / "pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", options, "start")
        try:
            yield make_conninfo(host=str(folder), user="postgres", dbname="postgres")
        finally:
            run(programs / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def login(url: str, name: str, *rights: str) -> Iterator[str]:
    """A login of the server for a while, described by words of CREATE ROLE; its URL for the same database."""
    name = f"{name}_{next(_logins)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL(f"CREATE ROLE {{}} LOGIN {' '.join(rights)}").format(sql.Identifier(name)))
        try:
            yield make_conninfo(url, user=name)
        finally:
            for farewell in ("REASSIGN OWNED BY {} TO CURRENT_USER", "DROP OWNED BY {}", "DROP ROLE {}"):
                connection.execute(sql.SQL(farewell).format(sql.Identifier(name)))


@contextmanager
def without_role(url: str) -> Iterator[None]:
    """Put the role of a server out of sight for a while; what is made in its place goes at the end."""
    with psycopg.connect(url, autocommit=True) as connection:
        there = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (ROLE,)).rowcount == 1
        if there:
            connection.execute(f"ALTER ROLE {ROLE} RENAME TO out_of_sight".encode())
        try:
            yield
        finally:
            connection.execute(f"DROP OWNED BY {ROLE}".encode())
            connection.execute(f"DROP ROLE {ROLE}".encode())
            if there:
                connection.execute(f"ALTER ROLE out_of_sight RENAME TO {ROLE}".encode())
