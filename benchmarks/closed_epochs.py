"""Closed epochs: how many rows a second get to a client from the files of the dataset, and what making these takes.

The books of ``bench_export`` get two epochs, so that the first is closed. ``deepnode dataset`` makes its files and
``deepnode serve`` serves them, each as a process of its own; the client, in this one, takes the
postings' file over HTTP.
"""

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from benchmarks.result import Result, medians, result

from deepnode_projections.tables import SCHEMA

GOAL: Final = "≥ 50 ×"
PATH: Final = "/dataset/postings/in_epoch=1/part-0.parquet"
START_SECONDS_MAX: Final = 60
READ_BYTES: Final = 2**20
BATCH_ROWS: Final = 65_536

_OPENED: Final = """
    INSERT INTO epoch (epoch, position, start_block, opened_time, opened_position)
    SELECT n, at, 1, 1700000000, at FROM (VALUES (1, 1), (2, (SELECT max(position) FROM posting))) AS opened (n, at)"""


def rates(url: str, manifest: Path, rows: int, runs: int, peer: Callable[[], float]) -> list[Result]:
    """Measure a closed epoch of books that are filled, beside the peer's rows a second."""
    directory = manifest.parent / "dataset"
    open_epochs(url)
    run_to_the_end(dataset_command(url, manifest, directory))
    with served(url, manifest, directory) as port:
        assert _rows_read(_taken(port)) == rows - 2, "all but the entry that opened the second epoch"

        def sent() -> float:
            began = time.perf_counter()
            _taken(port)
            return rows / (time.perf_counter() - began)

        def read() -> float:
            began = time.perf_counter()
            _rows_read(_taken(port))
            return rows / (time.perf_counter() - began)

        found = medians({"sent": sent, "read": read, "peer": peer}, runs)
    name = "psycopg rows → pyarrow"
    return [
        result(case, "rows/s", found[measure], name, found["peer"], bound=None, goal=GOAL, runs=runs)
        for case, measure in (
            ("postings of a closed epoch, its file over HTTP", "sent"),
            ("postings of a closed epoch, its file over HTTP and read into Arrow", "read"),
        )
    ]


def open_epochs(url: str) -> None:
    """Open an epoch at the first position of the books and the next at the last: the first is closed."""
    with psycopg.connect(url, autocommit=True, options=f"-c search_path={SCHEMA}") as connection:
        connection.execute(_OPENED)


def dataset_command(url: str, manifest: Path, directory: Path) -> list[str]:
    """Return the command that makes the dataset."""
    return [*_DEEPNODE, "dataset", str(directory), "--database", url, "--manifest", str(manifest)]


def run_to_the_end(command: list[str]) -> None:
    """Run a command that must succeed."""
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@contextmanager
def served(url: str, manifest: Path, directory: Path) -> Iterator[int]:
    """Run ``deepnode serve`` for a while; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [*_DEEPNODE, "serve", "--port", str(port), "--database", url, "--manifest", str(manifest)]
    settings = {
        "DEEPNODE_DATASET_DIRECTORY": str(directory), "DEEPNODE_API_REQUEST_RATE": "0", "DEEPNODE_API_VALUE_RATE": "0",
    }  # fmt: skip
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, env=dict(os.environ) | settings, stdout=quiet, stderr=quiet) as process:
        try:
            _wait(port)
            yield port
        finally:
            process.terminate()


_DEEPNODE: Final = (sys.executable, "-m", "deepnode_cli.main")


def _wait(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while True:
        try:
            _taken(port, "/health")
        except OSError:
            assert time.monotonic() < deadline, "deepnode serve does not answer"
            time.sleep(0.1)
        else:
            return


def _taken(port: int, path: str = PATH) -> list[bytes]:
    """Take a file over HTTP."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        assert response.status == 200, (response.status, path)
        return list(iter(lambda: response.read(READ_BYTES), b""))
    finally:
        connection.close()


def _rows_read(pieces: list[bytes]) -> int:
    """Read a file into Arrow, by batches as the peer makes them; returns how many rows there were."""
    file = pq.ParquetFile(pa.BufferReader(b"".join(pieces)))
    return sum(batch.num_rows for batch in file.iter_batches(BATCH_ROWS))
