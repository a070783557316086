"""Making a bundle: the sealed log up to a position becomes files, and is compared with what the log has signed.

Everything is read in one state of the log. Files that are there already and right are kept; what a bundle holds
depends on the log and on what was asked for, never on the batches it was sealed in, on the time, or on earlier runs.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import psycopg
import pyarrow as pa
from psycopg import Connection, Cursor
from psycopg.rows import DictRow, dict_row

from deepnode_ledger.bundle import entries as log_entries
from deepnode_ledger.bundle import knowledge, layout, log_file, manifest_files, points, readme
from deepnode_ledger.bundle.contents import ChainPart, Contents, EpochPart, FilePart, encode
from deepnode_ledger.bundle.files import FolderFiles
from deepnode_ledger.bundle.folder import BundleFolder, locked
from deepnode_ledger.bundle.growing import Progress, grow, prove
from deepnode_ledger.bundle.reading import Consistency
from deepnode_ledger.errors import BadInput, Damaged
from deepnode_ledger.fsck.one_state import state_of_log
from deepnode_ledger.fsck.rows import one
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.manifest import load_manifest
from deepnode_ledger.publishing import signed
from deepnode_ledger.publishing.durable import Disk
from deepnode_ledger.transparency import NotProven, NotSigned, Verifier, open_checkpoint, verify_consistency

Entries = Callable[[], Iterator[pa.RecordBatch]]
"""Yields the bundle's entries, from the first on."""

Gather = Callable[[Path, Sequence[ChainPart], Entries], Sequence[str]]
"""Puts evidence of nodes into the bundle's directory, for chains up to their last blocks; returns the files' names."""

