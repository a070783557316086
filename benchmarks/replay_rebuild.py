"""Books made anew in PostgreSQL: ours out of the log, and Ponder's out of what it keeps of the node's answers.

Ours is measured twice: on the replay's history, most of which is no transfers, and on a log of transfers alone,
which is what Ponder's handler is about: a row for each transfer, and both accounts' balances. Ponder's first run fills
its cache; the second, into another schema, reads that alone, and is the one that counts.
"""

import time
from dataclasses import dataclass
from statistics import median
from typing import Final

import psycopg
import pyarrow as pa
from benchmarks.ingest.chain import chain
from benchmarks.ingest.contender import WrongBalances, race
from benchmarks.ingest.contenders import PONDER, PONDER_AGAIN
from benchmarks.ingest.installing import CannotInstall
from benchmarks.ingest.processes import ChildFailed
from benchmarks.marketplace import abi_of
from benchmarks.postgres import database
from benchmarks.replay.stored import Kept, fill
from benchmarks.result import Result, result
from benchmarks.transfers import CHAIN_ID, FIRST_BLOCK, GENESIS, ranges
from psycopg import sql

from deepnode_ledger.database import open_datastore
from deepnode_ledger.log import Log
from deepnode_ledger.manifest import Manifest
from deepnode_projections.rebuild import rebuild
from deepnode_projections.tables import SCHEMA

BLOCK_LOGS: Final = 1_000
_TRANSFER: Final = abi_of("Token", "Transfer").topic0


@dataclass(frozen=True, slots=True)
class Rate:
    """Entries and rows of tables a second."""

    entries: float
    rows: float


def rates(url: str, history: Kept, transfers: Manifest, entries: int, logs: int, runs: int) -> list[Result]:
    """Measure all in turn, ``runs`` times round.

    Args:
        url: of the server.
        history: of which as many as ``entries`` are rebuilt.
        transfers: the manifest of a deployment with one token.
        entries: in each of our logs.
        logs: that Ponder indexes.
        runs: how often.

    Returns:
        Nothing where there is no Ponder.
    """
    found: dict[str, list[Rate]] = {"history": [], "transfers": [], "peer": []}
    with database(url) as whole, database(url) as part:
        fill(whole, history, entries)
        total = _fill_transfers(part, entries)
        # The first ones load what is compiled, and make the books that the others replace.
        _rebuilt(whole, history.manifest, entries)
        _rebuilt(part, transfers, total)
        for _ in range(runs):
            found["history"].append(_rebuilt(whole, history.manifest, entries))
            found["transfers"].append(_rebuilt(part, transfers, total))
            try:
                found["peer"].append(_ponder(url, logs))
            except (CannotInstall, ChildFailed, WrongBalances) as error:
                print(f"{PONDER.name} is left out: {error}")
    if not found["peer"]:
        return []
    peer, name = _median(found["peer"]), PONDER_AGAIN.name
    results = []
    for way, case in (("history", "the replay's history"), ("transfers", "transfers alone")):
        ours = _median(found[way])
        for unit, mine, theirs in (("entries/s", ours.entries, peer.entries), ("rows/s", ours.rows, peer.rows)):
            case_of = f"rebuild into PostgreSQL, {entries:,} entries, {case}"
            results.append(result(case_of, unit, mine, name, theirs, bound=None, goal="", runs=runs))
    return results


def _median(found: list[Rate]) -> Rate:
    return Rate(median(each.entries for each in found), median(each.rows for each in found))


def _rebuilt(url: str, manifest: Manifest, entries: int) -> Rate:
    """Make books anew in the place of those that are there, if any."""
    began = time.perf_counter()
    done = rebuild(url, manifest)
    seconds = time.perf_counter() - began
    assert done.position == entries, (done, entries)
    assert done.same or done.old_root is None, "the same log has the same root"
    assert _rows(url, SCHEMA, ("quarantine",)) == 0, "every log has a meaning"
    return Rate(entries / seconds, _rows(url, SCHEMA) / seconds)


def _ponder(server: str, logs: int) -> Rate:
    with chain() as node, database(server) as url:
        span = node.fill(logs, BLOCK_LOGS)
        race(PONDER, url, node.url, node.genesis(), span)
        seconds = race(PONDER_AGAIN, url, node.url, node.genesis(), span).seconds
        return Rate(logs / seconds, _rows(url, "again", ("ev", "account")) / seconds)


def _rows(url: str, schema: str, tables: tuple[str, ...] = ()) -> int:
    """Count the rows of a schema's tables, or of some of them."""
    with psycopg.connect(url) as connection:
        if not tables:
            listed = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", (schema,))
            tables = tuple(name for (name,) in listed)
        counts = [
            connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema, name))).fetchone()
            for name in tables
        ]
    return sum(int(row[0]) for row in counts if row is not None)


def _fill_transfers(url: str, entries: int) -> int:
    datastore, total = open_datastore(url), 0
    try:
        log = Log(datastore, CHAIN_ID)
        log.create(GENESIS, FIRST_BLOCK)
        for each in ranges(entries):
            # What the log's own benchmark leaves to chance must say here what the logs are.
            count, place = each.logs.num_rows, each.logs.schema.get_field_index("topic0")
            topic = pa.repeat(pa.scalar(_TRANSFER, pa.binary(32)), count)
            logs = each.logs.set_column(place, each.logs.schema.field(place), topic)
            log.append_finalized(each.first, each.last, logs, "made up")
            total += each.logs.num_rows
    finally:
        datastore.close()
    return total
