"""``deepnode verify`` as an auditor runs it: exit codes, reports, several processes, no network, and going on."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deepnode_cli.verifying.driving import verify
from deepnode_cli.verifying.finding import Brought, Outcome, StageOutcome
from deepnode_cli.verifying.kept import Kept
from deepnode_cli.verifying.stages import stages
from deepnode_ledger.bundle import tar
from deepnode_ledger.errors import BadInput
from tests.cli.verifying.forger import LOG, Forger, flipped
from tests.command_line import app
from tests.e2e.devnet_bundle import DevnetBundle


def run(*arguments: str, code: int = 0) -> str:
    """Run the command in this process, and return its stdout."""
    done = CliRunner().invoke(app, ["verify", *arguments])
    assert done.exit_code == code, (done.exit_code, done.exception, done.output[-2000:])
    return done.stdout


def trust(made: DevnetBundle) -> list[str]:
    """What an auditor brings."""
    last = json.loads((made.path / "bundle.json").read_bytes())["chains"][0]
    block = f"{last['chain_id']}={last['last_hash']}"
    return ["--verifier", made.key, "--manifest", str(made.devnet.deployment.manifest), "--block", block]


def _pieces(path: Path) -> list[bytes]:
    return [path.read_bytes()]


def without_seconds(outcome: Outcome) -> list[tuple[object, ...]]:
    """An outcome's stages and findings, but for what differs from run to run."""
    rows: list[tuple[object, ...]] = [(each.name, each.counted, each.findings) for each in outcome.stages]
    return [*rows, *((each.where, each.said, each.positions) for each in outcome.findings)]


def test_an_honest_bundle_exits_with_0_and_its_report_is_written(made: DevnetBundle, tmp_path: Path) -> None:
    """All stages through the command; the reports in all three forms and on stdout say the same of it."""
    names = [tmp_path / f"report{ending}" for ending in (".txt", ".json", ".html")]
    arguments = [part for name in names for part in ("--report", str(name))]
    kept = tmp_path / "kept.jsonl"
    said = run(str(made.path), *trust(made), "--json", "--resume", str(kept), *arguments)
    assert json.loads(said)["counts"]["ERROR"] == 0
    assert names[1].read_text() == said
    assert all(name.stat().st_size > 500 for name in names)
    assert not kept.exists(), "what is done is not kept behind the end"


def test_what_the_auditor_brings_is_what_counts(made: DevnetBundle, tmp_path: Path) -> None:
    """With a block's hash, a manifest and a key of somebody else's the honest bundle has errors; exit code 3."""
    other = tmp_path / "manifest"
    shutil.copytree(made.devnet.deployment.manifest.parent, other)
    text = (other / "manifest.toml").read_text().replace("decimals = 6", "decimals = 7")
    (other / "manifest.toml").write_text(text)
    said = run(
        str(made.path), "--verifier", "log.example/deepnode+feb768ce+AQ" + "A" * 43, "--json", "--no-replay", code=1
    )
    assert not said, "a key whose id is not its own is no key"
    block = f"{made.devnet.manifest.chain_id}=0x{'ab' * 32}"
    arguments = ["--manifest", str(other / "manifest.toml"), "--block", block, "--json", "--no-replay"]
    found = json.loads(run(str(made.path), "--verifier", made.key, *arguments, code=3))["findings"]
    errors = {(each["stage"], each["where"].partition(":")[0]) for each in found if each["severity"] == "ERROR"}
    assert ("contents", "manifest/manifest.toml") in errors
    assert ("coverage", f"block {made.devnet.manifest.chain_id}") in errors


def test_exit_codes_tell_what_could_not_run_from_what_was_found(made: DevnetBundle, forger: Forger) -> None:
    """No bundle is 1, a wrong option 2, a changed byte 3; a cut off list is a finding and no failure."""
    run("/nowhere/bundle", code=1)
    run(str(made.path), "--report", "report.pdf", code=2)
    run(str(made.path), "--block", "abc", code=2)
    with forger.at_work():
        forger.put(LOG, flipped(forger.original(LOG), 4_000))
        assert LOG in run(str(forger.path), "--no-replay", code=3)
    with forger.at_work():
        forger.put("bundle.json", forger.original("bundle.json")[:-20])
        assert "bundle.json" in run(str(forger.path), code=3)


def test_processes_find_what_one_finds(brought: Brought, forger: Forger) -> None:
    """Two workers and the replay beside them give the outcome of one process, for a bundle with a changed tile."""
    with forger.at_work():
        forger.put("tile/0/001", flipped(forger.original("tile/0/001"), 40))
        forger.relist()
        two = verify(forger.path, stages(brought), brought, jobs=2)
        assert without_seconds(two) == without_seconds(verify(forger.path, stages(brought), brought))
        assert not two.ok


