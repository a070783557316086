"""From the sealed log to its tree: leaves in their order, tiles and entry bundles of them, a batch at a time.

What is written at the end of a growth depends on its size alone, not on the batches that the log was sealed in.
"""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
from eventsourcing.postgres import PostgresDatastore

from deepnode_ledger import batch as batches
from deepnode_ledger import leaf, stored
from deepnode_ledger.errors import BadInput, Damaged
from deepnode_ledger.publishing.directory import Directory, PublishedFiles
from deepnode_ledger.standing import reading
from deepnode_ledger.transparency import (
    Bundle,
    Edge,
    Tile,
    decode_bundle,
    encode_bundle,
    leaf_hashes,
    read_edge,
)
from deepnode_ledger.transparency.tile import HEIGHT, WIDTH, split
from deepnode_ledger.transparency.tree import root_of


class Growth:
    """A tree that grows: its edge, and the entries of the bundle that is not full yet.

    Full tiles and bundles are put into the directory as they come about, the partial ones when asked for.
    """

    def __init__(self, edge: Edge, started: Sequence[bytes], directory: Directory) -> None:
        assert len(started) == edge.size % WIDTH, (len(started), edge.size)
        self.edge = edge
        self._started = list(started)
        self._directory = directory

    def add(self, entries: Sequence[bytes]) -> None:
        """Take in the entries that follow."""
        index = self.edge.size // WIDTH
        self.edge, tiles = self.edge.extend(leaf_hashes(entries))
        for tile, data in tiles:
            if tile.width == WIDTH:
                self._directory.put(tile.path, data)
        waiting = [*self._started, *entries]
        full = len(waiting) - len(waiting) % WIDTH
        for start in range(0, full, WIDTH):
            self._directory.put(Bundle(index + start // WIDTH).path, encode_bundle(waiting[start : start + WIDTH]))
        self._started = waiting[full:]

    def put_partials(self, size_in_the_end: int) -> None:
        """Put the partial tiles of the tree as it is now, and its partial bundle.

        Those that the tree of ``size_in_the_end`` leaves has full ones for are left out: nobody needs them then.
        """
        size = self.edge.size
        for level, hashes in enumerate(self.edge.levels):
            index = size >> (HEIGHT * (level + 1))
            if hashes and index == size_in_the_end >> (HEIGHT * (level + 1)):
                self._directory.put(Tile(level, index, len(hashes)).path, b"".join(hashes))
        if self._started and size // WIDTH == size_in_the_end // WIDTH:
            self._directory.put(Bundle(size // WIDTH, len(self._started)).path, encode_bundle(self._started))


def resume(directory: Directory, size: int, root: bytes) -> Growth:
    """Go on from the published tree of ``size`` leaves, whose root was signed.

    Raises:
        Damaged: a file at the tree's edge is missing, or is not what was signed; the message names it.
    """
    edge = read_edge(size, directory.read_tile)
    if edge.root != root:
        raise Damaged(
            f"the tiles of size {size} lead to the root {edge.root.hex()}, signed is {root.hex()}: "
            f"{contradiction(directory, size)}. Changed by hand? Run `deepnode log fsck`"
        )
    return Growth(edge, _started(directory, edge), directory)


def sealed_leaves(datastore: PostgresDatastore, first: int, last: int) -> Iterator[list[bytes]]:
    """Yield the leaf bytes of the sealed entries at positions ``first`` to ``last``, a batch at a time.

    No transaction is open between two batches: they never change.

    Raises:
        Damaged: a batch cannot be read, is not the one that was sealed, or leaves a gap.
    """
    with reading(datastore) as cursor:
        places = list(stored.places(cursor, first, last))
    expected = first
    for place in places:
        batch = stored.part(place, _checked_batch(datastore, place.number), first, last)
        positions = batch.column("position").to_numpy()
        if not np.array_equal(positions, np.arange(expected, expected + batch.num_rows)):
            raise Damaged(f"batch {place.number} leaves a gap behind position {expected - 1}: run `deepnode log fsck`")
        expected += batch.num_rows
        yield leaf.entries(batch)
    if expected != last + 1:
        raise Damaged(f"the sealed log ends at position {expected - 1}, its head says {last}: run `deepnode log fsck`")


def contradiction(files: PublishedFiles, size: int) -> str:
    """Say which files at the edge of the tree contradict one another: a tile and what lies below it."""
    for level in range((size.bit_length() + HEIGHT - 1) // HEIGHT):
        hashes = size >> (HEIGHT * level)
        if hashes % WIDTH == 0:
            continue
        tile = Tile(level, hashes // WIDTH, hashes % WIDTH)
        held = split(files.read_tile(tile))[: tile.width]
        if level == 0:
            bundle = Bundle(tile.index, tile.width)
            if leaf_hashes(_entries(files, bundle)) != held:
                return f"{files.path / tile.path} and {files.path / bundle.path} contradict each other"
            continue
        for number, value in enumerate(held):
            below = Tile(level - 1, tile.index * WIDTH + number)
            if root_of(split(files.read_tile(below))) != value:
                return f"{files.path / tile.path} and {files.path / below.path} contradict each other"
    return f"the tiles at the edge of {files.path} agree with one another, so they are another log's"


def _started(directory: Directory, edge: Edge) -> list[bytes]:
    width = edge.size % WIDTH
    if not width:
        return []
    bundle = Bundle(edge.size // WIDTH, width)
    entries = _entries(directory, bundle)
    if leaf_hashes(entries) != list(edge.levels[0]):
        raise Damaged(
            f"{directory.path / bundle.path} holds other entries than were signed: changed by hand? "
            "Nothing was overwritten; once the file is moved away, `deepnode log publish --refill` writes it anew"
        )
    return entries


def _entries(files: PublishedFiles, bundle: Bundle) -> list[bytes]:
    found, data = files.read_bundle(bundle)
    try:
        return decode_bundle(data, found.width)[: bundle.width]
    except BadInput as error:
        raise Damaged(f"{files.path / found.path} cannot be read: {error}") from error


def _checked_batch(datastore: PostgresDatastore, number: int) -> pa.RecordBatch:
    with reading(datastore) as cursor:
        topic, state = stored.stored_bytes(cursor, number)
        cursor.execute("SELECT sha256 FROM log.batch WHERE number = %s", (number,))
        row = cursor.fetchone()
    assert row is not None, "an index row never goes"
    if hashlib.sha256(state).digest() != row["sha256"]:
        raise Damaged(f"batch {number} has other bytes than were sealed: run `deepnode log fsck`")
    return batches.decode(topic, state)
