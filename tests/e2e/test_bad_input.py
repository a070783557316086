"""What `deepnode` says and does when something it was given is wrong: a clear message, the right exit code, no loss."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deepnode_cli.up import EXAMPLE_QUERY
from deepnode_indexer.devnet.anvil import Anvil, free_port
from deepnode_indexer.devnet.task_signing import sign_envelope
from deepnode_ledger.snapshot import snapshot
from tests.e2e.commands import deepnode
from tests.e2e.real_parts import Devnet, Ledger, payload_of


def index(devnet: Devnet, database_url: str, **changed: str) -> subprocess.CompletedProcess[str]:
    """Run the indexer with one setting changed; what is wrong must end it."""
    right = {
        "DEEPNODE_RPC_URL": devnet.node.url,
        "DEEPNODE_DATABASE_URL": database_url,
        "DEEPNODE_MANIFEST": str(devnet.deployment.manifest),
    }
    return deepnode(["index", "--no-intake"], right | changed)


def test_an_unreachable_node_is_named_without_its_secrets(devnet: Devnet, database_url: str) -> None:
    """A node that does not answer ends the start with code 1 and its address, but not the key in its path."""
    port = free_port()
    ended = index(devnet, database_url, DEEPNODE_RPC_URL=f"http://user:word@127.0.0.1:{port}/v2/SECRETKEY")
    assert ended.returncode == 1
    assert f"the node at http://127.0.0.1:{port} cannot be reached" in ended.stderr
    assert "SECRETKEY" not in ended.stderr
    assert "word" not in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_node_of_another_chain_is_refused(devnet: Devnet, database_url: str) -> None:
    """A node with another chain id ends the start with code 1 and both ids."""
    with Anvil.start(chain_id=8453) as other:
        ended = index(devnet, database_url, DEEPNODE_RPC_URL=other.url)
    assert ended.returncode == 1
    assert "serves chain 8453, the manifest is for chain 31337" in ended.stderr


def test_a_node_with_another_genesis_is_refused(devnet: Devnet, database_url: str) -> None:
    """A node of the same chain id and another genesis block ends the start with code 1 and both hashes."""
    with Anvil.start(timestamp=1_600_000_000) as other:
        ended = index(devnet, database_url, DEEPNODE_RPC_URL=other.url)
    assert ended.returncode == 1
    assert "the manifest's genesis_hash is 0x" in ended.stderr


def test_a_database_that_is_down_is_named(devnet: Devnet, database_url: str) -> None:
    """A database that does not answer ends the start with code 1 and says that it is away."""
    port = free_port()
    away = f"postgresql://postgres:secretword@127.0.0.1:{port}/none"
    ended = index(devnet, database_url, DEEPNODE_DATABASE_URL=away)
    assert ended.returncode == 1
    assert f"the database 'none' at 127.0.0.1:{port} is away" in ended.stderr
    assert "secretword" not in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("command", "url"),
    [
        *((each, "postgres//user:secretword@host") for each in ("index", "project", "root", "serve", "up", "health")),
        ("rebuild", "postgresql://user:secretword@host:port/name"),
    ],
)
def test_what_is_no_database_url_is_refused_without_its_secrets(devnet: Devnet, command: str, url: str) -> None:
    """A mistyped database URL ends every command with code 1 and the form that it should have, and is not repeated."""
    settings = {"DEEPNODE_RPC_URL": devnet.node.url, "DEEPNODE_MANIFEST": str(devnet.deployment.manifest)}
    arguments = [command, "projections"] if command == "health" else [command]
    ended = deepnode(arguments, settings | {"DEEPNODE_DATABASE_URL": url})
    assert ended.returncode == 1
    assert "must be like postgresql://user@host:5432/name" in ended.stderr
    assert "secretword" not in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("found", "put", "said"),
    [
        ("format = 1", "format = 1\ncolour = 'red'", "unknown field `colour`"),
        ("id = 31337", "id = 'main'", "Expected `int`, got `str` - at `$.chain.id`"),
        ('kind = "Token"', 'kind = "Tokenn"', "kind must be one of"),
        ("[chain]", "[chain", "is not TOML"),
        ("abi/DNToken.json", "abi/Nothing.json", "Nothing.json cannot be read: No such file"),
    ],
)
def test_a_malformed_manifest_is_refused(
    devnet: Devnet, database_url: str, tmp_path: Path, found: str, put: str, said: str
) -> None:
    """A manifest that breaks a rule ends the start with code 1, the file, the place and the rule."""
    directory = tmp_path / "broken"
    shutil.copytree(devnet.deployment.manifest.parent, directory)
    manifest = directory / "manifest.toml"
    text = manifest.read_text()
    assert found in text
    manifest.write_text(text.replace(found, put, 1))
    ended = index(devnet, database_url, DEEPNODE_MANIFEST=str(manifest))
    assert ended.returncode == 1
    assert said in ended.stderr
    assert str(directory) in ended.stderr.replace("\n", "")


def test_a_database_with_another_chains_log_is_refused(devnet: Devnet, ledger: Ledger, tmp_path: Path) -> None:
    """A log that was begun on another genesis block stays as it is; the start ends with code 1."""
    ledger.take_in(devnet.play(3))
    with Anvil.start(timestamp=1_600_000_000) as other:
        directory = tmp_path / "other"
        shutil.copytree(devnet.deployment.manifest.parent, directory)
        manifest = directory / "manifest.toml"
        genesis = other.rpc("eth_getBlockByNumber", "0x0", False)["hash"]
        right = "0x" + devnet.manifest.genesis_hash.hex()
        assert right in manifest.read_text()
        manifest.write_text(manifest.read_text().replace(right, genesis))
        ended = index(devnet, ledger.url, DEEPNODE_RPC_URL=other.url, DEEPNODE_MANIFEST=str(manifest))
    assert ended.returncode == 1
    assert "use another database or mend the manifest" in ended.stderr


def test_wrong_usage_has_a_code_of_its_own(devnet: Devnet) -> None:
    """A missing setting ends with code 2 and names the option and the environment variable."""
    ended = deepnode(["index", "--no-intake"], {"DEEPNODE_MANIFEST": str(devnet.deployment.manifest)})
    assert ended.returncode == 2
    assert "--rpc" in ended.stderr
    assert "DEEPNODE_RPC_URL" in ended.stderr


def test_forged_task_events_are_refused_and_the_rest_is_kept(devnet: Devnet, ledger: Ledger, tmp_path: Path) -> None:
    """Of a file with a tampered, an unsigned and a contradicting line, the genuine lines alone are in the log."""
    genuine = devnet.play(15)
    ledger.sync()
    assert len(genuine) > 10
    tampered = genuine[3].replace(b"task", b"tusk", 1)
    unsigned = b'{"payload": "{}"}'
    payload = payload_of(genuine[0])
    contradicting = sign_envelope(payload.replace(b'"datacontenttype"', b' "datacontenttype"', 1))
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"\n".join([*genuine, tampered, unsigned, contradicting, b""]))
    environment = os.environ | {"DEEPNODE_DATABASE_URL": ledger.url}
    arguments = ["--rpc", devnet.node.url, "--manifest", str(devnet.deployment.manifest), "--task-events", str(file)]
    process = subprocess.Popen(
        [sys.executable, "-m", "deepnode_cli.main", "index", "--no-intake", *arguments],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    said = ""
    with process:
        assert process.stderr is not None
        for line in process.stderr:
            said += line
            if f"line {len(genuine) + 3} was refused" in line:
                break
        process.terminate()
    assert process.returncode == 0
    assert f"line {len(genuine) + 1} was refused" in said
    assert "another key, or the payload was changed" in said
    assert f"line {len(genuine) + 2} was refused" in said
    assert "is in the log with other bytes" in said
    with snapshot(ledger.log.datastore) as view:
        tasks = view.connection.execute("SELECT count(*) AS n FROM log.task_key").fetchone()
    assert tasks == {"n": len(genuine)}


def test_the_readme_shows_the_query_that_the_demo_prints() -> None:
    """The query that a newcomer is shown is the same in the README and in the program."""
    readme = Path(__file__).parents[2] / "README.md"
    assert EXAMPLE_QUERY in readme.read_text(encoding="utf-8")
