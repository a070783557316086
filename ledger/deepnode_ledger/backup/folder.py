"""The directory of backups: plain files whose places follow from their numbers, each written once.

======================================  ==============================================================
``backups/00000001.json``               the manifest of backup 1; a backup is there once this file is
``batches/000/000/001.arrow.zst``       the bytes of stored batch 1, as they are in the database
``tails/00000001.arrow``                the pending entries of backup 1, as an Arrow file
======================================  ==============================================================

A file is written beside its place, made durable, and renamed; the manifest comes last. So a crash leaves every earlier
backup whole, and what it left of its own is overwritten by the next. Nothing that is read is believed before its
SHA-256 is that of the manifest, whose own hash the next manifest names.
"""

import fcntl
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deepnode_ledger import batch as batches
from deepnode_ledger.backup import manifest as manifests
from deepnode_ledger.backup.manifest import BatchFile, Manifest, bytes_of
from deepnode_ledger.errors import BadInput, Damaged, TryAgain
from deepnode_ledger.publishing.durable import Disk, os_errors

LOCK: Final = ".lock"
TEMPORARY: Final = ".new"
MANIFEST_BYTES_MAX: Final = 2**30
BATCHES_MAX: Final = 10**9 - 1

_NUMBERED: Final = re.compile(r"([0-9]{8})\.json")


@dataclass(frozen=True, slots=True)
class Kept:
    """A manifest of the directory, and its hash."""

    manifest: Manifest
    sha256: str


