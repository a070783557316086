"""Whatever nodes, reorgs and kills do, the log becomes the chain's."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from deepnode_indexer.devnet.anvil import Anvil
from deepnode_indexer.devnet.deployment import deploy
from deepnode_indexer.devnet.economy import Economy
from deepnode_ledger.manifest import load_manifest
from tests.conftest import fresh_database
from tests.e2e.real_parts import Devnet
from tests.e2e.simulation import fault_free, simulate

BLOCKS_FIRST = 100
SEEDS_A_CHAIN = 3


class Devnets:
    """One chain for a few seeds: each goes on where the one before left it, and indexes it from the start."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = -1
        self._stack = ExitStack()
        self._devnet: Devnet | None = None

    def of_seed(self, seed: int) -> Devnet:
        """The chain that the seed is played on."""
        if self._devnet is None or seed // SEEDS_A_CHAIN != self._number:
            self.close()
            self._number = seed // SEEDS_A_CHAIN
            node = self._stack.enter_context(Anvil.start())
            deployment = deploy(node.url, self._folder / str(self._number))
            economy = Economy(node.url, deployment, seed=self._number)
            self._devnet = Devnet(node, deployment, economy, load_manifest(deployment.manifest))
            self._devnet.play(BLOCKS_FIRST)
        return self._devnet

    def close(self) -> None:
        """End the node."""
        self._stack.close()


@pytest.fixture(scope="module")
def devnets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devnets]:
    """Chains for all seeds, one at a time."""
    devnets = Devnets(tmp_path_factory.mktemp("devnets"))
    yield devnets
    devnets.close()


@pytest.mark.parametrize("seed", range(5))
def test_log_and_root_are_those_of_a_fault_free_index(devnets: Devnets, postgres_url: str, seed: int) -> None:
    """Random blocks, reorgs of 1 to 60, lying and failing nodes, kills; then compares every log, its block and root."""
    compare(devnets.of_seed(seed), postgres_url, seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 320))
def test_many_more_seeds(devnets: Devnets, postgres_url: str, seed: int) -> None:
    """The same for 220 seeds more."""
    compare(devnets.of_seed(seed), postgres_url, seed)


def compare(devnet: Devnet, postgres_url: str, seed: int) -> None:
    """Simulate a seed and hold the outcome against an index without faults."""
    with fresh_database(postgres_url) as url, fresh_database(postgres_url) as other:
        found = simulate(devnet, url, seed)
        truth = fault_free(devnet, other)
    assert found.logs == truth.logs, found.told
    assert found.root == truth.root, found.told
    assert found.held == 0, found.told
