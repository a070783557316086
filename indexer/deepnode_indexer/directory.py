"""Task events from a watched directory: every ``*.jsonl`` in it is taken in, and the ones that appear later too.

A file may still be growing; a line counts once its line feed is there. Once a file has been quiet for a while, the log
notes the SHA-256 of what it holds. So after a restart a finished file is passed over when its content is known, under
whatever name and with whatever date it lies there; a file with other content is read from its start, in which what is
known already adds nothing.
"""

import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from deepnode_indexer.lines import Line, LineSplitter
from deepnode_indexer.sources import POLL_SECONDS, Stopped, Told, ask, insist
from deepnode_ledger.errors import BadInput, TryAgain
from deepnode_ledger.log import ACCEPT_MAX, Log
from deepnode_ledger.manifest import Manifest

PATTERN: Final = "*.jsonl"
PIECE_BYTES: Final = 256 * 1024
QUIET_SECONDS: Final = 2.0
"""A file that did not grow for so long is taken for finished, until it grows."""

PROBE_BYTES: Final = 256
"""The last bytes before the place that a file was read to: if they changed, it is another file in the same place."""


class DirectorySource:
    """The ``*.jsonl`` files of a directory, in the order of their names."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def name(self) -> str:
        """The directory's path."""
        return str(self._path)

    def follow(self, log: Log, manifest: Manifest, stopped: Stopped) -> Iterator[Sequence[Told]]:
        """See ``Source``. What cannot be read is told once, and looked at again like the rest."""
        if not self._path.is_dir():
            raise BadInput(f"task events cannot be read from {self._path}: it is no directory")
        files: dict[Path, _WatchedFile] = {}
        hindered: dict[Path, str] = {}
        while not stopped():
            busy = False
            found = self._files(hindered)
            yield [(str(path), TryAgain(reason)) for path, reason in self._news(hindered)]
            files = {path: files.get(path) or _WatchedFile(path) for path in found}
            for path, file in files.items():
                if stopped():
                    return
                try:
                    run = file.more(log, stopped)
                except OSError as error:
                    _note(hindered, path, error)
                    continue
                hindered.pop(path, None)
                busy = busy or bool(run) or not file.at_end
                yield from _taken(log, manifest, path, run, stopped)
                file.remember(log, manifest, stopped)
            if not busy:
                time.sleep(POLL_SECONDS)

    def _files(self, hindered: dict[Path, str]) -> list[Path]:
        try:
            found = sorted(path for path in self._path.iterdir() if path.match(PATTERN) and path.is_file())
        except OSError as error:
            _note(hindered, self._path, error)
            return []
        hindered.pop(self._path, None)
        return [path for path in found if not path.name.startswith(".")]

    def _news(self, hindered: dict[Path, str]) -> Iterator[tuple[Path, str]]:
        for path, reason in hindered.items():
            if reason:
                yield path, reason
                hindered[path] = ""


class _WatchedFile:
    """How far one file was read. It is open only while it is read: a directory may hold very many."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._begin()

    def _begin(self) -> None:
        self._seen: tuple[int, int, int] | None = None
        self._offset = 0
        self._splitter = LineSplitter()
        self._digest = hashlib.sha256()
        self._probe = b""
        self._remembered_bytes = 0
        self._quiet_since: float | None = None
        self.at_end = False

    def more(self, log: Log, stopped: Stopped) -> list[Line]:
        """Read the next piece, if there is one, and return the lines that end in it."""
        status = self._path.stat()
        now = (status.st_ino, status.st_size, status.st_mtime_ns)
        if self.at_end and now == self._seen:
            return []
        with self._path.open("rb") as file:
            if self._seen is not None and not self._goes_on(file, status):
                self._begin()
            if self._seen is None:
                self._pass_over_known(file, log, stopped)
            self._seen = now
            file.seek(self._offset)
            piece = file.read(PIECE_BYTES)
        self.at_end = len(piece) < PIECE_BYTES
        if piece:
            self._quiet_since = None
            self._advance(piece)
            return list(self._splitter.feed(piece))
        return []

    def remember(self, log: Log, manifest: Manifest, stopped: Stopped) -> None:
        """Let the log note the content of a file that has been quiet for a while.

        A file that grows slowly is noted anew only when it has doubled, so that the notes stay few.
        """
        if not self.at_end or self._offset < 2 * self._remembered_bytes or not self._splitter.between_lines:
            return
        if self._offset == self._remembered_bytes:
            return
        if self._quiet_since is None:
            self._quiet_since = time.monotonic()
        if time.monotonic() - self._quiet_since >= QUIET_SECONDS:
            note = {(_source(self._digest.hexdigest()), 0): self._offset}
            if insist(log, manifest, [], stopped, note) is not None:
                self._remembered_bytes = self._offset

    def _goes_on(self, file: BinaryIO, status: os.stat_result) -> bool:
        """Whether what was read is still there before the place that it was read to."""
        if status.st_size < self._offset:
            return False
        file.seek(self._offset - len(self._probe))
        return file.read(len(self._probe)) == self._probe

    def _pass_over_known(self, file: BinaryIO, log: Log, stopped: Stopped) -> None:
        whole = hashlib.sha256()
        size, lines_end = 0, True
        while not stopped() and (piece := file.read(PIECE_BYTES)):
            whole.update(piece)
            size += len(piece)
            lines_end = piece.endswith(b"\n")
        if not size or not lines_end or ask(lambda: log.offsets(_source(whole.hexdigest())), stopped).get(0) != size:
            return
        file.seek(0)
        while self._offset < size and (piece := file.read(min(PIECE_BYTES, size - self._offset))):
            self._splitter.skip(piece)
            self._advance(piece)
        self._remembered_bytes = self._offset

    def _advance(self, piece: bytes) -> None:
        self._digest.update(piece)
        self._offset += len(piece)
        self._probe = (self._probe + piece)[-PROBE_BYTES:]


def _source(digest: str) -> str:
    return f"file sha256:{digest}"


def _note(hindered: dict[Path, str], path: Path, error: OSError) -> None:
    hindered.setdefault(path, f"task events cannot be read: {error.strerror}")


def _taken(log: Log, manifest: Manifest, path: Path, run: Sequence[Line], stopped: Stopped) -> Iterator[Sequence[Told]]:
    for start in range(0, len(run), ACCEPT_MAX):
        lines = run[start : start + ACCEPT_MAX]
        outcomes = insist(log, manifest, [line for _, line in lines], stopped)
        places = (f"{path} line {number}" for number, _ in lines)
        yield list(zip(places, outcomes or [], strict=False))
