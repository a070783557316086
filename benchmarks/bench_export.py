"""How many rows a second an export writes from the database, and how much memory it takes, whatever its length.

The books are made up by SQL in a PostgreSQL of the benchmark's own: postings of one token, two a log entry. The peer is
what everybody writes first: psycopg's rows, put together to Arrow columns in Python, written by the same writers where
the format has one of Arrow's, else by Python's own. Both run in one process beside the server, in turn. Memory is that
of ``deepnode export`` as a process, at all rows and at a tenth of them.
"""

import argparse
import csv
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from benchmarks import closed_epochs
from benchmarks.postgres import database, server
from benchmarks.result import RUNS, Result, medians, publish, result

from deepnode_graphql.export.books import Books, open_books
from deepnode_graphql.export.request import Question, begin
from deepnode_graphql.export.sources.postings import SCHEMA as COLUMNS
from deepnode_ledger.database import open_datastore
from deepnode_ledger.log import Log
from deepnode_ledger.manifest import Manifest, load_manifest
from deepnode_projections.checkpoint import NAME
from deepnode_projections.schema import create_books, create_indexes
from deepnode_projections.tables import SCHEMA

ARTIFACTS: Final = Path(__file__).parents[1] / "indexer" / "contracts" / "artifacts"
CHAIN_ID: Final = 8453
ACCOUNTS: Final = 5_000
ENTRIES_A_BLOCK: Final = 20

_ROWS: Final = (
    "INSERT INTO asset VALUES (1, decode(repeat('aa', 20), 'hex'), 'DN', 18)",
    """INSERT INTO block SELECT n, sha256(('block' || n)::bytea), 1700000000 + 2 * n, n * %(a_block)s
       FROM generate_series(1, %(blocks)s) AS n""",
    """INSERT INTO account SELECT n, 'Wallet:0x' || encode(substr(sha256(('who' || n)::bytea), 1, 20), 'hex'), 'Wallet',
       '', substr(sha256(('who' || n)::bytea), 1, 20), substr(sha256(('who' || n)::bytea), 1, 20), 1
       FROM generate_series(1, %(accounts)s) AS n""",
    """INSERT INTO entry SELECT n, %(chain)s, 'Transfer', 'DNToken', (n + %(a_block)s - 1) / %(a_block)s,
       1700000000 + 2 * ((n + %(a_block)s - 1) / %(a_block)s), sha256(('transaction' || n)::bytea), n %% %(a_block)s
       FROM generate_series(1::bigint, %(entries)s) AS n""",
    """INSERT INTO posting SELECT n, leg, 1 + (n * 7919 + leg * 104729) %% %(accounts)s, 1,
       (2 * leg - 1) * (10::numeric ^ 18 + n * 1234567), 10::numeric ^ 21 + n * 7654321
       FROM generate_series(1::bigint, %(entries)s) AS n, generate_series(0, 1) AS leg""",
    """INSERT INTO checkpoint VALUES (%(name)s, %(digest)s, %(chain)s, %(entries)s, %(entries)s, 0, %(blocks)s,
       sha256('tip'), 1700000000 + 2 * %(blocks)s, %(blocks)s, sha256('tip'), 1700000000 + 2 * %(blocks)s)""",
)

_PEER: Final = f"""
    SELECT p.position, p.leg, e.block_number, to_timestamp(e.block_time), '0x' || encode(e.transaction_hash, 'hex'),
    e.log_index, e.contract, e.kind, a.name, s.symbol, '0x' || encode(s.address, 'hex'), p.amount, p.balance, 'SEALED'
    FROM {SCHEMA}.posting p JOIN {SCHEMA}.entry e USING (position)
    JOIN {SCHEMA}.account a USING (account_id) JOIN {SCHEMA}.asset s USING (asset_id)
    WHERE p.position <= %(last)s ORDER BY p.position, p.leg"""

PEER_ROWS: Final = 65_536
"""Rows that the peer takes at once."""

