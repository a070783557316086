"""A real disk, of which one call fails: before it is made, after it, or in its middle, or ends the process there."""

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from typing_extensions import override

from deepnode_ledger.publishing import Directory, Publisher
from deepnode_ledger.publishing.durable import Disk
from tests.ledger.publishing.sealed_history import SIGNER

DIED: Final = 9
"""How a process ends that the disk has ended."""


class FailingDisk(Disk):
    """Counts the calls; the one with the number ``fails_at`` (from 1) fails, once.

    Args:
        fails_at: which call; 0 for none.
        late: make the call first, and fail then: the disk has done it, and the caller does not know.
        dies: end the process at once, as a crash does, instead of raising.
    """

    def __init__(self, fails_at: int = 0, *, late: bool = False, dies: bool = False) -> None:
        self.calls = 0
        self._fails_at = fails_at
        self._late = late
        self._dies = dies

    @override
    def create(self, path: Path, data: bytes) -> None:
        fails = self._counts()
        if fails and not self._late:
            # As much of it as a full disk has room for.
            path.write_bytes(data[: len(data) // 2])
            self._fail()
        super().create(path, data)
        if fails:
            self._fail()

    @override
    def flush(self, path: Path) -> None:
        self._around(lambda: Disk.flush(self, path))

    @override
    def rename(self, source: Path, target: Path) -> None:
        self._around(lambda: Disk.rename(self, source, target))

    @override
    def make_directory(self, path: Path) -> None:
        self._around(lambda: Disk.make_directory(self, path))

    @override
    def flush_directory(self, path: Path) -> None:
        self._around(lambda: Disk.flush_directory(self, path))

    @override
    def remove(self, path: Path) -> None:
        self._around(lambda: Disk.remove(self, path))

    def _around(self, call: Callable[[], None]) -> None:
        fails = self._counts()
        if fails and not self._late:
            self._fail()
        call()
        if fails:
            self._fail()

    def _counts(self) -> bool:
        self.calls += 1
        return self.calls == self._fails_at

    def _fail(self) -> None:
        if self._dies:
            os._exit(DIED)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def main(url: str, folder: str, fails_at: str) -> None:
    """Do one round of a publisher whose disk ends the process at a call."""
    disk = FailingDisk(int(fails_at), dies=True)
    with Publisher(url, Directory(Path(folder), disk), SIGNER) as publisher:
        publisher.publish()


if __name__ == "__main__":
    main(*sys.argv[1:])
