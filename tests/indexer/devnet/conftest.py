"""Devnets for the tests beside this file: one that has lived through two reorgs, and fresh ones."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from deepnode_indexer.devnet.anvil import Anvil
from deepnode_indexer.devnet.deployment import deploy
from deepnode_indexer.devnet.economy import Economy
from deepnode_indexer.devnet.faults import FaultProxy
from deepnode_indexer.devnet.json_rpc import JsonRpc
from tests.indexer.devnet.faulty_node import Played, Scene
from tests.indexer.devnet.reading import Devnet

MakeDevnet = Callable[[int], Devnet]


@pytest.fixture(scope="module")
def make_devnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeDevnet]:
    """A function that gives a fresh devnet for a seed."""
    with ExitStack() as stack:

        def make(seed: int) -> Devnet:
            node = stack.enter_context(Anvil.start())
            out: Path = tmp_path_factory.mktemp("manifest")
            deployment = deploy(node.url, out)
            devnet = Devnet(node.url, deployment, Economy(node.url, deployment, seed))
            stack.callback(devnet.rpc.close)
            return devnet

        yield make


@pytest.fixture(scope="module")
def old_devnet(make_devnet: MakeDevnet) -> Devnet:
    """A devnet with some hundred blocks of history and two reorgs in it."""
    devnet = make_devnet(11)
    devnet.play(120)
    devnet.economy.reorg(5)
    devnet.play(40)
    devnet.economy.reorg(40)
    devnet.play(80)
    return devnet


@pytest.fixture(scope="session")
def played_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """A node on which the economy has played for a while."""
    with Anvil.start(slots_in_an_epoch=8) as node:
        economy = Economy(node.url, deploy(node.url, tmp_path_factory.mktemp("faults")), 5)
        for _ in range(40):
            economy.step()
        yield Played(node, economy)


@pytest.fixture
def scene(played_node: Played) -> Iterator[Scene]:
    """That node with a proxy before it, which is honest so far."""
    with FaultProxy(played_node.node.url, seed=7) as proxy:
        through, direct = JsonRpc(proxy.url), JsonRpc(played_node.node.url)
        # Whatever the test before did: the newest block has something to lie about.
        while len(direct.call("eth_getLogs", {})) < 4:
            played_node.economy.step()
        yield Scene(played_node.node, played_node.economy, proxy, through, direct)
        through.close()
        direct.close()
