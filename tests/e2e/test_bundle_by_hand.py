"""A bundle of a real devnet, checked by hand: the programs of its README, run as it says, with tools of others."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow.ipc
import pytest
from eth_utils.crypto import keccak
from typer.testing import CliRunner

from deepnode_ledger import leaf
from deepnode_ledger.bundle import layout, open_bundle
from deepnode_ledger.errors import BadInput, TryAgain
from deepnode_ledger.transparency import TileHashes, inclusion_proof, leaf_hash, open_checkpoint
from deepnode_projections.replay import Replay
from tests.command_line import app
from tests.conftest import fresh_database
from tests.e2e.devnet_bundle import DevnetBundle, devnet_bundle
from tests.ledger.bundle.bundles import content
from tests.ledger.publishing.sealed_history import SIGNER, VKEY
from tests.ledger.transparency.go_judge import GoJudge, compile_go, running_judge


@pytest.fixture(scope="module")
def made(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevnetBundle]:
    """A bundle with evidence of a small economy, which goes on to be there."""
    with fresh_database(postgres_url) as url, devnet_bundle(url, tmp_path_factory.mktemp("devnet"), blocks=60) as each:
        yield each


@pytest.fixture(scope="module")
def shorter(made: DevnetBundle) -> Path:
    """A bundle of the same log that ends with epoch 1, so that it needs a consistency proof; also as a tar."""
    made.create(made.folder / "shorter", "--to", "epoch:1", "--tar")
    return made.folder / "shorter"


def programs(bundle: Path, language: str) -> list[str]:
    """The programs of a language in the bundle's README."""
    return re.findall(rf"```{language}\n(.*?)```", (bundle / layout.README).read_text(), re.DOTALL)


def run(command: list[str | Path], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program in a folder."""
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def test_the_programs_of_the_readme_check_the_bundle(shorter: Path, tmp_path: Path) -> None:
    """sha256sum, a Python program without us, Go's packages, DuckDB: all pass, and find a byte that was changed."""
    bundle = tmp_path / "bundle"
    shutil.copytree(shorter, bundle)
    [go], [python] = programs(bundle, "go"), programs(bundle, "python")
    (tmp_path / "check").mkdir()
    (tmp_path / "check" / "check.go").write_text(go)
    compile_go(tmp_path / "check" / "check.go", tmp_path / "check" / "check")
    (tmp_path / "leaves.py").write_text(python)
    listed, duckdb, *_ = programs(bundle, "sh")
    entries = json.loads((bundle / "bundle.json").read_text())["entries"]
    position = entries - 3

    assert run(["sh", "-c", listed], bundle).returncode == 0
    leaves: list[str | Path] = [sys.executable, tmp_path / "leaves.py", ".", str(position), tmp_path / "entry"]
    done = run(leaves, bundle)
    assert (done.returncode, done.stdout) == (0, f"{entries} entries are the leaves of the tree\n"), done.stderr
    with open_bundle(bundle) as ours:
        [batch] = ours.batches(position, position)
        assert (tmp_path / "entry").read_bytes() == leaf.entries(batch)[0]
    check: list[str | Path] = [tmp_path / "check" / "check", VKEY, "."]
    done = run([*check, str(position), tmp_path / "entry"], bundle)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith(f"the tree of {entries} entries is the beginning of the signed one of ")
    assert second == f"the entry at position {position} is in it"
    assert run([*check, str(position - 1), tmp_path / "entry"], bundle).returncode == 1
    table = run(["sh", "-c", duckdb.replace("python3", sys.executable)], bundle)
    assert table.returncode == 0, table.stderr
    assert str(entries) in table.stdout

    for name, judges in (
        ("tile/0/001", ("leaves", "go", "listed")),
        ("checkpoint", ("go", "listed")),
        ("consistency.json", ("go", "listed")),
        (layout.log_path(0), ("listed",)),
    ):
        good = (bundle / name).read_bytes()
        place = len(good) // 2
        (bundle / name).write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        found = {
            "listed": run(["sh", "-c", listed], bundle),
            "leaves": run(leaves[:3], bundle),
            "go": run(check, bundle),
        }
        for judge in judges:
            assert found[judge].returncode != 0, (name, judge)
        (bundle / name).write_bytes(good)


def test_go_verifies_checkpoint_inclusion_and_consistency(shorter: Path, go_judge: GoJudge) -> None:
    """Asks Go's note and tlog: the note, the proof from the bundle's tree to the signed one, proofs of entries."""
    with open_bundle(shorter) as bundle:
        note = bundle.checkpoint().decode()
        go_judge.open_note(note, bundle.checkpoint_key())
        head = open_checkpoint(note, SIGNER.verifier).head
        proof, root = bundle.consistency(), bytes.fromhex(bundle.contents.root[2:])
        assert (proof.first, proof.last) == (bundle.contents.entries, head.size)
        go_judge.check_consistency(proof.hashes, head.size, head.root, proof.first, root)
        hashes = TileHashes(proof.first, bundle.read_tile)
        for position in (1, 256, 257, proof.first):
            [batch] = bundle.batches(position, position)
            path = inclusion_proof(position - 1, proof.first, hashes)
            go_judge.check_inclusion(path, proof.first, root, position - 1, leaf_hash(leaf.entries(batch)[0]))


@pytest.fixture(scope="module")
def go_judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoJudge]:
    """Go's note and tlog; compiled once in a test run."""
    with running_judge(tmp_path_factory.getbasetemp() / "go-judge") as judge:
        yield judge


