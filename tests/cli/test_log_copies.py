"""`deepnode log fsck`, `backup` and `restore` as their users run them: what they print, and how they exit."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from deepnode_ledger.database import url_of
from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.log import Log
from deepnode_ledger.transparency import Edge, leaf_hashes
from tests.command_line import app
from tests.conftest import fresh_database
from tests.ledger import signed_log
from tests.ledger.histories import opened
from tests.ledger.tampering import flipped, superuser, with_state


def deepnode(*arguments: object) -> Result:
    """Run one command of `deepnode log`."""
    return CliRunner().invoke(app, ["log", *map(str, arguments)])


def answer(*arguments: object) -> dict[str, Any]:
    """Run one command with --json, and read what it says."""
    done = deepnode(*arguments, "--json")
    assert done.exit_code == 0, done.output
    fields: dict[str, Any] = json.loads(done.stdout)
    return fields


@pytest.fixture
def log(database_url: str) -> Any:
    """A log that lived and was signed once."""
    with opened(database_url) as log:
        signed_log.live(log)
        signed_log.sign(log, 100)
        yield log


def test_a_log_goes_into_files_and_back(log: Log, postgres_url: str, tmp_path: Path) -> None:
    """Checks, backs up twice, restores whole and to a block, and checks the copies."""
    url, key = url_of(log.datastore), str(signed_log.SIGNER.verifier)
    leaves = signed_log.leaves(log)
    root = to_hex(Edge().extend(leaf_hashes(leaves))[0].root)
    checked = deepnode("fsck", "--database", url, "--verifier", key)
    assert checked.exit_code == 0
    assert checked.stdout == f"ok: {len(leaves)} entries in 7 batches and 8 pending, root {root}, 1 checkpoints\n"
    made = answer("backup", tmp_path, "--database", url)
    assert made == {
        "backup": 1, "new": True, "batches": 7, "entries": len(leaves),
        "lastPosition": len(leaves) + 8, "sealedPosition": len(leaves), "root": root,
    }  # fmt: skip
    assert "backup 1: nothing is new since then" in deepnode("backup", tmp_path, "--database", url).stdout
    with fresh_database(postgres_url) as copy:
        done = answer("restore", tmp_path, "--database", copy, "--verifier", key)
        assert (done["root"], done["entries"], done["pending"], done["blocks"]) == (root, len(leaves), 8, {"8453": 25})
        assert answer("fsck", "--database", copy)["root"] == root
    with fresh_database(postgres_url) as copy:
        text = deepnode("restore", tmp_path, "--database", copy, "--block", 8)
        assert text.exit_code == 0
        assert (
            "restored 12 entries in 1 batches and 0 pending, up to block 8 of chain 8453\nsize 12, root 0x"
            in text.stdout
        )
        assert "a checkpoint of size 100 was signed later" in text.stderr
        assert answer("fsck", "--database", copy)["entries"] == 12


def test_a_difference_is_shown_and_ends_with_three(log: Log) -> None:
    """Flips a bit: the first difference by default, all of them when asked for, as text and as JSON."""
    with superuser(log) as connection:
        with_state(connection, 2, flipped)
        with_state(connection, 4, flipped)
    first = deepnode("fsck", "--database", url_of(log.datastore))
    assert first.exit_code == 3
    assert first.stdout.startswith("log.sealed batch 2: expected bytes with the sha256 ")
    assert first.stdout.count("\n") == 1
    every = deepnode("fsck", "--database", url_of(log.datastore), "--all", "--json")
    assert every.exit_code == 3
    said = json.loads(every.stdout)
    assert said["ok"] is False
    assert {each["where"] for each in said["differences"]} == {"log.sealed batch 2", "log.sealed batch 4"}


def test_two_points_in_time_are_refused(log: Log, tmp_path: Path) -> None:
    """Asks for a block and a position."""
    done = deepnode("restore", tmp_path, "--database", url_of(log.datastore), "--block", 8, "--position", 3)
    assert isinstance(done.exception, BadInput)
