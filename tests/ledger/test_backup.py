"""A backup holds a log whole, the next one only what is new, and what comes back is what was there."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import zstandard
from eventsourcing.postgres import PostgresDatastore
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from typing_extensions import override

from deepnode_ledger.backup import PointInTime, Restored, backup, restore
from deepnode_ledger.backup.manifest import (
    ChainRow,
    CheckpointRow,
    ContractRow,
    CosignatureRow,
    CoverageRow,
    EvidenceRow,
    HeaderRow,
    HeadRow,
    HoldRow,
    OffsetRow,
    ReorgRow,
    SealingBlockRow,
    SealingRow,
)
from deepnode_ledger.database import url_of
from deepnode_ledger.errors import BadInput, Damaged, TryAgain
from deepnode_ledger.fsck import fsck
from deepnode_ledger.log import Log
from deepnode_ledger.publishing.durable import Disk
from deepnode_ledger.schema import upgrade
from deepnode_ledger.transparency import Edge, leaf_hashes
from tests.conftest import fresh_database
from tests.ledger import signed_log
from tests.ledger.histories import (
    CHAIN_ID,
    WITHOUT_SHRINKING,
    contents,
    datastore,
    everything,
    opened,
    placed,
    ref,
    run,
)
from tests.ledger.test_log_model import LogAsAList, held_by


@contextmanager
def restored(
    postgres_url: str, directory: Path, point: PointInTime | None = None
) -> Iterator[tuple[Restored, PostgresDatastore, Log]]:
    """Restore into a database of its own, for a while."""
    with fresh_database(postgres_url) as url:
        done = restore(directory, url, point=point)
        with datastore(url) as store:
            yield done, store, Log(store, CHAIN_ID)


def files(directory: Path) -> dict[str, tuple[int, bytes]]:
    """Every file of a directory with its inode and its bytes."""
    return {
        path.relative_to(directory).as_posix(): (path.stat().st_ino, path.read_bytes())
        for path in sorted(directory.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


class BackedUpLog(LogAsAList):
    """The model of the log, with a backup behind every fourth step, and a restore of it behind the last."""

    directory: Path

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0
        shutil.rmtree(self.directory, ignore_errors=True)

    @override
    def compare(self) -> None:
        super().compare()
        self.steps += 1
        if self.steps % 4 == 0:
            backup(url_of(self.log.datastore), self.directory)

    @override
    def teardown(self) -> None:
        backup(url_of(self.log.datastore), self.directory)
        with restored(self.postgres_url, self.directory) as (_, _, copy):
            assert everything(copy) == everything(self.log)
        for sealing in everything(self.log)["sealing"][::5]:
            number, position = (int(value) for value in sealing.strip("(").split(",")[:2])
            with restored(self.postgres_url, self.directory, PointInTime(sealing=number)) as (done, _, copy):
                assert done.entries == position
                assert held_by(contents(copy)) == self.held[:position]
        super().teardown()


@pytest.mark.parametrize("histories", [4, pytest.param(50, marks=pytest.mark.soak)])
def test_a_log_of_any_history_comes_back_as_it_was(postgres_url: str, tmp_path: Path, histories: int) -> None:
    """Runs random steps with backups between them, restores the last and some sealings, and compares every table."""
    BackedUpLog.postgres_url, BackedUpLog.directory = postgres_url, tmp_path / "backups"
    bounded = settings(max_examples=histories, stateful_step_count=25, deadline=None, phases=WITHOUT_SHRINKING)
    run_state_machine_as_test(BackedUpLog, settings=bounded)


@pytest.fixture
def signed(log: Log) -> Log:
    """A log with a row in every table."""
    signed_log.live(log)
    signed_log.sign(log, 100)
    signed_log.sign(log, len(signed_log.leaves(log)))
    return log


def test_every_table_comes_back(signed: Log, postgres_url: str, tmp_path: Path) -> None:
    """Compares all rows of all tables, and lets both logs go on in the same way."""
    made = backup(url_of(signed.datastore), tmp_path)
    assert (made.number, made.made, made.batches) == (1, True, len(everything(signed)["batch"]))
    with restored(postgres_url, tmp_path) as (done, _, copy):
        assert everything(copy) == everything(signed)
        assert done.root == made.root == Edge().extend(leaf_hashes(signed_log.leaves(signed)))[0].root
        assert done.checkpoints == 2
        for each in (signed, copy):
            each.accept([signed_log.about(6), signed_log.about(1)])
            each.extend(ref(24, "b"), run(25, 30, logs=2, branch="c", parent="b"))
            each.seal(ref(28, "c"))
        assert everything(copy) == everything(signed)
        assert list(fsck(url_of(copy.datastore))) == []


def test_a_backup_can_be_read_without_the_program(signed: Log, tmp_path: Path) -> None:
    """Reads the manifest as JSON and hashes the files that it speaks of, with nothing of the program."""
    backup(url_of(signed.datastore), tmp_path)
    whole = json.loads((tmp_path / "backups/00000001.json").read_bytes())
    manifest = whole["manifest"]
    body = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert whole["sha256"] == "0x" + hashlib.sha256(body).hexdigest()
    for number, entry in enumerate(manifest["batches"], 1):
        data = (tmp_path / f"batches/000/000/{number:03}.arrow.zst").read_bytes()
        assert entry["sha256"] == "0x" + hashlib.sha256(data).hexdigest()
        assert zstandard.ZstdDecompressor().decompress(data)
    tail = (tmp_path / "tails/00000001.arrow").read_bytes()
    assert manifest["tail"]["sha256"] == "0x" + hashlib.sha256(tail).hexdigest()


def test_the_next_backup_writes_only_what_is_new(signed: Log, postgres_url: str, tmp_path: Path) -> None:
    """Backs up three times, the second without a change: files of before keep their inodes and bytes."""
    url = url_of(signed.datastore)
    backup(url, tmp_path)
    first = files(tmp_path)
    again = backup(url, tmp_path)
    assert (again.number, again.made) == (1, False)
    assert files(tmp_path) == first
    signed.seal(ref(23, "b"))
    signed_log.sign(signed, len(signed_log.leaves(signed)))
    third = backup(url, tmp_path)
    assert (third.number, third.made, third.batches) == (2, True, 1)
    after = files(tmp_path)
    assert {name: after[name] for name in first} == first
    number = len(everything(signed)["batch"])
    new = {"backups/00000002.json", "tails/00000002.arrow", f"batches/000/000/{number:03}.arrow.zst"}
    assert set(after) - set(first) == new
    with restored(postgres_url, tmp_path) as (_, _, copy):
        assert everything(copy) == everything(signed)


def test_a_late_cosignature_is_backed_up(signed: Log, postgres_url: str, tmp_path: Path) -> None:
    """Adds a witness's line under an old checkpoint between two backups."""
    backup(url_of(signed.datastore), tmp_path)
    with signed.datastore.transaction(commit=True) as cursor:
        cursor.execute(
            "INSERT INTO log.cosignature SELECT size, 'late.example', key_id,"
            " replace(line, name, 'late.example') FROM log.cosignature WHERE size = 100"
        )
    assert backup(url_of(signed.datastore), tmp_path).number == 2
    with restored(postgres_url, tmp_path) as (_, _, copy):
        assert everything(copy) == everything(signed)


