"""Fixtures of the tests that run every part for real."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from deepnode_indexer.devnet.anvil import Anvil
from deepnode_indexer.devnet.deployment import deploy
from deepnode_indexer.devnet.economy import Economy
from deepnode_ledger.manifest import load_manifest
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
def second_database_url(database_url: str) -> Iterator[str]:
    """Another fresh database, for an index to compare with."""
    name = f"second_{uuid.uuid4().hex}"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        yield make_conninfo(database_url, dbname=name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
