"""Restating: what an epoch gave to everybody, as known at one position, as known at another, and as corrected.

What the books say of an epoch is what was known: a line of a pool comes with the allocation that made it and never
changes. As corrected is what a replay gives that hears the right values (``correcting``). The differences are nobody's
claim: what was paid is paid. They say what the wrong events have cost whom.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from deepnode_ledger.errors import BadInput
from deepnode_ledger.manifest import Manifest
from deepnode_projections.correcting import in_force, replay_corrected
from deepnode_projections.registers.at import StateAt
from deepnode_projections.registers.state import State
from deepnode_projections.rules.corrections import Correction
from deepnode_projections.rules.emission import Allocation
from deepnode_projections.rules.epochs import Epoch
from deepnode_projections.rules.pools import Reward
from deepnode_projections.rules.work import Work


@dataclass(frozen=True, slots=True)
class Earner:
    """What an epoch gave to ``earner`` (20 bytes) of an ``asset`` (20 bytes), in base units.

    ``known`` is as known at the earlier position, ``now`` at the later one, ``corrected`` as corrected by what is known
    there.
    """

    asset: bytes
    earner: bytes
    known: int
    now: int
    corrected: int

    @property
    def difference(self) -> int:
        """What the corrections would have added, or (below 0) taken away."""
        return self.corrected - self.now


@dataclass(frozen=True, slots=True)
class Worked:
    """A node whose work in the epoch (VWU × difficulty in ppm) is another one as corrected."""

    domain: bytes
    node: bytes
    counted: int
    corrected: int


@dataclass(frozen=True, slots=True)
class Cause:
    """A correction of the epoch or an earlier one; ``holds`` unless a newer one of the same value has replaced it."""

    correction: Correction
    holds: bool


@dataclass(frozen=True, slots=True)
class Restated:
    """An epoch as known at ``known_position``, as known at ``position``, and as corrected by what is known there."""

    epoch: int
    known_position: int
    position: int
    earners: Sequence[Earner]
    work: Sequence[Worked]
    causes: Sequence[Cause]


class Log(Protocol):
    """Whoever has the log's entries: ``deepnode_ledger.snapshot.Snapshot`` is one."""

    def read(self, first: int, last: int | None = None) -> Iterable[pa.RecordBatch]:
        """Return the entries from position ``first`` to ``last``, both included, in batches."""


def restate_epoch(
    past: StateAt, manifest: Manifest, epoch: int, known: int, log: Log, *, corrected: bool = True
) -> Restated:
    """Say what an epoch gave to everybody.

    Args:
        past: the books at the later position.
        manifest: the deployment.
        epoch: one that is over there.
        known: the earlier position.
        log: the entries that the books are of.
        corrected: replay the log as corrected; else the figures as corrected are those as known.

    Raises:
        BadInput: the epoch is not over.
    """
    if past.get(Epoch, epoch + 1) is None:
        raise BadInput(f"epoch {epoch} is not over at position {past.position}: what it gives is not known")
    assert 0 <= known <= past.position, (known, past.position)
    corrections = past.every(Correction)
    causes = _causes(corrections, epoch)
    then, now = _sums(past.at(known), epoch), _sums(past, epoch)
    right, work = now, list[Worked]()
    if corrected and any(each.holds and not each.correction.in_time for each in causes):
        # An epoch's lines come with its allocations: what stands behind the last of them cannot change them.
        last = max((position for position, _ in past.changes(Allocation, epoch)), default=past.position)
        state = replay_corrected(manifest, corrections, log.read(1, min(last, past.position))).state
        right, work = _sums(state, epoch), _work(past, state, epoch)
    earners = [
        Earner(*key, then.get(key, 0), now.get(key, 0), right.get(key, 0)) for key in sorted({*then, *now, *right})
    ]
    return Restated(epoch, known, past.position, earners, work, causes)


def _causes(corrections: Sequence[Correction], epoch: int) -> Sequence[Cause]:
    holding = {(each.producer, each.event_id) for each in in_force(corrections)}
    return [
        Cause(each, (each.producer, each.event_id) in holding)
        for each in sorted(corrections, key=lambda each: each.corrected_position)
        if each.epoch == epoch or (each.epoch < epoch and not each.in_time)
    ]


def _sums(state: State | StateAt, epoch: int) -> Mapping[tuple[bytes, bytes], int]:
    found: dict[tuple[bytes, bytes], int] = {}
    for each in state.every(Reward, epoch):
        key = (each.asset, each.earner)
        found[key] = found.get(key, 0) + each.amount
    return found


def _work(past: StateAt, state: State, epoch: int) -> list[Worked]:
    counted, right = (
        {(each.domain, each.node): each.weighted for each in one.every(Work, epoch)} for one in (past, state)
    )
    return [
        Worked(*key, counted.get(key, 0), right.get(key, 0))
        for key in sorted({*counted, *right})
        if counted.get(key, 0) != right.get(key, 0)
    ]
