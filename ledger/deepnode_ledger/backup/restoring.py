"""Restoring: a log made from a directory of backups, in one transaction, and checked before anybody sees it.

The files are believed as far as their hashes go, and not further: every entry is looked at on its way in, and then the
whole log is checked in the database, by ``fsck``, with its root beside the manifest's and beside every checkpoint that
was signed. What does not fit ends the transaction, and the database is as it was.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import Connection
from psycopg.rows import dict_row, tuple_row

from deepnode_ledger import batch as batches
from deepnode_ledger import segment, tables
from deepnode_ledger.backup import manifest as manifests
from deepnode_ledger.backup import tail_file
from deepnode_ledger.backup.folder import BackupFolder, batch_path
from deepnode_ledger.backup.manifest import BatchFile, Row, bytes_of
from deepnode_ledger.backup.moment import Moment, PointInTime, find_moment
from deepnode_ledger.database import BECOME_ROLE, database_errors
from deepnode_ledger.errors import BadInput, Damaged
from deepnode_ledger.fsck import Report, fsck
from deepnode_ledger.fsck.content import Order, faults
from deepnode_ledger.fsck.rows import one
from deepnode_ledger.record import Finality, Kind, TaskEvent
from deepnode_ledger.recorder import STREAM
from deepnode_ledger.schema import own_transaction, upgrade_within
from deepnode_ledger.sealing import insert_index
from deepnode_ledger.tail import payload_sha256
from deepnode_ledger.transparency import Verifier

Progress = Callable[[str, int, int], None]
"""Is told what is being done ("restored", "checked"), how many batches are done, and of how many."""

TABLES: Final = ("sealed", "batch", "batch_block", "sealing", "sealing_block", "segment", "checkpoint", "cosignature",
                 "reorg", "chain", "coverage", "evidence", "hold", "contract", "intake_offset", "header", "pending",
                 "task_key")  # fmt: skip
"""Tables that have no row in a database without a log; log.head has one that counts nothing."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restored log holds.

    Attributes:
        entries: sealed ones; that is the tree's size.
        batches: that they lie in.
        pending: entries behind them.
        root: of the tree, 32 bytes; rebuilt from the database, and equal to that of the backup.
        checkpoints: signed ones that the tree was compared with.
        blocks: numbers of the last covered blocks by the ids of their chains; None if none is.
        left_out: the size of the newest checkpoint that was signed later, if one was.
    """

    entries: int
    batches: int
    pending: int
    root: bytes
    checkpoints: int
    blocks: dict[int, int | None]
    left_out: int | None


def restore(
    directory: Path,
    url: str,
    *,
    point: PointInTime | None = None,
    verifier: Verifier | None = None,
    progress: Progress | None = None,
) -> Restored:
    """Make a log of a directory of backups, in a database that holds none.

    Args:
        directory: of the backups.
        url: of the database. The login makes the tables, or the log's owner has made them with `deepnode log migrate`.
        point: up to where; everything that the newest backup holds, pending entries included, if left out.
        verifier: the log's key, to verify what it signed.
        progress: is told how far it is.

    Raises:
        BadInput: the database holds a log, or there is no backup or no sealing at or before the point.
        Damaged: a file is not what was written; its name is in the message. The database is as it was.
        TryAgain: the database is away. It is as it was.
    """
    folder = BackupFolder(directory)
    moment = find_moment(folder, point)
    with database_errors(url), _own_log(url) as connection:
        _Loading(connection, folder, moment, progress).load()
        report = _check(connection, folder, moment, verifier, progress)
        _advance(connection, "sealed", "notification_id")
        _advance(connection, "evidence", "number")
    return Restored(
        report.entries,
        report.batches,
        report.pending,
        report.root,
        report.checkpoints,
        {chain.chain_id: chain.tip_number for chain in moment.chains},
        moment.left_out,
    )


@contextmanager
def _own_log(url: str) -> Iterator[Connection[Any]]:
    """Make the tables if they are missing, and keep every other writer out, in one transaction."""
    with own_transaction(url) as owner:
        connection = owner.connection.driver_connection
        assert isinstance(connection, psycopg.Connection), connection
        if one(connection, "SELECT to_regnamespace('log') IS NULL") == (True,):
            upgrade_within(owner)
        else:
            connection.execute(BECOME_ROLE, (tables.SCHEMA, tables.ROLE))
            _check_empty(connection)
        connection.execute("SELECT log.lock_sealed()")
        yield connection


def _check_empty(connection: Connection[Any]) -> None:
    version = one(connection, "SELECT to_regclass('log.alembic_version') IS NOT NULL")
    found = one(connection, "SELECT version_num FROM log.alembic_version") if version == (True,) else None
    if found != (tables.VERSION,):
        raise BadInput(
            f"the database has a log of version {None if found is None else found[0]}, not an empty one of "
            f"{tables.VERSION}: restore into another database. Nothing was touched"
        )
    # Until the transaction ends nobody else begins a log here.
    connection.execute("SELECT log.lock_sealed()")
    held = [name for name in TABLES if one(connection, f"SELECT FROM log.{name} LIMIT 1") is not None]
    if held:
        raise BadInput(
            f"the database holds a log already (log.{held[0]} has rows): restore into another one. Nothing was touched"
        )


class _Loading:
    """Writes the rows of a moment into empty tables."""

    def __init__(
        self, connection: Connection[Any], folder: BackupFolder, moment: Moment, progress: Progress | None
    ) -> None:
        self._connection = connection
        self._folder = folder
        self._moment = moment
        self._progress = progress
        self._cursor = connection.cursor(row_factory=dict_row)
        self._order = Order()

    def load(self) -> None:
        moment = self._moment
        number = 0
        for number, entry in enumerate(self._entries(), 1):
            with _naming(self._folder.path / batch_path(number)):
                self._load_batch(number, entry)
            if self._progress is not None:
                self._progress("restored", number, moment.head.batches)
        if number != moment.head.batches:
            raise Damaged(f"{self._folder.path} names {number} batches of {moment.head.batches}")
        if moment.tail is not None:
            with _naming(moment.tail):
                for page in tail_file.read(moment.tail):
                    self._load_pending(page)
        with _naming(self._folder.path / "backups"):
            for table, rows in (
                ("chain", moment.chains),
                ("sealing", moment.sealings),
                ("sealing_block", moment.sealing_blocks),
                ("checkpoint", moment.checkpoints),
                ("cosignature", moment.cosignatures),
                ("reorg", moment.reorgs),
                ("evidence", moment.evidence),
                ("hold", moment.holds),
                ("contract", moment.contracts),
                ("intake_offset", moment.offsets),
                ("coverage", moment.coverage),
                ("header", moment.headers),
            ):
                self._insert(table, rows)
            self._cursor.execute(
                "UPDATE log.head SET last_position = %s, sealed_position = %s, batches = %s",
                (moment.head.last_position, moment.head.sealed_position, moment.head.batches),
            )

    def _entries(self) -> Iterator[BatchFile]:
        """The batches' files, oldest first, from the same manifests as the moment."""
        left = self._moment.head.batches
        last = None
        for last in self._folder.manifests(self._moment.backups):
            yield from last.manifest.batches[:left]
            left -= len(last.manifest.batches[:left])
        if last is None or last.sha256 != self._moment.sha256:
            raise Damaged(f"the manifests in {self._folder.path} were changed meanwhile")

    def _load_batch(self, number: int, entry: BatchFile) -> None:
        state = self._folder.batch(number, entry)
        batch = batches.decode(entry.topic, state)
        self._look_at(batch)
        self._cursor.execute(
            "INSERT INTO log.sealed (originator_id, originator_version, topic, state, notification_id)"
            " VALUES (%s, %s, %s, %b, %s)",
            (STREAM, number, entry.topic, state, entry.notification_id),
        )
        insert_index(self._cursor, number, batch, bytes_of(entry.sha256))
        segment.add(self._cursor, segment.of_batch(number, batch))
        self._add_keys(batch)

    def _load_pending(self, page: pa.RecordBatch) -> None:
        self._look_at(page)
        with self._cursor.copy(f"COPY log.pending ({tables.PENDING_COLUMNS}) FROM STDIN".encode()) as copy:
            for row in zip(*(column.to_pylist() for column in page.columns), strict=True):
                copy.write_row(row)
        self._add_keys(page)

    def _look_at(self, batch: pa.RecordBatch) -> None:
        for fault in (*faults(batch), *self._order.faults(batch)):
            raise Damaged(f"row {fault.row}: {fault.column} must be {fault.expected}, not {fault.found}")

    def _add_keys(self, batch: pa.RecordBatch) -> None:
        events = batch.filter(pc.equal(batch.column("kind"), int(Kind.TASK_EVENT)))
        if not events.num_rows:
            return
        with self._cursor.copy(
            "COPY log.task_key (producer, event_id, sequence, position, payload_sha256) FROM STDIN"
        ) as copy:
            for entry in batches.entries(events, Finality.SEALED):
                event = entry.record
                assert isinstance(event, TaskEvent), event
                copy.write_row((event.producer, event.event_id, event.sequence, entry.position, payload_sha256(event)))

    def _insert(self, table: str, rows: Sequence[Row]) -> None:
        if not rows:
            return
        columns = [row["column_name"] for row in self._columns(table)]
        names, places = ", ".join(columns), ", ".join("%s" for _ in columns)
        self._cursor.executemany(
            f"INSERT INTO log.{table} ({names}) VALUES ({places})".encode(),  # noqa: S608 (from the catalogue)
            [[manifests.columns_of(row)[name] for name in columns] for row in rows],
        )

    def _columns(self, table: str) -> list[dict[str, Any]]:
        self._cursor.execute(
            "SELECT attname AS column_name FROM pg_attribute"
            " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
            (f"log.{table}",),
        )
        return self._cursor.fetchall()


