"""Entries of the log by the blocks that they stand in: which files hold a range of blocks, and the logs of each block.

A bundle's files are cut by positions, evidence by blocks. Each log file is looked through once for the blocks of each
chain that it has, and for the logs by which factories announce their children.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from deepnode_cli.verifying.logs_compared import PlacedLog
from deepnode_ledger.bundle import Bundle, LogFile
from deepnode_ledger.errors import Damaged
from deepnode_ledger.record import DATA_BYTES_MAX, BlockRef, ChainLog, Kind
from deepnode_ledger.roster import Roster

_LOG_COLUMNS = (
    "position",
    "block_number",
    "log_index",
    "transaction_index",
    "transaction_hash",
    "address",
    "topic0",
    "topic1",
    "topic2",
    "topic3",
    "data",
)
_NEVER_NULL = ("log_index", "transaction_index", "transaction_hash", "address")
_NO_HASH = bytes(32)


class ScanPiece(msgspec.Struct, frozen=True):
    """A log file to be looked through, and the topics of which the logs are wanted."""

    path: str
    first: int
    last: int
    topics: tuple[bytes, ...]

    @property
    def file(self) -> LogFile:
        """The file."""
        return LogFile(self.path, self.first, self.last)


class Announcement(msgspec.Struct, frozen=True):
    """A log with a topic by which a factory announces a child."""

    chain_id: int
    block_number: int
    log_index: int
    address: bytes
    topics: tuple[bytes, ...]
    data: bytes

    def learned_by(self, roster: Roster) -> None:
        """Let a roster learn from it."""
        log = ChainLog(_NO_HASH, 0, self.log_index, self.address, self.topics, self.data)
        roster.learn_logs(self.chain_id, [(BlockRef(self.block_number, _NO_HASH, 0), log)])


class Span(msgspec.Struct, frozen=True):
    """The lowest and the highest block of a chain under which a log file has entries."""

    chain_id: int
    low: int
    high: int


class Scanned(msgspec.Struct, frozen=True):
    """What a log file holds; ``damage`` says why it could not be read."""

    spans: tuple[Span, ...]
    announcements: tuple[Announcement, ...]
    damage: str = ""


def scan(bundle: Bundle, piece: ScanPiece) -> Scanned:
    """Look through one log file."""
    low: dict[int, int] = {}
    high: dict[int, int] = {}
    announcements: list[Announcement] = []
    wanted = pa.array(piece.topics, pa.binary(32))
    try:
        for batch in bundle.batches_of(piece.file, piece.first, piece.last):
            chains, blocks = batch.column("chain_id").to_numpy(), batch.column("block_number").to_numpy()
            for chain_id in np.unique(chains).tolist():
                own = blocks[chains == chain_id]
                low[chain_id] = min(low.get(chain_id, int(own[0])), int(own.min()))
                high[chain_id] = max(high.get(chain_id, int(own[0])), int(own.max()))
            if piece.topics:
                announcements += _announcements(batch.filter(pc.is_in(batch.column("topic0"), wanted)))
    except Damaged as damage:
        return Scanned((), (), str(damage))
    spans = tuple(Span(chain_id, low[chain_id], high[chain_id]) for chain_id in sorted(low))
    return Scanned(spans, tuple(announcements))


def batches_of_blocks(
    bundle: Bundle, files: Sequence[LogFile], chain_id: int, first: int, last: int
) -> Iterator[pa.RecordBatch]:
    """Yield the entries of files that stand under blocks ``first`` to ``last`` of a chain.

    Raises:
        Damaged: a file cannot be read.
    """
    for file in files:
        for batch in bundle.batches_of(file, file.first, file.last):
            blocks = batch.column("block_number")
            inside = pc.and_(pc.greater_equal(blocks, first), pc.less_equal(blocks, last))
            found = batch.filter(pc.and_(inside, pc.equal(batch.column("chain_id"), chain_id)))
            if found.num_rows:
                yield found


def placed_logs(batch: pa.RecordBatch) -> Iterator[tuple[int, int, PlacedLog]]:
    """Yield the chain logs of a batch with position and block; one that lacks a part of its place is left out."""
    logs = _whole_logs(batch)
    columns = [logs.column(name).to_pylist() for name in _LOG_COLUMNS]
    for position, block, index, transaction, transaction_hash, address, *topics, data in zip(*columns, strict=True):
        own = tuple([topic for topic in topics if topic is not None])
        yield position, block, PlacedLog(index, transaction, transaction_hash, address, own, data)


def octets(column: pa.Array) -> NDArray[np.uint8]:
    """A column of fixed width without nulls as rows of bytes."""
    width = column.type.byte_width
    held: NDArray[Any] = np.frombuffer(column.buffers()[1], np.uint8)
    return held[column.offset * width : (column.offset + len(column)) * width].reshape(-1, width)


def _announcements(batch: pa.RecordBatch) -> Iterator[Announcement]:
    chains = dict(zip(batch.column("position").to_pylist(), batch.column("chain_id").to_pylist(), strict=True))
    for position, block, log in placed_logs(batch):
        if block >= 0 and log.log_index >= 0 and len(log.data) <= DATA_BYTES_MAX:
            yield Announcement(chains[position], block, log.log_index, log.address, log.topics, log.data)


def _whole_logs(batch: pa.RecordBatch) -> pa.RecordBatch:
    keep = pc.equal(batch.column("kind"), int(Kind.CHAIN_LOG))
    for name in _NEVER_NULL:
        keep = pc.and_(keep, pc.is_valid(batch.column(name)))
    return batch.filter(keep)
