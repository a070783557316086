"""`deepnode devnet --size`, run and stopped as its users do."""

import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from deepnode_indexer.devnet.anvil import free_port
from deepnode_indexer.devnet.json_rpc import JsonRpc, NodeUnreachableError
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.vocabulary import KINDS

SECONDS_MAX = 90
TASK_EVENTS = "said.jsonl"
CREATED = to_hex(next(event.topic0 for event in KINDS["Domains"] if event.name == "DomainCreated"))


@pytest.mark.parametrize(("size", "domains"), [("small", 2), ("full", 6)])
def test_the_size_says_how_many_domains_there_are(tmp_path: Path, size: str, domains: int) -> None:
    """Starts the command, waits for its blocks, counts the domains by their logs, and stops it by SIGINT."""
    port = free_port()
    options = ["--size", size, "--port", str(port), "--out", str(tmp_path), "--pace", "0", "--blocks", "12"]
    command = [sys.executable, "-m", "deepnode_cli.main", "devnet", *options]
    with subprocess.Popen([*command, "--task-events", str(tmp_path / TASK_EVENTS)], stderr=subprocess.PIPE) as process:
        try:
            rpc = JsonRpc(f"http://127.0.0.1:{port}")
            await_blocks(rpc, process, 12 + 10)
            manifest = tomllib.loads((tmp_path / "manifest.toml").read_text("utf-8"))
            [address] = [each["address"] for each in manifest["contracts"] if each["name"] == "Domains"]
            logs = rpc.call("eth_getLogs", {"address": address, "fromBlock": "0x0", "toBlock": "latest"})
            created = sum(log["topics"][0] == CREATED for log in logs)
            rpc.close()
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)
    assert process.returncode == 0
    assert created == domains
    assert (tmp_path / TASK_EVENTS).read_bytes().count(b"\n") > 10


def await_blocks(rpc: JsonRpc, process: "subprocess.Popen[bytes]", number: int) -> None:
    """Wait until the chain has so many blocks."""
    deadline = time.monotonic() + SECONDS_MAX
    while time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read() if process.stderr else b""
        try:
            if int(rpc.call("eth_blockNumber"), 16) >= number:
                return
        except NodeUnreachableError:
            pass
        time.sleep(0.1)
    pytest.fail(f"no block {number} within {SECONDS_MAX} seconds")