def _check(
    connection: Connection[Any],
    folder: BackupFolder,
    moment: Moment,
    verifier: Verifier | None,
    progress: Progress | None,
) -> Report:
    """Check the whole log in the database, and its root beside the backup's."""
    report = Report()

    def tell(so_far: Report) -> None:
        if progress is not None:
            progress("checked", so_far.batches, moment.head.batches)

    for difference in fsck(connection, verifier=verifier, report=report, progress=tell):
        raise Damaged(f"the backup in {folder.path} does not fit together: {difference}. Nothing was restored")
    if report.root != moment.root:
        raise Damaged(
            f"the entries restored from {folder.path} have the root {report.root.hex()}, the backup's is "
            f"{moment.root.hex()}. Nothing was restored"
        )
    return report


def _advance(connection: Connection[Any], table: str, column: str) -> None:
    """Let the next row be numbered behind all restored ones: readers resume by these numbers."""
    cursor = connection.cursor(row_factory=tuple_row)
    sequence = f"pg_get_serial_sequence('log.{table}', '{column}')"
    cursor.execute(
        f"SELECT count(nextval({sequence})) FROM generate_series(1, (SELECT coalesce(max({column}), 0)"  # noqa: S608 (constants)
        f" FROM log.{table}) - coalesce(pg_sequence_last_value({sequence}::regclass), 0))".encode()
    )


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Say which file it was whose content the log or the database refuses."""
    try:
        yield
    except Damaged as error:
        if str(path) in str(error):
            raise
        raise Damaged(f"{path}: {error}. Nothing was restored") from error
    except (psycopg.IntegrityError, psycopg.DataError) as error:
        raise Damaged(f"{path}: {error.diag.message_primary or error}. Nothing was restored") from error
