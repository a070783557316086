"""The directory of a dataset on the disk: whole files or none, and one writer at a time."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from deepnode_graphql.dataset.manifest import NAME, PARTITION, DataFile, DatasetManifest, parse
from deepnode_ledger.errors import Damaged, TryAgain

_LOCK: Final = ".lock"
_PARTS: Final = ".parts"
"""Where what is being written stands. Readers look for ``*.parquet`` in other folders, and never see it."""

_SYNCS_AT_ONCE: Final = 8

_PIECE_BYTES: Final = 2**20


class Directory:
    """A directory that holds a dataset, or will."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def manifest(self) -> DatasetManifest | None:
        """Read the manifest; None if there is none yet.

        Raises:
            Damaged: it is not what was written.
        """
        try:
            return parse((self.path / NAME).read_bytes())
        except FileNotFoundError:
            return None

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the only writer; the directory is made if it is missing.

        Raises:
            TryAgain: another one writes.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / _LOCK).open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise TryAgain(f"another process writes to {self.path}") from None
            # What a killed writer left is nobody's.
            shutil.rmtree(self.path / _PARTS, ignore_errors=True)
            yield

    @contextmanager
    def parts(self) -> Iterator["Parts"]:
        """Begin files that get their names together. What was not placed is gone afterwards."""
        folder = self.path / _PARTS
        folder.mkdir()
        try:
            yield Parts(self.path, folder)
        finally:
            shutil.rmtree(folder)

    def differs(self, file: DataFile) -> str | None:
        """Say how a file is not as the manifest has it (its whole content is read), or None if it is."""
        try:
            length, digest = digest_of(self.path / file.path)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return "is missing"
        if length != file.bytes:
            return f"has {length} bytes, not {file.bytes}"
        return None if digest == file.sha256 else f"has the SHA-256 {digest}, not {file.sha256}"

    def has(self, file: DataFile) -> bool:
        """Say whether a file is there; its content is not read.

        Raises:
            Damaged: it has another length than the manifest says.
        """
        try:
            length = (self.path / file.path).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return False
        if length != file.bytes:
            raise Damaged(f"{self.path / file.path} has {length} bytes, not {file.bytes}: it was changed")
        return True

    def strangers(self, manifest: DatasetManifest) -> list[str]:
        """Return the paths of files that readers would take for part of the dataset, and which are not."""
        found = (path.relative_to(self.path).as_posix() for path in self.path.glob(f"*/{PARTITION}=*/*.parquet"))
        return sorted(path for path in found if path not in manifest.files)


class Parts:
    """Files that are being written, beside the directory's own."""

    def __init__(self, path: Path, folder: Path) -> None:
        self._path, self._folder = path, folder
        self._written: list[tuple[Path, Path]] = []

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Open the next file to write to it."""
        with self._next.open("wb") as file:
            yield file

    def keep(self, path: str) -> None:
        """Have the file that was written last placed at a path, relative to the directory."""
        self._written.append((self._next, self._path / path))

    def place(self) -> None:
        """Give the files that are kept their names, when all are safely on the disk; then the names are, too."""
        with ThreadPoolExecutor(_SYNCS_AT_ONCE) as pool:
            # One after another, each would wait for the disk.
            list(pool.map(_sync, [part for part, _ in self._written]))
            folders = {self._path}
            for part, target in self._written:
                target.parent.mkdir(parents=True, exist_ok=True)
                part.replace(target)
                folders |= {folder for folder in target.parents if folder.is_relative_to(self._path)}
            list(pool.map(_sync, sorted(folders)))
        self._written.clear()

    @property
    def _next(self) -> Path:
        return self._folder / str(len(self._written))


def digest_of(path: Path) -> tuple[int, str]:
    """Return the length of a file and the SHA-256 of its content (hexadecimal)."""
    digest, length = hashlib.sha256(), 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
            length += len(piece)
    return length, digest.hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
