"""kill -9 of the indexer at random moments: nothing acknowledged is lost, nothing is invented."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest
import urllib3

from deepnode_indexer.devnet.anvil import free_port
from deepnode_ledger.database import open_datastore
from deepnode_ledger.record import TaskEvent
from deepnode_ledger.snapshot import snapshot
from tests.e2e.forked_indexers import indexers
from tests.e2e.real_parts import Devnet, open_ledger, payload_of

START_SECONDS = 30


def test_fifty_kills_lose_nothing_that_was_acknowledged(
    devnet: Devnet, database_url: str, second_database_url: str, tmp_path: Path
) -> None:
    """After 50 kills with reorgs between them, money and task events are those of an index that was never killed."""
    kill_again_and_again(devnet, database_url, second_database_url, tmp_path, kills=50, seed=50)


@pytest.mark.soak
def test_five_hundred_kills_lose_nothing_that_was_acknowledged(
    devnet: Devnet, database_url: str, second_database_url: str, tmp_path: Path
) -> None:
    """After 500 kills with reorgs between them, money and task events are those of an index that was never killed."""
    kill_again_and_again(devnet, database_url, second_database_url, tmp_path, kills=500, seed=500)


def kill_again_and_again(
    devnet: Devnet, database_url: str, second_database_url: str, tmp_path: Path, *, kills: int, seed: int
) -> None:
    """Play, reorganise, kill and restart; then compare with an index that saw only the end."""
    rng = Random(seed)
    port = free_port()
    producer = InsistentProducer(port)
    producer.give(devnet.play(20))
    killed_while_ready = 0
    with indexers(settings_of(devnet, database_url), tmp_path / "indexer.log") as started:
        for number in range(kills):
            started.start(["index", *options(port)])
            # One kill in five falls into the start-up itself, wherever that may be; the others into the work.
            if rng.random() < 0.2:
                time.sleep(rng.uniform(0, 1))
            else:
                wait_until_up(port, tmp_path)
                killed_while_ready += 1
                moment = time.monotonic() + rng.uniform(0, 0.5)
                while time.monotonic() < moment:
                    producer.give(devnet.play(1))
            started.kill()
            if number % 5 == 4:
                devnet.economy.reorg(rng.randint(1, 20))
                producer.give(devnet.play(2))
    assert killed_while_ready >= kills // 2
    with killed_at_the_end(start_indexer(devnet, database_url, port, tmp_path)) as last:
        wait_until_up(port, tmp_path)
        acknowledged = producer.finish()
        time.sleep(1)
        last.send_signal(signal.SIGTERM)
        assert last.wait(START_SECONDS) == 0, (tmp_path / "indexer.log").read_text()[-2000:]

    survivor = open_ledger(database_url, devnet.node.url, devnet.manifest)
    survivor.sync()
    fresh = open_ledger(second_database_url, devnet.node.url, devnet.manifest, step_entries=97)
    fresh.sync()
    try:
        assert survivor.money_root() == fresh.money_root()
        assert survivor.root() == survivor.rebuilt_root()
    finally:
        survivor.close()
        fresh.close()
    kept = payloads_in_log(database_url)
    assert len(set(kept)) == len(kept), "an event that was sent again is in the log once"
    assert set(acknowledged) == set(kept)
    assert len(acknowledged) > kills, "there were events to lose"


class InsistentProducer:
    """Posts task events in order from a thread of its own, again and again until each is acknowledged."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/task-events"
        self._waiting: deque[bytes] = deque()
        self._acknowledged: list[bytes] = []
        self._over = threading.Event()
        self._refused: list[str] = []
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def give(self, envelopes: list[bytes]) -> None:
        """Add events to send."""
        self._waiting.extend(envelopes)

    def finish(self) -> list[bytes]:
        """Wait until everything is acknowledged and return the payloads."""
        self._over.set()
        self._thread.join(120)
        assert not self._thread.is_alive(), f"{len(self._waiting)} events still wait"
        assert self._refused == []
        return self._acknowledged

    def _work(self) -> None:
        with urllib3.PoolManager(retries=False, timeout=5) as pool:
            while self._waiting or not self._over.is_set():
                run = [self._waiting[i] for i in range(min(25, len(self._waiting)))]
                if not run or not self._post(pool, run):
                    time.sleep(0.01)

    def _post(self, pool: urllib3.PoolManager, run: list[bytes]) -> bool:
        try:
            answer = pool.request("POST", self._url, body=b"\n".join(run))
        except urllib3.exceptions.HTTPError:
            return False
        if answer.status == 503:
            return False
        if answer.status != 200:
            self._refused.append(answer.data.decode())
        for envelope in run:
            self._waiting.popleft()
            self._acknowledged.append(payload_of(envelope))
        return True


def settings_of(devnet: Devnet, database_url: str) -> dict[str, str]:
    """What the indexer takes from its environment."""
    return {
        "DEEPNODE_RPC_URL": devnet.node.url,
        "DEEPNODE_DATABASE_URL": database_url,
        "DEEPNODE_MANIFEST": str(devnet.deployment.manifest),
    }


def options(port: int) -> list[str]:
    """What the indexer takes from its command line."""
    return ["--intake-port", str(port), "--poll", "0.05", "--seal-entries", "50"]


def start_indexer(devnet: Devnet, database_url: str, port: int, tmp_path: Path) -> subprocess.Popen[bytes]:
    """Start `deepnode index` as an operator would."""
    command = [sys.executable, "-m", "deepnode_cli.main", "index", *options(port)]
    with (tmp_path / "indexer.log").open("ab") as log:
        return subprocess.Popen(command, env=os.environ | settings_of(devnet, database_url), stdout=log, stderr=log)


@contextmanager
def killed_at_the_end(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Kill -9 when the block ends, however it ends: a test that fails leaves no indexer behind."""
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_until_up(port: int, tmp_path: Path) -> None:
    """Wait until the intake answers."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            if urllib3.request("GET", f"http://127.0.0.1:{port}/health", timeout=1, retries=False).status == 200:
                return
        except urllib3.exceptions.HTTPError:
            time.sleep(0.02)
    raise AssertionError((tmp_path / "indexer.log").read_text()[-2000:])


def payloads_in_log(database_url: str) -> list[bytes]:
    """The signed bytes of every task event in the log."""
    datastore = open_datastore(database_url)
    try:
        with snapshot(datastore) as view:
            return [entry.record.payload for entry in view.entries(1) if isinstance(entry.record, TaskEvent)]
    finally:
        datastore.close()
