"""The projector: follows the log and keeps the books up to it, exactly once.

Each step is one transaction: a consistent look at the log, the rollback that new reorgs ask for, the fold of a run of
entries, their rows and the checkpoint. A crash at any moment leaves the books at the last step's end.
"""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Final

import psycopg
from psycopg import Connection, IsolationLevel, sql
from psycopg.rows import DictRow, dict_row
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from deepnode_ledger.batch import entries as entries_of
from deepnode_ledger.database import database_errors, open_datastore
from deepnode_ledger.decoding import ChainEvent, Unknown, decode
from deepnode_ledger.errors import BadInput, TryAgain
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.log import CHANNEL
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.posting import Entry
from deepnode_ledger.record import BlockRef, Finality, LogEntry
from deepnode_ledger.schema import create_log
from deepnode_ledger.snapshot import Snapshot
from deepnode_ledger.subscription import POLL_SECONDS, listen, wait_for_hint
from deepnode_projections import books, tables
from deepnode_projections.books import Page
from deepnode_projections.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from deepnode_projections.folds import journal

STEP_ENTRIES: Final = 10_000
"""Log entries in one transaction, so that memory and the cost of a crash have a bound."""

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
        self, url: str, manifest: Manifest, *, schema: str = tables.SCHEMA, step_entries: int = STEP_ENTRIES
    ) -> None:
        self._url = url
        self._manifest = manifest
        self._schema = schema
        self._step_entries = step_entries
        self._connection: Connection[DictRow] | None = None

    def open(self) -> None:
        """Connect, make the tables that are missing, and become the only projector of these books.

        Raises:
            TryAgain: the database is away, or another projector runs.
            BadInput: the books were made with another manifest.
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
                self._check_manifest(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def close(self) -> None:
        """Disconnect; the lock goes with the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

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
            if kept < before.position:
                books.roll_back(cursor, kept)
            page, position = self._fold(snapshot, kept)
            books.write(cursor, page, books.assets(cursor, self._manifest))
            at_end = position == snapshot.head.last_position
            chain = snapshot.chain(self._manifest.chain_id)
            after = Checkpoint(
                position=position,
                sealed_position=min(snapshot.head.sealed_position, position),
                reorg_number=reorgs[-1].number if reorgs else before.reorg_number,
                tip=chain.tip
                if chain is not None and at_end
                else _last_whole_block(page, None if reorgs else before.tip),
                finalized=chain.finalized if chain is not None else None,
            )
            if after != before:
                save_checkpoint(cursor, self._manifest, after)
        rolled_back_to = kept if kept < before.position else None
        return Step(position, position - kept, rolled_back_to, snapshot.head.last_position - position)

    def catch_up(self) -> Step:
        """Take steps until the books are at the log's end; return the last."""
        while True:
            step = self.step()
            if step.behind == 0:
                return step

    def follow(self, stop: threading.Event) -> Iterator[Step]:
        """Keep the books up to the log until told to stop; yield the steps that changed something."""
        with database_errors(self._url), psycopg.connect(self._url, autocommit=True) as listener:
            listen(listener, CHANNEL)
            while not stop.is_set():
                step = self.step()
                if step.entries or step.rolled_back_to is not None:
                    yield step
                wait_for_hint(listener, 0 if step.behind else POLL_SECONDS)

    def _fold(self, snapshot: Snapshot, kept: int) -> tuple[Page, int]:
        page = Page()
        position = kept
        for batch in snapshot.read(kept + 1, kept + self._step_entries):
            # Finality is no part of what an entry does.
            self._fold_batch(snapshot, page, list(entries_of(batch, Finality.PENDING)))
            position += batch.num_rows
        return page, position

    def _fold_batch(self, snapshot: Snapshot, page: Page, logged: list[LogEntry]) -> None:
        decoded = [(each, decode(each, self._manifest)) for each in logged]
        needed = [key for _, event in decoded if isinstance(event, ChainEvent) for key in journal.facts_needed(event)]
        known = books.load_facts(snapshot.connection.cursor(row_factory=dict_row), needed)
        facts = books.overlay(known, page)
        for each, event in decoded:
            page.blocks[each.block.number] = (each.block, each.position)
            if isinstance(event, Unknown):
                page.quarantined.append((each, event.reason))
            elif isinstance(event, ChainEvent):
                self._book(page, facts, each, event)

    def _book(self, page: Page, facts: dict[journal.FactKey, bytes], logged: LogEntry, event: ChainEvent) -> None:
        effect = journal.apply(event, facts, self._manifest)
        if isinstance(effect, journal.Refusal):
            page.refusals.append((logged, event.name, event.contract.name, effect))
            return
        for key, value in effect.facts.items():
            facts[key] = value
            page.facts.append((key, logged.position, value))
        if effect.postings:
            page.entries.append((logged, Entry(logged.position, event.name, event.contract.name, effect.postings)))

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


def create_books(url: str, schema: str) -> None:
    """Make the books' tables where they are missing; several processes may call this at once."""
    with (
        database_errors(url),
        psycopg.connect(url, autocommit=True, options=f"-c search_path={schema}") as connection,
    ):
        connection.execute("SELECT pg_advisory_lock(hashtext('deepnode books tables'))")
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
        engine = create_engine("postgresql+psycopg://", creator=lambda: connection, poolclass=NullPool)
        with engine.connect() as alchemy:
            tables.metadata.create_all(alchemy)
            alchemy.commit()


def _take_lock(connection: Connection[DictRow], schema: str) -> None:
    row = connection.execute("SELECT pg_try_advisory_lock(hashtext(%s)) AS got", (_lock_name(schema),)).fetchone()
    assert row is not None
    if not row["got"]:
        raise TryAgain(f"another projector keeps the books in schema {schema!r}: only one may run")


def _lock_name(schema: str) -> str:
    return f"{LOCK_NAME} {schema}"


def _last_whole_block(page: Page, before: BlockRef | None) -> BlockRef | None:
    """Behind the log's end, the last block that was read may go on: the one before it is whole."""
    read = [block for block, _ in page.blocks.values()]
    if len(read) > 1:
        return read[-2]
    return before
