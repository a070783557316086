"""The published files beside the tree that is rebuilt from the log: each one there, each byte the same.

A tile or a bundle beyond the published size, or a partial one that is not needed any more, need not be there; where it
is, it has to be right, since a reader may have been given it. Files of other names are nobody's.

The publisher may go on meanwhile. So what is published is looked up before the database's state is taken: whatever it
speaks of then is in that state, and files of later are nobody's business.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from psycopg import Connection

from deepnode_ledger.errors import BadInput
from deepnode_ledger.fsck.difference import Findings, Report, shown
from deepnode_ledger.fsck.rows import one
from deepnode_ledger.publishing.directory import CHECKPOINT
from deepnode_ledger.transparency import Bundle, Edge, Tile, encode_bundle, note, parse_head, parse_path
from deepnode_ledger.transparency.line import HASH_BYTES
from deepnode_ledger.transparency.note import NOTE_BYTES_MAX
from deepnode_ledger.transparency.tile import BUNDLE_BYTES_MAX, HEIGHT, WIDTH

_BUNDLES: Final = -1


class PublishedTree:
    """Takes in the entries and tiles as they are rebuilt, and compares the files of a directory with them.

    Attributes:
        size: how many entries the published checkpoint speaks of; 0 if none is published.

    Raises:
        BadInput: there is no such directory.
    """

    def __init__(self, directory: Path, findings: Findings, report: Report) -> None:
        if not directory.is_dir():
            raise BadInput(f"{directory} is no directory of a published log")
        self._directory = directory
        self._findings = findings
        self._report = report
        self._started: list[bytes] = []
        self._entries = 0
        self._highest = self._look_around()
        self._shown = self._checkpoint()
        self.size = 0 if self._shown is None else parse_head(self._shown.text).size

    def look_up(self, connection: Connection[Any]) -> None:
        """Check that the published checkpoint is one that the table holds."""
        if self._shown is None:
            return
        row = one(connection, "SELECT note FROM log.checkpoint WHERE size = %s", (self.size,))
        if row is None:
            self._findings.note(CHECKPOINT, "a checkpoint that log.checkpoint holds", f"one of size {self.size}")
            return
        try:
            held = note.parse(row[0])
        except BadInput:
            return
        self._findings.compare(f"{CHECKPOINT}: text", held.text, self._shown.text)
        for line in held.signatures:
            if line not in self._shown.signatures:
                self._findings.note(f"{CHECKPOINT}: signature", str(line).strip(), "another one, or none")

    def add(self, entries: Sequence[bytes], tiles: Sequence[tuple[Tile, bytes]]) -> None:
        """Compare what has become full by these entries."""
        for tile, data in tiles:
            if tile.width == WIDTH:
                self._compare(tile, tile.index < self.size >> (HEIGHT * (tile.level + 1)), _prefix_of(data))
        waiting = [*self._started, *entries]
        for start in range(0, len(waiting) - WIDTH + 1, WIDTH):
            bundle = Bundle(self._entries // WIDTH)
            held = waiting[start : start + WIDTH]
            self._compare(bundle, (bundle.index + 1) * WIDTH <= self.size, _bundle_of(held))
            self._entries += WIDTH
        self._started = waiting[len(waiting) - len(waiting) % WIDTH :]

    def expect(self, edge: Edge) -> None:
        """Look for the partial files of the published size, which the tree has just reached."""
        for level, hashes in enumerate(edge.levels):
            if hashes:
                self._look_for(Tile(level, edge.size >> (HEIGHT * (level + 1)), len(hashes)))
        if edge.size % WIDTH:
            self._look_for(Bundle(edge.size // WIDTH, edge.size % WIDTH))

    def finish(self, edge: Edge) -> None:
        """Compare the partial files of the right edge, and name those of no part of the tree."""
        if self.size > edge.size:
            self._findings.note(CHECKPOINT, f"a size up to {edge.size}, the sealed part", self.size)
        for level, hashes in enumerate(edge.levels):
            if hashes:
                index = edge.size >> (HEIGHT * (level + 1))
                self._compare(Tile(level, index, len(hashes)), False, _prefix_of(b"".join(hashes)))
        if self._started:
            bundle = Bundle(self._entries // WIDTH, len(self._started))
            self._compare(bundle, False, _bundle_of(self._started))
        for level, (index, width) in sorted(self._highest.items()):
            there = edge.size >> (HEIGHT * max(level, 0))
            if (index, width) > divmod(there, WIDTH):
                at, wide = (index, width) if width else (index - 1, WIDTH)
                found = Bundle(at, wide) if level == _BUNDLES else Tile(level, at, wide)
                self._findings.note(found.path, f"no such file in a tree of {edge.size} leaves", "a file")

    def _checkpoint(self) -> note.Note | None:
        try:
            raw = self._read(CHECKPOINT, NOTE_BYTES_MAX)
            if raw is None:
                return None
            shown_note = note.parse(raw)
            parse_head(shown_note.text)
        except BadInput as error:
            self._findings.note(CHECKPOINT, "a signed checkpoint", error)
            return None
        return shown_note

    def _look_around(self) -> dict[int, tuple[int, int]]:
        """The highest index of each level that has a file, with its width."""
        highest: dict[int, tuple[int, int]] = {}
        for found in self._files():
            level = _BUNDLES if isinstance(found, Bundle) else found.level
            highest[level] = max(highest.get(level, (0, 0)), _end(found))
        return highest

    def _look_for(self, partial: Tile | Bundle) -> None:
        if not any((self._directory / each.path).is_file() for each in (partial, partial.full)):
            self._findings.note(partial.path, "a file of the published tree", "no file")

    def _compare(self, place: Tile | Bundle, needed: bool, bytes_of: Callable[[int], bytes]) -> None:
        """Compare the full file of a place and every partial one with what its first entries or hashes make."""
        full = place.full
        if needed or (self._directory / full.path).exists():
            self._compare_file(full, place.width, needed, bytes_of)
        folder = self._directory / f"{full.path}.p"
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            partial = _parsed(f"{full.path}.p/{path.name}")
            if partial is not None:
                self._compare_file(partial, place.width, False, bytes_of)

    def _compare_file(self, place: Tile | Bundle, there: int, needed: bool, bytes_of: Callable[[int], bytes]) -> None:
        if place.width > there:
            return
        try:
            found = self._read(place.path, BUNDLE_BYTES_MAX)
        except BadInput as error:
            self._findings.note(place.path, "a file of the published tree", error)
            return
        if found is None:
            if needed:
                self._findings.note(place.path, "a file of the published tree", "no file")
            return
        self._report.files += 1
        if found != (should := bytes_of(place.width)):
            at = next(
                (at for at, (a, b) in enumerate(zip(found, should, strict=False)) if a != b),
                min(len(found), len(should)),
            )
            expected, instead = should[at : at + 16], found[at : at + 16]
            ends = f"the end, after {at} bytes"
            self._findings.note(
                f"{place.path}, byte {at}", shown(expected) if expected else ends, shown(instead) if instead else ends
            )

    def _files(self) -> Iterator[Tile | Bundle]:
        for folder, folders, names in os.walk(self._directory / "tile"):
            folders.sort()
            for name in sorted(names):
                place = _parsed((Path(folder) / name).relative_to(self._directory).as_posix())
                if place is not None:
                    yield place

    def _read(self, name: str, bytes_max: int) -> bytes | None:
        path = self._directory / name
        try:
            if not path.is_file():
                return None
            with path.open("rb") as file:
                data = file.read(bytes_max + 1)
        except OSError as error:
            raise BadInput(f"{path} cannot be read: {error.strerror}") from error
        if len(data) > bytes_max:
            raise BadInput(f"{path} has more than {bytes_max} bytes")
        return data


def _end(place: Tile | Bundle) -> tuple[int, int]:
    """Where a file ends: index and width, of which a full one has as much as the next one has with none."""
    return (place.index + 1, 0) if place.width == WIDTH else (place.index, place.width)


def _parsed(path: str) -> Tile | Bundle | None:
    try:
        return parse_path(path)
    except BadInput:
        return None


def _prefix_of(data: bytes) -> Callable[[int], bytes]:
    return lambda width: data[: width * HASH_BYTES]


def _bundle_of(entries: Sequence[bytes]) -> Callable[[int], bytes]:
    return lambda width: encode_bundle(entries[:width])
