"""A bundle that is read: its list, its files, each checked against the list, and its entries.

No database and no network is needed. What is read is believed only after its length and its SHA-256 were compared with
the list; whether the list is the one that the log signed is for a verifier to find out.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Self

import msgspec
import pyarrow as pa

from deepnode_ledger.bundle import arrow_file, contents, layout, log_file
from deepnode_ledger.bundle.contents import Contents, FilePart
from deepnode_ledger.bundle.files import Files, FolderFiles, Span
from deepnode_ledger.bundle.layout import LogFile
from deepnode_ledger.bundle.manifest_files import abis_of
from deepnode_ledger.bundle.tar import TarFiles
from deepnode_ledger.errors import BadInput, Damaged
from deepnode_ledger.manifest import MANIFEST_BYTES_MAX, Manifest, load_manifest
from deepnode_ledger.manifest_file import parse_manifest
from deepnode_ledger.transparency import Tile
from deepnode_ledger.transparency.note import NOTE_BYTES_MAX

FILE_BYTES_MAX: Final = 64 * 1024 * 1024
"""What is read in one piece is no larger unless the caller says so."""

_CHUNK_BYTES: Final = 1024 * 1024


class Consistency(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"first": "from", "last": "to"}):
    """``consistency.json``: that the tree of ``first`` entries is the beginning of the signed one of ``last``."""

    first: contents.Number
    last: contents.Number
    hashes: tuple[bytes, ...]


class Bundle:
    """A bundle that is open; ``close`` it, or use it in a ``with`` block. Several threads may read at once."""

    def __init__(self, path: Path, files: Files, listed: Contents, contents_sha256: str) -> None:
        self.path = path
        self.contents = listed
        self.sha256 = contents_sha256
        """Of ``bundle.json``: it names the whole bundle."""
        self._files = files
        self._parts = {each.path: each for each in listed.files}
        self._checked: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the files."""
        self._files.close()

    def names(self) -> Iterator[str]:
        """Yield the names of the files that the bundle lists, in their order; ``bundle.json`` is not among them."""
        yield from self._parts

    def unlisted(self) -> Iterator[str]:
        """Yield the names of files that are there and are not listed.

        Raises:
            Damaged: something is there that is no plain file.
        """
        for name in self._files.names():
            if name not in self._parts and name != layout.CONTENTS:
                yield name

    def part(self, name: str) -> FilePart:
        """Return what the list says of a file.

        Raises:
            BadInput: it lists no such file.
        """
        part = self._parts.get(name)
        if part is None:
            raise BadInput(f"{self.path} lists no file {name!r:.120}")
        return part

    def read(self, name: str, bytes_max: int = FILE_BYTES_MAX) -> bytes:
        """Return the bytes of a listed file, which are those of the list.

        Raises:
            BadInput: there is no such file in the list, or it is longer than ``bytes_max``.
            Damaged: it is missing, or its bytes are not those of the list.
        """
        part = self.part(name)
        if part.bytes > bytes_max:
            raise BadInput(f"{self.path}: {name} has {part.bytes} bytes, of {bytes_max} at most")
        with self._open(part) as span:
            data = span.read(part.bytes)
        if hashlib.sha256(data).hexdigest() != part.sha256:
            raise self._other_bytes(name)
        return data

    def check(self, name: str) -> None:
        """Compare a listed file's length and SHA-256 with the list, a piece at a time.

        Raises:
            BadInput: there is no such file in the list.
            Damaged: it is missing, or its bytes are not those of the list.
        """
        part = self.part(name)
        digest = hashlib.sha256()
        with self._open(part) as span:
            while piece := span.read(_CHUNK_BYTES):
                digest.update(piece)
        if digest.hexdigest() != part.sha256:
            raise self._other_bytes(name)
        self._checked.add(name)

    def arrow(self, name: str, schema: pa.Schema, *, rows_max: int, bytes_max: int) -> Iterator[pa.RecordBatch]:
        """Yield the record batches of a listed Arrow file, each within limits that hold before it is unpacked.

        Its SHA-256 is compared with the list first (once).

        Args:
            name: of the file.
            schema: the columns that it must have.
            rows_max: rows of one record batch.
            bytes_max: bytes of one record batch when unpacked.

        Raises:
            BadInput: there is no such file in the list.
            Damaged: it is missing, is not what the list says, has other columns, or claims too much.
        """
        if name not in self._checked:
            self.check(name)
        with self._open(self.part(name)) as span:
            try:
                yield from arrow_file.read(span, schema, rows_max=rows_max, bytes_max=bytes_max)
            except Damaged as error:
                raise Damaged(f"{self.path}: {name}: {error}") from error

    def log_files(self) -> list[LogFile]:
        """Return the files that hold the entries, in the order of their positions."""
        return list(layout.log_files(self.contents.entries))

    def batches(self, first: int = 1, last: int | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the entries from position ``first`` to ``last`` in order, with the columns of ``SCHEMA``.

        Each log file's SHA-256 is compared with the list before its entries are handed out (once).

        Args:
            first: position of the first entry.
            last: position of the last one; the bundle's last if None.

        Raises:
            BadInput: there are no such positions.
            Damaged: a file is missing, is not what the list says, or does not hold its positions.
        """
        entries = self.contents.entries
        last = entries if last is None else last
        if not 1 <= first <= last + 1 <= entries + 1:
            raise BadInput(f"{self.path} has positions 1 to {entries}, not {first} to {last}")
        for file in self.log_files()[(first - 1) // layout.LOG_FILE_ENTRIES :]:
            if file.first > last:
                return
            if file.path not in self._checked:
                self.check(file.path)
            yield from self.batches_of(file, max(first, file.first), min(last, file.last))

    def batches_of(self, file: LogFile, first: int, last: int) -> Iterator[pa.RecordBatch]:
        """Yield the entries of one log file that lie between two positions of it; its hash is not looked at.

        Raises:
            Damaged: the file is missing, or does not hold its positions.
        """
        with self._open(self.part(file.path)) as span:
            try:
                for batch in log_file.read(span, file.first, file.last):
                    begins = batch.column("position")[0].as_py()
                    skip, end = max(0, first - begins), min(batch.num_rows, last - begins + 1)
                    if skip < end:
                        yield batch.slice(skip, end - skip)
            except Damaged as error:
                raise Damaged(f"{self.path}: {file.path}: {error}") from error

    def read_tile(self, tile: Tile) -> bytes:
        """Return a tile of the tree of the bundle's entries: a ``transparency.tile.ReadTile``.

        Raises:
            BadInput: the tree has no such tile.
            Damaged: it is missing, or its bytes are not those of the list.
        """
        return self.read(tile.path if tile.path in self._parts else tile.full.path)

    def checkpoint(self) -> bytes:
        """Return the signed note of the log, as it was published.

        Raises:
            BadInput: the bundle has none.
            Damaged: its bytes are not those of the list.
        """
        return self.read(layout.CHECKPOINT, NOTE_BYTES_MAX)

    def checkpoint_key(self) -> str:
        """Return the verifier key that the bundle names: a hint, and no reason to trust it.

        Raises:
            BadInput: the bundle has none.
            Damaged: its bytes are not those of the list, or no text.
        """
        try:
            return self.read(layout.CHECKPOINT_KEY, NOTE_BYTES_MAX).decode().strip()
        except UnicodeDecodeError as error:
            raise Damaged(f"{self.path}: {layout.CHECKPOINT_KEY} is no text") from error

    def consistency(self) -> Consistency:
        """Return the proof that the bundle's tree is the beginning of the signed one; it is not verified here.

        Raises:
            BadInput: the bundle has none.
            Damaged: it is not spelled as it must be, or is of other trees than the list says.
        """
        raw = self.read(layout.CONSISTENCY, 64 * 1024)
        try:
            proof = msgspec.json.decode(raw, type=Consistency)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise Damaged(f"{self.path}: {layout.CONSISTENCY}: {error}") from error
        if msgspec.json.encode(proof, order="sorted") + b"\n" != raw:
            raise Damaged(f"{self.path}: {layout.CONSISTENCY} is spelled in another way than a bundle's is")
        if (proof.first, proof.last) != (self.contents.entries, self.contents.checkpoint_size):
            raise Damaged(
                f"{self.path}: {layout.CONSISTENCY} is from {proof.first} to {proof.last}, {layout.CONTENTS} from "
                f"{self.contents.entries} to {self.contents.checkpoint_size}"
            )
        return proof

    def manifest(self) -> Manifest:
        """Return the deployment's manifest, whose digest is that of the list.

        Raises:
            BadInput: it is refused as any manifest is.
            Damaged: a file of it is missing, lies outside the bundle, or is not what the list says.
        """
        with TemporaryDirectory(prefix="deepnode-manifest-") as place:
            folder = Path(place)
            path = folder / "manifest.toml"
            path.write_bytes(self.read(layout.MANIFEST, MANIFEST_BYTES_MAX))
            for name in sorted(abis_of(parse_manifest(path))):
                listed = f"manifest/{name}"
                if listed not in self._parts:
                    raise Damaged(f"{self.path}: {layout.MANIFEST} names {name!r:.120}, which is not in the bundle")
                copy = folder / name
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(self.read(listed, MANIFEST_BYTES_MAX))
            manifest = load_manifest(path)
        if f"0x{manifest.digest.hex()}" != self.contents.manifest:
            raise Damaged(f"{self.path}: {layout.MANIFEST} has the digest 0x{manifest.digest.hex()}, "
                          f"{layout.CONTENTS} says {self.contents.manifest}")  # fmt: skip
        return manifest

    def _open(self, part: FilePart) -> Span:
        span = self._files.open(part.path)
        if span.length != part.bytes:
            length = span.length
            span.close()
            raise Damaged(f"{self.path}: {part.path} has {length} bytes, {layout.CONTENTS} says {part.bytes}")
        return span

    def _other_bytes(self, name: str) -> Damaged:
        return Damaged(f"{self.path}: {name} has another SHA-256 than {layout.CONTENTS} says")


def open_bundle(path: Path) -> Bundle:
    """Open a bundle: a directory, or a tar of one, which is read in place.

    Raises:
        BadInput: there is none at the path, or it is of another format.
        Damaged: its list, or the tar, is not what a bundle's is; the message says where.
    """
    files: Files = FolderFiles(path) if path.is_dir() else TarFiles(path)
    try:
        try:
            span = files.open(layout.CONTENTS)
        except Damaged as error:
            raise BadInput(f"{path} is no bundle, or one that is not finished: {error}") from error
        with span:
            raw = span.read(contents.CONTENTS_BYTES_MAX + 1)
        try:
            listed = contents.decode(raw)
        except Damaged as error:
            raise Damaged(f"{path}: {error}") from error
        except BadInput as error:
            raise BadInput(f"{path}: {error}") from error
    except BaseException:
        files.close()
        raise
    return Bundle(path, files, listed, hashlib.sha256(raw).hexdigest())
