"""Bundles that mean harm: never a crash, always a finding, and memory within a bound.

What is handed to the verification is made to break it: lists with any values, Arrow files that claim or become what no
memory holds, tars and links that lead elsewhere, files of random bytes.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deepnode_cli.verifying.driving import verify
from deepnode_cli.verifying.finding import Brought, Outcome, Severity
from deepnode_cli.verifying.stages import stages
from deepnode_ledger.bundle import tar
from deepnode_ledger.errors import BadInput
from tests.cli.verifying.forger import LIST, LOG, Forger, flipped
from tests.cli.verifying.hostile_arrow import FILES, Hostile
from tests.e2e.devnet_bundle import DevnetBundle

MEGABYTE = 1024 * 1024

VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(min_value=2**63 - 2), st.floats(), st.text(max_size=8),
    st.sampled_from(["../../etc/passwd", "/etc/passwd", "log/../x", "tile/0/x000/000", "a\0b", "0x", "\ud800"]),
    st.lists(st.integers(), max_size=2), st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)  # fmt: skip

ALL = ("files", "contents", "checkpoint", "entries", "statements", "coverage", "chain evidence", "replay")


def looked(path: Path, brought: Brought, *names: str) -> Outcome | BadInput:
    """Verify as the command does: an outcome, or what it could not run for. Anything else that is raised is a bug."""
    try:
        return verify(path, [each for each in stages(brought) if each.name in (names or ALL)], brought)
    except BadInput as error:
        return error


def is_refused(outcome: Outcome | BadInput) -> bool:
    """Whether something was found or refused."""
    return isinstance(outcome, BadInput) or not outcome.ok


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_list_is_read_or_refused(forger: Forger, brought: Brought, data: st.DataObject) -> None:
    """``bundle.json`` with any value in any place, or one left out, canonical or not."""
    with forger.at_work():
        said = json.loads(forger.original(LIST))
        place: Any = said
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = data.draw(st.sampled_from(keys))
            below = place[key]
            if not isinstance(below, dict | list) or not below or data.draw(st.booleans()):
                break
            place = below
        changed = data.draw(st.one_of(VALUES, st.just("gone")))
        if changed == "gone":
            del place[key]
        else:
            place[key] = changed
        text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=data.draw(st.booleans()))
        forger.put(LIST, text.encode("utf-8", "surrogatepass") + b"\n")
        outcome = looked(forger.path, brought, "files", "contents", "checkpoint", "entries", "coverage")
        assert below == changed or is_refused(outcome) or _is_of_the_replay(key, place)


def _is_of_the_replay(key: Any, place: Any) -> bool:
    """What only the replay can tell: the epochs and their roots."""
    return key in ("root", "position", "epoch", "epochs") or isinstance(place, list)


@pytest.mark.parametrize(
    "name", [LOG, "coverage.json", "evidence/headers-000000.arrow", "evidence/receipts-000000.arrow"]
)
def test_a_file_with_any_bytes_and_its_right_hash_never_ends_it(name: str, forger: Forger, brought: Brought) -> None:
    """Seeds of flipped and cut bytes, listed as they are: the stages that read the file look, and raise nothing."""
    rng = Random(name)
    for seed in range(10):
        data = forger.original(name)
        for _ in range(rng.randrange(1, 4)):
            data = flipped(data, rng.randrange(len(data)), 1 << rng.randrange(8))
        if seed % 5 == 0:
            data = data[: rng.randrange(len(data))]
        with forger.at_work():
            forger.put(name, data)
            forger.relist()
            outcome = looked(forger.path, brought, "files", "entries" if name == LOG else "coverage", "chain evidence")
            assert isinstance(outcome, Outcome), outcome
            if seed % 5 == 0:
                assert not outcome.ok


@pytest.mark.parametrize("name", ["manifest/manifest.toml", "checkpoint", "consistency.json", "checkpoint.key"])
def test_random_texts_are_findings(name: str, forger: Forger, brought: Brought) -> None:
    """Nothing, noise, a nesting without end and a line without end in the place of a text."""
    for data in (b"", Random(1).randbytes(300), b"[" * 30_000, b"{" * 30_000, b"a" * 300_000, b"\xff\xfe\0"):
        with forger.at_work():
            forger.put(name, data)
            forger.relist()
            more = ("statements",) if name.startswith("manifest") else ()
            outcome = looked(forger.path, brought, "files", "contents", "checkpoint", *more)
            assert isinstance(outcome, Outcome)
            assert not outcome.ok
            assert not any("Traceback" in each.said for each in outcome.findings)


@pytest.mark.parametrize("hostile", FILES, ids=lambda each: each.__name__)
def test_an_arrow_file_that_means_harm_is_a_finding(hostile: Hostile, forger: Forger, brought: Brought) -> None:
    """The log file replaced and listed as it is: the stage of the entries names it; nothing else is brought down."""
    with forger.at_work():
        forger.put(LOG, hostile(forger.entries))
        forger.relist()
        outcome = looked(forger.path, brought, "files", "entries")
    assert isinstance(outcome, Outcome)
    assert any(each.severity == Severity.ERROR and each.where == LOG for each in outcome.findings), outcome.findings


def test_memory_stays_within_a_bound_whatever_a_file_claims(made: DevnetBundle, tmp_path: Path) -> None:
    """All of those files, one after the other, in a process of its own that may have two gigabytes of data."""
    path = tmp_path / "bundle"
    shutil.copytree(made.path, path)
    program = (
        "import resource, sys; from pathlib import Path\n"
        "from tests.cli.verifying import hostile_arrow as h; from tests.cli.verifying.test_hostile_bundles import *\n"
        "path = Path(sys.argv[1]); entries = h.entries_of(path)\n"
        "files = [(each.__name__, each(entries)) for each in h.FILES]\n"
        "resource.setrlimit(resource.RLIMIT_DATA, (2 << 30, 2 << 30))\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for name, data in files:\n"
        "    h.put(path, data); assert is_refused(looked(path, Brought(), 'files', 'entries')), name\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], check=False, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr[-3000:]
    grown = int(done.stdout) * (1 if sys.platform == "darwin" else 1024)
    assert grown < 300 * MEGABYTE, grown


def test_links_and_pipes_are_not_followed(forger: Forger, brought: Brought, tmp_path: Path) -> None:
    """A file, a folder and the list as links to right bytes elsewhere, and a pipe that nobody writes to."""
    (tmp_path / "elsewhere").write_bytes(forger.original(LOG))
    for name in (LOG, "coverage.json"):
        with forger.at_work():
            forger.put(name, None)
            (forger.path / name).symlink_to(tmp_path / "elsewhere")
            outcome = looked(forger.path, brought, "files")
            assert isinstance(outcome, Outcome)
            assert name in {each.where for each in outcome.findings}
    with forger.at_work():
        forger.put("README.md", None)
        os.mkfifo(forger.path / "README.md")
        outcome = looked(forger.path, brought, "files", "contents")
        assert isinstance(outcome, Outcome)
        assert "README.md" in {each.where for each in outcome.findings}


@pytest.mark.parametrize(
    "name", ["../outside", "/etc/passwd", "log/../../x", "tile/0/000/", "", "a" * 90, "log/000/000/000.arrow\n"]
)
def test_a_tar_with_names_that_lead_elsewhere_is_a_finding(name: str, brought: Brought, tmp_path: Path) -> None:
    """Such a member before all others: the tar is refused as a whole, and nothing is written anywhere."""
    path = tmp_path / "bundle.tar"
    with path.open("wb") as file:
        tar.write(file, [(name, 3, lambda: [b"abc"]), ("bundle.json", 2, lambda: [b"{}"])])
    outcome = looked(path, brought, "files")
    assert is_refused(outcome)
    assert [each.name for each in tmp_path.iterdir()] == ["bundle.tar"]


def test_tars_of_links_and_of_claims_are_findings(brought: Brought, tmp_path: Path) -> None:
    """A symbolic link, a size that no disk holds, a header of zeros, a tar of zeros alone, one cut off anywhere."""
    link = bytearray(tar.header("bundle.json", 0))
    link[156:157] = b"2"
    large = tar.header("bundle.json", tar.SIZE_MAX)
    for raw in (bytes(link), large, bytes(512), bytes(20480), large[:300], b"", tar.header("bundle.json", 2) + b"{}"):
        path = tmp_path / "bundle.tar"
        path.write_bytes(raw)
        assert is_refused(looked(path, brought, "files"))
