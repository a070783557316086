"""Appending to the sealed log and reading it whole: ours, the library as it comes, and what the machine can do at most.

In one run and on one server with its usual durability:

- *append*: columns of finalized ranges through ``Log.append_finalized`` (positions, batches, hashes, access paths,
  coverage, one transaction a range), and the same from one Python object an entry.
- *read*: the whole log through a snapshot, as columns.
- peer: the library's recorder and JSON mapper, one stored event an entry.
- bound: the same batches, already encoded, by bare COPY into a bare table and read back by SELECT; and, without a
  database, Arrow IPC files with zstd, synced to disk.

Memory is the highest resident size of a process of its own that appends, or reads, one and ten million entries.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.ipc
from benchmarks import page
from benchmarks.postgres import database, server
from benchmarks.result import Result, medians, publish, result, timed
from benchmarks.stock import Logged, Stock, as_events
from benchmarks.transfers import CHAIN_ID, FIRST_BLOCK, GENESIS, Range, ranges

from deepnode_ledger import batch as batches
from deepnode_ledger.batch_versions import TOPIC
from deepnode_ledger.database import open_datastore
from deepnode_ledger.log import Log
from deepnode_ledger.record import ChainLog, Finality, LogEntry
from deepnode_ledger.snapshot import snapshot

STOCK_ENTRIES = 60_000
OBJECT_ENTRIES = 130_000

PARTS = ("sealed", "batch", "batch_block", "segment", "sealing", "sealing_block")
RATE = "entries/s"
STOCK = "eventsourcing, JSON mapper"
FILES = "Arrow IPC files, synced"


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--memory", type=int, nargs=2, default=[1_000_000, 10_000_000])
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(*given.child)
        return
    with server() as url:
        results = [*speeds(url, given.entries), *sizes(url, given.entries), *memory(url, given.memory)]
    publish("log", results)
    page.write()


def speeds(url: str, entries: int) -> list[Result]:
    """Compare the rates of appending and reading."""
    load = list(ranges(entries))
    total = sum(each.logs.num_rows for each in load)
    logged = [entry for each in load[:2] for entry in batches.entries(each.logs, Finality.SEALED)]
    objects = logged[:OBJECT_ENTRIES]
    events = as_events(logged[:STOCK_ENTRIES], datetime(2026, 1, 1, tzinfo=UTC))
    encoded = [batches.encode(run) for each in load for run in batches.runs(each.logs)]
    with tempfile.TemporaryDirectory() as folder:
        found = medians(
            {
                "append": lambda: total / append(url, load),
                "append objects": lambda: len(objects) / append_objects(url, load, objects),
                "stock append": lambda: len(events) / stock_append(url, events),
                "copy": lambda: total / bare_copy(url, encoded),
                "files": lambda: total / write_files(Path(folder), load),
                "read": lambda: total / read(url, load),
                "stock read": lambda: len(events) / stock_read(url, events),
                "select": lambda: total / bare_select(url, encoded),
                "read files": lambda: total / read_files(Path(folder), total),
            }
        )
    ours, one_by_one, whole = found["append"], found["append objects"], found["read"]
    goal = "≥ 50 × the peer"
    return [
        result("append, columns", RATE, ours, STOCK, found["stock append"], bound=found["copy"], goal=goal),
        result("append, columns", RATE, ours, FILES, found["files"], bound=found["files"], goal=""),
        result("append, an object each", RATE, one_by_one, STOCK, found["stock append"], bound=None, goal=""),
        result("read whole, columns", RATE, whole, STOCK, found["stock read"], bound=found["select"], goal=goal),
        result("read whole, columns", RATE, whole, FILES, found["read files"], bound=found["read files"], goal=""),
    ]


def sizes(url: str, entries: int) -> list[Result]:
    """Compare the bytes that an entry takes on disk, everything counted."""
    load = list(ranges(entries))
    total = sum(each.logs.num_rows for each in load)
    logged = list(batches.entries(load[0].logs, Finality.SEALED))
    events = as_events(logged[:STOCK_ENTRIES], datetime(2026, 1, 1, tzinfo=UTC))
    with database(url) as own:
        with opened(own) as log:
            fill(log, load)
        stock = Stock(own, "stock")
        stock.append(events)
        stock.close()
        with psycopg.connect(own) as connection:
            ours = sum(_bytes(connection, f"log.{name}") for name in PARTS) / total
            sealed = _bytes(connection, "log.sealed") / total
            theirs = _bytes(connection, "public.stock") / len(events)
    size = "bytes/entry"
    return [
        result("on disk, with access paths", size, ours, STOCK, theirs, bound=None, goal="fewer", runs=1),
        result("on disk, the batches alone", size, sealed, STOCK, theirs, bound=None, goal="fewer", runs=1),
    ]


def memory(url: str, sizes_to_try: list[int]) -> list[Result]:
    """Measure the highest resident size of processes that append and read logs of two sizes."""
    peaks: dict[tuple[str, int], float] = {}
    for entries in sizes_to_try:
        with database(url) as own:
            for what in ("append", "read"):
                command = [sys.executable, "-m", "benchmarks.bench_log", "--child", what, own, str(entries)]
                told = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
                peaks[(what, entries)] = int(told) / 1024
    small, large = sizes_to_try
    found = []
    for what in ("append", "read"):
        case = f"peak memory to {what} {large:,} entries"
        ours, peer = peaks[(what, large)], peaks[(what, small)]
        found.append(result(case, "MiB", ours, f"for {small:,}", peer, bound=None, goal="flat", runs=1))
    return found


def child(what: str, url: str, entries: str) -> None:
    """Append or read in this process, and print its highest resident size in KiB."""
    with opened(url) as log:
        if what == "append":
            fill(log, ranges(int(entries)))
        else:
            with snapshot(log.datastore) as view:
                assert sum(batch.num_rows for batch in view.read(1)) >= int(entries)
    # Not getrusage: what it tells includes the process that started this one.
    [peak] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    print(peak.split()[1])


def append(url: str, load: list[Range]) -> float:
    """Return the seconds that appending takes."""
    with database(url) as own, opened(own) as log:
        return timed(lambda: fill(log, load))


def append_objects(url: str, load: list[Range], objects: list[LogEntry]) -> float:
    """Return the seconds that appending takes if each entry comes as a Python object."""
    placed = [(entry.block, entry.record) for entry in objects if isinstance(entry.record, ChainLog)]
    with database(url) as own, opened(own) as log:
        return timed(lambda: log.append_finalized(FIRST_BLOCK, load[1].last, placed, "benchmark"))


def read(url: str, load: list[Range]) -> float:
    """Return the seconds that reading everything takes."""
    with database(url) as own, opened(own) as log:
        fill(log, load)

        def whole() -> None:
            with snapshot(log.datastore) as view:
                assert sum(batch.num_rows for batch in view.read(1)) == view.head.last_position

        return timed(whole)


def stock_append(url: str, events: list[Logged]) -> float:
    """Return the seconds that the library takes to append."""
    with database(url) as own:
        stock = Stock(own, "stock")
        try:
            return timed(lambda: stock.append(events))
        finally:
            stock.close()


def stock_read(url: str, events: list[Logged]) -> float:
    """Return the seconds that the library takes to read everything."""
    with database(url) as own:
        stock = Stock(own, "stock")
        try:
            stock.append(events)

            def whole() -> None:
                assert sum(1 for _ in stock.read()) == len(events)

            return timed(whole)
        finally:
            stock.close()


def bare_copy(url: str, encoded: list[bytes]) -> float:
    """Return the seconds that COPY takes for the same bytes, one transaction a batch."""
    with database(url) as own, psycopg.connect(own, autocommit=True) as connection:
        connection.execute("CREATE TABLE bare (number bigint, state bytea STORAGE EXTERNAL)")

        def copy_all() -> None:
            for number, state in enumerate(encoded):
                with connection.cursor().copy("COPY bare FROM STDIN (FORMAT BINARY)") as copy:
                    copy.set_types(["int8", "bytea"])
                    copy.write_row((number, state))

        return timed(copy_all)


def bare_select(url: str, encoded: list[bytes]) -> float:
    """Return the seconds that fetching and decoding the same bytes takes."""
    with database(url) as own, psycopg.connect(own, autocommit=True) as connection:
        connection.execute("CREATE TABLE bare (number bigint PRIMARY KEY, state bytea STORAGE EXTERNAL)")
        for number, state in enumerate(encoded):
            connection.execute("INSERT INTO bare VALUES (%s, %s)", (number, state))

        def fetch_all() -> None:
            for number in range(len(encoded)):
                row = connection.execute("SELECT state FROM bare WHERE number = %s", (number,), binary=True).fetchone()
                assert row is not None
                batches.decode(TOPIC, row[0])

        return timed(fetch_all)


def write_files(folder: Path, load: list[Range]) -> float:
    """Return the seconds that writing the same columns to Arrow IPC files takes, each synced."""
    options = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", compression_level=3))

    def write_all() -> None:
        for number, each in enumerate(load):
            with (folder / f"{number}.arrow").open("wb") as file:
                with pa.ipc.new_stream(file, each.logs.schema, options=options) as writer:
                    writer.write_batch(each.logs)
                file.flush()
                os.fsync(file.fileno())

    return timed(write_all)


def read_files(folder: Path, total: int) -> float:
    """Return the seconds that reading those files takes."""

    def read_all() -> None:
        found = 0
        for path in folder.glob("*.arrow"):
            with path.open("rb") as file:
                found += sum(batch.num_rows for batch in pa.ipc.open_stream(file))
        assert found == total

    return timed(read_all)


def fill(log: Log, load: Iterator[Range] | list[Range]) -> None:
    """Append ranges, a transaction each."""
    for each in load:
        log.append_finalized(each.first, each.last, each.logs, "benchmark")


@contextmanager
def opened(url: str) -> Iterator[Log]:
    """Open a log of the benchmarks' chain."""
    store = open_datastore(url)
    try:
        log = Log(store, CHAIN_ID)
        log.create(GENESIS, FIRST_BLOCK)
        yield log
    finally:
        store.close()


def _bytes(connection: psycopg.Connection, table: str) -> int:
    row = connection.execute("SELECT pg_total_relation_size(%s::regclass)", (table,)).fetchone()
    assert row is not None
    return int(row[0])


if __name__ == "__main__":
    main()
