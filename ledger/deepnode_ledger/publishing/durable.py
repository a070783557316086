"""What a power cut leaves of files: each step by which one is written, with its guarantee.

A file is durable when its bytes and its name are: the bytes after ``create`` or ``flush``, the name after
``flush_directory`` of the folder that it lies in. Nothing here decides what is written, or where.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from deepnode_ledger.errors import BadInput, TryAgain

FILE_MODE: Final = 0o644
"""Less what the umask takes away: what is published is for a web server to read."""


class Disk:
    """The file system's own calls."""

    def create(self, path: Path, data: bytes) -> None:
        """Make a file that is not there yet. Its bytes outlive a power cut, its name only once the folder is flushed.

        Raises:
            FileExistsError: something is there, if only a symbolic link.
            OSError: the disk is full or broken; a part of the file may be there.
        """
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            _flush(descriptor)
        finally:
            os.close(descriptor)

    def flush(self, path: Path) -> None:
        """Make sure that the bytes of a file outlive a power cut, whoever wrote them."""
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            _flush(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file another name in its folder, in the place of what had that name: readers see one or the other."""
        source.replace(target)

    def make_directory(self, path: Path) -> None:
        """Make a folder in one that is there. It outlives a power cut once that one is flushed."""
        path.mkdir()

    def flush_directory(self, path: Path) -> None:
        """Make sure that the names in a folder outlive a power cut."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _flush(descriptor)
        finally:
            os.close(descriptor)

    def remove(self, path: Path) -> None:
        """Remove a file. After a power cut it may be back, until its folder is flushed."""
        path.unlink()


def _flush(descriptor: int) -> None:
    # On macOS fsync leaves the bytes in the drive's cache; this does not.
    full_sync: int | None = getattr(fcntl, "F_FULLFSYNC", None)
    if full_sync is None:
        os.fsync(descriptor)
    else:
        fcntl.fcntl(descriptor, full_sync)


@contextmanager
def os_errors() -> Iterator[None]:
    """Say what to do about an error of the file system."""
    try:
        yield
    except (PermissionError, NotADirectoryError, FileExistsError, IsADirectoryError) as error:
        raise BadInput(f"{error.filename} cannot be written: {error.strerror}") from error
    except OSError as error:
        raise TryAgain(f"{error.filename or 'the disk'} cannot be written: {error.strerror or error}") from error
