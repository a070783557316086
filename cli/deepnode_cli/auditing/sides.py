"""The two sides of a comparison: a bundle, or the live ledger, as what both of them can say.

A bundle has the tiles of its tree, so any hash of it is one read. A live log has them only where it was published;
without that directory its hashes are made from its entries, a chunk at a time.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from deepnode_cli.auditing.first_difference import CHUNK_LEVEL
from deepnode_ledger import leaf
from deepnode_ledger.bundle import Bundle
from deepnode_ledger.errors import BadInput, Damaged
from deepnode_ledger.publishing import PublishedFiles
from deepnode_ledger.transparency.checkpoint import TreeHead, parse_head
from deepnode_ledger.transparency.note import parse
from deepnode_ledger.transparency.tile import TileHashes
from deepnode_ledger.transparency.tree import ReadHash, leaf_hashes, node_hash, root_of

Read = Callable[[int, int], Iterator[pa.RecordBatch]]
"""Yields the entries from one position to another, both included."""

CHUNKS_CACHED: Final = 2


@dataclass(frozen=True, slots=True)
class Side:
    """What one side says of a log.

    ``entries`` is how many are compared, ``hashes`` reads those of the tree over them, and ``made`` says that they are
    made from the entries, so that a hash of many leaves costs reading them. ``root`` is what the side states as root,
    None if it states none. ``epochs`` are state roots (``0x`` and digits) by epoch, ``rulesets`` the hashes of those
    that come with it, None if that is not known. ``heads`` are the signed tree heads that it holds. ``files`` are the
    SHA-256 of files beside the log, by their names.
    """

    name: str
    entries: int
    hashes: ReadHash
    read: Read
    made: bool
    root: bytes | None
    chain_id: int
    manifest: str
    epochs: Mapping[int, str] | None
    rulesets: frozenset[str] | None
    heads: Sequence[TreeHead] = ()
    files: Mapping[str, str] = field(default_factory=dict)

    def rows(self, first: int, last: int) -> list[dict[str, Any]]:
        """Return the entries between two positions by the names of their columns, as far as there are any.

        Raises:
            Damaged: they cannot be read, or hold what is no text where text must be.
        """
        last = min(last, self.entries)
        if first > last:
            return []
        try:
            return [row for batch in self.read(max(1, first), last) for row in batch.to_pylist()]
        except (pa.ArrowException, UnicodeDecodeError) as error:
            raise Damaged(f"{self.name}: entries {first} to {last} cannot be read: {error}") from error


def of_bundle(bundle: Bundle) -> Side:
    """Return what a bundle says. Whether it says the truth is for ``deepnode verify``.

    Raises:
        Damaged: a file that is read is not what the list says.
    """
    listed = bundle.contents
    names = list(bundle.names())
    rulesets = frozenset(Path(name).stem for name in names if name.startswith("rulesets/"))
    heads = [parse_head(parse(bundle.checkpoint()).text)] if listed.checkpoint_size is not None else []
    return Side(
        name=str(bundle.path),
        entries=listed.entries,
        hashes=TileHashes(listed.entries, bundle.read_tile),
        read=bundle.batches,
        made=False,
        root=bytes.fromhex(listed.root[2:]),
        chain_id=listed.chain_id,
        manifest=listed.manifest,
        epochs={each.epoch: each.root for each in listed.epochs},
        rulesets=rulesets,
        heads=heads,
        files={name: bundle.part(name).sha256 for name in names},
    )


def published_hashes(directory: Path) -> TileHashes:
    """Return the hashes of the tree that a log was published with.

    Raises:
        BadInput: the directory has no checkpoint, or one that is none.
        Damaged: (when a hash is read) a tile is missing, or has a length that it cannot have.
    """
    files = PublishedFiles(directory)
    checkpoint = files.checkpoint()
    if checkpoint is None:
        raise BadInput(f"{directory} holds no published log: it has no checkpoint")
    return TileHashes(parse_head(parse(checkpoint).text).size, files.read_tile)


def made_hashes(read: Read, size: int) -> ReadHash:
    """Make hashes of a tree of ``size`` leaves from the entries themselves; the last chunks are kept."""

    @lru_cache(CHUNKS_CACHED)
    def leaves(chunk: int) -> list[bytes]:
        first = (chunk << CHUNK_LEVEL) + 1
        last = min(size, first + (1 << CHUNK_LEVEL) - 1)
        return [each for batch in read(first, last) for each in leaf_hashes(leaf.entries(batch))]

    @lru_cache(None)
    def root_of_chunk(chunk: int) -> bytes:
        return root_of(leaves(chunk))

    def hash_at(level: int, index: int) -> bytes:
        assert (index + 1) << level <= size, (level, index, size)
        if level > CHUNK_LEVEL:
            return node_hash(hash_at(level - 1, 2 * index), hash_at(level - 1, 2 * index + 1))
        if level == CHUNK_LEVEL:
            return root_of_chunk(index)
        chunk, place = divmod(index << level, 1 << CHUNK_LEVEL)
        return root_of(leaves(chunk)[place : place + (1 << level)])

    return hash_at
