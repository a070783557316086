"""The stranger's path: the commands of the README's "Verify it yourself", as they stand there, up to the verdict."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import fresh_database
from tests.e2e.commands import deepnode, plain, service, wait_for_status
from tests.e2e.devnet_bundle import DevnetBundle, devnet_bundle
from tests.graphql.api_process import free_port
from tests.ledger.bundle.bundles import content
from tests.ledger.publishing.sealed_history import SIGNER

README = Path(__file__).parents[2] / "README.md"
PORT = "8000"
"""What the README says; a test takes a free one."""


@pytest.fixture(scope="module")
def made(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevnetBundle]:
    """A ledger of a small economy, signed."""
    folder = tmp_path_factory.mktemp("devnet")
    with fresh_database(postgres_url) as url, devnet_bundle(url, folder, blocks=60, evidence=False) as each:
        yield each


def test_the_commands_of_the_readme_lead_to_a_verdict(made: DevnetBundle, tmp_path: Path) -> None:
    """Creates, serves, fetches and verifies by the README's own lines; then changes a byte, and so the verdict."""
    commands = [
        line
        for block in re.findall(r"```sh\n(.*?)```", section("Verify it yourself"), re.DOTALL)
        for line in block.splitlines()
    ]
    assert [line.split()[:2] for line in commands] == [
        ["deepnode", "bundle"], ["deepnode", "serve"], ["deepnode", "bundle"], ["deepnode", "verify"],
    ]  # fmt: skip
    create, serve, fetch, verify = commands
    (tmp_path / "log.key").write_text(SIGNER.secret_text())
    vkey = deepnode(["keys", "show", str(tmp_path / "log.key")], {}).stdout.strip()
    port = free_port()
    operator = {
        "DEEPNODE_DATABASE_URL": made.ledger.url,
        "DEEPNODE_MANIFEST": str(made.devnet.deployment.manifest),
        "RPC": made.devnet.node.url,
        "VKEY": vkey,
    }
    # The stranger has the verifier key and nothing else of the operator's.
    stranger = {"VKEY": vkey, "XDG_CACHE_HOME": str(tmp_path / "cache")}

    told(create, operator, tmp_path)
    arguments = [*serve.split()[1:-1], str(tmp_path / "history")]
    with service(arguments, operator | {"DEEPNODE_PORT": str(port)}, tmp_path / "serve.log"):
        wait_for_status(f"http://127.0.0.1:{port}/bundle/bundle.json", 200)
        told(fetch.replace(f":{PORT}/", f":{port}/"), stranger, tmp_path)
    assert content(tmp_path / "copy") == content(tmp_path / "history")
    verdict = told(verify, stranger, tmp_path)
    entries = json.loads((tmp_path / "copy" / "bundle.json").read_text())["entries"]
    assert str(entries) in verdict
    assert "<html" in (tmp_path / "verdict.html").read_text()

    log = tmp_path / "copy" / "log/000/000/000.arrow"
    data = log.read_bytes()
    log.write_bytes(data[:5_000] + bytes([data[5_000] ^ 1]) + data[5_001:])
    assert "log/000/000/000.arrow" in told(verify, stranger, tmp_path, code=3)


def section(title: str) -> str:
    """The text of a section of the README."""
    found = re.search(rf"^## {title}\n(.*?)^## ", README.read_text(), re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


def told(command: str, settings: dict[str, str], folder: Path, *, code: int = 0) -> str:
    """Run a line as a shell does, with ``deepnode`` as it is installed; return what it said."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-c", command], env=plain() | {"PATH": path} | settings, cwd=folder, capture_output=True, text=True,
        check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == code, (command, done.stdout, done.stderr)
    return done.stdout
