"""The directory that a log is published from: static files in the layout of C2SP tlog-tiles.

``checkpoint``, ``tile/<level>/…`` and ``tile/entries/…`` are all that readers see; any web server can serve them. A
file once written keeps its bytes, the checkpoint alone is replaced. What is there with other bytes is refused and
left as it is: somebody has changed it, and what he changed is evidence.

Only paths that ``Tile`` and ``Bundle`` spell are ever read or written, and no symbolic link is followed at their end.
"""

import errno
import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

from typing_extensions import override

from deepnode_ledger.errors import BadInput, Damaged, TryAgain
from deepnode_ledger.publishing.durable import Disk
from deepnode_ledger.transparency.line import HASH_BYTES
from deepnode_ledger.transparency.note import NOTE_BYTES_MAX
from deepnode_ledger.transparency.tile import BUNDLE_BYTES_MAX, WIDTH, Bundle, Tile, bundles_of, tiles_of

CHECKPOINT: Final = "checkpoint"
LOCK: Final = ".lock"
TEMPORARY: Final = ".new"
"""A file that is being written lies beside its place, with a dot before its name and this behind it."""

_FOLDER = re.compile(r"tile|entries|[0-9]{1,2}|x[0-9]{3}|[0-9]{3}\.p")
_PARTIAL = re.compile(r"[1-9][0-9]{0,2}")
# What only somebody can mend who changes the directory's place or rights.
_WRONG_PLACE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ELOOP})


