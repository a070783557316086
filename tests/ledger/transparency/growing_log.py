"""A log in memory for tests: made-up entries, their tree by our code, and the files that a publisher would write."""

from collections.abc import Sequence
from pathlib import Path

from deepnode_ledger.errors import BadInput
from deepnode_ledger.transparency import (
    Bundle,
    Edge,
    Signer,
    Tile,
    TileHashes,
    TreeHead,
    bundles_of,
    encode_bundle,
    leaf_hashes,
    sign_head,
)

# A key for tests alone: everybody knows it.
SIGNER = Signer("log.example/deepnode", bytes(range(32)))
OTHER = Signer("other.example/log", bytes(range(1, 33)))


def entries_of(count: int) -> list[bytes]:
    """So many different entries of different lengths; the first is empty."""
    return [b"entry %d" % number + b"." * (number % 50) if number else b"" for number in range(count)]


class GrowingLog:
    """Entries, the edge of their tree, and every tile that was ever written."""

    def __init__(self, entries: Sequence[bytes] = (), *, run: int = 0) -> None:
        self.entries: list[bytes] = []
        self.edge = Edge()
        self.tiles: dict[Tile, bytes] = {}
        for start in range(0, len(entries), run or len(entries) or 1):
            self.append(entries[start : start + (run or len(entries))])

    def append(self, entries: Sequence[bytes]) -> None:
        """Take entries in as one run."""
        self.edge, tiles = self.edge.extend(leaf_hashes(entries))
        self.entries += entries
        for tile, data in tiles:
            assert self.tiles.setdefault(tile, data) == data, tile

    def read_tile(self, tile: Tile) -> bytes:
        """What a publisher's folder would return."""
        found = self.tiles.get(tile, self.tiles.get(tile.full))
        if found is None:
            raise BadInput(f"no {tile.path}")
        return found

    def hashes(self) -> TileHashes:
        """The tree's hashes, read from the tiles."""
        return TileHashes(len(self.entries), self.read_tile)

    def bundle(self, bundle: Bundle) -> bytes:
        """The bytes of a bundle."""
        return encode_bundle(self.entries[bundle.index * 256 :][: bundle.width])

    def checkpoint(self, signer: Signer = SIGNER) -> str:
        """The signed checkpoint of the tree."""
        return str(sign_head(TreeHead(signer.name, self.edge.size, self.edge.root), [signer]))

    def publish(self, folder: Path) -> None:
        """Write everything below a folder as C2SP tlog-tiles wants it."""
        files = {tile.path: data for tile, data in self.tiles.items()}
        files |= {bundle.path: self.bundle(bundle) for bundle in bundles_of(len(self.entries))}
        files["checkpoint"] = self.checkpoint().encode()
        for path, data in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