PEER_SHARE_MAX: Final = 500_000
"""Rows that the peer is measured with: its rate does not depend upon them, and minutes do."""


def main() -> None:
    """Measure rates and memory, and publish the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000, help="postings, for the rates")
    parser.add_argument("--memory-rows", type=int, default=10_000_000, help="postings, for the memory; 0 for none")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--trial", action="store_true", help="print, but write no file")
    given = parser.parse_args()
    with server() as url, tempfile.TemporaryDirectory(prefix="deepnode-bench-") as folder:
        manifest = write_manifest(Path(folder))
        results: list[Result] = []
        with database(url) as books:
            fill(books, manifest, given.rows)
            results += rates(books, manifest, given.rows, given.runs)
            peer = partial(peer_rate, books, to_arrow, given.rows)
            results += closed_epochs.rates(books, Path(folder) / "manifest.toml", given.rows, given.runs, peer)
        if given.memory_rows:
            results += memory(url, manifest, Path(folder), given.memory_rows)
    publish("export", results, write=not given.trial)


def rates(url: str, manifest: Manifest, rows: int, runs: int) -> list[Result]:
    """Measure each format beside the peer."""
    peers: dict[str, tuple[str, Callable[[Iterator[list[Any]]], None]]] = {
        "arrow": ("psycopg rows → pyarrow", to_arrow),
        "parquet": ("psycopg rows → pyarrow", to_parquet),
        "csv": ("psycopg rows → csv", to_csv),
        "ndjson": ("psycopg rows → json", to_ndjson),
    }
    results = []
    with open_books(url, manifest) as books:
        for suffix, (name, write) in peers.items():
            ours, peer = partial(export_rate, books, suffix, rows), partial(peer_rate, url, write, rows)
            found = medians({"ours": ours, "peer": peer}, runs)
            case = f"postings from the database to {suffix}"
            results.append(
                result(case, "rows/s", found["ours"], name, found["peer"], bound=None, goal="≥ 5 ×", runs=runs)
            )
    return results


def export_rate(books: Books, suffix: str, rows: int) -> float:
    """Return how many rows a second an export has."""
    began = time.perf_counter()
    made = begin(books, Question("postings", suffix, {}, ""))
    try:
        while made.next_chunk() is not None:
            pass
    finally:
        made.close()
    assert made.rows() == rows, (made.rows(), rows)
    return rows / (time.perf_counter() - began)


def peer_rate(url: str, write: Callable[[Iterator[list[Any]]], None], rows: int) -> float:
    """Return how many rows a second psycopg's rows are written."""
    rows = min(rows, PEER_SHARE_MAX)
    began = time.perf_counter()
    with psycopg.connect(url) as connection, connection.cursor("peer") as cursor:
        cursor.itersize = PEER_ROWS
        cursor.execute(_PEER.encode(), {"last": rows // 2})
        write(iter(lambda: cursor.fetchmany(PEER_ROWS), []))
    return rows / (time.perf_counter() - began)


def to_arrow(pages: Iterator[list[Any]]) -> None:
    """Write rows as an Arrow stream."""
    with pa.ipc.new_stream(io.BytesIO(), _PLAIN) as writer:
        for page in pages:
            writer.write_batch(_batch(page))


def to_parquet(pages: Iterator[list[Any]]) -> None:
    """Write rows as Parquet."""
    with pq.ParquetWriter(io.BytesIO(), _PLAIN, compression="zstd") as writer:
        for page in pages:
            writer.write_batch(_batch(page))


def to_csv(pages: Iterator[list[Any]]) -> None:
    """Write rows by Python's own writer."""
    writer = csv.writer(io.StringIO())
    for page in pages:
        writer.writerows(page)


def to_ndjson(pages: Iterator[list[Any]]) -> None:
    """Write rows by Python's own writer."""
    out = io.StringIO()
    for page in pages:
        for row in page:
            out.write(json.dumps(dict(zip(COLUMNS.names, map(str, row), strict=True))) + "\n")


_PLAIN: Final = pa.schema(
    [pa.field(field.name, pa.string() if pa.types.is_dictionary(field.type) else field.type) for field in COLUMNS]
)


def _batch(page: list[Any]) -> pa.RecordBatch:
    columns = zip(*page, strict=True)
    return pa.RecordBatch.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, _PLAIN, strict=True)], schema=_PLAIN
    )


