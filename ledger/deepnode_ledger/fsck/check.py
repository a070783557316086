"""The check itself: one snapshot, one walk through the stored batches, everything else rebuilt from them.

The batches are read once, one at a time, and each part of the check takes from them what it compares. So a log of any
size needs the same memory; only the headers of the tail and the reorgs are held as a whole.
"""

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.pq import TransactionStatus

from deepnode_ledger.database import database_errors
from deepnode_ledger.fsck.difference import Difference, Findings, Report, shown
from deepnode_ledger.fsck.one_state import check_version, one_state
from deepnode_ledger.fsck.published import PublishedTree
from deepnode_ledger.fsck.sealings import Sealings
from deepnode_ledger.fsck.segments import Segments
from deepnode_ledger.fsck.signed_tree import SignedTree
from deepnode_ledger.fsck.standing import Reorgs, check_chain_ids, check_coverage, check_head
from deepnode_ledger.fsck.stored_batches import StoredBatches, Walked
from deepnode_ledger.fsck.tail_rows import Tail
from deepnode_ledger.fsck.task_keys import TaskKeys
from deepnode_ledger.transparency import Verifier

Progress = Callable[[Report], None]


def fsck(
    source: str | Connection[Any],
    *,
    directory: Path | None = None,
    verifier: Verifier | None = None,
    report: Report | None = None,
    progress: Progress | None = None,
) -> Generator[Difference, None, None]:
    """Rebuild everything from the stored batches alone, and yield what differs: the batches' own faults first.

    Nothing is changed. Behind a batch that cannot be read, only the batches themselves are looked at.

    Args:
        source: the database's URL, or a connection with a transaction that sees one state.
        directory: where the log is published, to compare its files too.
        verifier: the log's key, to verify what it signed.
        report: is filled in while the check goes on.
        progress: called behind every batch.

    Raises:
        BadInput: there is no log, its tables are of another version, or the directory is not there.
        TryAgain: the database is away.
    """
    kept = Report() if report is None else report
    of_files = Findings()
    published = None if directory is None else PublishedTree(directory, of_files, kept)
    try:
        if isinstance(source, str):
            with database_errors(source), one_state(source) as connection:
                yield from _check(connection, published, verifier, kept, progress)
        else:
            assert source.info.transaction_status == TransactionStatus.INTRANS, "all is read in one transaction"
            yield from _check(source, published, verifier, kept, progress)
    except psycopg.InternalError as error:
        # With it the transaction is over, and nothing else can be read in it.
        yield Difference(f"the database's own files, behind {kept.batches} batches", "data", shown(error))
    yield from of_files.kept


def _check(
    connection: Connection[Any],
    published: PublishedTree | None,
    verifier: Verifier | None,
    report: Report,
    progress: Progress | None,
) -> Iterator[Difference]:
    check_version(connection)
    of_tree, of_segments, of_entries, of_keys, of_chains, of_standing, of_tail = (Findings() for _ in range(7))
    if published is not None:
        published.look_up(connection)
    stored = StoredBatches(connection)
    tree = SignedTree(connection, of_tree, report, verifier, published)
    segments = Segments(connection, of_segments)
    keys = TaskKeys(connection, of_keys, report)
    sealings = Sealings(connection, of_standing, report)
    reorgs = Reorgs(connection, of_standing)
    for found in stored.walk():
        if isinstance(found, Difference):
            yield found
            continue
        report.batches += 1
        if stored.intact:
            _take_in(found, tree, segments, keys, sealings, reorgs)
        if progress is not None:
            progress(report)
    if stored.intact:
        report.root = tree.edge.root
        sealed_position = stored.order.position
        tree.finish()
        segments.finish()
        sealings.finish(stored.number)
        tail = Tail(connection, of_tail, of_entries, stored.order, sealings.newest)
        check_chain_ids(connection, of_chains, stored.order.blocks)
        tail.check_chains()
        for page in tail.entries():
            report.pending += page.num_rows
            keys.add(page)
            sealings.behind("the tail", page)
            reorgs.add(page)
        keys.finish()
        reorgs.finish(stored.order.position)
        check_head(
            connection,
            of_standing,
            last_position=stored.order.position,
            sealed_position=sealed_position,
            batches=stored.number,
        )
        check_coverage(connection, of_standing)
        if published is not None:
            published.finish(tree.edge)
    for findings in (of_tree, of_segments, of_entries, of_keys, of_chains, of_standing, of_tail):
        yield from findings.kept


def _take_in(
    walked: Walked, tree: SignedTree, segments: Segments, keys: TaskKeys, sealings: Sealings, reorgs: Reorgs
) -> None:
    tree.add(walked.batch)
    segments.add(walked.number, walked.batch)
    keys.add(walked.batch)
    sealings.add(walked.number, walked.batch)
    reorgs.add(walked.batch)
