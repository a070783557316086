"""What `make bench-ingest` builds on: the chain says what its rule says, and what processes take is measured."""

import json
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from benchmarks.ingest.chain import CONTRACT, FIRST_BLOCK, PEERS, balances, chain
from benchmarks.ingest.processes import ChildFailed, Children, Command
from benchmarks.ingest.tail import percentile
from eth_utils.crypto import keccak

from deepnode_indexer.devnet.json_rpc import JsonRpc

BURN = "import time\nwhile time.process_time() < 0.3: pass\n"
HOLD = "held = b'x' * 150_000_000\n"


def test_the_balances_that_everybody_must_arrive_at_are_those_of_the_chains_logs() -> None:
    """Fills a real node in blocks of two transactions and an odd rest, and adds up its logs."""
    with chain() as node:
        span = node.fill(130, 60)
        rpc = JsonRpc(node.url)
        logs = rpc.call("eth_getLogs", {"fromBlock": hex(FIRST_BLOCK), "toBlock": "latest", "address": CONTRACT})
        final = int(rpc.call("eth_getBlockByNumber", "finalized", False)["number"], 16)
        rpc.close()
    found: Counter[str] = Counter()
    for log in logs:
        found["0x" + log["topics"][1][-40:]] -= int(log["data"], 16)
        found["0x" + log["topics"][2][-40:]] += int(log["data"], 16)
    assert Counter(int(log["blockNumber"], 16) for log in logs) == {2: 60, 3: 60, 4: 10}
    assert span.last_block == 4
    assert final > span.last_block + 64
    assert {account: balance for account, balance in found.items() if balance} == balances(130)


def test_the_selector_is_that_of_the_compiled_contract() -> None:
    """Reads the artifact's ABI and bytecode, which hold the selector that the benchmark calls."""
    artifact = json.loads((PEERS / "Transfers.json").read_text("utf-8"))
    [function] = [each for each in artifact["abi"] if each.get("name") == "emitTransfers"]
    selector = keccak(text=f"emitTransfers({function['inputs'][0]['type']})")[:4].hex()
    assert selector == "9a1304ae"
    assert selector in artifact["bytecode"]


def test_the_cost_counts_what_children_of_a_process_took(tmp_path: Path) -> None:
    """Runs a process that waits for a busy child, and looks while it lives and when it is gone."""
    program = f"import subprocess, sys, time\nsubprocess.run([sys.executable, '-c', {BURN!r}])\n{HOLD}"
    with Children(tmp_path) as children:
        children.start(Command([sys.executable, "-c", program + "time.sleep(60)"]))
        deadline = time.monotonic() + 30
        while (living := children.cost()).cpu_seconds < 0.3 or living.peak_mib < 140:
            assert time.monotonic() < deadline, living
            time.sleep(0.05)
        assert not children.done()
    with Children(tmp_path) as children:
        children.start(Command([sys.executable, "-c", program]))
        _wait_for(children)
        ended = children.cost()
    assert ended.cpu_seconds >= 0.3
    assert ended.peak_mib > 140


def test_a_process_that_fails_is_told_with_its_last_words(tmp_path: Path) -> None:
    """Runs a process that ends with code 3 after a word."""
    with Children(tmp_path) as children:
        children.start(Command([sys.executable, "-c", "print('no such chain'); raise SystemExit(3)"]))
        with pytest.raises(ChildFailed, match=r"(?s)code 3.*no such chain"):
            _wait_for(children)


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50.0), (0.99, 99.0), (1.0, 100.0)])
def test_a_percentile_is_a_value_that_was_found(share: float, expected: float) -> None:
    """Takes percentiles of the numbers 1 to 100 in disorder."""
    values = [float(number * 37 % 101) for number in range(1, 101)]
    assert percentile(values, share) == expected


def _wait_for(children: Children) -> None:
    while not children.done():
        time.sleep(0.02)
