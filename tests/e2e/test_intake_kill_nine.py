"""kill -9 of the indexer while producers send as fast as it takes: what was acknowledged is in the log."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from deepnode_indexer.devnet.anvil import free_port
from deepnode_indexer.devnet.task_signing import DEVNET_PRODUCER_ID, DEVNET_PRODUCER_KEY
from deepnode_ledger.database import open_datastore
from deepnode_ledger.record import TaskEvent
from deepnode_ledger.snapshot import snapshot
from tests.e2e.commands import wait_for_status
from tests.e2e.forked_indexers import ROOT, indexers
from tests.e2e.real_parts import Devnet

KILLS = 20


def test_no_acknowledged_event_is_lost_through_twenty_kills(devnet: Devnet, database_url: str, tmp_path: Path) -> None:
    """Kills the indexer 20 times under load; what the producers were told is compared with what the log holds."""
    rng = Random(20)
    port = free_port()
    devnet.play(2)
    settings = {
        "DEEPNODE_RPC_URL": devnet.node.url,
        "DEEPNODE_DATABASE_URL": database_url,
        "DEEPNODE_MANIFEST": str(devnet.deployment.manifest),
        "DEEPNODE_INTAKE_PRODUCER_RATE": "0",
        "DEEPNODE_INTAKE_CLIENT_RATE": "0",
    }
    command = ["index", "--intake-port", str(port), "--poll", "0.05", "--seal-entries", "50"]
    with indexers(settings, tmp_path / "indexer.log") as started, load(devnet, port, events=20_000) as producers:
        assert producers.stdin is not None
        assert producers.stdout is not None
        assert producers.stdout.readline() == "ready\n"
        producers.stdin.write("begin\n")
        producers.stdin.flush()
        for _ in range(KILLS):
            started.start(command)
            wait_for_status(f"http://127.0.0.1:{port}/health", 200)
            time.sleep(rng.uniform(0, 0.3))
            started.kill()
        started.start(command)
        producers.stdin.close()
        found = json.loads(producers.stdout.readline())
    assert found["refused"] == []
    assert found["retries"] >= KILLS, "each kill took an answer away from somebody"
    kept = events_in_log(database_url)
    assert len(set(kept)) == len(kept), "an event that was sent again is in the log once"
    assert set(found["acknowledged"]) <= set(kept)
    assert len(found["acknowledged"]) > KILLS, "there were events to lose"


@contextmanager
def load(devnet: Devnet, port: int, *, events: int) -> Iterator[subprocess.Popen[str]]:
    """Producers in a process of their own: eight connections, five events in a request, each until acknowledged."""
    arguments = ["--url", f"http://127.0.0.1:{port}/task-events", "--chain-id", str(devnet.manifest.chain_id)]
    arguments += ["--producer", DEVNET_PRODUCER_ID, "--key", DEVNET_PRODUCER_KEY.hex(), "--events", str(events)]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.task_load", *arguments, "--lines", "5", "--connections", "8"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def events_in_log(database_url: str) -> list[str]:
    """The ids of the log's task events."""
    datastore = open_datastore(database_url)
    try:
        with snapshot(datastore) as view:
            return [entry.record.event_id for entry in view.entries(1) if isinstance(entry.record, TaskEvent)]
    finally:
        datastore.close()
