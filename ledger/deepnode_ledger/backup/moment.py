"""A moment that a log can be restored to: the backup's own, or that of a sealing before it.

At a sealing the log is known exactly: its entries, its blocks on each chain, its root. So a point in time is the newest
sealing at or before it. What came later is left out: the tail, the task events in it, reorgs that kept more, later
checkpoints.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from deepnode_ledger.backup.folder import BackupFolder, Kept
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
    bytes_of,
)
from deepnode_ledger.errors import BadInput

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class PointInTime:
    """Up to where a log is restored: by position, block number, block time (seconds since 1970), or sealing.

    ``chain`` is the id of the chain that the block is of; it can be left out if the log has one.
    """

    position: int | None = None
    block: int | None = None
    time: int | None = None
    sealing: int | None = None
    chain: int | None = None

    @classmethod
    def of(
        cls,
        *,
        position: int | None = None,
        block: int | None = None,
        time: str | None = None,
        sealing: int | None = None,
        chain: int | None = None,
    ) -> "PointInTime | None":
        """Make one of what was asked for, or None if nothing was.

        Args:
            position: of the log.
            block: its number.
            time: RFC 3339, with its offset from UTC; the second is what counts.
            sealing: its number in log.sealing.
            chain: the id of the chain that the block is of.

        Raises:
            BadInput: two were asked for, the time is none, or there is a chain without a block.
        """
        given = [value for value in (position, block, time, sealing) if value is not None]
        if chain is not None and block is None:
            raise BadInput("a chain says which chain a block is of, and no block was given")
        if not given:
            return None
        if len(given) > 1:
            raise BadInput("a point in time is one of position, block, time and sealing, not two of them")
        return cls(position, block, None if time is None else seconds_of(time), sealing, chain)

    def holds(self, row: SealingRow, blocks: Mapping[int, SealingBlockRow]) -> bool:
        """Say whether a sealing, with the blocks that it goes up to by the ids of their chains, is at or before it."""
        if self.sealing is not None:
            return row.number <= self.sealing
        if self.position is not None:
            return row.sealed_position <= self.position
        if self.block is not None:
            assert self.chain is not None
            sealed = blocks.get(self.chain)
            return sealed is None or sealed.block_number <= self.block
        assert self.time is not None
        return all(sealed.block_time <= self.time for sealed in blocks.values())


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
    chains: list[ChainRow]
    sealings: list[SealingRow]
    sealing_blocks: list[SealingBlockRow]
    checkpoints: list[CheckpointRow]
    cosignatures: list[CosignatureRow]
    reorgs: list[ReorgRow]
    evidence: list[EvidenceRow]
    holds: list[HoldRow]
    contracts: list[ContractRow]
    offsets: list[OffsetRow]
    coverage: list[CoverageRow]
    headers: list[HeaderRow]
    tail: Path | None
    root: bytes
    left_out: int | None = None


@dataclass(slots=True)
class _Gathered:
    last: Kept | None = None
    sealings: list[SealingRow] = field(default_factory=list)
    blocks: dict[int, dict[int, SealingBlockRow]] = field(default_factory=dict)
    checkpoints: list[CheckpointRow] = field(default_factory=list)
    cosignatures: list[CosignatureRow] = field(default_factory=list)
    reorgs: list[ReorgRow] = field(default_factory=list)
    evidence: list[EvidenceRow] = field(default_factory=list)

    def blocks_of(self, sealing: int) -> Mapping[int, SealingBlockRow]:
        """The blocks that a sealing goes up to, by the ids of their chains."""
        return self.blocks.get(sealing, {})

    def blocks_until(self, sealing: int) -> list[SealingBlockRow]:
        """The blocks of all sealings up to one."""
        return [row for number, blocks in self.blocks.items() if number <= sealing for row in blocks.values()]


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
        for row in kept.manifest.sealing_blocks:
            gathered.blocks.setdefault(row.number, {})[row.chain_id] = row
        gathered.checkpoints += kept.manifest.checkpoints
        gathered.cosignatures += kept.manifest.cosignatures
        gathered.reorgs += kept.manifest.reorgs
        gathered.evidence += kept.manifest.evidence
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
        list(kept.chains),
        gathered.sealings,
        gathered.blocks_until(max(gathered.blocks, default=0)),
        gathered.checkpoints,
        gathered.cosignatures,
        gathered.reorgs,
        gathered.evidence,
        list(kept.holds),
        list(kept.contracts),
        list(kept.offsets),
        list(kept.coverage),
        list(kept.headers),
        folder.check_tail(kept),
        bytes_of(kept.root),
    )


def _at_sealing(folder: BackupFolder, gathered: _Gathered, last: Kept, point: PointInTime) -> Moment:
    point = _with_chain(point, last.manifest.chains)
    at = _newest_sealing(folder, gathered, point)
    blocks = gathered.blocks_of(at.number)
    # Up to which block a chain comes back; one of which nothing was sealed begins anew.
    until = {chain.chain_id: chain.first_block - 1 for chain in last.manifest.chains}
    until |= {chain_id: block.block_number for chain_id, block in blocks.items()}
    size = at.sealed_position
    reorgs = [
        row for row in gathered.reorgs if row.kept_position <= size and row.kept_block <= until.get(row.chain_id, -1)
    ]
    later = [row.size for row in gathered.checkpoints if row.size > size]
    return Moment(
        last.manifest.number,
        last.sha256,
        HeadRow(size, size, at.batches),
        [_standing_at(chain, blocks.get(chain.chain_id)) for chain in last.manifest.chains],
        [row for row in gathered.sealings if row.number <= at.number],
        gathered.blocks_until(at.number),
        [row for row in gathered.checkpoints if row.size <= size],
        [row for row in gathered.cosignatures if row.size <= size],
        # Their numbers have no gap, and followers count on it.
        [msgspec.structs.replace(row, number=number) for number, row in enumerate(reorgs, 1)],
        [row for row in gathered.evidence if row.last_block <= until.get(row.chain_id, -1)],
        list(last.manifest.holds),
        [row for row in last.manifest.contracts if row.first_block <= until.get(row.chain_id, -1)],
        # Sources of task events are read from their beginning again: what was taken in later is not there.
        [],
        [
            _cut(row, block)
            for row in last.manifest.coverage
            if (block := blocks.get(row.chain_id)) is not None and row.first_block <= block.block_number
        ],
        [
            HeaderRow(block.chain_id, block.block_number, block.block_hash, block.parent_hash, block.block_time)
            for block in blocks.values()
        ],
        None,
        bytes_of(at.root),
        max(later, default=None),
    )


def _with_chain(point: PointInTime, chains: Sequence[ChainRow]) -> PointInTime:
    """Say which chain a block is of, if it is not said."""
    if point.block is None:
        return point
    ids = [chain.chain_id for chain in chains]
    if point.chain is None and len(ids) > 1:
        raise BadInput(f"the log has the chains {', '.join(map(str, ids))}: say which one block {point.block} is of")
    if point.chain is not None and point.chain not in ids:
        raise BadInput(f"the log has no chain {point.chain}, only {', '.join(map(str, ids))}")
    return replace(point, chain=ids[0] if point.chain is None else point.chain)


def _newest_sealing(folder: BackupFolder, gathered: _Gathered, point: PointInTime) -> SealingRow:
    sealings = [row for row in gathered.sealings if point.holds(row, gathered.blocks_of(row.number))]
    if not sealings:
        first = "none at all"
        if gathered.sealings:
            blocks = gathered.blocks_of(gathered.sealings[0].number)
            first = f"of position {gathered.sealings[0].sealed_position}, block "
            first += ", ".join(str(block.block_number) for block in blocks.values())
        raise BadInput(
            f"the backups in {folder.path} hold no sealing at or before {_shown(point)}; the first is {first}"
        )
    if point.sealing is not None and sealings[-1].number != point.sealing:
        raise BadInput(f"the backups in {folder.path} end with sealing {sealings[-1].number}, before {point.sealing}")
    return sealings[-1]


def _standing_at(chain: ChainRow, block: SealingBlockRow | None) -> ChainRow:
    place: tuple[int | None, str | None, int | None] = (None, None, None)
    if block is not None:
        place = (block.block_number, block.block_hash, block.block_time)
    return ChainRow(chain.chain_id, chain.genesis_hash, chain.first_block, *place, *place, None, None, None)


def _cut(row: CoverageRow, at: SealingBlockRow) -> CoverageRow:
    if row.last_block <= at.block_number:
        return row
    return msgspec.structs.replace(row, last_block=at.block_number, last_hash=at.block_hash)


def _shown(point: PointInTime) -> str:
    names = ("position", "block", "time", "sealing")
    return next(f"{name} {value}" for name in names if (value := getattr(point, name)) is not None)
