"""A fake chain behind real HTTP, a provider that asks it, and a log on real PostgreSQL."""

from collections.abc import Iterator

import pytest

from deepnode_indexer.provider import Provider
from deepnode_indexer.ranges import Sizes
from deepnode_indexer.rpc import JsonRpc
from deepnode_ledger.log import Log
from deepnode_ledger.manifest import Contract, Manifest, Producer
from tests.indexer.fake_node import FakeChain, serving
from tests.ledger.histories import CHAIN_ID, GENESIS, TOKEN, datastore
from tests.ledger.paper_deployment import PRODUCER, PRODUCER_KEY, address_of

FIRST = 1
FIRST_RANGE_BLOCKS = 20


@pytest.fixture
def manifest() -> Manifest:
    """One contract from block 1 on, and one producer."""
    token = Contract("Token", "Nodes", TOKEN, FIRST, {})
    producer = Producer(PRODUCER, address_of(PRODUCER_KEY))
    return Manifest("fake", 1, CHAIN_ID, GENESIS, {TOKEN: token}, {PRODUCER: producer})


@pytest.fixture
def chain() -> FakeChain:
    """A chain that is only a genesis block yet."""
    return FakeChain()


@pytest.fixture
def provider(chain: FakeChain, manifest: Manifest) -> Iterator[Provider]:
    """A provider that asks the fake chain's node."""
    with serving(chain.answer) as url:
        rpc = JsonRpc(url)
        provider = Provider(rpc, manifest)
        # The tests' chains are short: they begin with ranges that hold a good part of one.
        provider.sizes = Sizes(FIRST_RANGE_BLOCKS)
        yield provider
        rpc.close()


@pytest.fixture
def log(database_url: str, manifest: Manifest) -> Iterator[Log]:
    """An empty log of the fake chain."""
    with datastore(database_url) as store:
        log = Log(store, CHAIN_ID)
        log.create(manifest.genesis_hash, manifest.first_block)
        yield log
