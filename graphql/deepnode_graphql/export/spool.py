"""Spool: files of final exports on disk, for a while, so that who was cut off can go on where it stopped.

A final export is the same bytes whenever it is made. So a file is kept while it is being sent, as long as there is
room, and the rest of it comes from there; else it is made again. What is here is never needed, only quick: it lives in
a directory of its own that goes with the process, the file that was asked for least lately goes first, and a disk that
is full costs nobody an export. Of a file that is too large to be kept, the length is remembered.
"""

import shutil
import tempfile
from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import IO, Final

SPOOL_BYTES_MAX: Final = 2 * 2**30
"""Of all files together."""

FILE_BYTES_MAX: Final = 2**30
"""Of one file."""

FREE_BYTES_MIN: Final = 2**30
"""Left free on the disk by what is written here."""

LENGTHS_KEPT: Final = 1_000

_LOOK_BYTES: Final = 64 * 2**20
"""Written between two looks at how much of the disk is free."""


class Spool:
    """Files by the tag of what they are."""

    def __init__(self, *, bytes_max: int = SPOOL_BYTES_MAX, file_bytes_max: int = FILE_BYTES_MAX) -> None:
        self._bytes_max, self._file_bytes_max = bytes_max, file_bytes_max
        self._lock = Lock()
        self._directory: Path | None = None
        self._files: OrderedDict[str, int] = OrderedDict()
        self._lengths: OrderedDict[str, int] = OrderedDict()
        self._number = 0

    def open(self, tag: str) -> IO[bytes] | None:
        """Open a whole file to be read, if it is here."""
        with self._lock:
            if tag not in self._files:
                return None
            self._files.move_to_end(tag)
            try:
                return self._path(tag).open("rb")
            except OSError:
                # Somebody tidies the directory for temporary files.
                del self._files[tag]
                return None

    def length(self, tag: str) -> int | None:
        """Return how long a file is, if it is known."""
        with self._lock:
            return self._lengths.get(tag)

    def begin(self, tag: str) -> "Spooled":
        """Begin a file; who reads it sees it when it is whole."""
        file: IO[bytes] | None = None
        with self._lock:
            self._number += 1
            number = self._number
            try:
                if self._directory is None:
                    self._directory = Path(tempfile.mkdtemp(prefix="deepnode-exports-"))
                if shutil.disk_usage(self._directory).free > FREE_BYTES_MIN:
                    file = (self._directory / f"{number}.part").open("w+b")
            except OSError:
                file = None
        return Spooled(self, tag, file, self._file_bytes_max)

    def keep(self, tag: str, file: IO[bytes] | None, length: int) -> None:
        """Take in a file that is whole, and make room for it."""
        with self._lock:
            self._lengths[tag] = length
            self._lengths.move_to_end(tag)
            while len(self._lengths) > LENGTHS_KEPT:
                self._lengths.popitem(last=False)
            if file is None or self._directory is None:
                return
            Path(file.name).replace(self._path(tag))
            self._files[tag] = length
            self._files.move_to_end(tag)
            while sum(self._files.values()) > self._bytes_max:
                oldest, _ = self._files.popitem(last=False)
                # Whoever reads it goes on reading.
                self._path(oldest).unlink(missing_ok=True)

    def close(self) -> None:
        """Remove everything."""
        with self._lock:
            if self._directory is not None:
                shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None
            self._files.clear()

    def _path(self, tag: str) -> Path:
        assert self._directory is not None
        return self._directory / tag


class Spooled:
    """A file that is being written. If there is no room, it is counted and not kept."""

    def __init__(self, spool: Spool, tag: str, file: IO[bytes] | None, bytes_max: int) -> None:
        self._spool, self._tag, self._file, self._bytes_max = spool, tag, file, bytes_max
        self.length = 0

    def write(self, chunk: bytes) -> None:
        """Add what comes next."""
        looked, self.length = self.length // _LOOK_BYTES, self.length + len(chunk)
        if self._file is None:
            return
        try:
            self._file.write(chunk)
            full = self.length > self._bytes_max
            if not full and self.length // _LOOK_BYTES > looked:
                full = shutil.disk_usage(self._file.name).free < FREE_BYTES_MIN
        except OSError:
            full = True
        if full:
            self.drop()

    def finish(self) -> None:
        """Say that the file is whole."""
        try:
            if self._file is not None:
                self._file.close()
            self._spool.keep(self._tag, self._file, self.length)
        except OSError:
            self.drop()
        self._file = None

    def drop(self) -> None:
        """Give the file up."""
        if self._file is not None:
            Path(self._file.name).unlink(missing_ok=True)
            self._file.close()
            self._file = None
