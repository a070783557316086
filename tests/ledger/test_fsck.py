"""A log that nobody changed has no difference, whatever happened to it; the check reads it in one piece of memory."""

from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from typing_extensions import override

from deepnode_ledger.database import url_of
from deepnode_ledger.errors import BadInput
from deepnode_ledger.fsck import Difference, Report, fsck
from deepnode_ledger.log import Log
from deepnode_ledger.transparency import Edge, Signer, leaf_hashes
from tests.ledger import signed_log
from tests.ledger.histories import WITHOUT_SHRINKING, everything, placed, run
from tests.ledger.test_log_model import LogAsAList


class CheckedLog(LogAsAList):
    """The model of the log, with a check of the real one behind every step."""

    @override
    def compare(self) -> None:
        super().compare()
        report = Report()
        assert list(fsck(url_of(self.log.datastore), report=report)) == []
        assert report.entries == self.sealed
        assert report.pending == len(self.held) - self.sealed


@pytest.mark.parametrize("histories", [4, pytest.param(50, marks=pytest.mark.soak)])
def test_a_log_of_any_history_has_no_difference(postgres_url: str, histories: int) -> None:
    """Runs random steps against a log and checks it behind each one."""
    CheckedLog.postgres_url = postgres_url
    bounded = settings(max_examples=histories, stateful_step_count=25, deadline=None, phases=WITHOUT_SHRINKING)
    run_state_machine_as_test(CheckedLog, settings=bounded)


def test_an_empty_log_has_no_difference(log: Log, tmp_path: Path) -> None:
    """Checks a log without an entry, with an empty directory."""
    report = Report()
    assert list(fsck(url_of(log.datastore), directory=tmp_path, report=report)) == []
    assert (report.entries, report.batches, report.root) == (0, 0, Edge().root)


def test_a_signed_and_published_log_has_no_difference(log: Log, tmp_path: Path) -> None:
    """Publishes a log three times, and compares what the check counted with what is there."""
    signed_log.live(log)
    leaves = signed_log.leaves(log)
    signed_log.sign(log, 5)
    signed_log.sign(log, 200, tmp_path)
    signed_log.sign(log, len(leaves) - 3, tmp_path)
    signed_log.sign(log, len(leaves))
    before = everything(log)
    report = Report()
    seen: list[int] = []
    found = fsck(
        url_of(log.datastore),
        directory=tmp_path,
        verifier=signed_log.SIGNER.verifier,
        report=report,
        progress=lambda so_far: seen.append(so_far.batches),
    )
    assert list(found) == []
    assert report.root == Edge().extend(leaf_hashes(leaves))[0].root
    assert (report.entries, report.checkpoints) == (len(leaves), 4)
    assert report.batches == len(before["batch"])
    assert seen == list(range(1, report.batches + 1))
    assert report.files == len([path for path in tmp_path.rglob("*") if path.is_file()]) - 1
    assert everything(log) == before


def test_the_publisher_may_go_on_meanwhile(log: Log, tmp_path: Path) -> None:
    """Seals, signs and publishes more behind the first batch that is checked."""
    signed_log.live(log)
    signed_log.sign(log, 300, tmp_path)
    went_on: list[int] = []

    def go_on(so_far: Report) -> None:
        if not went_on:
            went_on.append(so_far.batches)
            log.append_finalized(26, signed_log.header(27, "b"), placed(run(26, 27, logs=400, branch="b")), "range")
            signed_log.sign(log, len(signed_log.leaves(log)), tmp_path)

    assert list(fsck(url_of(log.datastore), directory=tmp_path, progress=go_on)) == []
    assert list(fsck(url_of(log.datastore), directory=tmp_path)) == []


def test_another_key_has_not_signed(log: Log) -> None:
    """Checks a signed log with a key of the same name."""
    signed_log.live(log)
    signed_log.sign(log, 10)
    other = Signer.generate(signed_log.SIGNER.name).verifier
    [found] = fsck(url_of(log.datastore), verifier=other)
    assert found.where == "log.checkpoint size 10: note"


def test_a_database_without_a_log_is_refused(database_url: str, tmp_path: Path) -> None:
    """Checks an empty database."""
    with pytest.raises(BadInput, match="there is no log in this database"):
        list(fsck(database_url, directory=tmp_path))


def test_a_directory_that_is_not_there_is_refused(log: Log, tmp_path: Path) -> None:
    """Names a missing directory."""
    with pytest.raises(BadInput, match="is no directory of a published log"):
        list(fsck(url_of(log.datastore), directory=tmp_path / "none"))


def test_a_difference_can_be_read() -> None:
    """Writes one as text."""
    assert str(Difference("log.head: batches", "2", "3")) == "log.head: batches: expected 2, found 3"
