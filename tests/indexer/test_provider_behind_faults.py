"""Behind every limit and fault that we know of, a provider gives the chain's own logs, or says that it cannot."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass

import pyarrow as pa
import pytest

from deepnode_indexer.chain_logs import digest
from deepnode_indexer.devnet.faults import FaultProxy
from deepnode_indexer.pool import Providers
from deepnode_indexer.provider import Provider
from deepnode_indexer.ranges import Sizes
from deepnode_indexer.rpc import JsonRpc, Patience
from deepnode_ledger.batch import from_rows, row_of
from deepnode_ledger.errors import TryAgain
from deepnode_ledger.manifest import Manifest
from tests.indexer.fake_node import FakeChain, serving
from tests.ledger.histories import CHAIN_ID, placed

BLOCKS = 720
LIMITED = (
    *("alchemy", "infura", "quicknode", "ankr", "drpc", "cloudflare", "chainstack", "publicnode", "blockpi", "1rpc"),
    *("coinbase", "thirdweb", "avalanche", "proxyd", "merkle", "reth", "nethermind", "arbitrum", "zkevm", "timeout"),
)
QUICK = Patience(pause_seconds=0.001, wait=lambda _seconds: None)
"""As patient as ever, without waiting."""


@dataclass(frozen=True)
class Served:
    """A chain that is long enough to meet limits of blocks and of logs, and where it is served."""

    url: str
    logs: pa.RecordBatch


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    chain = FakeChain()
    chain.grow(BLOCKS, logs=3)
    logs = placed([chain.blocks[number] for number in range(1, BLOCKS + 1)])
    rows = [row_of(place, CHAIN_ID, block, log) for place, (block, log) in enumerate(logs, start=1)]
    with serving(chain.answer) as url:
        yield Served(url, from_rows(rows))


@pytest.mark.parametrize("profile", LIMITED)
def test_a_range_is_whole_behind_each_providers_limits(served: Served, manifest: Manifest, profile: str) -> None:
    """Fetches the chain behind a provider's limits of ranges, of logs and of calls."""
    with FaultProxy(served.url, profile, seed=3) as proxy, closing(JsonRpc(proxy.url, patience=QUICK)) as rpc:
        provider = Provider(rpc, manifest)
        # It begins by asking for more than anybody allows.
        provider.sizes = Sizes(BLOCKS)
        assert provider.fetch(1, BLOCKS).logs.equals(served.logs)
        assert proxy.dealt, "no limit was met"


@pytest.mark.parametrize("profile", ["flaky", "rate-limited", "garbled", "fickle"])
def test_with_a_few_providers_that_misbehave_the_logs_are_right_or_absent(
    served: Served, manifest: Manifest, profile: str
) -> None:
    """Asks three faulty providers for ranges of 40 blocks, again while none answers."""
    with ExitStack() as stack:
        proxies = [stack.enter_context(FaultProxy(served.url, profile, seed=seed)) for seed in (1, 2, 3)]
        pool = Providers([Provider(JsonRpc(proxy.url, patience=QUICK), manifest) for proxy in proxies])
        asked = [fetched(pool, first, first + 39) for first in range(1, BLOCKS, 40)]
        for provider in pool:
            provider.rpc.close()
    lost = [n for n, batch in enumerate(asked) if digest(batch) != digest(served.logs.slice(120 * n, 120))]
    # Logs that are left out without a word are beyond what one answer can tell: other evidence is for that.
    assert lost == [] or profile in ("garbled", "fickle")
    for number in lost:
        assert len(asked[number]) < 120


def fetched(pool: Providers, first: int, last: int) -> pa.RecordBatch:
    for _ in range(50):
        try:
            return pool.call(lambda provider: provider.fetch(first, last)).logs
        except TryAgain:
            continue
    raise AssertionError("nobody answered in fifty tries")
