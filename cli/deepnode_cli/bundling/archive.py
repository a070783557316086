"""A bundle's directory as one tar beside it: the same names and bytes, always in the same form."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

from deepnode_ledger.bundle import Bundle, layout, open_bundle, tar
from deepnode_ledger.publishing.durable import Disk, os_errors

_CHUNK_BYTES: Final = 1024 * 1024


def pack(directory: Path) -> Path:
    """Write the tar of a bundle; return where it is. What is there under its name is replaced.

    Raises:
        BadInput: there is no bundle, or a file is too large for a tar.
        Damaged: a file is not what the bundle's list says.
        TryAgain: the disk is full.
    """
    target = directory.with_name(f"{directory.name}.tar")
    temporary = target.with_name(f".{target.name}.new")
    disk = Disk()
    with open_bundle(directory) as bundle, os_errors():
        sizes = {part.path: part.bytes for part in bundle.contents.files}
        sizes[layout.CONTENTS] = (directory / layout.CONTENTS).stat().st_size
        with temporary.open("wb") as file:
            tar.write(file, ((name, sizes[name], partial(_pieces, bundle, directory, name)) for name in sorted(sizes)))
            file.flush()
            os.fsync(file.fileno())
        disk.rename(temporary, target)
        disk.flush_directory(target.parent)
    return target


def _pieces(bundle: Bundle, directory: Path, name: str) -> Iterator[bytes]:
    if name != layout.CONTENTS:
        bundle.check(name)
    with (directory / name).open("rb") as file:
        while piece := file.read(_CHUNK_BYTES):
            yield piece
