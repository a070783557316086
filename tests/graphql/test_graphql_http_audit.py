"""The audits of GraphQL over HTTP, as the reference implementation of that specification has them."""

import hashlib
import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

from deepnode_indexer.devnet.toolchain import cache_dir, node_command, npm_command
from tests.graphql.api_process import api_process
from tests.graphql.small_books import Scribe

FOLDER = Path(__file__).with_name("graphql_http_audit")
AUDITS = 61


@pytest.fixture
def audits(small_books: Scribe, tmp_path: Path) -> Any:
    """What each audit says of the API under uvicorn: ``id``, ``name``, ``status`` (ok, notice, warn, error)."""
    with api_process(small_books.url, tmp_path) as url:
        command = [*node_command(), str(FOLDER / "audit.cjs"), str(installed_judge()), f"{url}/graphql"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout)


def test_every_audit_of_graphql_over_http_is_passed(audits: list[dict[str, Any]]) -> None:
    """Has the npm package graphql-http audit the running server: what it must, should and may do, all 61."""
    assert [each for each in audits if each["status"] != "ok"] == []
    assert len(audits) == AUDITS


def installed_judge() -> Path:
    """The folder that holds the package, installed once from exact versions and hashes; no script of it is run."""
    lock = (FOLDER / "package-lock.json").read_bytes()
    home = cache_dir() / f"graphql-http-judge-{hashlib.sha256(lock).hexdigest()[:16]}"
    if home.is_dir():
        return home
    home.parent.mkdir(parents=True, exist_ok=True)
    # Several processes may run tests: each installs for itself, and the first to be done has made the folder.
    with tempfile.TemporaryDirectory(prefix=f".{home.name}-", dir=home.parent) as scratch:
        staging = Path(scratch) / home.name
        staging.mkdir()
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copyfile(FOLDER / name, staging / name)
        subprocess.run([*npm_command(), "ci", "--ignore-scripts"], cwd=staging, check=True, capture_output=True)
        try:
            staging.rename(home)
        except OSError:
            assert home.is_dir()
    return home
