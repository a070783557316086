"""A backup that somebody changed is refused, its file named, and the database stays without a log."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
import zstandard

from deepnode_ledger.backup import backup, restore
from deepnode_ledger.database import url_of
from deepnode_ledger.errors import BadInput
from deepnode_ledger.log import Log
from tests.conftest import fresh_database
from tests.ledger import signed_log
from tests.ledger.histories import ref
from tests.ledger.tampering import other_data

MANIFEST = "backups/00000001.json"
SECOND = "backups/00000002.json"
BATCH = "batches/000/000/002.arrow.zst"
TAIL = "tails/00000002.arrow"


@pytest.fixture
def directory(log: Log, tmp_path: Path) -> Path:
    """Two backups of a signed log."""
    signed_log.live(log)
    signed_log.sign(log, 100)
    backup(url_of(log.datastore), tmp_path)
    log.seal(ref(21, "b"))
    signed_log.sign(log, len(signed_log.leaves(log)))
    backup(url_of(log.datastore), tmp_path)
    return tmp_path


def refused(postgres_url: str, directory: Path, message: str) -> None:
    """Restore, and look into the database afterwards."""
    with fresh_database(postgres_url) as url:
        with pytest.raises(BadInput, match=message):
            restore(directory, url)
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT to_regnamespace('log')").fetchone() == (None,)


def cut(data: bytes) -> bytes:
    return data[:-1]


def edited(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def longer(data: bytes) -> bytes:
    return data + b"\x00"


def emptied(_: bytes) -> bytes:
    return b""


@pytest.mark.parametrize("change", [cut, edited, longer, emptied, None])
@pytest.mark.parametrize("name", [MANIFEST, SECOND, BATCH, TAIL])
def test_a_changed_file_is_named(
    directory: Path, postgres_url: str, name: str, change: Callable[[bytes], bytes] | None
) -> None:
    """Cuts, edits, lengthens, empties and removes each kind of file."""
    path = directory / name
    if change is None:
        path.unlink()
        if name == SECOND:
            return
    else:
        path.write_bytes(change(path.read_bytes()))
    refused(postgres_url, directory, re.escape(name if change is not None or name != MANIFEST else MANIFEST))


@pytest.mark.parametrize("name", [MANIFEST, BATCH, TAIL])
@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_file_is_not_opened(directory: Path, postgres_url: str, name: str, kind: str) -> None:
    """Puts a symbolic link, a pipe and a folder in place of a file."""
    path = directory / name
    path.rename(directory / "elsewhere")
    if kind == "link":
        path.symlink_to(directory / "elsewhere")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    refused(postgres_url, directory, re.escape(name))


def rewritten(directory: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the newest manifest as somebody would who knows how its hash is made."""
    path = directory / SECOND
    manifest = json.loads(path.read_bytes())["manifest"]
    change(manifest)
    body = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    path.write_bytes(b'{"manifest":%b,"sha256":"0x%b"}\n' % (body, hashlib.sha256(body).hexdigest().encode()))


def test_the_same_manifest_written_again_is_good(directory: Path, database_url: str, postgres_url: str) -> None:
    """Rewrites the manifest without a change: what the next test changes is all that is wrong there."""
    assert database_url
    rewritten(directory, lambda _: None)
    with fresh_database(postgres_url) as url:
        assert restore(directory, url).checkpoints == 2


def put(*path: str | int, value: Any) -> Callable[[dict[str, Any]], None]:
    """Set one value of a manifest."""

    def change(manifest: dict[str, Any]) -> None:
        place: Any = manifest
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value

    return change


