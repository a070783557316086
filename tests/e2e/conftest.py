"""Fixtures of the tests that run every part for real."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deepnode_indexer.devnet.anvil import Anvil
from deepnode_indexer.devnet.deployment import deploy
from deepnode_indexer.devnet.economy import Economy
from deepnode_ledger.manifest import load_manifest
from tests.conftest import fresh_database
from tests.e2e.real_parts import Devnet, Ledger, open_ledger


@pytest.fixture
def devnet(tmp_path: Path) -> Iterator[Devnet]:
    """A node with the reference contracts and an economy from seed 7, nothing played yet."""
    with Anvil.start() as node:
        deployment = deploy(node.url, tmp_path / "devnet")
        economy = Economy(node.url, deployment, seed=7)
        yield Devnet(node, deployment, economy, load_manifest(deployment.manifest))


@pytest.fixture
def ledger(devnet: Devnet, database_url: str) -> Iterator[Ledger]:
    """An empty ledger of the devnet."""
    opened = open_ledger(database_url, devnet.node.url, devnet.manifest)
    yield opened
    opened.close()


@pytest.fixture
def second_database_url(postgres_url: str) -> Iterator[str]:
    """Another fresh database, for an index to compare with."""
    with fresh_database(postgres_url) as url:
        yield url