class BackupFolder:
    """The files of a directory, to be read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def last(self) -> int:
        """Return the number of the newest backup, 0 if there is none.

        Raises:
            BadInput: the directory cannot be read.
            Damaged: a backup before it is missing.
        """
        folder = self.path / "backups"
        try:
            names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        except OSError as error:
            raise BadInput(f"{folder} cannot be read: {error.strerror}") from error
        numbers = [int(match[1]) for name in names if (match := _NUMBERED.fullmatch(name))]
        for expected, number in enumerate(numbers, 1):
            if number != expected:
                raise Damaged(f"{manifest_path(expected)} is missing in {self.path}, and {number} is there")
        return len(numbers)

    def manifests(self, last: int) -> Iterator[Kept]:
        """Yield the manifests of backups 1 to ``last``, each checked and the successor of the one before it.

        Raises:
            BadInput: a manifest is of another format.
            Damaged: a manifest is missing, was edited, or does not follow the one before it.
        """
        before: Kept | None = None
        batches_before = 0
        for number in range(1, last + 1):
            name = manifest_path(number)
            try:
                found, digest = manifests.decode(self.read(name, MANIFEST_BYTES_MAX))
            except Damaged as error:
                raise Damaged(f"{self.path / name}: {error}") from error
            except BadInput as error:
                raise BadInput(f"{self.path / name}: {error}") from error
            if found.number != number or found.previous != (None if before is None else before.sha256):
                raise Damaged(f"{self.path / name}: it is not the successor of the backup before it")
            batches_before += len(found.batches)
            if batches_before != found.head.batches:
                raise Damaged(f"{self.path / name}: it counts {found.head.batches} batches, {batches_before} are named")
            before = Kept(found, digest)
            yield before

    def batch(self, number: int, entry: BatchFile) -> bytes:
        """Return the bytes of a stored batch.

        Raises:
            Damaged: they are missing, or are not those that the manifest names.
        """
        data = self.read(batch_path(number), min(entry.size_bytes, batches.BYTES_MAX))
        if hashlib.sha256(data).digest() != bytes_of(entry.sha256):
            raise Damaged(f"{self.path / batch_path(number)} has another SHA-256 than its manifest says")
        return data

    def has_batch(self, number: int, entry: BatchFile) -> bool:
        """Say whether the file of a stored batch is there with its size."""
        try:
            found = (self.path / batch_path(number)).lstat()
        except OSError:
            return False
        return stat.S_ISREG(found.st_mode) and found.st_size == entry.size_bytes

    def check_tail(self, kept: Manifest) -> Path | None:
        """Return where the pending entries of a backup are, or None if it has none.

        Raises:
            Damaged: they are missing, or are not those that the manifest names.
        """
        if kept.tail is None:
            return None
        name = tail_path(kept.number)
        with self._opened(name) as descriptor, os.fdopen(os.dup(descriptor), "rb") as file:
            size_bytes = os.fstat(descriptor).st_size
            if size_bytes != kept.tail.size_bytes:
                raise Damaged(f"{self.path / name} has {size_bytes} bytes, its manifest says {kept.tail.size_bytes}")
            if hashlib.file_digest(file, "sha256").digest() != bytes_of(kept.tail.sha256):
                raise Damaged(f"{self.path / name} has another SHA-256 than its manifest says")
        return self.path / name

    def read(self, name: str, bytes_max: int) -> bytes:
        """Return the bytes of a file.

        Raises:
            Damaged: it is missing, no plain file, or longer than it may be.
        """
        with self._opened(name) as descriptor, os.fdopen(os.dup(descriptor), "rb") as file:
            data = file.read(bytes_max + 1)
        if len(data) > bytes_max:
            raise Damaged(f"{self.path / name} has more than {bytes_max} bytes")
        return data

    @contextmanager
    def _opened(self, name: str) -> Iterator[int]:
        path = self.path / name
        try:
            # Not to wait for whoever writes into a pipe, and not to follow a link that leads elsewhere.
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise Damaged(f"{path} cannot be read: {error.strerror}") from error
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Damaged(f"{path} is no plain file")
            yield descriptor
        finally:
            os.close(descriptor)


class BackupWriter(BackupFolder):
    """The same directory, to be written, by one backup at a time: use it in ``locked``."""

    def __init__(self, path: Path, disk: Disk) -> None:
        super().__init__(path)
        self._disk = disk
        self._unflushed: set[Path] = set()

    def put(self, name: str, data: bytes) -> None:
        """Write a file in place of what was there; its bytes are durable, its name is after ``sync``."""
        with os_errors():
            temporary = self.prepare(name)
            self._disk.create(temporary, data)
            self.rename(temporary, name)

    def prepare(self, name: str) -> Path:
        """Return where a file is written before it has its name; nothing is there."""
        path = self.path / name
        self._make(path.parent)
        temporary = path.with_name(f".{path.name}{TEMPORARY}")
        temporary.unlink(missing_ok=True)
        return temporary

    def finish(self, temporary: Path, name: str) -> None:
        """Make the bytes of a file durable that somebody has written where ``prepare`` said, and give it its name."""
        with os_errors():
            self._disk.flush(temporary)
            self.rename(temporary, name)

    def rename(self, temporary: Path, name: str) -> None:
        """Give a file its name."""
        path = self.path / name
        self._disk.rename(temporary, path)
        self._unflushed.add(path.parent)

    def drop(self, name: str) -> None:
        """Remove a file that no manifest names, if it is there."""
        with os_errors():
            (self.path / name).unlink(missing_ok=True)

    def sync(self) -> None:
        """Make the names of all files durable that were put since the last call."""
        with os_errors():
            for path in sorted(self._unflushed):
                self._disk.flush_directory(path)
        self._unflushed.clear()

    def make(self) -> None:
        """Make the directory itself."""
        with os_errors():
            self._make(self.path)

    def _make(self, folder: Path) -> None:
        if not folder.is_dir():
            self._make(folder.parent)
            self._disk.make_directory(folder)
            self._unflushed |= {folder, folder.parent}


@contextmanager
def locked(path: Path, disk: Disk | None = None) -> Iterator[BackupWriter]:
    """Open a directory for one backup; it is made if it is missing.

    Raises:
        TryAgain: another backup is being written into it, or the disk is full or broken.
        BadInput: it cannot be written.
    """
    writer = BackupWriter(path, Disk() if disk is None else disk)
    writer.make()
    with os_errors():
        lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise TryAgain(f"another backup is being written into {path}") from error
        yield writer
    finally:
        os.close(lock)


def manifest_path(number: int) -> str:
    """Where the manifest of a backup is, in the directory."""
    return f"backups/{number:08}.json"


def batch_path(number: int) -> str:
    """Where the bytes of a stored batch are, in the directory."""
    assert 1 <= number <= BATCHES_MAX, number
    digits = f"{number:09}"
    return f"batches/{digits[:3]}/{digits[3:6]}/{digits[6:]}.arrow.zst"


def tail_path(number: int) -> str:
    """Where the pending entries of a backup are, in the directory."""
    return f"tails/{number:08}.arrow"
