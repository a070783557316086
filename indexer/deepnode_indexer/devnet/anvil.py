"""Anvil as a child process: blocks are mined when asked for, and the same calls give the same block hashes.

Blocks are two seconds apart by their own clock, as on Base, however fast they are mined. The node dies with the process
that started it, and a terminal's Ctrl-C reaches its parent alone, which can then stop it in order.

Its tags ``safe`` and ``finalized`` follow the head at a fixed distance, one and two times ``--slots-in-an-epoch``
blocks, but not below block 0. They follow it over a reorg too, so a reorg that is deeper replaces finalized blocks. A
reorg of blocks that held no transactions gives the same blocks again, hashes and all.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from deepnode_indexer.devnet.json_rpc import JsonRpc, NodeUnreachableError
from deepnode_indexer.devnet.toolchain import anvil_binary
from deepnode_ledger.errors import BadInput, TryAgain

BLOCK_SECONDS = 2
_HOST = "127.0.0.1"
_START_SECONDS_MAX = 30
_STOP_SECONDS_MAX = 5
STATES_KEPT = 256
"""How many blocks back the chain can be read and reorganised. Each state is held in memory: some 2.6 MB of it each on a
lively chain of 4 000 blocks."""

_START_TRIES = 5


class AnvilError(TryAgain):
    """The node did not start."""


class PortTakenError(AnvilError, BadInput):
    """Another program listens where the node should."""

    def __init__(self, port: int) -> None:
        super().__init__(f"port {port} on {_HOST} is in use: choose another one")
        self.port = port


class StartFailedError(AnvilError):
    """The node ended, or did not answer, while it was waited for."""

    def __init__(self, reason: str, output: str) -> None:
        super().__init__(f"anvil did not start ({reason}): {output.strip()[-2000:]}")


class Anvil:
    """A running node. Use it as a context manager, or call `stop`."""

    def __init__(
        self, process: subprocess.Popen[bytes], rpc: JsonRpc, scratch: tempfile.TemporaryDirectory[str]
    ) -> None:
        self._process = process
        self._rpc = rpc
        self._scratch = scratch
        self.url = rpc.url
        self.pid = process.pid

    @classmethod
    def start(
        cls,
        port: int | None = None,
        *,
        chain_id: int = 31337,
        timestamp: int = 1_700_000_000,
        accounts: int = 40,
        slots_in_an_epoch: int = 32,
        states_kept: int = STATES_KEPT,
        hardfork: str = "cancun",
        optimism: bool = False,
    ) -> Anvil:
        """Start a node and wait until it answers.

        Start it from a thread that lives as long as the node should: Linux ends it together with the thread that
        started it.

        Args:
            port: where it listens on 127.0.0.1; a free port if None.
            chain_id: the chain's id.
            timestamp: the time of the genesis block.
            accounts: how many funded accounts the node signs for.
            slots_in_an_epoch: blocks between the head and ``safe``, and between ``safe`` and ``finalized``.
            states_kept: how many blocks back the chain can be read and reorganised.
            hardfork: by whose rules blocks are made. From prague on, mining takes longer the longer the chain is.
            optimism: whether the node knows what the OP stack adds, such as deposits.

        Raises:
            PortTakenError: `port` was given and is in use.
            StartFailedError: the node ended or did not answer.
        """
        flags = [
            *("--no-mining", "--order", "fifo", "--base-fee", "0", "--gas-price", "0", "--disable-min-priority-fee"),
            *("--disable-pool-balance-checks", "--gas-limit", "3000000000", "--no-request-size-limit"),
            *("--hardfork", hardfork, *(("--network", "optimism") if optimism else ())),
            *("--chain-id", str(chain_id), "--timestamp", str(timestamp), "--accounts", str(accounts)),
            *("--slots-in-an-epoch", str(slots_in_an_epoch)),
            # By itself anvil keeps ever fewer states in memory, ten in the end, and a reorg deeper than that puts the
            # state of the genesis block in place without a word (seen with 1.7.1 at block 920).
            *("--prune-history", str(states_kept)),
        ]
        if port is not None:
            _require_free(port)
            return _launch(port, flags)
        for _ in range(_START_TRIES - 1):
            # Between choosing a free port and listening on it, another program can take it.
            with contextlib.suppress(AnvilError):
                return _launch(free_port(), flags)
        return _launch(free_port(), flags)

    def rpc(self, method: str, *params: object) -> Any:
        """The result of one JSON-RPC call."""
        return self._rpc.call(method, *params)

    def mine(self, n: int = 1) -> None:
        """Mine `n` blocks; the first takes what is in the pool."""
        self.rpc("anvil_mine", hex(n))

    def reorg(self, depth: int) -> None:
        """Replace the last `depth` blocks by as many empty ones. Their transactions are forgotten, not pooled again."""
        self.rpc("anvil_reorg", depth, [])

    def stop(self) -> None:
        """End the node. A second call does nothing."""
        self._rpc.close()
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._scratch.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _launch(port: int, flags: list[str]) -> Anvil:
    # By itself anvil keeps old states in a folder of the user's home and leaves them there. Ours goes with the node.
    scratch = tempfile.TemporaryDirectory(prefix="deepnode-anvil-", ignore_cleanup_errors=True)
    log = Path(scratch.name) / "anvil.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(anvil_binary()), "--host", _HOST, "--port", str(port), "--cache-path", scratch.name, "-q", *flags],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent(),  # noqa: PLW1509 - it only makes system calls, which is safe among threads
        )
    node = Anvil(process, JsonRpc(f"http://{_HOST}:{port}"), scratch)
    try:
        _await_answer(node, process, log)
        node.rpc("anvil_setBlockTimestampInterval", BLOCK_SECONDS)
    except BaseException:
        node.stop()
        raise
    return node


def _await_answer(node: Anvil, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS_MAX
    while True:
        if process.poll() is not None:
            raise StartFailedError(f"exit code {process.returncode}", log.read_text("utf-8", "replace"))
        try:
            node.rpc("eth_chainId")
        except NodeUnreachableError:
            if time.monotonic() > deadline:
                raise StartFailedError("no answer", log.read_text("utf-8", "replace")) from None
            time.sleep(0.01)
        else:
            return


def _die_with_parent() -> Callable[[], None] | None:
    if not sys.platform.startswith("linux"):
        return None
    # Looked up before the fork: between fork and exec only system calls are safe.
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()
    set_parent_death_signal = 1

    def arrange() -> None:
        prctl(set_parent_death_signal, signal.SIGTERM)
        # The parent may have died before the line above took effect.
        if os.getppid() != parent:
            os._exit(1)

    return arrange


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listened on a moment ago."""
    """Return a port of 127.0.0.1 that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        # Without it a port whose last connections are still closing would count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            raise PortTakenError(port) from None
