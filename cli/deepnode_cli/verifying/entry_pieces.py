"""One log file looked at by itself: its entries' encodings, their order, and the part of the tree over them.

A log file holds 65 536 entries, so the tree over it is a complete subtree: its 256 tiles of level 0 and its one of
level 1 are compared here, and its root goes up. What has to be compared across files (the order at their borders, the
levels above) goes up as well, in few bytes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from deepnode_cli.verifying.finding import Finding, Severity
from deepnode_ledger import leaf
from deepnode_ledger.bundle import Bundle, LogFile
from deepnode_ledger.errors import BadInput, Damaged
from deepnode_ledger.fsck.content import Fault, by_chain
from deepnode_ledger.fsck.content import faults as faults_of
from deepnode_ledger.record import DATA_BYTES_MAX, Kind
from deepnode_ledger.task_event import SEQUENCE_MAX
from deepnode_ledger.transparency import Edge, Tile, leaf_hashes
from deepnode_ledger.transparency.line import HASH_BYTES
from deepnode_ledger.transparency.tile import WIDTH

SHOWN_CHARACTERS: Final = 160


class Wrong(msgspec.Struct, frozen=True):
    """What is wrong in a file of the bundle: where, in words, and the positions and numbers that it is about."""

    where: str
    said: str
    positions: tuple[int, ...] = ()
    integers: dict[str, int] = {}

    def finding(self, stage: str) -> Finding:
        """Return it as a finding of a stage."""
        return Finding(Severity.ERROR, stage, self.where, self.said, self.positions, self.integers)


class Place(msgspec.Struct, frozen=True):
    """A chain log or block at the border of a file: what the next file's first one is compared with.

    ``log_index`` is that of the chain log of its block that is nearest to the border; -1: it has only task events here.
    """

    position: int
    number: int
    hash: bytes
    time: int
    log_index: int


class Looked(msgspec.Struct, frozen=True):
    """What became of one log file.

    Attributes:
        entries: how many there are.
        task_events: how many of them are.
        tiles: how many were compared.
        wrong: the faults found, in their order.
        levels: the edge of the file's own tree: per tile level the hashes that no full tile holds, joined.
        firsts: the first place of each chain.
        lasts: its last one.
    """

    entries: int
    task_events: int
    tiles: int
    wrong: tuple[Wrong, ...]
    levels: tuple[bytes, ...]
    firsts: dict[int, Place]
    lasts: dict[int, Place]


def look(bundle: Bundle, file: LogFile) -> Looked:
    """Look at one log file; what is wrong in it comes back as data."""
    looking = _Looking(bundle, file)
    try:
        for batch in bundle.batches_of(file, file.first, file.last):
            looking.add(batch)
    except (Damaged, OSError) as error:
        looking.wrong.append(Wrong(file.path, str(error), (looking.position + 1,)))
    return looking.finish()


@dataclass(slots=True)
class _Looking:
    bundle: Bundle
    file: LogFile
    edge: Edge = field(default_factory=Edge)
    wrong: list[Wrong] = field(default_factory=list)
    firsts: dict[int, Place] = field(default_factory=dict)
    lasts: dict[int, Place] = field(default_factory=dict)
    position: int = 0
    task_events: int = 0
    tiles: int = 0
    is_whole: bool = True

    def __post_init__(self) -> None:
        self.position = self.file.first - 1

    def add(self, batch: pa.RecordBatch) -> None:
        first = self.position + 1
        self.position += batch.num_rows
        found = [*faults_of(batch), *_limits(batch)]
        for fault in found:
            self.wrong.append(self._wrong(first, fault))
        if found:
            # Of what is no entry there are no leaves.
            self.is_whole = False
            return
        self.task_events += int(np.count_nonzero(batch.column("kind").to_numpy() == Kind.TASK_EVENT))
        self.wrong += list(self._order(batch))
        self._hash(batch)

    def finish(self) -> Looked:
        levels: tuple[bytes, ...] = ()
        if self.is_whole and self.position == self.file.last:
            self._compare_edge()
            levels = tuple(b"".join(level) for level in self.edge.levels)
        return Looked(
            self.position - self.file.first + 1,
            self.task_events,
            self.tiles,
            tuple(self.wrong),
            levels,
            self.firsts,
            self.lasts,
        )

    def _wrong(self, first: int, fault: Fault) -> Wrong:
        position = first + fault.row
        said = f"{fault.column} must be {_shown(fault.expected)}, not {_shown(fault.found)}"
        return Wrong(f"position {position}", f"{self.file.path}: {said}", (position,))

    def _order(self, batch: pa.RecordBatch) -> Iterator[Wrong]:
        """Blocks of each chain go upwards, logs within a block too, and a block has one hash and one time."""
        for chain_id, _, part in by_chain(batch):
            places = _Places(part)
            before = self.lasts.get(chain_id)
            if before is None:
                self.firsts[chain_id] = places.first
            yield from places.wrong(before, self.file.path)
            self.lasts[chain_id] = places.last(before)

    def _hash(self, batch: pa.RecordBatch) -> None:
        if not self.is_whole:
            return
        self.edge, made = self.edge.extend(leaf_hashes(leaf.entries(batch)))
        for tile, data in made:
            if tile.level <= 1 and tile.width == WIDTH:
                self._compare(tile, data)

    def _compare_edge(self) -> None:
        """Compare the tiles that end with the file, which only the last file has."""
        for level, hashes in enumerate(self.edge.levels[:2]):
            if hashes:
                self._compare(Tile(level, self.edge.size >> (8 * (level + 1)), len(hashes)), b"".join(hashes))

    def _compare(self, local: Tile, data: bytes) -> None:
        """Compare a tile, whose index counts from the file's first entry on."""
        before = (self.file.first - 1) >> (8 * (local.level + 1))
        tile = Tile(local.level, before + local.index, local.width)
        self.tiles += 1
        try:
            stored = self.bundle.read(tile.path)
        except (BadInput, OSError) as error:
            self.wrong.append(Wrong(tile.path, str(error)))
            return
        if stored != data:
            self.wrong.append(differing(tile, stored, data))


