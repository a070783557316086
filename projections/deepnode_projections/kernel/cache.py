"""The cache of decoded batches: a folder of files, of which any may be deleted at any time.

What a sealed batch says never changes, so what was decoded once can be read back, many times as fast. A file's name is
its key, which stands for all that decoding depends on: the batch's own bytes, the manifest, the contracts that are
known, and the decoder. A file that is missing, damaged, cut off or another one's is simply not there.
"""

import hashlib
import os
import stat
import tempfile
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Final

from deepnode_ledger.batch_versions import SCHEMA
from deepnode_ledger.errors import Damaged
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.roster import Child, Roster
from deepnode_ledger.sealed_batches import SealedBatchRef
from deepnode_ledger.trays import Trays
from deepnode_ledger.vocabulary import KINDS
from deepnode_projections.kernel import cache_form
from deepnode_projections.kernel.decoded import DecodedBatch, Octets
from deepnode_projections.kernel.op_cells import CELLS
from deepnode_projections.rules.book import has_rule

VERSION: Final = 4
"""Of the decoder: another one for every change to what ``decode_batch`` makes of the same batch. A test asks for it."""

BYTES_MAX: Final = 1024 * 1024 * 1024
"""A file above this was not written here."""

SUFFIX: Final = ".decoded"
_UNFINISHED: Final = ".part"
_OPEN: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class DecodedCache:
    """Decoded batches of a manifest's log in a folder. Several processes may use one folder at once."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self._manifest = manifest.digest
        self._children: list[Child] = []
        self._known = hashlib.sha256()

    def key(self, sealed: SealedBatchRef, roster: Roster, uncertain: Collection[bytes]) -> bytes:
        """Return the key (32 bytes) of what ``decode_batch`` makes of a sealed batch.

        ``roster`` and ``uncertain`` are what the batch is decoded with: the batch's own children are known.
        """
        place = (sealed.number, sealed.first_position, sealed.last_position)
        parts = [b"deepnode decoded batch %d %d %d %d" % (VERSION, *place), self._manifest, sealed.sha256]
        parts += [_decoder(), self._digest(roster.children), *sorted(uncertain)]
        return hashlib.sha256(b"".join(parts)).digest()

    def get(self, key: bytes, trays: Trays | None = None) -> DecodedBatch | None:
        """Return the decoded batch of a key, in a tray if there are any, or None if it is not there."""
        try:
            return cache_form.read(_content(self._path(key), Trays() if trays is None else trays), key)
        except (OSError, Damaged):
            return None

    def put(self, key: bytes, decoded: DecodedBatch) -> None:
        """Write the decoded batch of a key in the place of what was there: whole, or not at all.

        Raises:
            OSError: the disk is full, or the folder is not to be written to.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(_UNFINISHED, key.hex(), self.folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(cache_form.written(decoded, key))
            Path(name).replace(self._path(key))
        except BaseException:
            Path(name).unlink()
            raise

    def _path(self, key: bytes) -> Path:
        assert len(key) == 32, key
        return self.folder / f"{key.hex()}{SUFFIX}"

    def _digest(self, children: list[Child]) -> bytes:
        """Return the SHA-256 of the children that are known; those of the call before are not written down again."""
        if children[: len(self._children)] != self._children:
            self._children, self._known = [], hashlib.sha256()
        for child in children[len(self._children) :]:
            self._known.update(_line(child).encode())
        self._children = children
        return self._known.copy().digest()


@cache
def _decoder() -> bytes:
    """Return the SHA-256 of what decoding goes by: which events have rules, and what cells there are."""
    ruled = [f"{kind} {event.name}" for kind, events in KINDS.items() for event in events if has_rule(kind, event.name)]
    return hashlib.sha256("\n".join([*ruled, repr(sorted(CELLS.items())), repr(SCHEMA)]).encode()).digest()


def _line(child: Child) -> str:
    contract, (block, log) = child.contract, child.place
    what = f"{contract.name} {contract.kind} {contract.chain_id} {contract.start_block} {contract.asset}"
    return f"{to_hex(contract.address)} {to_hex(child.factory)} {block} {log} {child.position} {what}\n"


def _content(path: Path, trays: Trays) -> Octets:
    """Read a plain file into a tray: what another process does to the file then does nothing here.

    Raises:
        Damaged: it is none, or too large.
        OSError: it cannot be read.
    """
    descriptor = os.open(path, _OPEN)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > BYTES_MAX:
            raise Damaged(f"{path} is no decoded batch")
        data = trays.lend(found.st_size)
        view, at = data.data, 0
        while at < len(view) and (count := file.readinto(view[at:])):
            at += count
    return data[:at]
