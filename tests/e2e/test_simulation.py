"""Whatever nodes, reorgs and kills do, the log becomes the chain's."""

from collections.abc import Iterator

import pytest

from deepnode_indexer.devnet.anvil import Anvil
from deepnode_indexer.devnet.deployment import deploy
from deepnode_indexer.devnet.economy import Economy
from deepnode_ledger.manifest import load_manifest
from tests.conftest import fresh_database
from tests.e2e.real_parts import Devnet
from tests.e2e.simulation import fault_free, simulate

BLOCKS_FIRST = 40


@pytest.fixture(scope="module")
def long_devnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devnet]:
    """One chain for many seeds: each goes on where the one before left it, and indexes it from the start."""
    with Anvil.start() as node:
        deployment = deploy(node.url, tmp_path_factory.mktemp("devnet"))
        devnet = Devnet(node, deployment, Economy(node.url, deployment, seed=11), load_manifest(deployment.manifest))
        devnet.play(BLOCKS_FIRST)
        yield devnet


@pytest.mark.parametrize("seed", range(1, 13))
def test_log_and_root_are_those_of_a_fault_free_index(long_devnet: Devnet, postgres_url: str, seed: int) -> None:
    """Random blocks, reorgs of 1 to 60, lying and failing nodes, kills; then compares every log, its block and root."""
    compare(long_devnet, postgres_url, seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 320))
def test_many_more_seeds(long_devnet: Devnet, postgres_url: str, seed: int) -> None:
    """The same for 220 seeds more."""
    compare(long_devnet, postgres_url, seed)


def compare(devnet: Devnet, postgres_url: str, seed: int) -> None:
    """Simulate a seed and hold the outcome against an index without faults."""
    with fresh_database(postgres_url) as url, fresh_database(postgres_url) as other:
        found = simulate(devnet, url, seed)
        truth = fault_free(devnet, other)
    assert found.logs == truth.logs, found.told
    assert found.root == truth.root, found.told
    assert found.held == 0, found.told
