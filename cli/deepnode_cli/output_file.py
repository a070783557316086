"""Files that a command was asked to write: one has its name once it is whole, so nobody takes a part for all of it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from deepnode_ledger.errors import BadInput


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that gets its name, in the place of what has it, if nothing is raised.

    Raises:
        OSError: it cannot be written; nothing is left behind.
    """
    if path.exists() and not path.is_file():
        # A pipe or a device is written to, and not replaced.
        with path.open("wb") as file:
            yield file
        return
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            yield file
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write(path: Path, octets: bytes) -> None:
    """Write a whole file.

    Raises:
        BadInput: it cannot be written.
    """
    try:
        with whole_file(path) as file:
            file.write(octets)
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror}") from error
