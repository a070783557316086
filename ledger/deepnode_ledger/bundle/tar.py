"""A bundle as one tar: the same names and bytes, sorted, without times and owners, so that it is always the same.

It is read in place and never unpacked. A header is believed only if it is, byte for byte, the one that is written here
for a plain file of that name and size: so there are no links, no folders, no sparse files, no extensions, and no name
twice or in another order. What is meant is the format ``ustar`` of POSIX.1-1988, which every tar reads.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from deepnode_ledger.bundle import layout
from deepnode_ledger.bundle.contents import CONTENTS_BYTES_MAX
from deepnode_ledger.bundle.files import Span
from deepnode_ledger.errors import BadInput, Damaged

BLOCK: Final = 512
RECORD: Final = 20 * BLOCK
"""A tar ends with two blocks of zeros, and is as long as a whole number of records."""

SIZE_MAX: Final = 8 * 1024**3 - 1
"""What eleven octal digits hold."""

_CHUNK_BYTES: Final = 1024 * 1024
_CHECKSUM: Final = slice(148, 156)


@dataclass(frozen=True, slots=True)
class _Member:
    start: int
    size: int


def header(name: str, size: int) -> bytes:
    """Return the header of a plain file.

    Raises:
        BadInput: it is longer than a tar's file can be.
    """
    if not 0 <= size <= SIZE_MAX:
        raise BadInput(f"{name} has {size} bytes: a tar's file may have {SIZE_MAX}; use the directory")
    assert len(name) < 100, name
    parts = [
        name.encode().ljust(100, b"\0"), b"0000644\0", b"0000000\0", b"0000000\0", f"{size:011o}\0".encode(),
        b"00000000000\0", b" " * 8, b"0", bytes(100), b"ustar\x0000", bytes(32), bytes(32), bytes(8), bytes(8),
    ]  # fmt: skip
    block = bytearray(b"".join(parts).ljust(BLOCK, b"\0"))
    block[_CHECKSUM] = f"{sum(block):06o}\0 ".encode()
    return bytes(block)


def write(file: IO[bytes], members: Iterable[tuple[str, int, Callable[[], Iterable[bytes]]]]) -> None:
    """Write a tar: of each file its name, its size, and what yields its bytes; sorted by name.

    Raises:
        Damaged: a file has another length than was said.
    """
    written = 0
    for name, size, pieces in members:
        file.write(header(name, size))
        length = 0
        for piece in pieces():
            file.write(piece)
            length += len(piece)
        if length != size:
            raise Damaged(f"{name} has {length} bytes, not {size}")
        padding = -size % BLOCK
        file.write(bytes(padding))
        written += BLOCK + size + padding
    file.write(bytes(2 * BLOCK + -(written + 2 * BLOCK) % RECORD))


class TarFiles:
    """The files of a tar, found in one pass over its headers."""

    def __init__(self, path: Path) -> None:
        """Open the tar.

        Raises:
            BadInput: there is none, or it cannot be read.
            Damaged: it is not one that was written here; the message says where.
        """
        self.path = path
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise BadInput(f"{path} cannot be read: {error.strerror}") from error
        try:
            self._members = dict(_members(self._file, path))
        except BaseException:
            self.close()
            raise

    def open(self, name: str) -> Span:
        """Open a file.

        Raises:
            Damaged: it is missing.
        """
        member = self._members.get(name)
        if member is None:
            raise Damaged(f"{self.path} holds no {name}")
        return Span(os.dup(self._file), member.start, member.size)

    def names(self) -> Iterator[str]:
        """Yield every name that is there, sorted."""
        yield from self._members

    def close(self) -> None:
        """Let go of the tar."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _members(file: int, path: Path) -> Iterator[tuple[str, _Member]]:
    length = os.fstat(file).st_size
    at, before, count = 0, "", 0
    while True:
        block = os.pread(file, BLOCK, at)
        if block == bytes(BLOCK):
            break
        name, size = _parsed(path, at, block)
        if name <= before:
            raise Damaged(f"{path}: {name!r} stands behind {before!r} at byte {at}: twice, or not in order")
        if at + BLOCK + size > length or (name == layout.CONTENTS and size > CONTENTS_BYTES_MAX):
            raise Damaged(f"{path}: {name} claims {size} bytes at byte {at} of {length}: cut off?")
        count += 1
        if count > layout.FILES_MAX + 1:
            raise Damaged(f"{path} holds more than {layout.FILES_MAX + 1} files")
        padding = -size % BLOCK
        if os.pread(file, padding, at + BLOCK + size) != bytes(padding):
            raise Damaged(f"{path}: {name} is not followed by zeros")
        yield name, _Member(at + BLOCK, size)
        before = name
        at += BLOCK + size + padding
    end = at + 2 * BLOCK + -(at + 2 * BLOCK) % RECORD
    if length != end or any(os.pread(file, end - at, at)):
        raise Damaged(f"{path} has {length} bytes and files up to byte {at}: a tar of a bundle ends at {end}")


def _parsed(path: Path, at: int, block: bytes) -> tuple[str, int]:
    try:
        name = block[:100].rstrip(b"\0").decode("ascii")
        size = int(block[124:135], 8)
        if name != layout.CONTENTS:
            layout.check_name(name)
        if header(name, size) == block:
            return name, size
    except (UnicodeDecodeError, ValueError, BadInput) as error:
        raise Damaged(f"{path} has no plain file of a bundle at byte {at}: {error}") from error
    raise Damaged(f"{path} has no plain file of a bundle at byte {at}: another header than a bundle's tar has")
