"""The projector: follows the log and keeps the books up to it, exactly once.

Each step is one transaction: a consistent look at the log, the rollback that new reorgs ask for, the fold of a run of
entries, their rows and the checkpoint. A crash at any moment leaves the books at the last step's end.
"""

import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import Connection, Cursor, IsolationLevel
from psycopg.rows import DictRow, dict_row

from deepnode_ledger.batch import entries as entries_of
from deepnode_ledger.compiled import available
from deepnode_ledger.contract import Contract
from deepnode_ledger.database import database_errors, open_datastore
from deepnode_ledger.errors import BadInput, TryAgain
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.log import CHANNEL
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.polled_subscription import POLL_SECONDS
from deepnode_ledger.record import BlockRef, Finality
from deepnode_ledger.roster import Roster
from deepnode_ledger.schema import create_log
from deepnode_ledger.snapshot import Reorg, Snapshot
from deepnode_ledger.subscription import listen, wait_for_hint
from deepnode_projections import books, bulk, tables
from deepnode_projections.books import Page
from deepnode_projections.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from deepnode_projections.folding import fold
from deepnode_projections.posting_columns import BeyondLimit
from deepnode_projections.registers.kept import Kept
from deepnode_projections.schema import create_books, create_indexes, missing_columns

if TYPE_CHECKING:
    from deepnode_projections.kernel.catching_up import CatchingUp

STEP_ENTRIES: Final = 65_536
"""Log entries in one transaction, so that memory and the cost of a crash have a bound."""

STEP_BYTES: Final = 64 * 1024 * 1024
"""Bytes of log entries that end a step early: a log's data may be large."""

BULK_ENTRIES: Final = 100_000
"""So far behind the log's end it is worth while to read all that stands in the books, and to fold by the kernel."""

BULK_SHARE: Final = 16
"""Of large books the log must be ahead by this part of what is in them: all that stands there is read first."""

BULK_ENTRIES_LAST: Final = 10_000
"""Closer to the log's end the rules are quick enough: what is in memory for the kernel is let go."""

LOOK_BACK_ENTRIES: Final = 256

LOCK_NAME: Final = "deepnode books"


@dataclass(frozen=True, slots=True)
class Step:
    """What a step did: it took the books to ``position``; ``rolled_back_to`` if a reorg took entries back first."""

    position: int
    entries: int
    rolled_back_to: int | None
    behind: int


