"""The log files and tiles of a bundle as they come about, from where an earlier run left off to the last entry.

What an earlier run has made is used if its bytes are those that its list names and its entries are those of its tiles;
the tree's root is compared in the end with the signed one. So what is not of this log is found however it came there.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import pyarrow as pa

from deepnode_ledger import leaf
from deepnode_ledger.bundle import layout, log_file
from deepnode_ledger.bundle.contents import FilePart
from deepnode_ledger.bundle.files import FolderFiles
from deepnode_ledger.bundle.folder import BundleFolder
from deepnode_ledger.bundle.layout import LogFile
from deepnode_ledger.errors import Damaged
from deepnode_ledger.transparency import Edge, Tile, TileHashes, consistency_proof, leaf_hashes, tiles_of
from deepnode_ledger.transparency.tile import HEIGHT, WIDTH, split
from deepnode_ledger.transparency.tree import root_of

REMEMBERED_FILES: Final = 16
"""Log files between two notes of what is done: a million entries."""

Progress = Callable[[int, int], None]
"""Is told how many entries are done, and of how many."""

Read = Callable[[int, int], Iterator[pa.RecordBatch]]
"""Yields the entries between two positions."""


def grow(
    folder: BundleFolder, known: Mapping[str, FilePart] | None, read: Read, entries: int, progress: Progress
) -> Edge:
    """Make the log files and tiles of the first ``entries`` entries; return their tree's edge.

    Args:
        folder: where they go.
        known: what the list of an earlier run says of files, by their paths; None: nothing of it may be used.
        read: reads the log.
        entries: how many.
        progress: is told how far it is.
    """
    files = list(layout.log_files(entries))
    kept = 0
    while known is not None and kept < len(files) and _keep(folder, known, files[kept]):
        kept += 1
        progress(files[kept - 1].last, entries)
    edge = _edge_of_whole_files(folder, kept)
    made = _Tree(folder, edge)
    pieces = _Pieces(read(kept * layout.LOG_FILE_ENTRIES + 1, entries))
    for number, file in enumerate(files[kept:], 1):
        folder.write(file.path, partial(_write, made.watching(pieces.up_to(file.last))))
        progress(file.last, entries)
        if number % REMEMBERED_FILES == 0:
            folder.remember()
    made.put_rest()
    return made.edge


def prove(folder: BundleFolder, read: Read, edge: Edge, size: int) -> tuple[list[bytes], bytes]:
    """Prove that the bundle's tree is the beginning of the log's tree of ``size`` entries.

    Returns:
        The proof, and that tree's root.
    """
    needed: dict[tuple[int, int], bytes] = {}

    def note(level: int, index: int) -> bytes:
        needed[level, index] = bytes(32)
        return bytes(32)

    consistency_proof(edge.size, size, note)
    hashes = TileHashes(edge.size, lambda tile: folder.read(tile.path))
    # A subtree lies within the bundle's tree or behind it: one that did both would say nothing about the beginning.
    behind = sorted((index << level, level, index) for level, index in needed if (index + 1) << level > edge.size)
    for level, index in needed:
        if (index + 1) << level <= edge.size:
            needed[level, index] = hashes(level, index)
    pieces = _Pieces(read(edge.size + 1, size))
    whole = edge
    for start, level, index in [*behind, (size, 0, -1)]:
        for piece in pieces.up_to(start):
            whole, _ = whole.extend(leaf_hashes(leaf.entries(piece)))
        if index < 0:
            break
        alone = Edge()
        for piece in pieces.up_to((index + 1) << level):
            found = leaf_hashes(leaf.entries(piece))
            alone, _ = alone.extend(found)
            whole, _ = whole.extend(found)
        needed[level, index] = alone.root
    return consistency_proof(edge.size, size, lambda level, index: needed[level, index]), whole.root


class _Pieces:
    """A stream of entries that is cut at positions as they are asked for."""

    def __init__(self, stream: Iterator[pa.RecordBatch]) -> None:
        self._stream = stream
        self._rest: pa.RecordBatch | None = None

    def up_to(self, last: int) -> Iterator[pa.RecordBatch]:
        """Yield what comes up to a position; what lies behind it waits."""
        while True:
            piece = next(self._stream, None) if self._rest is None else self._rest
            self._rest = None
            if piece is None:
                return
            here = last - piece.column("position")[0].as_py() + 1
            if here < piece.num_rows:
                self._rest = piece.slice(max(0, here))
            if here > 0:
                yield piece.slice(0, here)
            if self._rest is not None:
                return


class _Tree:
    """The tree as it grows; full tiles are written as they come about."""

    def __init__(self, folder: BundleFolder, edge: Edge) -> None:
        self.edge = edge
        self._folder = folder

    def watching(self, pieces: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Pass entries on, and take them in."""
        for piece in pieces:
            self.edge, tiles = self.edge.extend(leaf_hashes(leaf.entries(piece)))
            for tile, data in tiles:
                if tile.width == WIDTH:
                    self._folder.put(tile.path, data)
            yield piece

    def put_rest(self) -> None:
        """Write the partial tiles of the edge, and the full ones of its higher levels that an earlier run made."""
        for level, hashes in enumerate(self.edge.levels):
            if hashes:
                index = self.edge.size >> (HEIGHT * (level + 1))
                self._folder.put(Tile(level, index, len(hashes)).path, b"".join(hashes))


def _write(pieces: Iterator[pa.RecordBatch], path: Path) -> None:
    log_file.write(path, log_file.cut(pieces))


def _keep(folder: BundleFolder, known: Mapping[str, FilePart], file: LogFile) -> bool:
    """Keep a full log file of an earlier run with its tiles; say whether all of them are right."""
    if file.last % layout.LOG_FILE_ENTRIES:
        return False
    tiles = [tile for tile in tiles_of(file.last, file.first - 1) if tile.width == WIDTH]
    if not all(name in known and folder.keep(known[name]) for name in [file.path, *(tile.path for tile in tiles)]):
        return False
    # The list may have been written anew as well: that the tiles are the entries' is seen from the entries. Whether
    # they are this log's shows the root.
    leaves = b"".join(folder.read(tile.path) for tile in tiles if tile.level == 0)
    files = FolderFiles(folder.path)
    try:
        with files.open(file.path) as span:
            batches = log_file.read(span, file.first, file.last)
            return b"".join(each for batch in batches for each in leaf_hashes(leaf.entries(batch))) == leaves
    except Damaged:
        return False
    finally:
        files.close()


def _edge_of_whole_files(folder: BundleFolder, files: int) -> Edge:
    """Return the edge of the tree behind so many full log files, from the tiles that they have."""
    levels: list[Sequence[bytes]] = [(), ()]
    above, below = 2, files
    while below:
        first = below - below % WIDTH
        levels.append([root_of(split(folder.read(Tile(above - 1, index).path))) for index in range(first, below)])
        above, below = above + 1, below // WIDTH
    return Edge(tuple(tuple(hashes) for hashes in levels)) if files else Edge()
