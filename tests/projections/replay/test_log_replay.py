"""A log at hand is replayed out of what was decoded before, and no batch of it is read."""

import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

from deepnode_ledger.compiled import available
from deepnode_ledger.database import open_datastore
from deepnode_ledger.sealed_batches import SealedBatchRef, read_sealed_run
from deepnode_ledger.snapshot import Snapshot, snapshot
from deepnode_ledger.trays import Trays
from deepnode_projections.replay import Replay, replay_log
from tests.ledger.histories import opened, ref
from tests.ledger.paper_deployment import paper_manifest
from tests.projections import stories as s
from tests.projections.rules.spoken import data_of, event

if available():
    from deepnode_projections.kernel import log_source


@pytest.mark.skipif(not available(), reason="loops cannot be compiled here")
def test_what_was_asked_for_once_is_kept(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replays a log with an assignment that the rules refuse: the log is read the first time alone."""
    manifest, folder = paper_manifest(tmp_path), tmp_path / "decoded"
    read: list[int] = []

    def counting(view: Snapshot, run: Sequence[SealedBatchRef], trays: Trays) -> pa.RecordBatch:
        read.extend(sealed.number for sealed in run)
        return read_sealed_run(view, run, trays)

    monkeypatch.setattr(log_source, "read_sealed_run", counting)
    with opened(database_url) as log:
        log.extend(None, [s.said_in(manifest, 5, [s.transfer(s.NOBODY, s.ANNA, 100), s.transfer(s.ANNA, s.BEN, 30)])])
        log.accept([event("TaskAssigned", 1, data_of("TaskAssigned"))])
        log.extend(ref(5), [s.said_in(manifest, 6, [s.transfer(s.BEN, s.ANNA, 5)])])
        log.seal(ref(6))
    made: list[Replay] = []
    for _ in range(3):
        made.append(Replay(manifest))
        with closing(open_datastore(database_url)) as store, snapshot(store) as view:
            replay_log(view, made[-1], folder)
        read.append(0)
    assert read == [1, 0, 0, 0], "it is read to be decoded"
    assert {each.root() for each in made} == {made[0].root()}
    assert [each.refusals for each in made] == [1, 1, 1]
    assert [each.position for each in made] == [4, 4, 4]


@pytest.mark.skipif(not available(), reason="loops cannot be compiled here")
def test_runs_that_are_decoded_at_once_come_in_the_order_of_the_log(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Has the first run be read last: the root is that of the rules, whether two batches make a run or one does."""
    manifest = paper_manifest(tmp_path)

    def late(view: Snapshot, run: Sequence[SealedBatchRef], trays: Trays) -> pa.RecordBatch:
        if run[0].number == 1 and run[-1].last_position < view.head.sealed_position:
            assert others_are_read.wait(30)
        found = read_sealed_run(view, run, trays)
        if run[0].number > 1:
            others_are_read.set()
        return found

    monkeypatch.setattr(log_source, "read_sealed_run", late)
    with opened(database_url) as log:
        log.extend(None, [s.said_in(manifest, 5, [s.transfer(s.NOBODY, s.ANNA, 100)])])
        for block in range(6, 14):
            log.extend(ref(block - 1), [s.said_in(manifest, block, [s.transfer(s.ANNA, s.BEN, block)])])
            log.seal(ref(block))
    roots: set[bytes] = set()
    for run_entries in (1, 2, 3, 100):
        others_are_read = threading.Event()
        monkeypatch.setattr(log_source, "RUN_ENTRIES", run_entries)
        replay = Replay(manifest)
        with closing(open_datastore(database_url)) as store, snapshot(store) as view:
            replay_log(view, replay)
        assert replay.position == 9
        roots.add(replay.root())
    by_definition = Replay(manifest, by_definition=True)
    with closing(open_datastore(database_url)) as store, snapshot(store) as view:
        replay_log(view, by_definition)
    assert roots == {by_definition.root()}