def test_an_empty_log_comes_back(log: Log, postgres_url: str, tmp_path: Path) -> None:
    """Backs up a log that knows its chain and has no entry."""
    backup(url_of(log.datastore), tmp_path)
    with restored(postgres_url, tmp_path) as (done, _, copy):
        assert everything(copy) == everything(log)
        assert done.root == Edge().root
        copy.extend(None, run(5, 6))


def test_a_directory_keeps_one_log(signed: Log, postgres_url: str, tmp_path: Path) -> None:
    """Backs up another log, a shorter copy, and a log without a chain into the directory of the first."""
    backup(url_of(signed.datastore), tmp_path)
    before = files(tmp_path)
    with fresh_database(postgres_url) as url, opened(url) as other:
        with pytest.raises(BadInput, match="the backups of another log, or a longer copy"):
            backup(url, tmp_path)
        for number in range(5, 15):
            other.append_finalized(number, signed_log.header(number), placed(run(number, number)), "x")
        with pytest.raises(BadInput, match="of another log: the hashes of the first 7 batches differ"):
            backup(url, tmp_path)
    with fresh_database(postgres_url) as url:
        upgrade(url)
        with pytest.raises(BadInput, match="holds no chain yet"):
            backup(url, tmp_path)
    assert files(tmp_path) == before


def test_two_backups_do_not_meet(signed: Log, tmp_path: Path) -> None:
    """Begins a second backup into the same directory in the middle of the first."""
    url = url_of(signed.datastore)
    refused: list[str] = []

    def another(_done: int, _of: int) -> None:
        with pytest.raises(TryAgain, match="another backup is being written into") as error:
            backup(url, tmp_path)
        refused.append(str(error.value))

    backup(url, tmp_path, progress=another)
    assert refused


