"""`deepnode log publish` and `log proof` as their users run them, and the Go program of docs/proofs.md judges."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deepnode_ledger.transparency import WitnessSigner
from tests.e2e.commands import deepnode, plain
from tests.ledger.histories import opened
from tests.ledger.publishing.sealed_history import SIGNER, checkpoints, head, seal
from tests.ledger.publishing.witness_server import running
from tests.ledger.transparency.go_judge import compile_go

PAGE = Path(__file__).parents[2] / "docs/proofs.md"


def settings_for(url: str, folder: Path) -> dict[str, str]:
    key = folder / "log.key"
    key.write_text(SIGNER.secret_text())
    return {
        "DEEPNODE_DATABASE_URL": url,
        "DEEPNODE_LOG_DIRECTORY": str(folder / "published"),
        "DEEPNODE_LOG_KEY": str(key),
    }


def fill(url: str, *counts: int) -> None:
    with opened(url) as log:
        seal(log, *counts)


def signed(url: str) -> list[int]:
    with opened(url) as log:
        return checkpoints(log)


def test_the_go_program_of_the_docs_checks_a_proof(database_url: str, tmp_path: Path) -> None:
    """Publishes 700 entries, proves some, and compiles and runs the program that docs/proofs.md shows."""
    fill(database_url, 700)
    settings = settings_for(database_url, tmp_path)
    vkey = deepnode(["keys", "show", settings["DEEPNODE_LOG_KEY"]], {}).stdout.strip()
    done = deepnode(["log", "publish", "--once", "--json"], settings)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["event"], said["size"], said["entries"], said["behind"]) == ("published", 700, 700, 0)
    assert SIGNER.secret_text().rpartition("+")[2][2:] not in done.stdout + done.stderr
    program = re.search(r"```go\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert program is not None
    (tmp_path / "check").mkdir()
    (tmp_path / "check/check.go").write_text(program[1])
    compile_go(tmp_path / "check/check.go", tmp_path / "check/check")
    proof, entry = tmp_path / "it.tlog-proof", tmp_path / "it.entry"
    for position in (1, 256, 700):
        arguments = ["log", "proof", str(position), "--output", str(proof), "--entry", str(entry)]
        # No database is named: the files are enough.
        made = deepnode(arguments, {"DEEPNODE_LOG_DIRECTORY": settings["DEEPNODE_LOG_DIRECTORY"]})
        assert made.returncode == 0, made.stderr
        checked = check(tmp_path, vkey, proof, entry)
        assert (checked.returncode, checked.stdout) == (0, f"entry {position - 1} is in the log of 700 entries\n")
    entry.write_bytes(entry.read_bytes() + b"x")
    assert check(tmp_path, vkey, proof, entry).returncode == 1
    shown = deepnode(["log", "proof", "700", "--log-directory", settings["DEEPNODE_LOG_DIRECTORY"]], {})
    assert shown.stdout == proof.read_text()


def check(folder: Path, vkey: str, proof: Path, entry: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([folder / "check/check", vkey, proof, entry], capture_output=True, text=True, check=False)


def test_a_follower_goes_on_until_it_is_told_to_stop(database_url: str, tmp_path: Path) -> None:
    """Runs the command as a service with a witness, seals twice, reads its lines, and stops it as a supervisor does."""
    settings = settings_for(database_url, tmp_path)
    fill(database_url, 10)
    with running("witness.example/w", SIGNER.verifier) as witness:
        settings["DEEPNODE_WITNESSES"] = f" {witness.service} , "
        settings["DEEPNODE_WITNESS_QUORUM"] = "1"
        argv = [sys.executable, "-m", "deepnode_cli.main", "log", "publish", "--json"]
        with subprocess.Popen(argv, env=plain() | settings, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for size in (10, 300):
                if size > 10:
                    fill(database_url, size - 10)
                said = json.loads(process.stdout.readline())
                assert (said["size"], said["public"], said["cosigned"]) == (size, True, [witness.signer.name])
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
    assert head(tmp_path / "published").size == 300
    assert signed(database_url) == [10, 300]


def test_a_quorum_that_is_not_reached_ends_in_a_failure(database_url: str, tmp_path: Path) -> None:
    """Names a witness where nobody listens and wants it to cosign: the checkpoint is signed, and not shown."""
    fill(database_url, 10)
    nobody = f"{WitnessSigner.generate('nobody.example').verifier} http://127.0.0.1:9/"
    arguments = ["log", "publish", "--once", "--witness", nobody, "--witness-quorum", "1"]
    done = deepnode(arguments, settings_for(database_url, tmp_path))
    assert done.returncode == 1
    assert "witness nobody.example: http://127.0.0.1:9 is away" in done.stderr
    assert "size 10 is signed and not shown yet" in done.stderr
    assert signed(database_url) == [10]
    assert not (tmp_path / "published/checkpoint").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["log", "publish", "--once", "--witness", "w http://x"], "a verifier key is name+id+base64"),
        (["log", "publish", "--once", "--witness-quorum", "1"], "of 0 witnesses, 1 cannot have cosigned"),
        (["log", "publish", "--once", "--log-key", "nowhere.key"], "the key file nowhere.key cannot be read"),
        (["log", "publish", "--once", "--log-directory", "/dev/null"], "/dev/null"),
        (["log", "proof", "1"], "nothing is published there"),
    ],
)
def test_what_is_wrong_is_said_in_one_message(
    database_url: str, tmp_path: Path, arguments: list[str], message: str
) -> None:
    """Gives each command a setting that cannot be right."""
    done = deepnode(arguments, settings_for(database_url, tmp_path))
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_changed_file_is_mended_by_hand_and_refill(database_url: str, tmp_path: Path) -> None:
    """Follows the advice of the message: moves the file away, and refills."""
    fill(database_url, 300)
    settings = settings_for(database_url, tmp_path)
    assert deepnode(["log", "publish", "--once"], settings).returncode == 0
    file = tmp_path / "published/tile/entries/001.p/44"
    right = file.read_bytes()
    file.write_bytes(right[:-1] + b"\x00")
    fill(database_url, 1)
    refused = deepnode(["log", "publish", "--once"], settings)
    assert refused.returncode == 1
    assert str(file) in refused.stderr
    assert "deepnode log publish --refill" in refused.stderr
    file.rename(tmp_path / "evidence")
    assert deepnode(["log", "publish", "--once", "--refill"], settings).returncode == 0
    assert file.read_bytes() == right
    assert head(tmp_path / "published").size == 301
