"""Following the log: how soon a block's entries are in the books, and how soon books that stand far behind are not.

A projector follows a log in a thread, as ``deepnode project`` does. A block's entries are put into the log as sealed
ones, one block after the other; the time is that from the commit to the moment at which another connection sees them
in the books. It is measured behind a few entries and behind all, since neither may matter. Then the log gets ahead of
the books by as much as lets the kernel take over, and the time counts until they are there.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import pairwise
from typing import Final

import numpy as np
import psycopg
import pyarrow as pa
from benchmarks.ingest.tail import percentile
from benchmarks.postgres import database
from benchmarks.replay.stored import Kept, append, fill
from benchmarks.result import Result, result
from psycopg import sql

from deepnode_ledger.database import open_datastore
from deepnode_ledger.manifest import Manifest
from deepnode_projections.projector import BULK_SHARE, Projector
from deepnode_projections.rebuild import rebuild
from deepnode_projections.tables import SCHEMA

BLOCKS: Final = 100
WARM: Final = 5
BLOCK_SECONDS: Final = 0.5
LOOK_SECONDS: Final = 0.002
LATE_SECONDS_MAX: Final = 600.0
FEW: Final = 10_000
"""Entries of small books."""

RESERVED: Final = 1_000
"""Entries of the history that are kept back for each block; a block has fewer."""

GOAL: Final = "≤ 1,000 ms"


def rates(url: str, history: Kept, blocks: int = BLOCKS) -> list[Result]:
    """Measure both: behind few and behind all but the last, and the way to them.

    Args:
        url: of the server.
        history: whose last entries come one block after the other.
        blocks: how many come.
    """
    gap = history.entries // BULK_SHARE + FEW
    large = history.entries - gap - (WARM + blocks) * RESERVED
    assert large > FEW, f"a history of {history.entries} entries is too short"
    small_delays, _, _ = followed(url, history, FEW, blocks, 0)
    delays, rate, caught = followed(url, history, large, blocks, gap)
    beside, results = f"behind {FEW:,} entries", []
    for name, share in (("median", 0.5), ("p99", 0.99)):
        case = f"tail behind {large:,} entries: {name}"
        mine, theirs = percentile(delays, share), percentile(small_delays, share)
        results.append(result(case, "ms", mine, beside, theirs, bound=None, goal=GOAL, runs=1))
    case = f"tail, books that stand {gap:,} entries behind: until they do not"
    results.append(result(case, "entries/s", gap / caught, "block after block", rate, bound=None, goal="", runs=1))
    return results


def followed(url: str, history: Kept, before: int, blocks: int, gap: int) -> tuple[list[float], float, float]:
    """Follow blocks behind so many entries.

    Returns:
        The delay of each in milliseconds, the entries a second of these delays, and the seconds in which a gap closed.
    """
    with database(url) as own, closing(open_datastore(own)) as datastore:
        fill(own, history, before)
        rebuild(own, history.manifest)
        caught = 0.0
        if gap:
            [run] = _behind(history, before, gap)
            append(datastore, [run])
            began = time.perf_counter()
            with _following(own, history.manifest):
                _wait(own, before + gap)
                caught = time.perf_counter() - began
        delays = list[float]()
        with _following(own, history.manifest):
            _wait(own, before + gap)
            [run] = _behind(history, before + gap, (WARM + blocks) * RESERVED)
            coming = _blocks(run, WARM + blocks)
            for block in coming:
                append(datastore, [block])
                began = time.perf_counter()
                _wait(own, int(block.column("position")[-1].as_py()))
                took = time.perf_counter() - began
                delays.append(1_000 * took)
                time.sleep(max(0.0, BLOCK_SECONDS - took))
        entries = sum(block.num_rows for block in coming[WARM:])
        return delays[WARM:], 1_000 * entries / sum(delays[WARM:]), caught


def _behind(history: Kept, before: int, entries: int) -> Iterator[pa.RecordBatch]:
    """Yield, as one batch, the entries behind a position."""
    found: list[pa.RecordBatch] = []
    at = 0
    for batch in history.batches(before + entries):
        if at + batch.num_rows > before:
            found.append(batch.slice(max(0, before - at)))
        at += batch.num_rows
    yield pa.concat_batches(found)


def _blocks(run: pa.RecordBatch, count: int) -> Sequence[pa.RecordBatch]:
    """Cut a run into its blocks; what is left of one that is in the log already comes with the first."""
    numbers = run.column("block_number").to_numpy()
    bounds = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist()[1:]]
    assert len(bounds) > count, "the run has too few blocks"
    return [run.slice(start, end - start) for start, end in pairwise(bounds[: count + 1])]


@contextmanager
def _following(url: str, manifest: Manifest) -> Iterator[None]:
    """Keep the books up to the log in a thread."""
    stop, failed = threading.Event(), list[BaseException]()

    def follow() -> None:
        projector = Projector(url, manifest)
        try:
            projector.open()
            for _ in projector.follow(stop):
                pass
        except BaseException as error:  # noqa: BLE001 - passed on below
            failed.append(error)
        finally:
            projector.close()

    thread = threading.Thread(target=follow, name="projector")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        if failed:
            raise failed[0]


def _wait(url: str, position: int) -> None:
    """Wait until the books stand at a position."""
    deadline = time.monotonic() + LATE_SECONDS_MAX
    statement = sql.SQL("SELECT max(position) FROM {}").format(sql.Identifier(SCHEMA, "checkpoint"))
    with psycopg.connect(url, autocommit=True) as connection:
        while True:
            row = connection.execute(statement).fetchone()
            if row is not None and row[0] is not None and row[0] >= position:
                return
            assert time.monotonic() < deadline, f"the books do not come to position {position}"
            time.sleep(LOOK_SECONDS)
