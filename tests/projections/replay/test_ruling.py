"""A replay may be held under other rules than the chain's; without, and under the same, it is that of the books."""

from pathlib import Path

import msgspec
import pytest
from benchmarks import marketplace
from typing_extensions import override

from deepnode_ledger.batch import from_rows, placed_behind, row_of
from deepnode_ledger.manifest import Manifest, load_manifest
from deepnode_projections import rulesets
from deepnode_projections.registers.record import Record
from deepnode_projections.registers.state import MemoryState
from deepnode_projections.replay import Replay
from deepnode_projections.rules.comparisons import Checked
from deepnode_projections.rules.trust import Trust
from deepnode_projections.rulesets import Ruleset


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Manifest, list[marketplace.Epoch]]:
    """Two small epochs in which everything is as the default ruleset gives it."""
    for name, few in (("BLOCKS", 3), ("TRANSFERS", 5), ("TASKS", 4), ("ACCOUNTS", 10)):
        monkeypatch.setattr(marketplace, name, few)
    manifest = load_manifest(marketplace.write_manifest(tmp_path))
    return manifest, list(marketplace.epochs(manifest, 200))


def fed(replay: Replay, history: list[marketplace.Epoch]) -> Replay:
    for epoch in history:
        replay.feed(placed_behind(epoch.logs, replay.position))
        block, behind = epoch.last.block, replay.position + 1
        rows = [row_of(behind + n, marketplace.CHAIN_ID, block, each) for n, each in enumerate(epoch.told)]
        replay.feed(from_rows(rows))
    return replay


def test_the_chains_own_rules_change_nothing(history: tuple[Manifest, list[marketplace.Epoch]]) -> None:
    """Replays as it was, under the default ruleset, and under whatever the chain has: the same state."""
    manifest, epochs = history
    told: list[int] = []

    def same(epoch: int, chains: Ruleset) -> Ruleset:
        told.append(epoch)
        return chains

    as_it_was = fed(Replay(manifest), epochs)
    assert fed(Replay(manifest, ruleset=rulesets.default()), epochs).root() == as_it_was.root()
    assert fed(Replay(manifest, ruleset=same), epochs).root() == as_it_was.root()
    assert {1, 2} <= set(told) <= {0, 1, 2, 3}
    assert Replay(manifest).state.ruling is None


def test_other_rules_reach_trust_and_splits(history: tuple[Manifest, list[marketplace.Epoch]]) -> None:
    """Starts trust elsewhere and rounds splits otherwise, from epoch 2 on: scores and expected legs are others."""
    manifest, epochs = history
    default = rulesets.default()
    other = msgspec.structs.replace(
        default, trust=msgspec.structs.replace(default.trust, start_ppm=default.trust.start_ppm + 100_000)
    )
    under = fed(Replay(manifest, ruleset=other), epochs)
    as_it_was = fed(Replay(manifest), epochs)
    scores = [[each.score for each in replay.records(Trust)] for replay in (under, as_it_was)]
    assert len(scores[0]) == len(scores[1]) > 0
    assert scores[0] != scores[1]
    differing = {each.subject for each in under.records(Checked) if each.differing}
    assert differing == {"TaskAssigned"}
    floors = msgspec.structs.replace(default, revenue=msgspec.structs.replace(default.revenue, rounding="floor"))
    rounded = fed(Replay(manifest, ruleset=lambda epoch, chains: floors if epoch > 1 else chains), epochs)
    assert {each.subject for each in rounded.records(Checked) if each.differing} == {"RevenueSplit"}


def test_a_state_of_another_kind_is_used(history: tuple[Manifest, list[marketplace.Epoch]]) -> None:
    """Gives a replay a state of its own: what the rules put comes into it."""
    manifest, epochs = history

    class Counting(MemoryState):
        """Counts what is put."""

        count = 0

        @override
        def put(self, record: Record) -> None:
            type(self).count += 1
            super().put(record)

    state = Counting()
    assert fed(Replay(manifest, state=state), epochs).state is state
    assert Counting.count > 100