class PublishedFiles:
    """A published log's files, to be read: by its publisher, by who makes a proof, by who checks them.

    What they hold is to be believed no more than anything else from outside.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def checkpoint(self) -> str | None:
        """Return the published checkpoint, or None if there is none yet.

        Raises:
            Damaged: it is no text, or too long.
        """
        data = self._read(CHECKPOINT, NOTE_BYTES_MAX)
        try:
            return None if data is None else data.decode()
        except UnicodeDecodeError as error:
            raise Damaged(f"{self.path / CHECKPOINT} is no text: changed by hand?") from error

    def read_tile(self, tile: Tile) -> bytes:
        """Return a tile's bytes, or those of the full tile in its place: a ``transparency.tile.ReadTile``.

        Raises:
            Damaged: neither is there, or what is there has a length that it cannot have.
        """
        for each in dict.fromkeys((tile, tile.full)):
            data = self._read(each.path, WIDTH * HASH_BYTES)
            if data is None:
                continue
            if len(data) != each.width * HASH_BYTES:
                raise Damaged(f"{self.path / each.path} must hold {each.width} hashes, not {len(data)} bytes")
            return data
        raise _missing(self.path / tile.path)

    def read_bundle(self, bundle: Bundle) -> tuple[Bundle, bytes]:
        """Return the bytes of an entry bundle, or of the full one in its place, and which one it was.

        Raises:
            Damaged: neither is there.
        """
        for each in dict.fromkeys((bundle, bundle.full)):
            data = self._read(each.path, BUNDLE_BYTES_MAX)
            if data is not None:
                return each, data
        raise _missing(self.path / bundle.path)

    def _read(self, name: str, bytes_max: int) -> bytes | None:
        path = self.path / name
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _explained(error, path) from error
        with _os_errors(path):
            try:
                with os.fdopen(descriptor, "rb", closefd=False) as file:
                    data = file.read(bytes_max + 1)
            finally:
                os.close(descriptor)
        if len(data) > bytes_max:
            raise Damaged(f"{path} has more than {bytes_max} bytes: changed by hand?")
        return data


class Directory(PublishedFiles):
    """The same files, to be written, by one publisher at a time: ``open`` locks the directory until ``close``."""

    def __init__(self, path: Path, disk: Disk | None = None) -> None:
        super().__init__(path)
        self._disk = Disk() if disk is None else disk
        self._lock: int | None = None
        self._unflushed: set[Path] = set()
        self._made: set[Path] = set()

    def open(self) -> Self:
        """Make the directory if it is missing, lock it, and remove what a crash left behind.

        Raises:
            TryAgain: another publisher works in it.
            BadInput: it is no directory, or may not be written.
        """
        assert self._lock is None, "it is open"
        with _os_errors(self.path):
            self._make(self.path)
            lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            if not isinstance(error, BlockingIOError):
                raise _explained(error, self.path / LOCK) from error
            raise TryAgain(f"another publisher works in {self.path}, which holds {self.path / LOCK}") from error
        self._lock = lock
        try:
            with _os_errors(self.path):
                self._tidy(self.path, top=True)
        except BaseException:
            # Who tries again, in this process or in another one, must not find the directory taken.
            self.close()
            raise
        return self

    def close(self) -> None:
        """Let another publisher work here."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def put(self, name: str, data: bytes) -> None:
        """Write a file that never changes; its bytes are durable, its name is after ``sync``.

        Raises:
            Damaged: it is there with other bytes, which stay.
            TryAgain: the disk is full or broken.
            BadInput: it may not be written.
        """
        assert self._lock is not None, "open() comes first"
        path = self.path / name
        found = self._read(name, BUNDLE_BYTES_MAX)
        with _os_errors(path):
            if found is None:
                self._make(path.parent)
                self._write(path, data)
            elif found == data:
                # Perhaps from just before a crash: nobody knows how far it got to the disk.
                self._disk.flush(path)
                self._unflushed.add(path.parent)
        if found is not None and found != data:
            raise Damaged(
                f"{path} holds other bytes than the log: changed by hand, or of another log? "
                "Nothing was overwritten; once the file is moved away, `deepnode log publish --refill` writes it anew"
            )

    def sync(self) -> None:
        """Make the names of all files durable that were put since the last call."""
        for path in sorted(self._unflushed):
            with _os_errors(path):
                self._disk.flush_directory(path)
            self._unflushed.discard(path)

    def replace_checkpoint(self, note: str) -> None:
        """Show readers another checkpoint; durable on return. All that it speaks of is durable already."""
        assert not self._unflushed, "tiles come before the checkpoint"
        path = self.path / CHECKPOINT
        with _os_errors(path):
            self._write(path, note.encode())
        self.sync()

    def forget_partials(self, size: int, since: int) -> None:
        """Remove the partial files that have become full between two sizes of the tree."""
        full = [each.path for each in tiles_of(size, since) if each.width == WIDTH]
        full += [each.path for each in bundles_of(size, since) if each.width == WIDTH]
        for name in full:
            with _os_errors(self.path / name):
                self._remove_partials(self.path / f"{name}.p")

    @override
    def __repr__(self) -> str:
        return f"Directory({str(self.path)!r})"

    def _write(self, path: Path, data: bytes) -> None:
        temporary = path.with_name(f".{path.name}{TEMPORARY}")
        try:
            self._disk.create(temporary, data)
            self._disk.rename(temporary, path)
        except OSError:
            self._made.clear()
            temporary.unlink(missing_ok=True)
            raise
        self._unflushed.add(path.parent)

    def _make(self, folder: Path) -> None:
        """Make a folder if it is missing. Its name is durable after ``sync``, also if it is one from before a crash."""
        if folder in self._made:
            return
        inside = self.path in folder.parents
        if not inside and folder.is_dir():
            # What lies above is not ours: we may not even be allowed to flush it.
            return
        self._make(folder.parent)
        if not folder.is_dir():
            self._disk.make_directory(folder)
        self._unflushed |= {folder, folder.parent}
        self._made.add(folder)

    def _tidy(self, folder: Path, *, top: bool = False) -> None:
        """Remove unfinished files, and partial ones whose full one is there."""
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        names = {entry.name for entry in entries}
        for entry in entries:
            path = folder / entry.name
            if entry.name.startswith(".") and entry.name.endswith(TEMPORARY):
                self._disk.remove(path)
            elif not entry.is_dir(follow_symlinks=False) or (top and entry.name != "tile"):
                continue
            elif _FOLDER.fullmatch(entry.name):
                self._tidy(path)
                if entry.name.removesuffix(".p") in names - {entry.name}:
                    self._remove_partials(path)

    def _remove_partials(self, folder: Path) -> None:
        """Remove the partial files of a folder that the full file beside it begins with."""
        if folder.is_symlink() or not folder.is_dir():
            return
        full = self._read(
            str(folder.with_name(folder.name.removesuffix(".p")).relative_to(self.path)), BUNDLE_BYTES_MAX
        )
        for path in sorted(folder.iterdir()):
            # What is in the way of a full file that is yet to be written must not cost a file that is published.
            held = (
                self._read(str(path.relative_to(self.path)), BUNDLE_BYTES_MAX)
                if _PARTIAL.fullmatch(path.name)
                else None
            )
            if held is not None and full is not None and full.startswith(held):
                self._disk.remove(path)
        if not any(folder.iterdir()):
            folder.rmdir()
            self._made.discard(folder)


def is_kept(path: Path) -> bool:
    """Say whether a publisher is at work in a directory."""
    try:
        with (path / LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


@contextmanager
def _os_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _explained(error, path) from error


def _missing(path: Path) -> Damaged:
    return Damaged(f"{path} is missing: `deepnode log publish --refill` writes it anew")


def _explained(error: OSError, path: Path) -> TryAgain | BadInput:
    # Of a file that is open already the error knows a number alone.
    where = error.filename if isinstance(error.filename, (str, Path)) else path
    if error.errno in _WRONG_PLACE:
        return BadInput(f"{where} cannot be read or written: {error.strerror}")
    return TryAgain(f"{where} cannot be read or written: {error.strerror or error}")
