"""The history that `make bench-verify` is measured with is one in which everything is right."""

from pathlib import Path

import pytest
from benchmarks import marketplace

from deepnode_ledger.batch import from_rows, placed_behind, row_of
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.manifest import load_manifest
from deepnode_ledger.record import Kind
from deepnode_ledger.task_event import open_event
from deepnode_projections.replay import Replay, Verdicts
from deepnode_projections.rules.comparisons import Checked


def test_nothing_in_a_made_up_history_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes three small epochs and replays them: nothing refused, every signature good, all comparisons agree."""
    for name, few in (("BLOCKS", 4), ("TRANSFERS", 20), ("TASKS", 6), ("ACCOUNTS", 10)):
        monkeypatch.setattr(marketplace, name, few)
    manifest = load_manifest(marketplace.write_manifest(tmp_path))
    replay = Replay(manifest)
    verdicts = Verdicts(replay)
    for epoch in marketplace.epochs(manifest, 500):
        fed = [replay.feed(placed_behind(epoch.logs, replay.position))]
        rows = [
            row_of(replay.position + n, marketplace.CHAIN_ID, epoch.last.block, told)
            for n, told in enumerate(epoch.told, 1)
        ]
        fed.append(replay.feed(from_rows(rows)))
        assert not any(each.refused or each.quarantined for each in fed)
        for told in epoch.told:
            assert open_event(told.payload, to_hex(told.signature), manifest.producers, marketplace.CHAIN_ID) == told
        kinds = set(epoch.logs.column("kind").to_pylist())
        assert kinds == {int(Kind.CHAIN_LOG)}
    assert replay.below_zero() == []
    assert len(verdicts.roots) == len(verdicts.allocations) == 2
    assert all(root.agrees for root in verdicts.roots)
    assert all(allocation.agrees for allocation in verdicts.allocations)
    assert verdicts.roots[-1].total > 0
    assert {each.subject for each in replay.records(Checked) if each.differing} == set()
    assert sum(each.comparisons for each in replay.records(Checked) if each.subject == "RevenueSplit") == 18 * 11