def test_what_is_damaged_is_not_backed_up(signed: Log, tmp_path: Path) -> None:
    """Damages a batch, an index row, and an entry behind a checkpoint; the directory has no backup afterwards."""
    from tests.ledger.tampering import adapt_sha256, flipped, other_data, superuser, with_state

    def damaged(connection: psycopg.Connection[Any], kind: int) -> str:
        if kind == 0:
            with_state(connection, 2, flipped)
            return "batch 2 is missing, or its bytes are not those of its SHA-256"
        if kind == 1:
            adapt_sha256(connection, 2)
            return "batch 2: .*cannot be read"
        with_state(connection, 2, lambda _: other_data(right))
        adapt_sha256(connection, 2)
        return "the first 100 entries have the root .* signed is"

    with signed.datastore.cursor() as cursor:
        cursor.execute("SELECT state FROM log.sealed WHERE originator_version = 2")
        row = cursor.fetchone()
    assert row is not None
    right = bytes(row["state"])
    for kind in range(3):
        with superuser(signed) as connection:
            message = damaged(connection, kind)
        with pytest.raises(Damaged, match=message):
            backup(url_of(signed.datastore), tmp_path)
        assert not list(tmp_path.glob("backups/*.json"))


class FailingDisk(Disk):
    """A disk that is full after so many calls."""

    def __init__(self, calls: int) -> None:
        self.left = calls

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise OSError(28, "No space left on device")

    @override
    def create(self, path: Path, data: bytes) -> None:
        if self.left == 0:
            path.write_bytes(data[: len(data) // 2])
        self._count()
        super().create(path, data)

    @override
    def flush(self, path: Path) -> None:
        self._count()
        super().flush(path)

    @override
    def rename(self, source: Path, target: Path) -> None:
        self._count()
        super().rename(source, target)

    @override
    def make_directory(self, path: Path) -> None:
        self._count()
        super().make_directory(path)

    @override
    def flush_directory(self, path: Path) -> None:
        self._count()
        super().flush_directory(path)


def test_a_failure_at_any_call_leaves_the_backups_before_it(signed: Log, postgres_url: str, tmp_path: Path) -> None:
    """Lets the second backup fail at its first, second, third … call to the disk, until it passes."""
    url = url_of(signed.datastore)
    backup(url, tmp_path / "whole")
    before = everything(signed)
    signed.seal(ref(23, "b"))
    after, finished = everything(signed), dict[str, bytes]()
    for calls in range(100):
        directory = tmp_path / str(calls)
        shutil.copytree(tmp_path / "whole", directory)
        try:
            backup(url, directory, disk=FailingDisk(calls))
        except TryAgain:
            there = len(list(directory.glob("backups/*.json")))
            with restored(postgres_url, directory) as (_, _, copy):
                assert everything(copy) == (before if there == 1 else after)
            assert backup(url, directory).number == 2
            again = {name: data for name, (_, data) in files(directory).items()}
            finished = finished or again
            assert again == finished
        else:
            assert calls > 5
            return
    pytest.fail("the backup never passed")


ROWS = {
    "head": HeadRow,
    "chain": ChainRow,
    "sealing": SealingRow,
    "sealing_block": SealingBlockRow,
    "evidence": EvidenceRow,
    "hold": HoldRow,
    "contract": ContractRow,
    "intake_offset": OffsetRow,
    "checkpoint": CheckpointRow,
    "cosignature": CosignatureRow,
    "reorg": ReorgRow,
    "coverage": CoverageRow,
    "header": HeaderRow,
}
DERIVED = {"sealed", "batch", "batch_block", "pending", "segment", "task_key", "alembic_version"}


def test_no_table_and_no_column_is_forgotten(log: Log) -> None:
    """Compares the fields of the manifest's rows with the columns that the database has."""
    with log.datastore.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, array_agg(column_name::text ORDER BY ordinal_position) AS columns"
            " FROM information_schema.columns WHERE table_schema = 'log' GROUP BY 1"
        )
        columns = {row["table_name"]: row["columns"] for row in cursor.fetchall()}
    assert set(columns) == set(ROWS) | DERIVED
    for table, kind in ROWS.items():
        assert set(kind.__struct_fields__) - set(columns[table]) == ({"root"} if table == "sealing" else set())
        assert set(columns[table]) - set(kind.__struct_fields__) == ({"one"} if table == "head" else set())


def test_who_reads_the_log_meanwhile_sees_one_state(signed: Log, postgres_url: str, tmp_path: Path) -> None:
    """Lets the log go on in the middle of a backup: the backup is of the state that it began with."""
    before = everything(signed)
    went_on: list[int] = []

    def go_on(done: int, _of: int) -> None:
        if not went_on:
            went_on.append(done)
            signed.seal(ref(23, "b"))
            signed.extend(ref(25, "b"), run(26, 27, branch="b"))

    backup(url_of(signed.datastore), tmp_path, progress=go_on)
    assert everything(signed) != before
    with restored(postgres_url, tmp_path) as (_, _, copy):
        assert everything(copy) == before
