"""A producer that sends task events to an intake as fast as it takes them, in a process of its own.

It sends each run of events again until it is acknowledged, over refused connections, 429 and 503, as a producer should;
so what it says was acknowledged must be in the log, whatever became of the intake meanwhile. On stdin it takes a line
to begin (after it has signed its events) and ends with them, or when stdin is closed. On stdout it says ``ready``, and
in the end what became of it, as JSON.
"""

import argparse
import http.client
import json
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import msgspec
from eth_keys.datatypes import PrivateKey

from deepnode_ledger.task_signature import Scheme, signed_hash

PAUSE_SECONDS = 0.02
ANSWER_SECONDS_MAX = 20


@dataclass
class Load:
    """Runs of signed events, shared out among connections."""

    url: str
    waiting: deque[tuple[list[str], bytes]]
    acknowledged: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    latencies_seconds: list[float] = field(default_factory=list)
    retries: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def run(self, connections: int) -> float:
        """Send everything, or until it is over; return the seconds that it took."""
        threads = [threading.Thread(target=self._work) for _ in range(connections)]
        begin = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - begin

    def _work(self) -> None:
        place = urlsplit(self.url)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=ANSWER_SECONDS_MAX)
        while not self.over.is_set():
            try:
                ids, body = self.waiting.popleft()
            except IndexError:
                break
            # A run that is under way is finished even when all is over: it may have been taken in.
            while not self._sent(connection, place.path, ids, body):
                self.retries += 1
                time.sleep(PAUSE_SECONDS)
        connection.close()

    def _sent(self, connection: http.client.HTTPConnection, path: str, ids: list[str], body: bytes) -> bool:
        begin = time.perf_counter()
        try:
            connection.request("POST", path, body)
            response = connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            return False
        if response.status in (429, 503):
            return False
        if response.status == 200:
            self.acknowledged += ids
            self.latencies_seconds.append(time.perf_counter() - begin)
        else:
            self.refused.append(answer.decode())
        return True


def signed_events(producer: str, key: bytes, chain_id: int, first: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Yield task events with their envelopes, of the size that a real one has."""
    secret = PrivateKey(key)
    for number in range(first, first + count):
        name = f"load-{number}"
        event = {
            "specversion": "1.0",
            "id": name,
            "source": producer,
            "type": "ai.deepnode.task.created.v1",
            "time": "2026-01-31T12:00:00Z",
            "sequence": str(number),
            "data": {
                "task": f"0x{number:064x}",
                "price": "1000000",
                "asset": "0x" + "d1" * 20,
                "input": "0x" + "5a" * 32,
            },
        }
        payload = msgspec.json.encode(event)
        made = secret.sign_msg_hash(signed_hash(Scheme.EIP191, payload, chain_id)).to_bytes()
        signature = "0x" + made[:64].hex() + bytes([made[64] + 27]).hex()
        yield name, msgspec.json.encode({"payload": payload.decode(), "signature": signature})


def main() -> None:
    """Read the arguments, sign, say ``ready``, wait for a line, send, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--producer", required=True)
    parser.add_argument("--key", required=True, help="the producer's key, 64 hexadecimal digits")
    parser.add_argument("--chain-id", type=int, required=True)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--events", type=int, required=True)
    parser.add_argument("--lines", type=int, required=True, help="events in a request")
    parser.add_argument("--connections", type=int, required=True)
    given = parser.parse_args()
    waiting: deque[tuple[list[str], bytes]] = deque()
    run: list[tuple[str, bytes]] = []
    for each in signed_events(given.producer, bytes.fromhex(given.key), given.chain_id, given.first, given.events):
        run.append(each)
        if len(run) == given.lines:
            waiting.append(([name for name, _ in run], b"\n".join(line for _, line in run)))
            run = []
    load = Load(given.url, waiting)
    print("ready", flush=True)
    sys.stdin.readline()

    def watch() -> None:
        sys.stdin.read()
        load.over.set()

    threading.Thread(target=watch, daemon=True).start()
    seconds = load.run(given.connections)
    latencies = sorted(load.latencies_seconds) or [0.0]
    found = {
        "acknowledged": load.acknowledged,
        "seconds": seconds,
        "retries": load.retries,
        "refused": load.refused,
        "p50_seconds": latencies[len(latencies) // 2],
        "p99_seconds": latencies[len(latencies) * 99 // 100],
    }
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
