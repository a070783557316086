"""An indexer that holds blocks back says so for as long as it does, over real HTTP and a real log."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from deepnode_indexer.chain_intake import ChainIntake, ChainSource
from deepnode_indexer.level import Level
from deepnode_indexer.status import Status
from deepnode_ledger.log import Log
from deepnode_ledger.manifest import Manifest
from tests.indexer.fake_node import FakeChain, Json, serving
from tests.ledger.histories import CHAIN_ID, datastore

SECONDS_MAX = 20


@pytest.fixture
def nodes() -> tuple[FakeChain, FakeChain]:
    """Two nodes of one chain without receipts, of which the second leaves a log out."""
    chains = FakeChain(), FakeChain()
    missing = {"code": -32601, "message": "the method does not exist"}
    for chain in chains:
        chain.grow(40)
        chain.finalized = 30
        chain.extra["eth_getBlockReceipts"] = chain.extra["eth_getTransactionReceipt"] = lambda *_: missing
    chains[1].spoil = _without_the_last_log
    return chains


def _without_the_last_log(method: str, _parameters: Json, result: Json) -> Json:
    return result[:-1] if method == "eth_getLogs" else result


@contextmanager
def indexing(url: str, manifest: Manifest, urls: list[str]) -> Iterator[Status]:
    """An indexer at work."""
    status, stop = Status([CHAIN_ID]), threading.Event()
    with datastore(url) as store:
        chain = ChainSource(urls, Level.ENDS)
        intake = ChainIntake(
            Log(store, CHAIN_ID), manifest, chain, status, poll_seconds=0.05, report=lambda _change: None
        )
        intake.check()
        thread = threading.Thread(target=intake.run, args=(stop,))
        thread.start()
        try:
            yield status
        finally:
            stop.set()
            intake.wake()
            thread.join()


def wait_for(line: str, status: Status) -> None:
    """Wait for a line of the metrics, which comes within moments."""
    deadline = time.monotonic() + SECONDS_MAX
    while line not in status.metrics():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_held_range_is_in_the_metrics_while_it_is_held(
    nodes: tuple[FakeChain, FakeChain], manifest: Manifest, database_url: str
) -> None:
    """Two nodes differ; the indexer is started anew while they do; a restart with the honest one alone stays held."""
    held = f'deepnode_indexer_held_ranges{{chain="{CHAIN_ID}"}} 1\n'
    with serving(nodes[0].answer) as first, serving(nodes[1].answer) as second:
        for urls in ([first, second], [first, second], [first]):
            with indexing(database_url, manifest, urls) as status:
                wait_for(held, status)
                assert status.not_ready() is not None
