"""The devnet's producer speaks behind the block that it speaks of, and is patient with an intake that is away."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest
from typing_extensions import override

from deepnode_indexer.devnet import delivery
from deepnode_indexer.devnet.delivery import HttpSink, open_sink
from deepnode_ledger.errors import BadInput

BLOCK = "0x" + "ab" * 32


class Intake(BaseHTTPRequestHandler):
    """An intake by script: it says the tips one after the other, and answers each post with the next status."""

    tips: ClassVar[list[str | None]] = []
    statuses: ClassVar[list[int]] = []
    heard: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        """Say the next tip, the last one again and again."""
        tip = self.tips.pop(0) if len(self.tips) > 1 else self.tips[0]
        self.heard.append(f"tip {tip and tip[:4]}")
        self._answer(200, {"chain_id": 1, "block": tip and {"hash": tip}})

    def do_POST(self) -> None:
        """Take every line, or none."""
        body = self.rfile.read(int(self.headers["content-length"]))
        status = self.statuses.pop(0)
        self.heard.append(f"{status} {body.decode()}")
        accepted = status == 200
        self._answer(status, {"outcomes": [{"accepted": accepted, "message": "no"} for _ in body.splitlines()]})

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _answer(self, status: int, body: object) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(msgspec.json.encode(body))


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where the intake listens."""
    monkeypatch.setattr(delivery, "RETRY_SECONDS", 0.01)
    Intake.heard.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Intake)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/task-events"
    server.shutdown()
    thread.join()
    server.server_close()


def sink_of(url: str) -> HttpSink:
    return HttpSink(url, threading.Event(), lambda _text: None)


def test_statements_wait_for_their_block_and_for_an_intake_that_is_busy(url: str) -> None:
    """The log is empty, then a block behind, then there; the intake is busy twice and takes both lines."""
    Intake.tips, Intake.statuses = [None, "0x11", BLOCK], [503, 429, 200]
    sink_of(url).deliver([b"one", b"two"], BLOCK)
    assert Intake.heard == ["tip None", "tip 0x11", "tip 0xab", "503 one\ntwo", "429 one\ntwo", "200 one\ntwo"]


def test_a_block_without_statements_is_waited_for_too(url: str) -> None:
    """Nothing was said, and still the log must have the block before the next one comes."""
    Intake.tips, Intake.statuses = [None, BLOCK], []
    sink_of(url).deliver([], BLOCK)
    assert Intake.heard == ["tip None", "tip 0xab"]


def test_a_refusal_for_good_is_an_error(url: str) -> None:
    """The producer signs with a registered key, so a refused line means that something is set up wrong."""
    Intake.tips, Intake.statuses = [BLOCK], [400]
    with pytest.raises(BadInput, match="refused b'one': no"):
        sink_of(url).deliver([b"one"], BLOCK)


def test_who_is_told_to_stop_waits_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens: after a moment it is said once what is waited for, and a stop ends it."""
    monkeypatch.setattr(delivery, "TOLD_SECONDS", 0.0)
    stopped, told = threading.Event(), []

    def tell(text: str) -> None:
        told.append(text)
        threading.Timer(0.2, stopped.set).start()

    open_sink("http://127.0.0.1:9/task-events", stopped, tell).deliver([b"one"], BLOCK)
    assert told == ["waiting for the ledger at http://127.0.0.1:9/task-events to come up with the chain"]


def test_a_file_takes_every_line(tmp_path: Path) -> None:
    """Two deliveries, three lines."""
    sink = open_sink(str(tmp_path / "new" / "events.jsonl"), threading.Event(), print)
    sink.deliver([b"one", b"two"], BLOCK)
    sink.deliver([b"three"], BLOCK)
    assert (tmp_path / "new" / "events.jsonl").read_bytes() == b"one\ntwo\nthree\n"
