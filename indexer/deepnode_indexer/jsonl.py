"""Task events from a JSON Lines file that may still be growing, and from standard input.

Every line is an envelope as in ``intake``. A file is read from its start each time: what is in the log already is
accepted again and adds nothing, so no place in the file has to be remembered.
"""

import os
import queue
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from deepnode_indexer.intake import Outcome
from deepnode_indexer.lines import Line, LineSplitter
from deepnode_indexer.sources import POLL_SECONDS, Stopped, Told, insist
from deepnode_ledger.errors import BadInput
from deepnode_ledger.log import ACCEPT_MAX, Log
from deepnode_ledger.manifest import Manifest

PIECE_BYTES: Final = 256 * 1024
PIECES_AHEAD: Final = 16
"""So much of standard input is read ahead; then whoever writes to it has to wait."""


class FileSource:
    """A file, followed as it grows."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def name(self) -> str:
        """The file's path."""
        return str(self._path)

    def follow(self, log: Log, manifest: Manifest, stopped: Stopped) -> Iterator[Sequence[Told]]:
        """See ``Source``; a line counts once its line feed is there."""
        for run in follow_file(self._path, log, manifest, stopped):
            yield [(f"{self._path} line {number}", outcome) for number, outcome in run]


class StandardInput:
    """Standard input, or another stream, up to its end. The last line needs no line feed."""

    name = "standard input"

    def __init__(self, descriptor: int | None = None) -> None:
        self._descriptor = descriptor

    def follow(self, log: Log, manifest: Manifest, stopped: Stopped) -> Iterator[Sequence[Told]]:
        """See ``Source``; it ends with the stream."""
        pieces: queue.Queue[bytes | OSError] = queue.Queue(PIECES_AHEAD)
        # Waiting for input cannot be broken off everywhere, so a thread waits that nobody has to wait for.
        threading.Thread(target=self._read, args=(pieces,), daemon=True, name=self.name).start()
        splitter, run = LineSplitter(), list[Line]()
        while not stopped():
            try:
                piece = pieces.get(timeout=POLL_SECONDS)
            except queue.Empty:
                continue
            if isinstance(piece, OSError):
                raise BadInput(f"task events cannot be read from {self.name}: {piece.strerror}") from piece
            run += splitter.feed(piece) if piece else splitter.end()
            while run and (len(run) >= ACCEPT_MAX or pieces.empty()):
                taken = _taken(log, manifest, run[:ACCEPT_MAX], stopped)
                yield [(f"{self.name} line {number}", outcome) for number, outcome in taken]
                del run[:ACCEPT_MAX]
            if not piece:
                return

    def _read(self, pieces: queue.Queue[bytes | OSError]) -> None:
        descriptor = sys.stdin.fileno() if self._descriptor is None else self._descriptor
        try:
            while piece := os.read(descriptor, PIECE_BYTES):
                pieces.put(piece)
        except OSError as error:
            pieces.put(error)
        else:
            pieces.put(b"")


def follow_file(path: Path, log: Log, manifest: Manifest, stopped: Stopped) -> Iterator[list[tuple[int, Outcome]]]:
    """Take in a file's lines as they are written; yield what became of each run of (line number, outcome).

    A line counts once its line feed is there. While the log is away the same lines are tried again.

    Raises:
        BadInput: the file cannot be read.
    """
    splitter, run = LineSplitter(), list[Line]()
    try:
        with path.open("rb") as file:
            while not stopped():
                piece = file.read(PIECE_BYTES)
                run += splitter.feed(piece)
                while run and (len(run) >= ACCEPT_MAX or not piece):
                    yield _taken(log, manifest, run[:ACCEPT_MAX], stopped)
                    del run[:ACCEPT_MAX]
                if not piece:
                    time.sleep(POLL_SECONDS)
    except OSError as error:
        raise BadInput(f"task events cannot be read from {path}: {error.strerror}") from error


def _taken(log: Log, manifest: Manifest, lines: Sequence[Line], stopped: Stopped) -> list[tuple[int, Outcome]]:
    outcomes = insist(log, manifest, [line for _, line in lines], stopped)
    return list(zip((number for number, _ in lines), outcomes or [], strict=False))