def differing(tile: Tile, stored: bytes, made: bytes) -> Wrong:
    """Say at which hash a tile is another than the one that the entries make."""
    if len(stored) != len(made):
        return Wrong(tile.path, f"it has {len(stored)} bytes, the entries make {len(made)}")
    at = next(n for n in range(0, len(made), HASH_BYTES) if stored[n : n + HASH_BYTES] != made[n : n + HASH_BYTES])
    under = 1 << (8 * tile.level)
    first = (tile.index * WIDTH + at // HASH_BYTES) * under + 1
    last = first + under - 1
    whose = f"position {first}" if under == 1 else f"positions {first} to {last}"
    said = (
        f"its hash of {whose} is 0x{stored[at : at + HASH_BYTES].hex()}, the entries make "
        f"0x{made[at : at + HASH_BYTES].hex()}"
    )
    return Wrong(tile.path, said, (first,) if under == 1 else (first, last))


class _Places:
    """The entries of one chain of a batch, as columns of numbers."""

    def __init__(self, part: pa.RecordBatch) -> None:
        self.part = part
        self.positions = part.column("position").to_numpy()
        self.numbers = part.column("block_number").to_numpy()
        self.times = part.column("block_time").to_numpy()
        self.is_log = part.column("kind").to_numpy() == Kind.CHAIN_LOG
        self.indexes = pc.fill_null(part.column("log_index"), -1).to_numpy().astype(np.int64)

    @property
    def first(self) -> Place:
        """The first entry, with the index of the first log of its block."""
        logs = self.indexes[self.is_log & (self.numbers == self.numbers[0])]
        return self._place(0, int(logs[0]) if len(logs) else -1)

    def last(self, before: Place | None) -> Place:
        """The last entry, with the index of the last log of its block, which may stand in a batch before."""
        number = self.numbers[-1]
        logs = self.indexes[self.is_log & (self.numbers == number)]
        carried = before.log_index if before is not None and before.number == number else -1
        return self._place(self.part.num_rows - 1, int(logs[-1]) if len(logs) else carried)

    def _place(self, row: int, log_index: int) -> Place:
        block_hash = self.part.column("block_hash")[row].as_py()
        return Place(int(self.positions[row]), int(self.numbers[row]), block_hash, int(self.times[row]), log_index)

    def wrong(self, before: Place | None, path: str) -> Iterator[Wrong]:
        if before is not None:
            yield from between(before, self.first, path)
        behind, number = self.numbers[:-1], self.numbers[1:]
        yield from self._first(path, number < behind, "block_number", "must not go down")
        same = number == behind
        hashes = self.part.column("block_hash")
        other = pc.not_equal(hashes.slice(0, len(hashes) - 1), hashes.slice(1)).to_numpy(zero_copy_only=False)
        yield from self._first(path, same & other, "block_hash", "must be that of the block's entry before it")
        moved = self.times[1:] != self.times[:-1]
        yield from self._first(path, same & moved, "block_time", "must be that of the block's entry before it")
        yield from self._first(path, ~same & ~other, "block_hash", "is that of another block number")
        yield from self._first(path, self.times[1:] < self.times[:-1], "block_time", "must not go down")
        yield from self._indexes(path)

    def _indexes(self, path: str) -> Iterator[Wrong]:
        rows = np.flatnonzero(self.is_log)
        numbers, indexes = self.numbers[rows], self.indexes[rows]
        repeated = np.flatnonzero((numbers[1:] == numbers[:-1]) & (indexes[1:] <= indexes[:-1]))
        for at in repeated[:1]:
            positions = (int(self.positions[rows[at]]), int(self.positions[rows[at + 1]]))
            yield _repeated(path, positions, int(indexes[at]), int(indexes[at + 1]))

    def _first(self, path: str, wrong: npt.NDArray[np.bool_], column: str, said: str) -> Iterator[Wrong]:
        for at in np.flatnonzero(wrong)[:1]:
            position = int(self.positions[at + 1])
            found, below = (_shown(self.part.column(column)[int(row)].as_py()) for row in (at + 1, at))
            yield Wrong(f"position {position}", f"{path}: {column} {said}: it is {found} behind {below}", (position,))


def between(before: Place, place: Place, path: str) -> Iterator[Wrong]:
    """Compare two neighbouring entries of a chain that stand in two batches or two files."""
    where, positions = f"position {place.position}", (before.position, place.position)
    if place.number < before.number:
        said = f"{path}: block_number must not go down: it is {place.number} behind {before.number}"
        yield Wrong(where, said, positions)
    if place.time < before.time:
        said = f"{path}: block_time must not go down: it is {place.time} behind {before.time}"
        yield Wrong(where, said, positions)
    if place.number == before.number:
        if (place.hash, place.time) != (before.hash, before.time):
            said = f"{path}: hash and time of block {place.number} must be those of its entry at {before.position}"
            yield Wrong(where, said, positions)
        if 0 <= place.log_index <= before.log_index:
            yield _repeated(path, positions, before.log_index, place.log_index)
    elif place.hash == before.hash:
        said = f"{path}: blocks {before.number} and {place.number} have one hash, 0x{place.hash.hex()}"
        yield Wrong(where, said, positions)


def _repeated(path: str, positions: tuple[int, int], before: int, found: int) -> Wrong:
    kind = "comes twice" if before == found else f"stands behind {before}"
    said = f"{path}: log_index {found} of its block {kind}: (chain, block, log index) is a log's key, and goes upwards"
    return Wrong(f"position {positions[1]}", said, positions, {"log_index": found, "before": before})


def _limits(batch: pa.RecordBatch) -> Iterator[Fault]:
    """What no log and no task event can be, beyond the form of its columns."""
    lengths = pc.binary_length(batch.column("data")).to_numpy()
    if np.any(lengths > DATA_BYTES_MAX):
        row = int(np.argmax(lengths > DATA_BYTES_MAX))
        yield Fault(row, "data", f"{DATA_BYTES_MAX} bytes at most", f"{lengths[row]} bytes")
    sequences = pc.fill_null(batch.column("sequence"), 1).to_numpy()
    wrong = (sequences < 1) | (sequences > SEQUENCE_MAX)
    if np.any(wrong):
        row = int(np.argmax(wrong))
        yield Fault(row, "sequence", f"1 to {SEQUENCE_MAX}", int(sequences[row]))


def _shown(value: object) -> str:
    text = f"0x{value.hex()}" if isinstance(value, bytes) else repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
