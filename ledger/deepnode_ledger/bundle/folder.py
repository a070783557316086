"""The directory that a bundle is made in: files are written beside their places, renamed, and made durable together.

``bundle.json`` comes last, so a directory with one is a whole bundle and one without is not finished. Before anything
is changed in a finished one, its list becomes ``.unfinished.json``: what it says of files that are still right is used
by the run that goes on, and by nobody else.
"""

import fcntl
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from deepnode_ledger.bundle import layout
from deepnode_ledger.bundle.contents import CONTENTS_BYTES_MAX, FilePart
from deepnode_ledger.bundle.files import FolderFiles
from deepnode_ledger.errors import BadInput, Damaged, TryAgain
from deepnode_ledger.publishing.durable import Disk, os_errors

UNFINISHED: Final = ".unfinished.json"
TEMPORARY: Final = ".new"
_CHUNK_BYTES: Final = 1024 * 1024


class _Listed(msgspec.Struct):
    """Of ``bundle.json`` and ``.unfinished.json``: the files alone."""

    files: list[FilePart]


class BundleFolder:
    """A directory in which a bundle is made, by one program at a time: use it in ``locked``."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self.path = path
        self.parts: dict[str, FilePart] = {}
        """What is a part of the bundle so far, by its path."""
        self._disk = disk
        self._unflushed: set[Path] = set()
        self._unsynced: set[Path] = set()
        self._made: set[Path] = set()
        self._making = threading.RLock()
        """Files may be fetched by several threads."""

    def begin(self) -> dict[str, FilePart]:
        """Take the list away that is there, and return what it says of the files, by their paths.

        Raises:
            BadInput: something is in the directory that no bundle has.
        """
        with os_errors():
            self._make(self.path)
        for name in self._names():
            if name not in {layout.CONTENTS, UNFINISHED} and not _is_temporary(name):
                try:
                    layout.check_name(name)
                except BadInput as error:
                    raise BadInput(f"{self.path} holds {name}, which is no part of a bundle: {error}") from error
        listed = self.path / layout.CONTENTS
        with os_errors():
            if listed.is_symlink() or listed.exists():
                self._disk.rename(listed, self.path / UNFINISHED)
                self._disk.flush_directory(self.path)
        return {each.path: each for each in self._known()}

    def remember(self) -> None:
        """Note which files are right by now, for a run that has to go on here."""
        self.sync()
        parts = [self.parts[name] for name in sorted(self.parts)]
        self._replace(UNFINISHED, msgspec.json.encode(_Listed(parts), order="sorted"))
        self.sync()

    def put(self, name: str, data: bytes) -> None:
        """Make a file a part of the bundle. It is written only if it is not there with these bytes."""
        layout.check_name(name)
        part = FilePart(name, len(data), hashlib.sha256(data).hexdigest())
        if not self.holds(part):
            with os_errors():
                temporary = self._prepare(name)
                temporary.write_bytes(data)
                self._rename(temporary, name)
        self._is_part(part)

    def write(self, name: str, make: Callable[[Path], None]) -> None:
        """Make a file a part of the bundle that ``make`` writes where it is told; what is there and equal stays."""
        layout.check_name(name)
        with os_errors():
            temporary = self._prepare(name)
            make(temporary)
            part = _part_of(temporary, name)
            if self.holds(part):
                temporary.unlink()
            else:
                self._rename(temporary, name)
        self._is_part(part)

    def adopt(self, name: str) -> None:
        """Make a file a part of the bundle that somebody has put in its place."""
        layout.check_name(name)
        with os_errors():
            self._is_part(_part_of(self.path / name, name))

    def unfinished(self, name: str) -> Path:
        """Return where a file is written before it has its name; what an earlier run has left there stays."""
        path = self.path / layout.check_name(name)
        self._make(path.parent)
        return path.with_name(f".{path.name}{TEMPORARY}")

    def place(self, temporary: Path, name: str) -> None:
        """Give a file its name whose bytes are where ``unfinished`` said."""
        self._rename(temporary, name)

    def keep(self, part: FilePart) -> bool:
        """Make a file a part of the bundle if it is there with the bytes that the list said; say whether it is."""
        held = self.holds(part)
        if held:
            self._is_part(part)
        return held

    def holds(self, part: FilePart) -> bool:
        """Say whether a file is there with these bytes."""
        path = self.path / part.path
        try:
            if path.lstat().st_size != part.bytes:
                return False
            return _part_of(path, part.path) == part
        except (OSError, Damaged):
            return False

    def read(self, name: str) -> bytes:
        """Return the bytes of a file that is a part of the bundle."""
        return (self.path / name).read_bytes()

    def finish(self, data: bytes) -> None:
        """Remove what is no part of the bundle, and write its list: with that it is whole."""
        self.sync()
        with os_errors():
            for name in list(self._names()):
                if name not in self.parts and name not in {layout.CONTENTS, UNFINISHED}:
                    self._disk.remove(self.path / name)
                    self._drop_empty((self.path / name).parent)
        self.sync()
        # Taken away first: a directory with a list holds nothing else.
        with os_errors():
            if (self.path / UNFINISHED).exists():
                self._disk.remove(self.path / UNFINISHED)
        self._replace(layout.CONTENTS, data)
        self.sync()

    def sync(self) -> None:
        """Make the bytes and the names of all files durable that were put since the last call.

        Each by itself as it comes would be a wait for the disk a file, and there are thousands of small ones. Until
        then a power cut may leave a name without its bytes: the next run compares what is there with what must be.
        """
        with os_errors():
            for path in sorted(self._unsynced):
                self._disk.flush(path)
            for path in sorted(self._unflushed | {path.parent for path in self._unsynced}):
                if path.is_dir():
                    self._disk.flush_directory(path)
        self._unsynced.clear()
        self._unflushed.clear()

    def _is_part(self, part: FilePart) -> None:
        self.parts[part.path] = part
        # Also if it was there: nobody knows whether the run that wrote it has made it durable.
        self._unsynced.add(self.path / part.path)

    def _known(self) -> list[FilePart]:
        try:
            with (self.path / UNFINISHED).open("rb") as file:
                raw = file.read(CONTENTS_BYTES_MAX + 1)
            # A list that cannot be read tells nothing: everything is made anew.
            return msgspec.json.decode(raw, type=_Listed).files if len(raw) <= CONTENTS_BYTES_MAX else []
        except (OSError, msgspec.MsgspecError, UnicodeError):
            return []

    def _names(self) -> Iterator[str]:
        files = FolderFiles(self.path)
        try:
            yield from files.names()
        except Damaged as error:
            raise BadInput(f"{self.path} is no place for a bundle: {error}") from error
        finally:
            files.close()

    def _replace(self, name: str, data: bytes) -> None:
        """Write a list in place of the one that is there: its bytes are durable before it has its name."""
        with os_errors():
            temporary = self._prepare(name)
            self._disk.create(temporary, data)
            self._disk.rename(temporary, self.path / name)
        self._unflushed.add(self.path)

    def _prepare(self, name: str) -> Path:
        path = self.path / name
        self._make(path.parent)
        temporary = path.with_name(f".{path.name}{TEMPORARY}")
        temporary.unlink(missing_ok=True)
        return temporary

    def _rename(self, temporary: Path, name: str) -> None:
        self._disk.rename(temporary, self.path / name)
        with self._making:
            self._unsynced.add(self.path / name)

    def _make(self, folder: Path) -> None:
        if folder in self._made:
            return
        with self._making:
            if not folder.is_dir():
                self._make(folder.parent)
                self._disk.make_directory(folder)
                self._unflushed |= {folder, folder.parent}
            self._made.add(folder)

    def _drop_empty(self, folder: Path) -> None:
        while folder != self.path and not any(folder.iterdir()):
            folder.rmdir()
            self._made.discard(folder)
            self._unflushed.discard(folder)
            folder = folder.parent


@contextmanager
def locked(path: Path, disk: Disk | None = None) -> Iterator[BundleFolder]:
    """Open a directory to make a bundle in; it is made if it is missing.

    Raises:
        TryAgain: another program makes one there, or the disk is full or broken.
        BadInput: it cannot be written.
    """
    with os_errors():
        path.mkdir(parents=True, exist_ok=True)
        # The directory itself is locked: a file to lock would have to be told from the bundle's.
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise TryAgain(f"another program is making a bundle in {path}") from error
        yield BundleFolder(path, Disk() if disk is None else disk)
    finally:
        os.close(lock)


def _is_temporary(name: str) -> bool:
    last = name.rsplit("/", 1)[-1]
    return last.startswith(".") and last.endswith(TEMPORARY)


def _part_of(path: Path, name: str) -> FilePart:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        digest, length = hashlib.sha256(), 0
        while piece := file.read(_CHUNK_BYTES):
            digest.update(piece)
            length += len(piece)
    return FilePart(name, length, digest.hexdigest())
