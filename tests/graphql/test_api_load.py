"""The API under load: a second process asks without a pause, blocks arrive, and a subscriber has stopped reading."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from tests.graphql.api_process import running_api
from tests.graphql.small_books import Scribe
from tests.graphql.test_api_walks import written

SCRIPT = Path(__file__).with_name("wrk_load.lua")
CONNECTIONS = 16
BLOCK_SECONDS = 0.5
WARM_PART = 0.3
"""Memory is compared with what it was when this part of the time was over: caches fill first."""

GROWTH_MAX_KIB = 48 * 1024
"""What the memory may grow by afterwards; a leak of 1 KiB a request is ten times that in ten minutes."""


@pytest.fixture
def wrk() -> str:
    """The command of wrk. Skips where there is none; never in CI, where the API would have borne no load."""
    found = shutil.which("wrk")
    if found is None:
        missing = "wrk is not installed"
        assert "CI" not in os.environ, missing
        pytest.skip(missing)
    return found


@pytest.mark.parametrize("seconds", [5, pytest.param(600, marks=pytest.mark.soak)])
def test_load_meets_no_error_and_memory_stays(wrk: str, own_books: Scribe, tmp_path: Path, seconds: int) -> None:
    """Runs wrk with 16 connections beside a process that serves; prints rate and latencies; looks at its memory.

    Meanwhile a block comes every half second, and somebody who asked for live entries never reads them.
    """
    written(own_books, Random(1), 200)
    folder = tmp_path / "api"
    folder.mkdir()
    rates = {"DEEPNODE_API_REQUEST_RATE": "0", "DEEPNODE_API_VALUE_RATE": "0"}
    with running_api(own_books.url, folder, **rates) as (process, url), arriving_blocks(own_books), deaf(url):
        command = [wrk, "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(SCRIPT), url]
        load = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        sizes = [resident_kib(process.pid)]
        while load.poll() is None:
            time.sleep(seconds / 20)
            sizes.append(resident_kib(process.pid))
        said, _ = load.communicate()
        assert process.poll() is None
    [line] = [each for each in said.splitlines() if each.startswith("{")]
    told = json.loads(line)
    warm = sizes[round(len(sizes) * WARM_PART) :]
    sys.stdout.write(f"{said}\nresident KiB: {sizes}\n")
    assert (told["wrong"], told["lost"]) == (0, 0), said
    assert told["requests"] > 20 * seconds
    assert max(warm) - warm[0] < GROWTH_MAX_KIB, sizes


@contextmanager
def arriving_blocks(books: Scribe) -> Iterator[None]:
    """Write a block every half second from another thread, until the end."""
    over = threading.Event()

    def write() -> None:
        rng = Random(2)
        while not over.wait(BLOCK_SECONDS):
            written(books, rng, 1)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        over.set()
        writer.join()


@contextmanager
def deaf(url: str) -> Iterator[None]:
    """Ask for live entries and never read what comes."""
    port = int(url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        listener.sendall(b"GET /live/entries HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
        yield


def resident_kib(pid: int) -> int:
    """What a process has in memory."""
    [line] = [each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if each.startswith("VmRSS")]
    return int(line.split()[1])