def test_a_tar_is_verified_in_place(made: DevnetBundle, tmp_path: Path) -> None:
    """The same bundle as one tar."""
    files = sorted(path for path in made.path.rglob("*") if path.is_file() and not path.name.startswith("."))
    path = tmp_path / "bundle.tar"
    members = [(str(each.relative_to(made.path)), each.stat().st_size, partial(_pieces, each)) for each in files]
    with path.open("wb") as file:
        tar.write(file, sorted(members, key=lambda member: member[0]))
    assert json.loads(run(str(path), *trust(made), "--json", "--no-replay"))["counts"]["ERROR"] == 0


@pytest.fixture(scope="module")
def alone() -> list[str]:
    """What runs a command in a network namespace of its own, where not even the loopback is up.

    Skips without Linux's ``unshare``, but never in CI; and on a machine that lets nobody make namespaces.
    """
    if shutil.which("unshare") is None:
        missing = "there is no unshare, which Linux has from util-linux"
        assert "CI" not in os.environ, missing
        pytest.skip(missing)
    command = ["unshare", "--map-root-user", "--net"]
    tried = subprocess.run([*command, "true"], check=False, capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"this machine lets us make no user and network namespaces: {tried.stderr.strip()}")
    return command


def test_neither_a_network_nor_a_database_is_needed(alone: list[str], made: DevnetBundle, tmp_path: Path) -> None:
    """The command in a network namespace of its own, with nothing of the environment but the path."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    command = [*alone, sys.executable, "-m", "deepnode_cli.main", "verify", str(made.path), *trust(made)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "The bundle holds" in done.stdout


def test_a_killed_verification_goes_on(made: DevnetBundle, brought: Brought, tmp_path: Path) -> None:
    """Killed as soon as a stage is kept: the next run takes what is kept, ends well, and deletes it."""
    kept = tmp_path / "kept.jsonl"
    command = [sys.executable, "-m", "deepnode_cli.main", "verify", str(made.path), *trust(made), "--resume", str(kept)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and not (kept.exists() and b"stage entries" in kept.read_bytes()):
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    names = [json.loads(line)["name"] for line in kept.read_bytes().splitlines()[1:] if line.endswith(b"}")]
    assert {"stage contents", "stage checkpoint", "stage entries"} <= set(names)
    # What a kept stage counted is told again: a mark in it shows that it was not done twice.
    kept.write_bytes(re.sub(rb'"contracts":\d+', b'"contracts":4321', kept.read_bytes()))
    said = json.loads(run(str(made.path), *trust(made), "--resume", str(kept), "--json"))
    assert said["counts"]["ERROR"] == 0
    assert "4321" in json.dumps(said["stages"])
    assert not kept.exists()


def test_what_is_kept_is_not_believed_of_another_bundle_or_of_changed_files(
    forger: Forger, brought: Brought, tmp_path: Path
) -> None:
    """A stage that is kept as right is done again where a file has another hash; another bundle has another file."""
    lie = StageOutcome("entries", "", {}, {}, 0.0)
    taken = []

    def keep(of: str) -> Path:
        taken.append(of)
        path = tmp_path / "kept.jsonl"
        with_lie = Kept(path, of)
        with_lie.keep("stage entries", {"counted": lie.counted, "findings": [], "numbers": {}, "seconds": 0.0})
        with_lie.close()
        return path

    planned = [each for each in stages(brought) if each.name in ("files", "entries")]
    with forger.at_work():
        forger.put("tile/0/001", flipped(forger.original("tile/0/001"), 40))
        changed = verify(forger.path, planned, brought, keep=keep)
        forger.relist()
        verify(forger.path, planned, brought, keep=keep)
    assert {each.where for each in changed.findings} == {"tile/0/001"}
    assert {each.stage for each in changed.findings} == {"files", "entries"}
    assert len(set(taken)) == 2


def test_a_file_of_somebody_else_is_not_written_over(tmp_path: Path) -> None:
    """``--resume`` names a file that holds something else, or that others may write: refused, and left as it is."""
    path = tmp_path / "letter.txt"
    path.write_text("dear auditor")
    with pytest.raises(BadInput, match="holds something else"):
        Kept(path, "of")
    assert path.read_text() == "dear auditor"
    shared = tmp_path / "shared.jsonl"
    shared.touch()
    shared.chmod(0o666)
    with pytest.raises(BadInput, match="nobody else"):
        Kept(shared, "of")