class Projector:
    """Keeps one set of books (the PostgreSQL schema ``schema``) up to the log. One at a time may run."""

    def __init__(
        self,
        url: str,
        manifest: Manifest,
        *,
        schema: str = tables.SCHEMA,
        step_entries: int = STEP_ENTRIES,
        by_definition: bool = False,
        bulk_entries: int = BULK_ENTRIES,
    ) -> None:
        """Describe a projector; nothing connects yet.

        Args:
            url: of the database.
            manifest: the deployment.
            schema: the PostgreSQL schema of the books.
            step_entries: the most log entries in one step.
            by_definition: take no short cut for transfers, but put every log to the rules. The books are the
                same, and come some ten times slower.
            bulk_entries: so many entries behind the log's end the kernel takes over, where it can be compiled.
        """
        self._url = url
        self._manifest = manifest
        self._schema = schema
        self._step_entries = step_entries
        self._by_definition = by_definition
        self._roster: Roster | None = None
        self._bulk_entries = bulk_entries
        self._state: Kept | None = None
        self._catching_up: CatchingUp | None = None
        self._connection: Connection[DictRow] | None = None
        self._is_indexed = False

    def open(self) -> None:
        """Connect, make the tables that are missing, and become the only projector of these books.

        Raises:
            TryAgain: the database is away, or another projector runs.
            BadInput: the books were made with another manifest, or by a version that kept them otherwise.
        """
        datastore = open_datastore(self._url, pool_size=1)
        try:
            create_log(datastore)
        finally:
            datastore.close()
        create_books(self._url, self._schema)
        connection = connect(self._url, self._schema)
        try:
            _take_lock(connection, self._schema)
            with connection.transaction():
                self._check_columns(connection)
                self._check_manifest(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def close(self) -> None:
        """Disconnect; the lock goes with the connection."""
        if self._connection is not None:
            self._connection.close()
            # The state reads over it.
            self._connection = self._state = self._catching_up = None

    def step(self) -> Step:
        """Take the books one run of entries further (none if they are at the log's end).

        Raises:
            TryAgain: the database is away; nothing was changed, and the next ``open`` goes on from here.
        """
        assert self._connection is not None, "open() comes first"
        with database_errors(self._url), self._connection.transaction():
            snapshot = Snapshot(self._connection)
            cursor = self._connection.cursor(row_factory=dict_row)
            before = load_checkpoint(cursor, self._manifest)
            reorgs = snapshot.reorgs(after=before.reorg_number)
            kept = min([before.position, *(reorg.kept_position for reorg in reorgs)])
            # Out of the way until the step is committed: after one that fails it is read anew.
            roster, self._roster = self._roster or Roster.load(snapshot, self._manifest, kept), None
            state, self._state = self._state, None
            catching_up, self._catching_up = self._catching_up, None
            if kept < before.position:
                self._roll_back(snapshot, roster, kept)
                state = catching_up = None
            if self._is_far(kept, snapshot.head.last_position - kept, catching_up):
                page, position, catching_up = self._book_at_once(snapshot, roster, catching_up, kept)
                state = None
            else:
                page, position, state = self._book(snapshot, roster, state or Kept(cursor), kept)
                catching_up = None
            at_end = position == snapshot.head.last_position
            chain = snapshot.chain(self._manifest.chain_id)
            after = Checkpoint(
                position=position,
                sealed_position=min(snapshot.head.sealed_position, position),
                reorg_number=reorgs[-1].number if reorgs else before.reorg_number,
                tip=chain.tip
                if chain is not None and at_end
                else _last_whole_block(page, None if self._replaced(reorgs) else before.tip),
                finalized=chain.finalized if chain is not None else None,
            )
            if after != before:
                save_checkpoint(cursor, self._manifest, after)
        self._roster, self._state, self._catching_up = roster, state, catching_up
        rolled_back_to = kept if kept < before.position else None
        return Step(position, position - kept, rolled_back_to, snapshot.head.last_position - position)

    def catch_up(self) -> Step:
        """Take steps until the books are at the log's end, and make the indexes that are missing; return the last."""
        while True:
            step = self.step()
            if step.behind == 0:
                self._index()
                return step

    def follow(self, stop: threading.Event) -> Iterator[Step]:
        """Keep the books up to the log until told to stop; yield the steps that changed something."""
        with database_errors(self._url), psycopg.connect(self._url, autocommit=True) as listener:
            listen(listener, CHANNEL)
            while not stop.is_set():
                step = self.step()
                if step.entries or step.rolled_back_to is not None:
                    yield step
                hinted = wait_for_hint(listener, 0 if step.behind else POLL_SECONDS)
                if step.position and not step.behind and not hinted:
                    self._index()

    def _index(self) -> None:
        """Make the indexes that are missing, once."""
        if not self._is_indexed:
            create_indexes(self._url, self._schema)
            self._is_indexed = True

    def _book(self, snapshot: Snapshot, roster: Roster, state: Kept, kept: int) -> tuple[Page, int, Kept]:
        """Write a run of entries from behind ``kept`` on; return what was written, the last position and the state."""
        run = self._read(snapshot, kept)
        if run is None:
            return Page(), kept, state
        cursor = snapshot.connection.cursor(row_factory=dict_row)
        try:
            # A transaction of its own: the tokens of a page that is not written are taken back with it.
            with snapshot.connection.transaction():
                page, count = self._write(cursor, run, roster, state, by_definition=self._by_definition)
        except BeyondLimit:
            state = Kept(cursor)
            page, count = self._write(cursor, run, roster, state, by_definition=True)
        return page, kept + count, state

    def _is_far(self, kept: int, behind: int, catching_up: "CatchingUp | None") -> bool:
        """Say whether so many entries are worth the kernel's beginning, or its going on."""
        if self._by_definition or not available():
            return False
        if catching_up is not None:
            return behind >= min(self._bulk_entries, BULK_ENTRIES_LAST)
        return behind >= max(self._bulk_entries, kept // BULK_SHARE)

    def _book_at_once(
        self, snapshot: Snapshot, roster: Roster, catching_up: "CatchingUp | None", kept: int
    ) -> "tuple[Page, int, CatchingUp]":
        """Do what ``_book`` does, by the kernel."""
        from deepnode_projections.kernel.catching_up import CatchingUp

        cursor, run = snapshot.connection.cursor(row_factory=dict_row), self._read(snapshot, kept)
        assert run is not None, "there is much to read"
        catching_up = catching_up or CatchingUp(cursor, roster)
        return catching_up.book(cursor, run), kept + run.num_rows, catching_up

    def _read(self, snapshot: Snapshot, kept: int) -> pa.RecordBatch | None:
        batches: list[pa.RecordBatch] = []
        size_bytes = 0
        for batch in snapshot.read(kept + 1, kept + self._step_entries):
            batches.append(batch)
            size_bytes += batch.nbytes
            if size_bytes >= STEP_BYTES:
                break
        return pa.concat_batches(batches) if batches else None

    def _write(
        self, cursor: Cursor[DictRow], run: pa.RecordBatch, roster: Roster, state: Kept, *, by_definition: bool
    ) -> tuple[Page, int]:
        page, count = fold(run, roster, state, by_definition=by_definition)
        books.write(cursor, page, books.assets(cursor, tokens_of(roster)))
        state.write()
        return page, count

    def _roll_back(self, snapshot: Snapshot, roster: Roster, kept: int) -> None:
        cursor = snapshot.connection.cursor(row_factory=dict_row)
        roster.forget_behind(kept)
        books.roll_back(cursor, kept, [token.address for token in tokens_of(roster)])
        spanning = _last_block(snapshot, kept, self._manifest.chain_id)
        if spanning is not None:
            bulk.write_blocks(cursor, [spanning])

    def _replaced(self, reorgs: Iterable[Reorg]) -> bool:
        return any(reorg.chain_id == self._manifest.chain_id for reorg in reorgs)

    def _check_columns(self, connection: Connection[DictRow]) -> None:
        missing = missing_columns(connection, self._schema)
        if missing:
            raise BadInput(
                f"the books in schema {self._schema!r} were made by an older version, without {', '.join(missing)}: "
                "run `deepnode rebuild` to make them anew"
            )

    def _check_manifest(self, connection: Connection[DictRow]) -> None:
        row = connection.execute("SELECT manifest_digest FROM checkpoint").fetchone()
        if row is not None and row["manifest_digest"] != self._manifest.digest:
            raise BadInput(
                f"the books were made with the manifest {to_hex(row['manifest_digest'])}, "
                f"this one is {to_hex(self._manifest.digest)}: run `deepnode rebuild` to make them anew"
            )


def connect(url: str, schema: str) -> Connection[DictRow]:
    """Open a connection whose unqualified table names mean the books in ``schema``.

    Raises:
        TryAgain: the database is away.
    """
    with database_errors(url):
        connection = psycopg.connect(url, autocommit=True, row_factory=dict_row, options=f"-c search_path={schema}")
    connection.isolation_level = IsolationLevel.REPEATABLE_READ
    return connection


def is_kept(url: str, schema: str = tables.SCHEMA) -> bool:
    """Say whether a projector is at work on the books in ``schema``.

    Raises:
        TryAgain: the database is away.
    """
    with database_errors(url), psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
        row = connection.execute("SELECT pg_try_advisory_lock(hashtext(%s)) AS got", (_lock_name(schema),)).fetchone()
    assert row is not None
    return not row["got"]


@contextmanager
def holding_books(url: str, schema: str) -> Iterator[None]:
    """Be the only one who changes the books in ``schema``, which are made if they are missing.

    Raises:
        TryAgain: the database is away, or a projector is at work on them.
    """
    create_books(url, schema)
    with closing(connect(url, schema)) as connection:
        _take_lock(connection, schema)
        yield


def _take_lock(connection: Connection[DictRow], schema: str) -> None:
    row = connection.execute("SELECT pg_try_advisory_lock(hashtext(%s)) AS got", (_lock_name(schema),)).fetchone()
    assert row is not None
    if not row["got"]:
        raise TryAgain(f"another projector keeps the books in schema {schema!r}: only one may run")


def _lock_name(schema: str) -> str:
    return f"{LOCK_NAME} {schema}"


def tokens_of(roster: Roster) -> list[Contract]:
    """Return the tokens that are known: the manifest's, then children in the order in which they were learned."""
    children = [child.contract for child in roster.children if child.contract.kind == "Token"]
    return roster.manifest.tokens + children


def _last_block(snapshot: Snapshot, position: int, chain_id: int) -> tuple[BlockRef, int] | None:
    """Find a chain's last entry up to a position: its block, and where it stands.

    Another chain's reorg may take back what stood behind the middle of a block of ours.
    """
    for last in range(position, 0, -LOOK_BACK_ENTRIES):
        batches = list(snapshot.read(max(1, last - LOOK_BACK_ENTRIES + 1), last))
        own = pa.concat_batches(batches).filter(pc.field("chain_id") == chain_id)
        if own.num_rows:
            [entry] = entries_of(own.slice(own.num_rows - 1), Finality.PENDING)
            return entry.block, entry.position
    return None


def _last_whole_block(page: Page, before: BlockRef | None) -> BlockRef | None:
    """Behind the log's end, the last block that was read may go on: the one before it is whole."""
    read = [block for block, _ in page.blocks.values()]
    if len(read) > 1:
        return read[-2]
    return before
