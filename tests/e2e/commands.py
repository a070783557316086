"""`deepnode` as its users run it: to its end, or as a service that is stopped behind the test."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import urllib3

READY_SECONDS = 60


def deepnode(arguments: list[str], settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    command = [sys.executable, "-m", "deepnode_cli.main", *arguments]
    return subprocess.run(command, env=plain() | settings, capture_output=True, text=True, timeout=60, check=False)


@contextmanager
def service(command: list[str], settings: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command until the block ends, then stop it as a supervisor does; it must end well."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "deepnode_cli.main", *command], env=plain() | settings, stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, log.read_text()[-3000:]


def plain() -> dict[str, str]:
    """This environment without the ledger's settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith("DEEPNODE_")}


def wait_for_status(url: str, status: int) -> None:
    """Wait until a URL answers with a status."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            if urllib3.request("GET", url, timeout=15, retries=False).status == status:
                return
        except urllib3.exceptions.HTTPError:
            pass
        assert time.monotonic() < deadline, f"{url} does not answer {status}"
        time.sleep(0.1)


def wait_for_block(api: str, block: int) -> None:
    """Wait until the API has the books of a block."""
    deadline = time.monotonic() + READY_SECONDS
    query = {"query": "{ _meta { block { number } } postings(first: 1) { edges { node { amount } } } }"}
    while True:
        try:
            data = urllib3.request("POST", f"{api}/graphql", json=query, timeout=5, retries=False).json().get("data")
            found = data and data["_meta"]["block"]
            if found and found["number"] >= block:
                assert data["postings"]["edges"], "books of a lively chain hold something"
                return
        except urllib3.exceptions.HTTPError:
            pass
        assert time.monotonic() < deadline, f"block {block} did not come"
        time.sleep(0.1)
