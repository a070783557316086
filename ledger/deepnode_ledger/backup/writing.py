"""Backing up: what is new in one state of the log becomes files, and is looked at on its way.

A batch that is damaged in the database, or a root that is not the signed one, ends the backup before its manifest is
written: a copy of what is wrong would only hide it. Sealed batches never change, so an earlier backup's are not read
again; the tree goes on from the edge that its manifest keeps.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import psycopg
import pyarrow as pa
from psycopg import Connection
from psycopg.rows import dict_row

from deepnode_ledger import batch as batches
from deepnode_ledger import leaf, tables
from deepnode_ledger.backup import manifest as manifests
from deepnode_ledger.backup import tail_file
from deepnode_ledger.backup.folder import BackupFolder, BackupWriter, batch_path, locked, manifest_path, tail_path
from deepnode_ledger.backup.manifest import (
    BatchFile,
    ChainRow,
    CheckpointRow,
    ContractRow,
    CosignatureRow,
    CoverageRow,
    EvidenceRow,
    HeaderRow,
    HeadRow,
    HoldRow,
    Manifest,
    OffsetRow,
    ReorgRow,
    SealingBlockRow,
    SealingRow,
    TailFile,
    bytes_of,
    row_of,
    rows_of,
)
from deepnode_ledger.errors import BadInput, Damaged
from deepnode_ledger.fsck.content import Order, faults
from deepnode_ledger.fsck.one_state import state_of_log
from deepnode_ledger.fsck.rows import Rows
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.publishing.durable import Disk
from deepnode_ledger.recorder import STREAM
from deepnode_ledger.transparency import Edge, leaf_hashes

Progress = Callable[[int, int], None]
"""Is told how many batches are done, and of how many."""

STATES_AT_ONCE: Final = 2


@dataclass(frozen=True, slots=True)
class BackedUp:
    """What a backup did.

    Attributes:
        number: of the newest backup in the directory.
        made: whether it is new; False if nothing has changed since.
        batches: how many batches were written.
        entries: how many sealed entries they hold.
        head: where the log stood.
        root: of the tree over everything sealed, 32 bytes.
    """

    number: int
    made: bool
    batches: int
    entries: int
    head: HeadRow
    root: bytes


@dataclass(slots=True)
class _Before:
    """What the directory holds already."""

    manifest: Manifest | None = None
    sha256: str | None = None
    batches: int = 0
    digests: Any = field(default_factory=hashlib.sha256)
    sealing: SealingRow | None = None
    checkpoint: CheckpointRow | None = None
    reorg: ReorgRow | None = None
    evidence: EvidenceRow | None = None
    cosignatures: set[bytes] = field(default_factory=set)


def backup(url: str, directory: Path, *, progress: Progress | None = None, disk: Disk | None = None) -> BackedUp:
    """Bring a directory of backups up to the log.

    Args:
        url: of the log's database.
        directory: is made if it is missing.
        progress: is told how far it is.
        disk: what files are written with.

    Raises:
        BadInput: there is no log, or the directory holds another one's backups.
        Damaged: the log or an earlier backup is not what was written; nothing was added.
        TryAgain: the database is away, the disk is full, or another backup is being written there.
    """
    with locked(directory, disk) as folder:
        before = _look_back(folder)
        try:
            with state_of_log(url) as connection:
                return _back_up(connection, folder, before, progress)
        except psycopg.InternalError as error:
            raise Damaged(f"the database's own files are damaged: {error}; {_FSCK}") from error


def _look_back(folder: BackupFolder) -> _Before:
    """Read every manifest, and see that the files of the batches are there."""
    before = _Before()
    for kept in folder.manifests(folder.last()):
        for entry in kept.manifest.batches:
            before.batches += 1
            before.digests.update(bytes_of(entry.sha256))
            if not folder.has_batch(before.batches, entry):
                raise Damaged(
                    f"{folder.path / batch_path(before.batches)} is missing or has another size than its manifest "
                    "says: begin a new directory"
                )
        before.sealing = kept.manifest.sealings[-1] if kept.manifest.sealings else before.sealing
        before.checkpoint = kept.manifest.checkpoints[-1] if kept.manifest.checkpoints else before.checkpoint
        before.reorg = kept.manifest.reorgs[-1] if kept.manifest.reorgs else before.reorg
        before.evidence = kept.manifest.evidence[-1] if kept.manifest.evidence else before.evidence
        before.cosignatures.update(map(_digest, kept.manifest.cosignatures))
        before.manifest, before.sha256 = kept.manifest, kept.sha256
    return before


def _back_up(connection: Connection[Any], folder: BackupWriter, before: _Before, progress: Progress | None) -> BackedUp:
    heads = rows_of(HeadRow, _all(connection, "SELECT * FROM log.head"))
    if len(heads) != 1:
        raise Damaged(f"log.head has {len(heads)} rows; {_FSCK}")
    head = heads[0]
    chains = rows_of(ChainRow, _all(connection, "SELECT * FROM log.chain ORDER BY chain_id"))
    if not chains:
        raise BadInput("the log holds no chain yet: there is nothing to back up")
    _check_same(connection, folder, before, head, chains)
    number = 1 if before.manifest is None else before.manifest.number + 1
    sealed = before.sealing.number if before.sealing else 0
    sealings = _all(connection, "SELECT * FROM log.sealing WHERE number > %s ORDER BY number", sealed)
    checkpoints = rows_of(
        CheckpointRow,
        _all(
            connection,
            "SELECT * FROM log.checkpoint WHERE size > %s ORDER BY size",
            before.checkpoint.size if before.checkpoint else -1,
        ),
    )
    tree = _Tree(
        Edge() if before.manifest is None else manifests.edge_of(before.manifest),
        {row["sealed_position"] for row in sealings} | {row.size for row in checkpoints},
    )
    written = tuple(_write_batches(connection, folder, before.batches, head, tree, progress))
    tree.check(head, checkpoints)
    cosignatures = rows_of(
        CosignatureRow, _all(connection, "SELECT * FROM log.cosignature ORDER BY size, name, key_id")
    )
    manifest = Manifest(
        manifests.FORMAT,
        number,
        before.sha256,
        tables.VERSION,
        head,
        chains,
        written,
        tuple(row_of(SealingRow, {**row, "root": tree.root_at(row["sealed_position"])}) for row in sealings),
        rows_of(
            SealingBlockRow,
            _all(connection, "SELECT * FROM log.sealing_block WHERE number > %s ORDER BY number, chain_id", sealed),
        ),
        checkpoints,
        tuple(row for row in cosignatures if _digest(row) not in before.cosignatures),
        rows_of(
            ReorgRow,
            _all(
                connection,
                "SELECT * FROM log.reorg WHERE number > %s ORDER BY number",
                before.reorg.number if before.reorg else 0,
            ),
        ),
        rows_of(
            EvidenceRow,
            _all(
                connection,
                "SELECT * FROM log.evidence WHERE number > %s ORDER BY number",
                before.evidence.number if before.evidence else 0,
            ),
        ),
        rows_of(HoldRow, _all(connection, "SELECT * FROM log.hold ORDER BY chain_id, first_block, last_block")),
        rows_of(ContractRow, _all(connection, "SELECT * FROM log.contract ORDER BY chain_id, address")),
        rows_of(OffsetRow, _all(connection, 'SELECT * FROM log.intake_offset ORDER BY source COLLATE "C", partition')),
        rows_of(CoverageRow, _all(connection, "SELECT * FROM log.coverage ORDER BY chain_id, first_block")),
        rows_of(HeaderRow, _all(connection, "SELECT * FROM log.header ORDER BY chain_id, number")),
        _write_tail(connection, folder, number, head),
        manifests.edge_texts(tree.edge),
        to_hex(tree.edge.root),
    )
    entries = tree.edge.size - tree.size_before
    if before.manifest is not None and _same(before.manifest, manifest):
        folder.drop(tail_path(number))
        return BackedUp(before.manifest.number, False, 0, 0, head, tree.edge.root)
    # The manifest makes the backup: all that it names is durable before it.
    folder.sync()
    folder.put(manifest_path(number), manifests.encode(manifest)[0])
    folder.sync()
    return BackedUp(number, True, len(written), entries, head, tree.edge.root)


def _check_same(
    connection: Connection[Any], folder: BackupFolder, before: _Before, head: HeadRow, chains: tuple[ChainRow, ...]
) -> None:
    """Check that what the directory holds is the beginning of this log."""
    if before.manifest is None:
        return
    other = f"{folder.path} holds the backups of another log"
    begun = {(chain.chain_id, chain.genesis_hash, chain.first_block) for chain in chains}
    for kept in before.manifest.chains:
        if (kept.chain_id, kept.genesis_hash, kept.first_block) not in begun:
            raise BadInput(f"{other}: of chain {kept.chain_id} from block {kept.first_block}")
    if head.batches < before.batches:
        raise BadInput(
            f"{other}, or a longer copy of this one: it has {before.batches} batches, the log {head.batches}"
        )
    digests = hashlib.sha256()
    for (digest,) in Rows(
        connection, "SELECT sha256 FROM log.batch WHERE number <= %s ORDER BY number", (before.batches,)
    ):
        digests.update(digest)
    if digests.digest() != before.digests.digest():
        raise BadInput(f"{other}: the hashes of the first {before.batches} batches differ")
    for table, key, row in (
        ("sealing", "number", before.sealing),
        ("checkpoint", "size", before.checkpoint),
        ("reorg", "number", before.reorg),
        ("evidence", "number", before.evidence),
    ):
        if row is None:
            continue
        found = _all(connection, f"SELECT * FROM log.{table} WHERE {key} = %s", getattr(row, key))  # noqa: S608 (constants)
        columns = manifests.columns_of(row)
        if not found or any(columns[name] != value for name, value in found[0].items()):
            raise BadInput(f"{other}: log.{table} has another row {key} {getattr(row, key)}")


class _Tree:
    """The tree as the new batches make it grow, and its root at the places that are asked for."""

    def __init__(self, edge: Edge, stops: set[int]) -> None:
        self.edge = edge
        self.size_before = edge.size
        self._roots = {edge.size: edge.root}
        if 0 in stops:
            self._roots[0] = Edge().root
        self._stops = sorted(stop for stop in stops if stop > edge.size)[::-1]

    def add(self, batch: pa.RecordBatch) -> None:
        hashes = leaf_hashes(leaf.entries(batch))
        start = 0
        while start < len(hashes):
            stop = min(len(hashes), start + self._stops[-1] - self.edge.size) if self._stops else len(hashes)
            self.edge, _ = self.edge.extend(hashes[start:stop])
            start = stop
            if self._stops and self.edge.size == self._stops[-1]:
                self._roots[self._stops.pop()] = self.edge.root

    def root_at(self, size: int) -> bytes:
        if size not in self._roots:
            raise Damaged(f"the log speaks of {size} sealed entries, and has {self.edge.size}; {_FSCK}")
        return self._roots[size]

    def check(self, head: HeadRow, checkpoints: tuple[CheckpointRow, ...]) -> None:
        if self.edge.size != head.sealed_position:
            raise Damaged(f"the batches hold {self.edge.size} entries, log.head says {head.sealed_position}; {_FSCK}")
        for row in checkpoints:
            if self.root_at(row.size) != bytes_of(row.root):
                raise Damaged(
                    f"the first {row.size} entries have the root {to_hex(self.root_at(row.size))}, signed is "
                    f"{row.root}: entries were changed since; {_FSCK}"
                )


_FSCK: Final = "nothing was added, run `deepnode log fsck`"


def _write_batches(
    connection: Connection[Any],
    folder: BackupWriter,
    after: int,
    head: HeadRow,
    tree: _Tree,
    progress: Progress | None,
) -> Iterator[BatchFile]:
    order = Order()
    order.position = tree.edge.size
    number = after
    for number, (version, topic, state, notification_id, digest) in enumerate(
        Rows(
            connection,
            "SELECT originator_version, topic, state, notification_id, sha256 FROM log.sealed"
            " LEFT JOIN log.batch ON number = originator_version"
            " WHERE originator_id = %s AND originator_version > %s ORDER BY originator_version",
            (STREAM, after),
            at_once=STATES_AT_ONCE,
        ),
        after + 1,
    ):
        if version != number or state is None or hashlib.sha256(state).digest() != digest:
            raise Damaged(f"batch {number} is missing, or its bytes are not those of its SHA-256; {_FSCK}")
        try:
            batch = batches.decode(topic, state)
        except Damaged as error:
            raise Damaged(f"batch {number}: {error}; {_FSCK}") from error
        for fault in (*faults(batch), *order.faults(batch)):
            raise Damaged(
                f"batch {number}, row {fault.row}: {fault.column} must be {fault.expected}, not {fault.found}; {_FSCK}"
            )
        tree.add(batch)
        folder.put(batch_path(number), state)
        yield BatchFile(topic, notification_id, len(state), to_hex(digest))
        if progress is not None:
            progress(number, head.batches)
    if number != head.batches:
        raise Damaged(f"the log has {number} batches, log.head says {head.batches}; {_FSCK}")


def _write_tail(connection: Connection[Any], folder: BackupWriter, number: int, head: HeadRow) -> TailFile | None:
    if head.last_position == head.sealed_position:
        return None
    name = tail_path(number)
    temporary = folder.prepare(name)
    entries = tail_file.write(temporary, connection, head.sealed_position + 1, head.last_position)
    if entries != head.last_position - head.sealed_position:
        raise Damaged(f"the tail has {entries} entries, log.head says otherwise: {head}; {_FSCK}")
    with temporary.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    written = TailFile(entries, temporary.stat().st_size, to_hex(digest))
    folder.finish(temporary, name)
    return written


def _same(before: Manifest, now: Manifest) -> bool:
    """Say whether nothing has changed since the last backup."""
    new = (now.batches, now.sealings, now.checkpoints, now.cosignatures, now.reorgs, now.evidence)
    standing = ("tables", "head", "chains", "coverage", "headers", "holds", "contracts", "offsets", "tail")
    return not any(new) and all(getattr(before, name) == getattr(now, name) for name in standing)


def _digest(row: CosignatureRow) -> bytes:
    return hashlib.sha256(msgspec.json.encode(row)).digest()[:16]


def _all(connection: Connection[Any], query: str, *values: Any) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row, binary=True) as cursor:
        return cursor.execute(query.encode(), values).fetchall()
