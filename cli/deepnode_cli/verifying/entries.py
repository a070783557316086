"""The stage ``entries``: every entry is well-formed and in its place, and all of them together make the tree.

Files are looked at apart, on all cores (``entry_pieces``); here they are put together, in their order: the entries at
their borders, the tiles from level 2 up, and the root, which bundle.json names and the checkpoint's signature binds.
"""

from collections.abc import Iterator
from typing import Final

from deepnode_cli.verifying.entry_pieces import Looked, Place, Wrong, between, differing, look
from deepnode_cli.verifying.finding import Examination, Finding, Severity
from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.transparency import Edge, Tile
from deepnode_ledger.transparency.line import HASH_BYTES

STAGE: Final = "entries"

_LEVELS_OF_FILE: Final = 2
"""Levels of tiles below a whole log file's root."""


def entries(examination: Examination) -> Iterator[Finding]:
    """Look at every entry, and make the tree of them."""
    bundle = examination.bundle
    files = bundle.log_files()
    examination.total(bundle.contents.entries, "entries")
    together = _Together()
    is_right = True
    looked = examination.each(look, files, Looked, key=lambda file: file.path)
    for file, each in zip(files, looked, strict=True):
        wrong = [*together.add(each, file.path), *each.wrong]
        is_right = is_right and not wrong
        if is_right:
            examination.sound.up_to(file.last)
        else:
            examination.sound.end()
        examination.done(file.last - file.first + 1)
        examination.count("entries", each.entries)
        examination.count("task events", each.task_events)
        examination.count("tiles", each.tiles)
        yield from (each.finding(STAGE) for each in wrong)
    edge = together.edge()
    if edge is None:
        said = "no tree could be made of the entries: not all of them are entries, or some are missing"
        yield Finding(Severity.ERROR, STAGE, "bundle.json", said)
        return
    for tile, data in together.tiles:
        examination.count("tiles", 1)
        try:
            stored = bundle.read(tile.path)
        except (BadInput, OSError) as error:
            yield Finding(Severity.ERROR, STAGE, tile.path, str(error))
            continue
        if stored != data:
            yield differing(tile, stored, data).finding(STAGE)
    if to_hex(edge.root) != bundle.contents.root:
        said = f"root is {bundle.contents.root}, the {edge.size} entries make {to_hex(edge.root)}"
        yield Finding(Severity.ERROR, STAGE, "bundle.json", said, integers={"entries": edge.size})


class _Together:
    """What the files are together: the newest block of each chain so far, and the hashes of level 2."""

    def __init__(self) -> None:
        self.tiles: list[tuple[Tile, bytes]] = []
        self._lasts: dict[int, Place] = {}
        self._roots: list[bytes] = []
        self._below: tuple[tuple[bytes, ...], ...] = ()
        self._is_whole = True

    def add(self, looked: Looked, path: str) -> Iterator[Wrong]:
        """Take in a file, and yield what is wrong between it and those before."""
        for chain_id, first in looked.firsts.items():
            before = self._lasts.get(chain_id)
            if before is not None:
                yield from between(before, first, path)
        for chain_id, last in looked.lasts.items():
            before = self._lasts.get(chain_id)
            goes_on = before is not None and before.number == last.number and last.log_index < 0
            index = before.log_index if before is not None and goes_on else last.log_index
            self._lasts[chain_id] = Place(last.position, last.number, last.hash, last.time, index)
        levels = [_split(level) for level in looked.levels]
        if not levels or self._below:
            self._is_whole = False
        self._below = tuple(levels[:_LEVELS_OF_FILE]) if any(levels[:_LEVELS_OF_FILE]) else ()
        self._roots += [root for level in levels[_LEVELS_OF_FILE:] for root in level]

    def edge(self) -> Edge | None:
        """Return the edge of the whole tree, and have its upper tiles made; None: it cannot be made."""
        if not self._is_whole:
            return None
        upper, made = Edge().extend(self._roots)
        self.tiles = [(Tile(tile.level + _LEVELS_OF_FILE, tile.index, tile.width), data) for tile, data in made]
        levels = [*self._below, *[()] * (_LEVELS_OF_FILE - len(self._below)), *upper.levels]
        while levels and not levels[-1]:
            levels.pop()
        return Edge(tuple(levels))


def _split(joined: bytes) -> tuple[bytes, ...]:
    return tuple(joined[at : at + HASH_BYTES] for at in range(0, len(joined), HASH_BYTES))
