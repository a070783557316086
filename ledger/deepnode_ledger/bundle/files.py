"""The files of a bundle as they lie in a directory: opened without leaving it, and read at any place.

No link is followed, at no part of a path, and nothing but plain files is opened: a pipe would wait for ever, and what a
link leads to is not the bundle.
"""

import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

from typing_extensions import Buffer, override

from deepnode_ledger.errors import BadInput, Damaged

_OPEN: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDERS_DEEP_MAX: Final = 8


class Span(io.RawIOBase):
    """``length`` bytes of an open file from ``start`` on, as a file of its own; closing it closes the descriptor."""

    def __init__(self, descriptor: int, start: int, length: int) -> None:
        super().__init__()
        self.length = length
        self._descriptor, self._start, self._at = descriptor, start, 0

    def identity(self) -> tuple[int, int, int]:
        """Tell the file from another one that has taken its name: its number on the disk, its time, its size."""
        found = os.fstat(self._descriptor)
        return found.st_ino, found.st_mtime_ns, found.st_size

    @override
    def readable(self) -> bool:
        return True

    @override
    def seekable(self) -> bool:
        return True

    @override
    def tell(self) -> int:
        return self._at

    @override
    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.length}[whence]
        if base + offset < 0:
            raise ValueError(f"cannot seek to {base + offset}")
        self._at = base + offset
        return self._at

    @override
    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer).cast("B")[: max(0, self.length - self._at)]
        count = os.preadv(self._descriptor, [view], self._start + self._at) if len(view) else 0
        self._at += count
        return count

    @override
    def read(self, size: int | None = -1, /) -> bytes:
        # Never more than there is: a length from outside must not become memory.
        rest = max(0, self.length - self._at)
        wanted = rest if size is None or size < 0 else min(size, rest)
        parts = []
        while wanted and (part := os.pread(self._descriptor, wanted, self._start + self._at)):
            parts.append(part)
            self._at += len(part)
            wanted -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    @override
    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()


class Files(Protocol):
    """Where a bundle's files are: a directory or a tar."""

    def open(self, name: str) -> Span:
        """Open a file.

        Raises:
            Damaged: it is missing, or no plain file.
        """

    def names(self) -> Iterator[str]:
        """Yield every name that is there, in any order.

        Raises:
            Damaged: something is there that is no plain file.
        """

    def close(self) -> None:
        """Let go of what is open."""


class FolderFiles:
    """The files of a directory."""

    def __init__(self, path: Path) -> None:
        """Open the directory.

        Raises:
            BadInput: it is none, or cannot be read.
        """
        self.path = path
        try:
            self._folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise BadInput(f"{path} cannot be read: {error.strerror}") from error

    def open(self, name: str) -> Span:
        """Open a file.

        Raises:
            Damaged: it is missing, or no plain file.
        """
        *folders, last = name.split("/")
        place = os.dup(self._folder)
        try:
            for folder in folders:
                below = os.open(folder, _OPEN | os.O_DIRECTORY, dir_fd=place)
                os.close(place)
                place = below
            descriptor = os.open(last, _OPEN, dir_fd=place)
        except OSError as error:
            raise Damaged(f"{self.path / name} cannot be read: {error.strerror}") from error
        finally:
            os.close(place)
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            os.close(descriptor)
            raise Damaged(f"{self.path / name} is no plain file")
        return Span(descriptor, 0, found.st_size)

    def names(self) -> Iterator[str]:
        """Yield every name that is there, in any order.

        Raises:
            Damaged: something is there that is no plain file, or folders lie too deep.
        """
        yield from self._names(self._folder, "", 0)

    def close(self) -> None:
        """Let go of the directory."""
        if self._folder >= 0:
            os.close(self._folder)
            self._folder = -1

    def _names(self, folder: int, prefix: str, depth: int) -> Iterator[str]:
        if depth > _FOLDERS_DEEP_MAX:
            raise Damaged(f"{self.path / prefix} lies deeper than the folders of a bundle")
        with os.scandir(folder) as entries:
            for entry in entries:
                name = f"{prefix}{entry.name}"
                if entry.is_file(follow_symlinks=False):
                    yield name
                elif entry.is_dir(follow_symlinks=False):
                    below = os.open(entry.name, _OPEN | os.O_DIRECTORY, dir_fd=folder)
                    try:
                        yield from self._names(below, f"{name}/", depth + 1)
                    finally:
                        os.close(below)
                else:
                    raise Damaged(f"{self.path / name} is no plain file")