_FSCK: Final = "run `deepnode log fsck`"


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked for.

    Attributes:
        to: in words, as ``bundle.json`` keeps it.
        entries: up to which position.
        manifest: the file of the deployment's manifest.
        epochs: that are over at that position, with their state roots.
        rulesets: the files of rulesets that were in force, by their hashes (``0x`` and 64 digits).
        verifier: the key that the log's checkpoints are signed with; None: a bundle without a checkpoint is wanted.
    """

    to: str
    entries: int
    manifest: Path
    epochs: Sequence[EpochPart] = ()
    rulesets: Mapping[str, bytes] = field(default_factory=dict)
    verifier: Verifier | None = None


@dataclass(frozen=True, slots=True)
class Created:
    """What was made: its list, and the SHA-256 of ``bundle.json`` in plain digits, which names the bundle."""

    contents: Contents
    sha256: str


def create(
    url: str,
    directory: Path,
    order: Order,
    *,
    gather: Gather | None = None,
    progress: Progress | None = None,
    disk: Disk | None = None,
) -> Created:
    """Make a bundle in a directory, or bring the one that is there to what is asked for.

    Args:
        url: of the log's database.
        directory: is made if it is missing.
        order: what is asked for.
        gather: fetches evidence from nodes; without it the bundle has none.
        progress: is told how far it is.
        disk: what files are written with.

    Raises:
        BadInput: the log has no such position, nobody signed so many entries, the manifest is refused, or the directory
            holds something else.
        Damaged: the log is not what was sealed or signed; the directory holds no whole bundle then.
        TryAgain: the database is away, the disk is full, or another program makes a bundle there.
    """
    manifest = load_manifest(order.manifest)
    # Before anything that takes long: it may be refused, and it may be another one afterwards.
    manifest_parts = manifest_files.files_of(order.manifest, manifest.digest)
    with locked(directory, disk) as folder:
        try:
            with state_of_log(url) as connection:
                checkpoint = _checkpoint(connection, order.entries, order.verifier)
                known = folder.begin()
                chains = points.chains_at(connection, order.entries)
                _check_chains(chains, manifest.chain_id, {each.id for each in manifest.chains.values()})
                root = _put_log(connection, folder, order, known, checkpoint, progress)
                coverage = knowledge.load(connection, chains)
        except psycopg.InternalError as error:
            raise Damaged(f"the database's own files are damaged: {error}; {_FSCK}") from error
        folder.put(layout.COVERAGE, knowledge.encode(coverage))
        for name, data in manifest_parts.items():
            folder.put(name, data)
        for spec_hash, data in order.rulesets.items():
            folder.put(layout.ruleset_path(spec_hash), data)
        if gather is not None:
            folder.remember()
            for name in gather(directory, chains, lambda: _entries(directory, order.entries)):
                folder.adopt(name)
        contents = Contents(
            layout.FORMAT,
            manifest.chain_id,
            to_hex(manifest.digest),
            order.entries,
            to_hex(root),
            order.to,
            None if checkpoint is None else checkpoint.size,
            chains,
            tuple(order.epochs),
            (),
        )
        folder.put(layout.README, readme.text(contents).encode())
        files = tuple(folder.parts[name] for name in sorted(folder.parts))
        if len(files) > layout.FILES_MAX:
            raise BadInput(f"the bundle would have {len(files)} files, of {layout.FILES_MAX} at most: end it earlier")
        contents = msgspec.structs.replace(contents, files=files)
        data = encode(contents)
        folder.finish(data)
    return Created(contents, hashlib.sha256(data).hexdigest())


@dataclass(frozen=True, slots=True)
class _Signed:
    """The checkpoint that a bundle gets: the smallest one that holds all of its entries, so that it stays the same."""

    size: int
    root: bytes
    note: str
    key: str


def check(url: str, entries: int, verifier: Verifier | None) -> None:
    """Look whether a bundle of so many entries can be made, before anything that takes long.

    Raises:
        BadInput: the log has no such position, or nobody signed so many entries.
        TryAgain: the database is away.
    """
    with state_of_log(url) as connection:
        _checkpoint(connection, entries, verifier)


def _checkpoint(connection: Connection[Any], entries: int, verifier: Verifier | None) -> _Signed | None:
    head = one(connection, "SELECT sealed_position FROM log.head")
    assert head is not None
    if not 1 <= entries <= head[0]:
        raise BadInput(f"the log has sealed positions 1 to {head[0]}: a bundle to {entries} cannot be made")
    if verifier is None:
        return None
    cursor = connection.cursor(row_factory=dict_row)
    cursor.execute("SELECT size, root, note FROM log.checkpoint WHERE size >= %s ORDER BY size LIMIT 1", (entries,))
    row = cursor.fetchone()
    if row is None:
        raise _nothing_signed(cursor, entries)
    note = f"{row['note']}{signed.cosignatures(cursor, row['size'])}"
    try:
        head_signed = open_checkpoint(note, verifier).head
    except NotSigned as error:
        raise BadInput(f"the checkpoint of size {row['size']} is not signed by {verifier}: {error}") from error
    if (head_signed.size, head_signed.root) != (row["size"], bytes(row["root"])):
        raise Damaged(f"log.checkpoint of size {row['size']} has a note of another tree: {_FSCK}")
    return _Signed(row["size"], head_signed.root, note, str(verifier))


def _nothing_signed(cursor: Cursor[DictRow], entries: int) -> BadInput:
    newest = signed.newest(cursor)
    if newest is None:
        return BadInput(
            "no checkpoint of this log was ever signed: run `deepnode log publish`, or ask for a bundle without one by "
            "--unsigned"
        )
    return BadInput(
        f"no checkpoint of {entries} entries is signed, the newest has {newest.size}: run `deepnode log publish`, or "
        "let the bundle end earlier with --to"
    )


def _put_log(
    connection: Connection[Any],
    folder: BundleFolder,
    order: Order,
    known: Mapping[str, FilePart],
    checkpoint: _Signed | None,
    progress: Progress | None,
) -> bytes:
    """Make the log files, the tiles and what is signed of them; return the root of their tree."""

    def read(first: int, last: int) -> Iterator[pa.RecordBatch]:
        return log_entries.sealed(connection, first, last)

    # Where nothing is signed, nothing would tell another log's files from this one's.
    usable = None if checkpoint is None else known
    edge = grow(folder, usable, read, order.entries, (lambda *_: None) if progress is None else progress)
    if checkpoint is None:
        return edge.root
    proof, root = prove(folder, read, edge, checkpoint.size)
    if root != checkpoint.root:
        raise Damaged(
            f"the first {checkpoint.size} entries have the root {root.hex()}, signed is {checkpoint.root.hex()}: "
            f"{_FSCK}; if that finds nothing, the directory holds another log's files: begin a new one"
        )
    try:
        verify_consistency(edge.size, edge.root, checkpoint.size, checkpoint.root, proof)
    except NotProven as error:
        raise Damaged(f"the log and its checkpoint contradict each other: {error}; {_FSCK}") from error
    consistency = Consistency(edge.size, checkpoint.size, tuple(proof))
    folder.put(layout.CHECKPOINT, checkpoint.note.encode())
    folder.put(layout.CHECKPOINT_KEY, f"{checkpoint.key}\n".encode())
    folder.put(layout.CONSISTENCY, msgspec.json.encode(consistency, order="sorted") + b"\n")
    return edge.root


def _check_chains(chains: Sequence[ChainPart], home: int, meant: set[int]) -> None:
    there = {each.chain_id for each in chains}
    if home not in there or not there <= meant:
        raise BadInput(f"the log holds chains {sorted(there)}, the manifest names {sorted(meant)}, at home on {home}")


def _entries(directory: Path, entries: int) -> Iterator[pa.RecordBatch]:
    files = FolderFiles(directory)
    try:
        for each in layout.log_files(entries):
            with files.open(each.path) as span:
                yield from log_file.read(span, each.first, each.last)
    finally:
        files.close()
