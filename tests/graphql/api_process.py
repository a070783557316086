"""The API as its users run it: a process of uvicorn's that listens on a port of this machine."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.graphql.small_books import write_manifest

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS_MAX = 30


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def api_process(database_url: str, folder: Path, **settings: str) -> Iterator[str]:
    """Run the API as ``running_api`` does; gives its URL alone."""
    with running_api(database_url, folder, **settings) as (_, url):
        yield url


@contextmanager
def running_api(database_url: str, folder: Path, **settings: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run the API over small books with these DEEPNODE_ settings; gives the process and its URL once it is ready.

    ``folder`` is an empty one, where the manifest is written to.
    """
    write_manifest(folder)
    port = free_port()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("DEEPNODE_")} | settings
    environment |= {"DEEPNODE_DATABASE_URL": database_url, "DEEPNODE_MANIFEST": str(folder / "manifest.toml")}
    command = [sys.executable, "-m", "uvicorn", "deepnode_cli.asgi:app", "--host", "127.0.0.1", "--port", str(port)]
    said = folder / "server.log"
    # Into a file: a server whose words nobody reads from a pipe stands still when the pipe is full.
    with said.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(process, url, said)
        yield process, url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)


def _wait(process: subprocess.Popen[bytes], url: str, said: Path) -> None:
    end = time.monotonic() + START_SECONDS_MAX
    while True:
        try:
            with urllib.request.urlopen(f"{url}/ready", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            assert process.poll() is None, said.read_text()
            assert time.monotonic() < end
            time.sleep(0.1)
