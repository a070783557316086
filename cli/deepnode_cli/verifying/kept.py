"""What a verification has done already, in a file: one that was ended goes on where it was.

The file belongs to one bundle, one program and one set of what the auditor brought: its first line names them by hash,
and a file of others is begun anew. Behind that stands a line a finished piece, its name and its result. A line that
the end of the process cut off is left out.

Only the hashes of bundle.json bind a result to the files that it was made of. So the files themselves are hashed in
every run, and the results are kept only where all of them are those of bundle.json (see ``driving``).
"""

import os
import threading
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar

import msgspec

from deepnode_ledger.errors import BadInput

LINE_BYTES_MAX: Final = 64 * 1024 * 1024
FORMAT: Final = "deepnode.verifying/1"

Result = TypeVar("Result")


class _Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    of: str


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    result: msgspec.Raw


class Kept:
    """Finished pieces by name. Several threads may use it."""

    def __init__(self, path: Path, of: str) -> None:
        """Open or begin the file.

        Args:
            path: where it is; made if missing, as are the folders above it.
            of: a hash of all that a result depends on other than its piece.

        Raises:
            BadInput: it cannot be read or written, or is not a plain file of this login's own.
        """
        self.path = path
        self._of = of
        self._lock = threading.Lock()
        self._places: dict[str, tuple[int, int]] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Whoever may write this file may tell a verification that all is well.
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            self._file: BinaryIO = os.fdopen(descriptor, "r+b")
            try:
                self._check_owner()
                self._read()
            except BaseException:
                self._file.close()
                raise
        except OSError as error:
            raise BadInput(f"{path} cannot keep what was verified: {error.strerror}") from error

    def close(self) -> None:
        """Let go of the file; it stays."""
        self._file.close()

    def has(self, name: str) -> bool:
        """Whether a result is kept under a name."""
        with self._lock:
            return name in self._places

    def find(self, name: str, result: type[Result]) -> Result | None:
        """Return the result that is kept under a name, or None."""
        with self._lock:
            place = self._places.get(name)
            if place is None:
                return None
            self._file.seek(place[0])
            raw = self._file.read(place[1])
        try:
            line = msgspec.json.decode(raw, type=_Line)
            return msgspec.json.decode(line.result, type=result)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return None

    def keep(self, name: str, result: Any) -> None:
        """Keep a result under a name, for good."""
        line = msgspec.json.encode({"name": name, "result": result}) + b"\n"
        if len(line) > LINE_BYTES_MAX:
            return
        with self._lock:
            start = self._file.seek(0, os.SEEK_END)
            self._file.write(line)
            self._file.flush()
            self._places[name] = (start, len(line))

    def forget(self) -> None:
        """Delete the file: everything was done."""
        self._places.clear()
        self.path.unlink(missing_ok=True)

    def _check_owner(self) -> None:
        found = os.fstat(self._file.fileno())
        if found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise BadInput(f"{self.path} must belong to this login, and nobody else may write it")

    def _read(self) -> None:
        head = msgspec.json.encode(_Head(FORMAT, self._of)) + b"\n"
        if self._file.readline(len(head)) != head:
            self._file.seek(0)
            # Somebody's own file, named by mistake, is not written over.
            first = self._file.read(len(FORMAT) + 32)
            if first and FORMAT.encode() not in first:
                raise BadInput(f"{self.path} holds something else: name a file that is not there yet")
            self._file.seek(0)
            self._file.truncate()
            self._file.write(head)
            self._file.flush()
            return
        at = len(head)
        while line := self._file.readline(LINE_BYTES_MAX):
            try:
                name = msgspec.json.decode(line, type=_Line).name
            except (msgspec.MsgspecError, UnicodeError, RecursionError):
                break
            if not line.endswith(b"\n"):
                break
            self._places[name] = (at, len(line))
            at += len(line)
        self._file.truncate(at)
