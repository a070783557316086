"""Tiles: the tree cut into files of at most 256 hashes, and the entries in bundles of as many (C2SP tlog-tiles).

A tile at level L holds hashes of the tree's level 8 * L. A full one never changes; the rightmost of a level can be
partial, and then its width is a part of its name, so that no file ever changes at all. A path with another spelling
of the same coordinates is refused, because a server and its caches would take it for another file.
"""

import functools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from deepnode_ledger.errors import BadInput
from deepnode_ledger.transparency import tree
from deepnode_ledger.transparency.line import HASH_BYTES, SIZE_MAX

HEIGHT: Final = 8
WIDTH: Final = 1 << HEIGHT
# Tiles of a tree with at most 2**63 - 1 leaves are on levels 0 to 7; the format itself names levels to 63.
LEVEL_MAX: Final = 63
ENTRY_BYTES_MAX: Final = 0xFFFF
BUNDLE_BYTES_MAX: Final = WIDTH * (2 + ENTRY_BYTES_MAX)
PATH_CHARACTERS_MAX: Final = 64
TILES_CACHED_MAX: Final = 64

_PATH = re.compile(
    r"tile/(?P<kind>entries|0|[1-9][0-9]?)/(?P<index>(?:x[0-9]{3}/){0,5}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """The coordinates of a tile: ``width`` hashes from ``index * 256`` on, of the tree's level ``8 * level``.

    Raises:
        BadInput: a coordinate out of range.
    """

    level: int
    index: int
    width: int = WIDTH

    def __post_init__(self) -> None:
        if not 0 <= self.level <= LEVEL_MAX:
            raise BadInput(f"a tile's level is 0 to {LEVEL_MAX}, not {self.level}")
        _check_place(self.index, self.width)

    @property
    def path(self) -> str:
        """Where the tile is served, below the log's prefix."""
        return f"tile/{self.level}/{_place(self.index, self.width)}"

    @property
    def full(self) -> "Tile":
        """The full tile that holds this one's hashes, once there are enough of them."""
        return Tile(self.level, self.index)


@dataclass(frozen=True, slots=True, order=True)
class Bundle:
    """The coordinates of an entry bundle: ``width`` entries from ``index * 256`` on.

    Raises:
        BadInput: a coordinate out of range.
    """

    index: int
    width: int = WIDTH

    def __post_init__(self) -> None:
        _check_place(self.index, self.width)

    @property
    def path(self) -> str:
        """Where the bundle is served, below the log's prefix."""
        return f"tile/entries/{_place(self.index, self.width)}"

    @property
    def full(self) -> "Bundle":
        """The full bundle that holds this one's entries, once there are enough of them."""
        return Bundle(self.index)


ReadTile = Callable[[Tile], bytes]
"""Returns a tile's bytes, or those of the full tile in its place (partial ones may be deleted); ``BadInput`` if neither
is there."""


def parse_path(path: str) -> Tile | Bundle:
    """Read a path such as ``tile/0/x001/x234/067.p/8``.

    Raises:
        BadInput: not a tile's or bundle's path, or not its one spelling.
    """
    match = _PATH.fullmatch(path) if len(path) <= PATH_CHARACTERS_MAX else None
    if match is None:
        raise BadInput(f"not the path of a tile or an entry bundle: {path!r:.80}")
    kind, width = match["kind"], int(match["width"] or WIDTH)
    index = int(match["index"].replace("x", "").replace("/", ""))
    found = Bundle(index, width) if kind == "entries" else Tile(int(kind), index, width)
    # Leading groups of zeros and a width of 256 match the pattern, and are another spelling of the same place.
    if found.path != path:
        raise BadInput(f"the path is spelled {found.path}, not {path!r:.80}")
    return found


def tiles_of(size: int, since: int = 0) -> Iterator[Tile]:
    """The tiles that a tree of ``size`` leaves has and one of ``since`` leaves had not, level by level.

    Raises:
        BadInput: sizes out of range or order.
    """
    _check_sizes(since, size)
    for level in range(LEVEL_MAX):
        hashes, before = size >> (HEIGHT * level), since >> (HEIGHT * level)
        if not hashes:
            return
        for index, width in _places(hashes, before):
            yield Tile(level, index, width)


def bundles_of(size: int, since: int = 0) -> Iterator[Bundle]:
    """The entry bundles that a log of ``size`` entries has and one of ``since`` entries had not.

    Raises:
        BadInput: sizes out of range or order.
    """
    _check_sizes(since, size)
    for index, width in _places(size, since):
        yield Bundle(index, width)


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """The bytes of an entry bundle: each entry behind its length, a big-endian uint16.

    Raises:
        BadInput: no entry, more than 256, or one of more than 65 535 bytes.
    """
    if not 1 <= len(entries) <= WIDTH:
        raise BadInput(f"a bundle holds 1 to {WIDTH} entries, not {len(entries)}")
    try:
        return b"".join([part for entry in entries for part in (len(entry).to_bytes(2, "big"), entry)])
    except OverflowError as error:
        longest = max(map(len, entries))
        raise BadInput(f"an entry may have {ENTRY_BYTES_MAX} bytes, not {longest}") from error


def decode_bundle(data: bytes, width: int = WIDTH) -> list[bytes]:
    """The entries in the bytes of a bundle.

    Args:
        data: the bytes, from a source that nobody trusts.
        width: how many entries it must hold.

    Raises:
        BadInput: another number of entries, or bytes missing or left over.
    """
    entries = []
    at = 0
    for number in range(width):
        start = at + 2
        at = start + int.from_bytes(data[at:start], "big")
        if start > len(data) or at > len(data):
            raise BadInput(f"the bundle ends within entry {number} of {width}, after {len(data)} bytes")
        entries.append(data[start:at])
    if at != len(data):
        raise BadInput(f"the bundle has {len(data) - at} bytes behind its {width} entries")
    return entries


def split(data: bytes) -> list[bytes]:
    """The hashes in a tile's bytes.

    Raises:
        BadInput: not 1 to 256 whole hashes.
    """
    if not data or len(data) % HASH_BYTES or len(data) > WIDTH * HASH_BYTES:
        raise BadInput(f"a tile holds 1 to {WIDTH} hashes of {HASH_BYTES} bytes, not {len(data)} bytes")
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]


