"""The bundle that the tests of verifying share: of a real devnet, with books, a checkpoint and the node's evidence."""

from collections.abc import Iterator

import pytest

from deepnode_cli.verifying.finding import Brought
from deepnode_ledger.transparency import Verifier
from tests.cli.verifying.forger import Forger
from tests.conftest import fresh_database
from tests.e2e.devnet_bundle import DevnetBundle, devnet_bundle

BLOCKS = 62
"""One epoch is over by then, and another begun."""


@pytest.fixture(scope="session")
def made(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevnetBundle]:
    """The honest bundle."""
    folder = tmp_path_factory.mktemp("devnet")
    with fresh_database(postgres_url) as url, devnet_bundle(url, folder, blocks=BLOCKS) as bundle:
        yield bundle


@pytest.fixture(scope="session")
def brought(made: DevnetBundle) -> Brought:
    """What an auditor knows from elsewhere: the log's key and the manifest."""
    return Brought(verifiers=(Verifier.parse(made.key),), manifest=made.devnet.deployment.manifest)


@pytest.fixture(scope="session")
def forger(made: DevnetBundle, tmp_path_factory: pytest.TempPathFactory) -> Forger:
    """A forger with a copy of the bundle."""
    return Forger(made.path, tmp_path_factory.mktemp("forged") / "bundle")