def test_headers_lead_to_the_last_block(made: DevnetBundle) -> None:
    """Hashes each header with keccak, and follows the parents to the hash that bundle.json and the node name."""
    with open_bundle(made.path) as bundle:
        [chain] = bundle.contents.chains
    headers = pyarrow.ipc.open_file(made.path / "evidence/headers-000000.arrow").read_all().to_pylist()
    assert [each["number"] for each in headers] == list(range(chain.first_block, (chain.last_block or 0) + 1))
    for before, each in zip([None, *headers], headers, strict=False):
        assert keccak(each["rlp"]) == each["hash"]
        # Behind the list's and the field's own prefix.
        assert before is None or each["rlp"][4:36] == before["hash"]
    assert f"0x{headers[-1]['hash'].hex()}" == chain.last_hash


def test_the_state_roots_are_those_of_a_replay(made: DevnetBundle) -> None:
    """Replays the entries from the files alone: every epoch's end has the root that the bundle names."""
    with open_bundle(made.path) as bundle:
        replay = Replay(bundle.manifest())
        ends = [end for batch in bundle.batches() for end in replay.feed(batch).ended]
        assert [(each.epoch, each.position, f"0x{each.root.hex()}") for each in ends if each.position] == [
            (each.epoch, each.position, each.root) for each in bundle.contents.epochs
        ]
        assert len(bundle.contents.epochs) >= 2


def test_a_bundle_to_an_epochs_end_has_its_root(made: DevnetBundle, shorter: Path) -> None:
    """Compares with the longer bundle; a bundle of the longer one's directory that goes back is the same one."""
    with open_bundle(made.path) as long, open_bundle(shorter) as short:
        assert short.contents.epochs == long.contents.epochs[: len(short.contents.epochs)]
        assert (short.contents.epochs[-1].epoch, short.contents.epochs[-1].position) == (1, short.contents.entries)
        assert list(short.contents.files) != list(long.contents.files)
        assert {name for name in short.names() if name.startswith("rulesets/")} <= set(long.names())
    made.create(made.folder / "again")
    made.create(made.folder / "again", "--to", "epoch:1")
    assert content(made.folder / "again") == content(shorter)
    made.create(made.folder / "again", "--rpc", made.devnet.node.url)
    assert content(made.folder / "again") == content(made.path)


def test_the_tar_holds_the_directory(shorter: Path, tmp_path: Path) -> None:
    """Python's tarfile unpacks the same files; ours reads it in place; a second run writes the same bytes."""
    path = shorter.with_name("shorter.tar")
    with tarfile.open(path) as packed:
        packed.extractall(tmp_path / "unpacked", filter="data")
    assert content(tmp_path / "unpacked") == content(shorter)
    with open_bundle(path) as bundle, open_bundle(shorter) as folder:
        assert bundle.contents == folder.contents
        assert list(bundle.batches()) == list(folder.batches())


def test_points_that_are_none_are_refused(made: DevnetBundle, tmp_path: Path) -> None:
    """An epoch that is not over, a block that is not sealed, a position behind the end, no key, two answers."""
    settings = ["--database", made.ledger.url, "--manifest", str(made.devnet.deployment.manifest)]

    def refused(*more: str) -> str:
        done = CliRunner().invoke(app, ["bundle", "create", str(tmp_path / "never"), *settings, *more])
        assert done.exit_code != 0
        return str(done.exception) + done.output if isinstance(done.exception, BadInput | TryAgain) else done.output

    key = ("--verifier", VKEY)
    assert "epoch 99 is not over by the books" in refused(*key, "--to", "epoch:99")
    assert "is not sealed" in refused(*key, "--to", "block:100000")
    assert "sealed positions 1 to" in refused(*key, "--to", "position:0")
    assert "epoch:N, block:N or position:N" in refused(*key, "--to", "yesterday")
    assert "--unsigned that none does" in " ".join(refused().replace("│", " ").split())
    assert "contradict each other" in refused(*key, "--unsigned")
    assert not (tmp_path / "never").exists() or not content(tmp_path / "never")


def test_the_consistency_proof_is_base64_of_hashes(shorter: Path) -> None:
    """Reads consistency.json with json and base64 alone."""
    proof = json.loads((shorter / layout.CONSISTENCY).read_text())
    assert set(proof) == {"from", "hashes", "to"}
    assert {len(base64.b64decode(each)) for each in proof["hashes"]} == {hashlib.sha256().digest_size}
