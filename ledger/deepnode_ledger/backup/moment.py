"""A moment that a log can be restored to: the backup's own, or that of a sealing before it.

At a sealing the log is known exactly: its entries, its blocks, its root. So a point in time is the newest sealing at or
before it. What came later is left out: the tail, the task events in it, reorgs that kept more, later checkpoints.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from deepnode_ledger.backup.folder import BackupFolder, Kept
from deepnode_ledger.backup.manifest import (
    ChainRow,
    CheckpointRow,
    CosignatureRow,
    CoverageRow,
    HeaderRow,
    HeadRow,
    ReorgRow,
    SealingRow,
    bytes_of,
)
from deepnode_ledger.errors import BadInput

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class PointInTime:
    """Up to where a log is restored: by position, block number, block time (seconds since 1970), or sealing."""

    position: int | None = None
    block: int | None = None
    time: int | None = None
    sealing: int | None = None

    @classmethod
    def of(
        cls,
        *,
        position: int | None = None,
        block: int | None = None,
        time: str | None = None,
        sealing: int | None = None,
    ) -> "PointInTime | None":
        """Make one of what was asked for, or None if nothing was.

        Args:
            position: of the log.
            block: its number.
            time: RFC 3339, with its offset from UTC; the second is what counts.
            sealing: its number in log.sealing.

        Raises:
            BadInput: two were asked for, or the time is none.
        """
        given = [value for value in (position, block, time, sealing) if value is not None]
        if not given:
            return None
        if len(given) > 1:
            raise BadInput("a point in time is one of position, block, time and sealing, not two of them")
        return cls(position, block, None if time is None else seconds_of(time), sealing)

    def holds(self, row: SealingRow) -> bool:
        """Say whether a sealing is at or before this point."""
        if self.sealing is not None:
            return row.number <= self.sealing
        if self.position is not None:
            return row.sealed_position <= self.position
        if self.block is not None:
            return row.block_number <= self.block
        assert self.time is not None
        return row.block_time <= self.time


def seconds_of(text: str) -> int:
    """Read an RFC 3339 time as seconds since 1970.

    Raises:
        BadInput: it is none, or has no offset.
    """
    try:
        moment = msgspec.convert(text, datetime)
    except msgspec.ValidationError as error:
        raise BadInput(f"a time is like 2026-01-31T12:00:00Z, not {text!r:.80}") from error
    if moment.tzinfo is None:
        raise BadInput(f"a time has its offset from UTC, such as a Z behind it: {text!r:.80} has none")
    return (moment - EPOCH) // timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Moment:
    """The rows of a log at a moment: all but its batches, of which it has ``head.batches``, and what is made of them.

    Attributes:
        tail: the file of its pending entries, if it has any.
        root: of the tree over everything sealed, 32 bytes.
        left_out: the size of the newest checkpoint that was signed later, if one was.
    """

    backups: int
    sha256: str
    head: HeadRow
    chain: ChainRow
    sealings: list[SealingRow]
    checkpoints: list[CheckpointRow]
    cosignatures: list[CosignatureRow]
    reorgs: list[ReorgRow]
    coverage: list[CoverageRow]
    headers: list[HeaderRow]
    tail: Path | None
    root: bytes
    left_out: int | None = None


@dataclass(slots=True)
class _Gathered:
    last: Kept | None = None
    sealings: list[SealingRow] = field(default_factory=list)
    checkpoints: list[CheckpointRow] = field(default_factory=list)
    cosignatures: list[CosignatureRow] = field(default_factory=list)
    reorgs: list[ReorgRow] = field(default_factory=list)


def find_moment(folder: BackupFolder, point: PointInTime | None) -> Moment:
    """Find what to restore.

    Raises:
        BadInput: there is no backup, or no sealing at or before the point.
        Damaged: a manifest or the tail's file is not what was written.
    """
    gathered = _Gathered()
    for kept in folder.manifests(folder.last()):
        gathered.last = kept
        gathered.sealings += kept.manifest.sealings
        gathered.checkpoints += kept.manifest.checkpoints
        gathered.cosignatures += kept.manifest.cosignatures
        gathered.reorgs += kept.manifest.reorgs
    if gathered.last is None:
        raise BadInput(f"there is no backup in {folder.path}")
    if point is None:
        return _whole(folder, gathered, gathered.last)
    return _at_sealing(folder, gathered, gathered.last, point)


def _whole(folder: BackupFolder, gathered: _Gathered, last: Kept) -> Moment:
    kept = last.manifest
    return Moment(
        kept.number,
        last.sha256,
        kept.head,
        kept.chain,
        gathered.sealings,
        gathered.checkpoints,
        gathered.cosignatures,
        gathered.reorgs,
        list(kept.coverage),
        list(kept.headers),
        folder.check_tail(kept),
        bytes_of(kept.root),
    )


def _at_sealing(folder: BackupFolder, gathered: _Gathered, last: Kept, point: PointInTime) -> Moment:
    sealings = [row for row in gathered.sealings if point.holds(row)]
    if not sealings:
        first = gathered.sealings[0] if gathered.sealings else None
        raise BadInput(
            f"the backups in {folder.path} hold no sealing at or before {_shown(point)}; the first is "
            + ("none at all" if first is None else f"of position {first.sealed_position}, block {first.block_number}")
        )
    at = sealings[-1]
    if point.sealing is not None and at.number != point.sealing:
        raise BadInput(f"the backups in {folder.path} end with sealing {at.number}, before {point.sealing}")
    block = (at.block_number, at.block_hash, at.block_time)
    chain = last.manifest.chain
    size = at.sealed_position
    reorgs = [row for row in gathered.reorgs if row.kept_position <= size and row.kept_block <= at.block_number]
    later = [row.size for row in gathered.checkpoints if row.size > size]
    return Moment(
        last.manifest.number,
        last.sha256,
        HeadRow(size, size, at.batches),
        ChainRow(chain.chain_id, chain.genesis_hash, chain.first_block, *block, *block),
        sealings,
        [row for row in gathered.checkpoints if row.size <= size],
        [row for row in gathered.cosignatures if row.size <= size],
        # Their numbers have no gap, and followers count on it.
        [msgspec.structs.replace(row, number=number) for number, row in enumerate(reorgs, 1)],
        [_cut(row, at) for row in last.manifest.coverage if row.first_block <= at.block_number],
        [HeaderRow(chain.chain_id, at.block_number, at.block_hash, at.parent_hash, at.block_time)],
        None,
        bytes_of(at.root),
        max(later, default=None),
    )


def _cut(row: CoverageRow, at: SealingRow) -> CoverageRow:
    if row.last_block <= at.block_number:
        return row
    return msgspec.structs.replace(row, last_block=at.block_number, last_hash=at.block_hash)


def _shown(point: PointInTime) -> str:
    names = ("position", "block", "time", "sealing")
    return next(f"{name} {value}" for name in names if (value := getattr(point, name)) is not None)
