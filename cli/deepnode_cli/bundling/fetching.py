"""Fetching a bundle from a server that nobody trusts: each file is checked before it has its name.

What was fetched stays: a run that was cut off goes on in the middle of a file. What the server's list says is read as
any list from outside: its names lead nowhere else, and its sizes are held against the room on the disk before the first
byte. The whole is as good as the list; whether the log has signed that is for ``deepnode verify`` to say.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deepnode_cli.bundling.server import CONNECTIONS, FileServer
from deepnode_ledger.bundle import Contents, FilePart, layout
from deepnode_ledger.bundle.contents import CONTENTS_BYTES_MAX, decode
from deepnode_ledger.bundle.folder import BundleFolder, locked
from deepnode_ledger.errors import BadInput, Damaged
from deepnode_ledger.publishing.durable import os_errors

WAITING_MAX: Final = 4 * CONNECTIONS

Progress = Callable[[int, int], None]
"""Is told how many bytes are there, and of how many."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What is there now: the list, the SHA-256 of ``bundle.json``, how many bytes came and how many were there."""

    contents: Contents
    sha256: str
    came_bytes: int
    kept_bytes: int


def fetch(url: str, directory: Path, *, sha256: str | None, progress: Progress) -> Fetched:
    """Bring a bundle from a server into a directory, or the one that is there to the server's.

    Args:
        url: of the folder that ``bundle.json`` lies in, or of ``bundle.json`` itself.
        directory: is made if it is missing.
        sha256: what ``bundle.json`` must have, in plain digits; None: whatever the server has.
        progress: is told how far it is.

    Raises:
        BadInput: the server refuses, leads elsewhere, has another bundle than was asked for, or one too large for the
            disk.
        Damaged: what it sends is not what its list says.
        TryAgain: it is away, or another program works in the directory.
    """
    server = FileServer(url.removesuffix(f"/{layout.CONTENTS}"))
    raw = _list_of(server)
    digest = hashlib.sha256(raw).hexdigest()
    if sha256 is not None and digest != sha256:
        raise BadInput(f"{server.url}/{layout.CONTENTS} has the SHA-256 {digest}, asked for was {sha256}")
    try:
        contents = decode(raw)
    except Damaged as error:
        raise Damaged(f"{server.url}: {error}") from error
    whole = sum(part.bytes for part in contents.files)
    with locked(directory) as folder:
        folder.begin()
        missing = [part for part in contents.files if not folder.keep(part)]
        kept = whole - sum(part.bytes for part in missing)
        _check_room(directory, missing)
        done = kept
        with ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="fetching") as pool:
            for part in _as_they_come(pool, missing, lambda part: _fetch(server, folder, part)):
                done += part.bytes
                progress(done, whole)
        for part in missing:
            folder.parts[part.path] = part
        folder.finish(raw)
    return Fetched(contents, digest, whole - kept, kept)


def _list_of(server: FileServer) -> bytes:
    found = bytearray()
    for at, piece in server.pieces(layout.CONTENTS, 0, CONTENTS_BYTES_MAX, None):
        # After a cut it comes from its beginning again: in between it may have become another one.
        found[at:] = piece
    return bytes(found)


def _fetch(server: FileServer, folder: BundleFolder, part: FilePart) -> FilePart:
    """Bring one file, and give it its name once it is right."""
    with os_errors():
        temporary = folder.unfinished(part.path)
        if _append(server, temporary, part) != part.sha256:
            # What was there from an earlier run may be another bundle's.
            temporary.unlink()
            if _append(server, temporary, part) != part.sha256:
                temporary.unlink()
                raise Damaged(
                    f"{server.url}/{part.path} has another length or SHA-256 than {layout.CONTENTS} says: the server's "
                    "bundle is damaged, or was replaced meanwhile: run this again"
                )
        folder.place(temporary, part.path)
    return part


def _append(server: FileServer, temporary: Path, part: FilePart) -> str:
    """Fetch what is missing of a file; return the SHA-256 of all of it."""
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    with os.fdopen(descriptor, "r+b") as file:
        there = os.fstat(descriptor).st_size
        if there > part.bytes:
            file.truncate(0)
            there = 0
        if there < part.bytes or not there:
            for at, piece in server.pieces(part.path, there, part.bytes, part.sha256):
                if at != file.seek(0, os.SEEK_END):
                    # The server begins anew.
                    file.truncate(at)
                    file.seek(at)
                file.write(piece)
                # So that a run that is killed has left what came.
                file.flush()
        file.seek(0)
        return hashlib.file_digest(file, "sha256").hexdigest()


def _as_they_come(
    pool: ThreadPoolExecutor, parts: Iterable[FilePart], fetch_one: Callable[[FilePart], FilePart]
) -> Iterable[FilePart]:
    """Yield files as they are done; after a failure nothing more is begun."""
    under_way: set[Future[FilePart]] = set()
    rest = iter(parts)
    try:
        while True:
            while len(under_way) < WAITING_MAX and (part := next(rest, None)) is not None:
                under_way.add(pool.submit(fetch_one, part))
            if not under_way:
                return
            done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            for each in done:
                yield each.result()
    finally:
        for each in under_way:
            each.cancel()


def _check_room(directory: Path, missing: list[FilePart]) -> None:
    """Refuse a list whose files the disk has no room for, before the first byte."""
    wanted, free = sum(part.bytes for part in missing), shutil.disk_usage(directory).free
    if wanted > free:
        raise BadInput(f"the bundle's missing files have {wanted} bytes, and {directory} has room for {free}")
