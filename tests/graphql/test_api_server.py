"""The API as a process: it listens where it is told, says what is wrong, and stops when told."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from deepnode_graphql.server import serve
from deepnode_ledger.errors import BadInput
from tests.graphql.small_books import Scribe, write_manifest

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def uvicorn(port: int, **settings: str) -> subprocess.Popen[str]:
    """The API under uvicorn, as somebody with a server of his own runs it."""
    command = [sys.executable, "-m", "uvicorn", "deepnode_cli.asgi:app", "--host", "127.0.0.1", "--port", str(port)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("DEEPNODE_")} | settings
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_the_api_runs_under_uvicorn_from_the_root(small_books: Scribe, tmp_path: Path) -> None:
    """Starts uvicorn with the two settings, asks over a real socket, and stops it with SIGTERM."""
    write_manifest(tmp_path)
    port = free_port()
    process = uvicorn(port, DEEPNODE_DATABASE_URL=small_books.url, DEEPNODE_MANIFEST=str(tmp_path / "manifest.toml"))
    try:
        body = b""
        for _ in range(200):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5) as answer:
                    body = answer.read()
                break
            except (urllib.error.URLError, ConnectionError):
                assert process.poll() is None, process.communicate()[0]
                time.sleep(0.1)
        assert b'"ready":true' in body
    finally:
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=20)
    assert "Application shutdown complete" in said


def test_uvicorn_says_which_setting_is_missing() -> None:
    """Starts uvicorn without settings: it ends with the message, and does not serve without them."""
    process = uvicorn(free_port())
    said, _ = process.communicate(timeout=20)
    assert process.returncode != 0
    assert "DEEPNODE_DATABASE_URL must be set" in said


def test_a_port_that_is_taken_is_named(small_books: Scribe) -> None:
    """Listens on a port first; serving there is refused with the address in the message."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BadInput, match=rf"cannot listen on 127\.0\.0\.1 port {port}: "):
            serve(small_books.url, small_books.manifest, port=port)
