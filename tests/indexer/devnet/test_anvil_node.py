"""The node starts where it is told, ends with its parent, and marks blocks safe and final at a known distance."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deepnode_indexer.devnet.anvil import Anvil, PortTakenError
from deepnode_indexer.devnet.deployment import deploy
from deepnode_indexer.devnet.toolchain import (
    BinaryMissingError,
    UnsupportedPlatformError,
    anvil_binary,
    platform_name,
)


def test_safe_and_finalized_follow_the_head_at_one_and_two_epochs() -> None:
    """`safe` is one epoch of slots behind the head and `finalized` two, and neither is below block 0."""
    with Anvil.start(slots_in_an_epoch=5) as node:
        for blocks in (3, 9, 30):
            node.mine(blocks)
            head, safe, final = (
                int(node.rpc("eth_getBlockByNumber", tag, False)["number"], 16)
                for tag in ("latest", "safe", "finalized")
            )
            assert safe == max(0, head - 5)
            assert final == max(0, head - 10)


def test_blocks_are_two_seconds_apart_by_the_chains_own_clock() -> None:
    """Timestamps depend on the block number alone, so equal calls on two nodes give equal hashes."""
    hashes = []
    for _ in range(2):
        with Anvil.start(timestamp=1_600_000_000) as node:
            node.mine(10)
            time.sleep(0.1)
            node.mine()
            block = node.rpc("eth_getBlockByNumber", "latest", False)
            assert int(block["timestamp"], 16) == 1_600_000_000 + 2 * 11
            hashes.append(block["hash"])
    assert hashes[0] == hashes[1]


def test_a_taken_port_is_named() -> None:
    """Asking for a port on which something listens is refused at once, with the port in the message."""
    with Anvil.start() as node:
        port = int(node.url.rsplit(":", 1)[1])
        with pytest.raises(PortTakenError, match=str(port)):
            Anvil.start(port)


def test_the_node_ends_when_it_is_stopped() -> None:
    """After `stop` the process is gone and a second `stop` does nothing."""
    node = Anvil.start()
    node.stop()
    node.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(node.pid, 0)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the parent's death is signalled on Linux only")
def test_the_node_dies_with_its_parent(tmp_path: Path) -> None:
    """Killing the parent, which leaves it no time to clean up, ends the node."""
    code = "from deepnode_indexer.devnet.anvil import Anvil; print(Anvil.start().pid, flush=True); input()"
    # A killed parent cannot remove the node's scratch folder, so it is made where the test's own folder goes.
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while _runs(pid):
        assert time.monotonic() < deadline, f"node {pid} outlived its parent"
        time.sleep(0.02)


def test_two_processes_may_install_the_node_at_once(tmp_path: Path) -> None:
    """Both of two processes that find an empty cache get a node that runs, and nothing half-written stays."""
    environment = {**os.environ, "DEEPNODE_CACHE": str(tmp_path)}
    environment.pop("DEEPNODE_ANVIL", None)
    code = "from deepnode_indexer.devnet.toolchain import anvil_binary; print(anvil_binary())"
    command = [sys.executable, "-c", code]
    running = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    paths = {process.communicate()[0].strip() for process in running}
    assert [process.returncode for process in running] == [0, 0]
    (path,) = paths
    assert "1.7.1" in subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    assert [entry.name for entry in tmp_path.iterdir()] == ["anvil-1.7.1"]


def test_a_missing_binary_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """DEEPNODE_ANVIL wins over the cache, and a path in it that does not exist is said to be so."""
    monkeypatch.setenv("DEEPNODE_ANVIL", str(tmp_path / "nowhere"))
    with pytest.raises(BinaryMissingError, match="nowhere"):
        anvil_binary()


def test_platforms_are_named_as_the_packages_are() -> None:
    """Linux and macOS on x86-64 and ARM64 have a package; others are refused with their names."""
    assert platform_name("linux", "x86_64") == "linux-amd64"
    assert platform_name("linux", "aarch64") == "linux-arm64"
    assert platform_name("darwin", "arm64") == "darwin-arm64"
    with pytest.raises(UnsupportedPlatformError, match="riscv64"):
        platform_name("linux", "riscv64")


def _runs(pid: int) -> bool:
    try:
        # A process whose new parent has not collected it yet is dead, too.
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_reorg_of_a_long_chain_keeps_the_state(tmp_path: Path) -> None:
    """Mines until the node would have put most states aside, and replaces 40 blocks: the contracts are still there."""
    with Anvil.start() as node:
        token = deploy(node.url, tmp_path).addresses["DNToken"]
        code = node.rpc("eth_getCode", token, "latest")
        assert len(code) > 1000
        for _ in range(1_500):
            node.mine()
        node.reorg(40)
        node.mine(10)
        assert node.rpc("eth_getCode", token, "latest") == code
