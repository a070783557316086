"""Running a what-if: a log replayed twice, as it was and under a scenario, and all that comes out of it."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.manifest import Manifest
from deepnode_projections.replay import EpochEnd, Replay
from deepnode_projections.rules.comparisons import Difference
from deepnode_projections.rules.domains import Domain
from deepnode_projections.rules.epochs import current
from deepnode_projections.rules.registry import Model
from deepnode_projections.whatif.comparison import Change, SplitChange, changes, splits
from deepnode_projections.whatif.division import Division, differing_lines, divide, minted_asset
from deepnode_projections.whatif.pressure import PressureRow, pressures
from deepnode_projections.whatif.recording import RecordingState
from deepnode_projections.whatif.scenario import Scenario

Batches = Callable[[], Iterator[pa.RecordBatch]]
"""Begins the log from its first entry; it is called for each replay."""

Progress = Callable[[str, int], None]
"""Told which replay is at which position."""


@dataclass(frozen=True, slots=True)
class Side:
    """One replay: its state, its pools, and what it came to. ``ended`` has the state root at every epoch's end."""

    state: RecordingState
    division: Division
    pressures: tuple[PressureRow, ...]
    position: int
    root: bytes
    ended: tuple[EpochEnd, ...]
    refusals: int


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What came out: both sides, and their differences."""

    scenario: Scenario
    was: Side
    under: Side
    changes: tuple[Change, ...]
    splits: tuple[SplitChange, ...]

    @property
    def chain_differed(self) -> int:
        """How many parts of allocations and splits the chain made otherwise than its own rules give."""
        subjects = ("EpochAllocated", "RevenueSplit")
        return sum(each.subject in subjects for each in self.was.state.every(Difference))


def run(batches: Batches, manifest: Manifest, scenario: Scenario, progress: Progress | None = None) -> WhatIf:
    """Replay a log twice and compare.

    Args:
        batches: the log's entries with the columns of ``batch_versions.SCHEMA``, from position 1 on.
        manifest: the deployment.
        scenario: what the second replay is under.
        progress: told where the replays are.

    Raises:
        BadInput: the scenario names a domain or model that the log does not have, or breaks a rule of division.
        Damaged: the entries are no log.
    """
    unchanged = Scenario()
    before = _replayed(batches, manifest, unchanged, "as it was", progress)
    check_names(before[0], scenario)
    was = divide(before[0], before[0], unchanged, manifest)
    wrong = differing_lines(before[0], was)
    assert not wrong, f"the division of {len(wrong)} pools is not the books' own, such as {wrong[0]}"
    after = _replayed(batches, manifest, scenario, "under the scenario", progress)
    assert before[1].position == after[1].position, "the log became longer between the replays"
    under = divide(before[0], after[0], scenario, manifest)
    # Both sides speak of the same epochs and domains, so that they can be laid beside each other.
    places = {(epoch, domain) for division in (was, under) for epoch, domain, _ in division.pools}
    one, other = (
        _side(before, own, how, division, places, manifest)
        for own, how, division in ((before, unchanged, was), (after, scenario, under))
    )
    return WhatIf(scenario, one, other, changes(was, under), splits(before[0].splits, after[0].splits))


def check_names(state: RecordingState, scenario: Scenario) -> None:
    """Refuse a scenario that speaks of a domain, a model or an epoch that there is not.

    Raises:
        BadInput: the message names it and what there is.
    """
    domains = [to_hex(each.domain) for each in state.every(Domain)]
    models = [to_hex(each.model) for each in state.every(Model)]
    of_kind: dict[str, Sequence[str]] = {"weights": domains, "routes": domains, "governed": domains, "models": models}
    for kind, known in of_kind.items():
        for thing in scenario.chain_set.things(kind):
            if thing[0] is not None and to_hex(thing[0]) not in known:
                what = "model" if kind == "models" else "domain"
                there = f"{', '.join(known[:20])}{' …' if len(known) > 20 else ''}" or "none"
                raise BadInput(f"{to_hex(thing[0])} is no {what} of this log: there are {there}")
    if scenario.from_epoch > current(state):
        raise BadInput(f"from epoch {scenario.from_epoch}: the log ends in epoch {current(state)}")


_Replayed = tuple[RecordingState, Replay, list[EpochEnd]]


def _replayed(
    batches: Batches, manifest: Manifest, scenario: Scenario, name: str, progress: Progress | None
) -> _Replayed:
    state = RecordingState(scenario)
    # Without a ruling the replay is that of the books, also where the chain has a ruleset that nobody knows.
    replay = Replay(manifest, ruleset=None if scenario.is_unchanged else scenario.rules, state=state)
    ended: list[EpochEnd] = []
    for batch in batches():
        ended += replay.feed(batch).ended
        if progress is not None:
            progress(name, replay.position)
    return state, replay, ended


def _side(
    was: _Replayed,
    own: _Replayed,
    scenario: Scenario,
    division: Division,
    places: Collection[tuple[int, bytes]],
    manifest: Manifest,
) -> Side:
    state, replay, ended = own
    children = [child.contract for child in was[1].roster.children if child.contract.kind == "Token"]
    one = {token.address: 10**token.decimals for token in (*manifest.tokens, *children) if token.decimals is not None}
    rows = pressures(was[0], state, scenario, division, places, minted_asset(manifest), one)
    return Side(state, division, rows, replay.position, replay.root(), tuple(ended), replay.refusals)