OTHER = "0x" + "ab" * 32


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("format", value="deepnode.log.backup/9"), SECOND),
        (put("number", value=3), f"{SECOND}: it is not the successor"),
        (put("previous", value=OTHER), f"{SECOND}: it is not the successor"),
        (put("previous", value=None), f"{SECOND}: it is not the successor"),
        (put("path", value="../../etc/passwd"), f"{SECOND}: .*unknown field"),
        (put("batches", 0, "path", value="../../etc/passwd"), f"{SECOND}: .*unknown field"),
        (put("batches", 0, "topic", value="../../etc/passwd"), "008.arrow.zst: .*no topic of a batch"),
        (put("batches", 0, "sha256", value=OTHER), "008.arrow.zst has another SHA-256"),
        (put("batches", 0, "size_bytes", value=3), "008.arrow.zst has more than 3 bytes"),
        (put("batches", 0, "notification_id", value=1), "008.arrow.zst: duplicate key"),
        (put("batches", value=[]), f"{SECOND}: it counts 8 batches, 7 are named"),
        (put("root", value=OTHER), f"{SECOND}: its tree has"),
        (put("edge", value=["0x"]), f"{SECOND}: its edge is none"),
        (put("head", "batches", value=2**63), f"{SECOND}: "),
        (put("head", "last_position", value=9999), "log.head: last_position"),
        (put("chains", 0, "tip_hash", value=OTHER), "log.chain 8453: tip_hash"),
        (put("chains", 0, "chain_id", value=1), "log.chain 8453"),
        (put("chains", 0, "tip_hash", value="0x00"), f"{SECOND}: "),
        (put("sealing_blocks", 0, "block_time", value=1), "log.sealing_block number 8"),
        (put("checkpoints", 0, "root", value=OTHER), "log.checkpoint size"),
        (put("checkpoints", 0, "note", value="\x00"), "backups: "),
        (put("checkpoints", value=[]), "log.cosignature size"),
        (put("headers", value=[]), "log.header chain 8453 number 21"),
        (put("headers", 1, "hash", value=OTHER), "log.header chain 8453 number 23: parent_hash"),
        (put("coverage", value=[]), "log.coverage"),
        (put("tail", value=None), "log.head: last_position"),
        (put("tail", "sha256", value=OTHER), f"{TAIL} has another SHA-256"),
        (put("tail", "size_bytes", value=7), f"{TAIL} has [0-9]+ bytes, its manifest says 7"),
    ],
)
def test_a_manifest_that_lies_is_found_out(
    directory: Path, postgres_url: str, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    """Changes one value, with the manifest's hash made anew."""
    rewritten(directory, change)
    refused(postgres_url, directory, message)


def test_a_manifest_in_another_spelling_is_refused(directory: Path, postgres_url: str) -> None:
    """Writes the same values with a blank behind each comma."""
    path = directory / SECOND
    body = json.dumps(json.loads(path.read_bytes())["manifest"], sort_keys=True, ensure_ascii=False).encode()
    path.write_bytes(b'{"manifest":%b,"sha256":"0x%b"}\n' % (body, hashlib.sha256(body).hexdigest().encode()))
    refused(postgres_url, directory, "spelled in another way")


@pytest.mark.parametrize("kind", ["other data", "no zstd", "a bomb"])
def test_a_batch_that_lies_is_found_out(directory: Path, postgres_url: str, kind: str) -> None:
    """Replaces the newest batch by one that is wrong, and adapts size and hash in the manifest."""
    path = directory / "batches/000/000/008.arrow.zst"
    right = path.read_bytes()
    data = b"not zstd at all"
    if kind == "other data":
        data = other_data(right)
    elif kind == "a bomb":
        data = zstandard.compress(bytes(300 * 1024 * 1024), 19)
    path.write_bytes(data)

    def adapt(manifest: dict[str, Any]) -> None:
        manifest["batches"][0] |= {"sha256": "0x" + hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}

    rewritten(directory, adapt)
    message = "log.checkpoint size [0-9]+: root" if kind == "other data" else "008.arrow.zst: .*a batch of"
    refused(postgres_url, directory, message)


def test_a_tail_that_lies_is_found_out(directory: Path, postgres_url: str) -> None:
    """Replaces the tail's file by one of text, and by that of the other backup, with size and hash adapted."""
    for data in (b"no Arrow", (directory / "tails/00000001.arrow").read_bytes()):
        copy = directory / "copy"
        shutil.copytree(directory, copy, ignore=shutil.ignore_patterns("copy"))
        (copy / TAIL).write_bytes(data)

        def adapt(manifest: dict[str, Any], data: bytes = data) -> None:
            manifest["tail"] |= {"sha256": "0x" + hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}

        rewritten(copy, adapt)
        refused(postgres_url, copy, re.escape(TAIL))
        shutil.rmtree(copy)


PROGRAM = """
import sys, os, signal
from pathlib import Path
from deepnode_ledger.backup import backup, restore
what, directory, url, calls = sys.argv[1:]
def die(*done):
    if done[-2:] == (int(calls), done[-1]):
        os.kill(os.getpid(), signal.SIGKILL)
(backup(url, Path(directory), progress=die) if what == "backup" else restore(Path(directory), url, progress=die))
"""


def killed(what: str, directory: Path, url: str, calls: int) -> None:
    """Run one of the two in a process that kills itself behind so many batches."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, what, str(directory), url, str(calls)], check=False)
    assert done.returncode == -signal.SIGKILL


def test_a_killed_backup_leaves_those_before_it(log: Log, postgres_url: str, tmp_path: Path) -> None:
    """Kills the first backup and the second in their middle; what is there restores, and the next one is whole."""
    url = url_of(log.datastore)
    signed_log.live(log)
    killed("backup", tmp_path, url, 3)
    with fresh_database(postgres_url) as other, pytest.raises(BadInput, match="there is no backup in"):
        restore(tmp_path, other)
    backup(url, tmp_path)
    log.seal(ref(21, "b"))
    log.seal(ref(22, "b"))
    killed("backup", tmp_path, url, 8)
    with fresh_database(postgres_url) as other:
        assert restore(tmp_path, other).batches == 7
    assert backup(url, tmp_path).batches == 2
    with fresh_database(postgres_url) as other:
        assert restore(tmp_path, other).batches == 9


@pytest.mark.parametrize("calls", [1, 4, 8])
def test_a_killed_restore_leaves_nothing(directory: Path, postgres_url: str, calls: int) -> None:
    """Kills a restore in its middle; the database has no schema of a log, and the same command succeeds."""
    with fresh_database(postgres_url) as url:
        killed("restore", directory, url, calls)
        with psycopg.connect(url) as connection:
            # The server notices the lost connection when it next speaks to it.
            while connection.execute(
                "SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            ).rowcount:
                time.sleep(0.01)
            assert connection.execute("SELECT to_regnamespace('log')").fetchone() == (None,)
        assert restore(directory, url).batches == 8