def memory(url: str, manifest: Manifest, folder: Path, rows: int) -> list[Result]:
    """Measure what the command takes at all rows, and at a tenth of them."""
    most: dict[int, dict[str, float]] = {}
    formats = ("arrow", "parquet", "csv", "ndjson")
    for size in (rows // 10, rows):
        with database(url) as books:
            fill(books, manifest, size)
            path = folder / "manifest.toml"
            most[size] = {
                f"an export to {suffix}": _megabytes(_export_command(books, path, suffix)) for suffix in formats
            }
            closed_epochs.open_epochs(books)
            made = closed_epochs.dataset_command(books, path, folder / f"dataset{size}")
            most[size]["making a dataset"] = _megabytes(made)
    return [
        result(
            f"memory of {what}, {rows:,} rows", "MB", most[rows][what],
            "a tenth of the rows", most[rows // 10][what], bound=None, goal="flat: ≤ 1.2 ×", runs=1,
        )
        for what in most[rows]
    ]  # fmt: skip


def _export_command(url: str, manifest: Path, suffix: str) -> list[str]:
    command = [sys.executable, "-m", "deepnode_cli.main", "export", "postings", "--format", suffix, "--out", "-"]
    return [*command, "--database", url, "--manifest", str(manifest)]


def _megabytes(command: list[str]) -> float:
    most = 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        # What a process says of itself at its end counts what this one had when it began it.
        while process.poll() is None:
            for line in Path(f"/proc/{process.pid}/status").read_text("utf-8").splitlines():
                if line.startswith("VmHWM:"):
                    most = max(most, int(line.split()[1]))
            time.sleep(0.02)
    assert process.returncode == 0, command
    return most / 1024


def fill(url: str, manifest: Manifest, rows: int) -> None:
    """Make books of so many postings in an empty database."""
    entries = rows // 2
    datastore = open_datastore(url)
    try:
        Log(datastore, CHAIN_ID).create(manifest.genesis_hash, 1)
    finally:
        datastore.close()
    create_books(url, SCHEMA)
    sizes = {
        "blocks": -(-entries // ENTRIES_A_BLOCK), "a_block": ENTRIES_A_BLOCK, "accounts": ACCOUNTS,
        "entries": entries, "chain": CHAIN_ID, "digest": manifest.digest, "name": NAME,
    }  # fmt: skip
    with psycopg.connect(url, autocommit=True, options=f"-c search_path={SCHEMA}") as connection:
        for statement in _ROWS:
            connection.execute(statement.encode(), sizes)
    create_indexes(url, SCHEMA)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def write_manifest(folder: Path) -> Manifest:
    """Write the manifest of a chain with one token."""
    abi = json.loads((ARTIFACTS / "DNToken.json").read_text("utf-8"))["abi"]
    (folder / "DNToken.json").write_text(json.dumps(abi), "utf-8")
    lines = [
        "format = 1", 'name = "bench"', "version = 1", "[chain]", f"id = {CHAIN_ID}",
        f'genesis_hash = "0x{"07" * 32}"', "[[contracts]]", 'name = "DNToken"', 'kind = "Token"', "start_block = 1",
        f'address = "0x{"aa" * 20}"', 'abi = "DNToken.json"', 'symbol = "DN"', "decimals = 18",
    ]  # fmt: skip
    path = folder / "manifest.toml"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return load_manifest(path)


if __name__ == "__main__":
    main()