def read_hashes(tile: Tile, read_tile: ReadTile) -> list[bytes]:
    """The ``tile.width`` hashes of a tile, which may come from the full tile in its place.

    Raises:
        BadInput: the tile is missing, or has another length than its width says.
    """
    hashes = split(read_tile(tile))
    if len(hashes) not in {tile.width, WIDTH}:
        raise BadInput(f"{tile.path} must hold {tile.width} hashes, not {len(hashes)}")
    return hashes[: tile.width]


class TileHashes:
    """Reads the tree's hashes from its tiles: a ``tree.ReadHash`` for a tree of ``size`` leaves.

    What tiles say is taken as it is: a proof made from them is checked like any other. The last tiles read are kept.
    """

    def __init__(self, size: int, read_tile: ReadTile) -> None:
        _check_sizes(0, size)
        self._size = size
        self._read_tile = read_tile
        self._hashes = functools.lru_cache(TILES_CACHED_MAX)(self._read)

    @property
    def size(self) -> int:
        """The number of leaves."""
        return self._size

    @property
    def root(self) -> bytes:
        """The root that the tiles of the right edge lead to.

        Raises:
            BadInput: a tile is missing, or has another length than its width says.
        """
        return tree.root(self._size, self)

    def __call__(self, level: int, index: int) -> bytes:
        """The root of the complete subtree over leaves from ``index * 2**level`` on.

        Raises:
            BadInput: the tree has no such subtree, or its tile is missing or has a wrong length.
        """
        if not 0 <= level < SIZE_MAX.bit_length() or not 0 <= index < self._size >> level:
            raise BadInput(f"a tree of {self._size} leaves has no node {index} at level {level}")
        tile_level, height = divmod(level, HEIGHT)
        tile_index, first = divmod(index << height, WIDTH)
        width = min(WIDTH, (self._size >> (HEIGHT * tile_level)) - tile_index * WIDTH)
        hashes = self._hashes(Tile(tile_level, tile_index, width))
        return tree.root_of(hashes[first : first + (1 << height)])

    def _read(self, tile: Tile) -> list[bytes]:
        return read_hashes(tile, self._read_tile)


def _places(count: int, before: int) -> Iterator[tuple[int, int]]:
    """Index and width of the runs of 256 that ``count`` things have and ``before`` things had not."""
    yield from ((index, WIDTH) for index in range(before // WIDTH, count // WIDTH))
    if count % WIDTH and count != before:
        yield count // WIDTH, count % WIDTH


def _place(index: int, width: int) -> str:
    groups = f"{index % 1000:03}"
    while index := index // 1000:
        groups = f"x{index % 1000:03}/{groups}"
    return groups if width == WIDTH else f"{groups}.p/{width}"


def _check_place(index: int, width: int) -> None:
    if not 0 <= index <= SIZE_MAX // WIDTH:
        raise BadInput(f"a tile's index is 0 to {SIZE_MAX // WIDTH}, not {index}")
    if not 1 <= width <= WIDTH:
        raise BadInput(f"a tile's width is 1 to {WIDTH}, not {width}")


def _check_sizes(since: int, size: int) -> None:
    if not 0 <= since <= size <= SIZE_MAX:
        raise BadInput(f"sizes go from 0 up to {SIZE_MAX}, not from {since} to {size}")
