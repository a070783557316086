"""DuckDB, Polars, pandas and Arrow read the dataset of a real chain's books as it is, and add up what SQL does."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow.dataset as ds
import pytest

from deepnode_graphql.dataset.making import make
from deepnode_graphql.dataset.manifest import PARTITION, DatasetManifest
from deepnode_graphql.dataset.verifying import compare_with_books, compare_with_manifest
from deepnode_graphql.dataset.writing import epoch_sources
from deepnode_graphql.export import rows
from deepnode_graphql.export.books import open_books
from deepnode_graphql.export.source import AMOUNT, Source
from deepnode_graphql.export.sources import log_entries, postings
from deepnode_graphql.export.sources.records import column_name, record_source
from deepnode_indexer.devnet.anvil import Anvil
from deepnode_indexer.devnet.deployment import deploy
from deepnode_indexer.devnet.economy import Economy
from deepnode_indexer.rpc import JsonRpc
from deepnode_ledger.manifest import Manifest, load_manifest
from deepnode_projections.projector import connect
from deepnode_projections.registers.record import fields_of
from deepnode_projections.rules.book import RECORDS
from tests.conftest import fresh_database
from tests.e2e.real_parts import Devnet, open_ledger
from tests.graphql.dataset.conftest import content_of

PAGE = Path(__file__).resolve().parents[3] / "docs" / "dataset.md"

BLOCKS = 80
BLOCKS_AT_ONCE = 8
BLOCKS_UNTIL_FINAL = 70


@dataclass
class Played:
    """The dataset of a chain that was played, and its books."""

    directory: Path
    manifest: DatasetManifest
    url: str
    deployment: Manifest

    def rows_of(self, statement: str) -> list[dict[str, Any]]:
        """What the books answer to SQL, up to the end of the last closed epoch, ``%(end)s``."""
        with closing(connect(self.url, "books")) as connection:
            return connection.execute(statement, {"end": self.manifest.epochs[-1].last_position}).fetchall()


@pytest.fixture(scope="module")
def played(postgres_url: str, room: Path) -> Iterator[Played]:
    """Three epochs of the reference contracts, tasks included, and their dataset."""
    folder = Path(tempfile.mkdtemp(dir=room))
    with fresh_database(postgres_url) as url, Anvil.start() as node:
        deployment = deploy(node.url, folder / "devnet")
        manifest = load_manifest(deployment.manifest)
        devnet = Devnet(node, deployment, Economy(node.url, deployment, seed=7), manifest)
        ledger = open_ledger(url, node.url, manifest)
        with closing(ledger):
            for _ in range(0, BLOCKS, BLOCKS_AT_ONCE):
                envelopes = devnet.play(BLOCKS_AT_ONCE)
                ledger.sync()
                ledger.take_in(envelopes)
            JsonRpc(node.url).batch([("anvil_mine", (hex(BLOCKS_UNTIL_FINAL),))])
            ledger.sync()
        with open_books(url, manifest) as books:
            made = make(books, folder / "dataset")
            assert made.epochs == [0, 1, 2]
            assert list(compare_with_manifest(folder / "dataset")) == []
            assert list(compare_with_books(books, folder / "dataset")) == []
        yield Played(folder / "dataset", made.manifest, url, manifest)


def test_the_bytes_do_not_depend_on_how_rows_are_read(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes it again with pages of a few rows: the same files and manifest."""
    monkeypatch.setattr(rows, "PAGE_ROWS", 37)
    monkeypatch.setattr(postings, "BATCH_ROWS", 53)
    monkeypatch.setattr(log_entries, "BATCH_ENTRIES", 41)
    again = played.directory.with_name("again")
    with open_books(played.url, played.deployment) as books:
        make(books, again)
    assert content_of(again) == content_of(played.directory)


def test_every_source_is_read_exactly_by_every_reader(played: Played) -> None:
    """Rows and sums of all amounts of each source, by epoch: DuckDB, Polars and Arrow against one another."""
    filled = 0
    for source in epoch_sources():
        amounts = [each.name for each in source.schema if each.type == AMOUNT]
        expected = _arrow(played, source, amounts)
        assert _duckdb(played, source, amounts) == expected, source.name
        assert _polars(played, source, amounts) == expected, source.name
        listed = {
            epoch.epoch: file.rows for epoch in played.manifest.epochs for file in epoch.files
            if file.source == source.name and file.rows
        }  # fmt: skip
        assert {epoch: rows for epoch, rows, *_ in expected} == listed
        filled += len(listed) > 0
    assert filled >= 40, "the chain has few things on it"


def test_the_sums_are_those_of_the_books(played: Played) -> None:
    """Rows and sums of all amounts by SQL over the books' tables: of postings by token, and of every kind of record."""
    sums = "SELECT asset_address, count(*) rows, sum(amount) amount, sum(balance) balance"
    files = played.directory / "postings"
    by_files = duckdb.execute(f"{sums} FROM read_parquet('{files}/*/*.parquet') GROUP BY ALL ORDER BY 1").fetchall()
    by_books = played.rows_of(
        f"{sums} FROM posting JOIN (SELECT asset_id, '0x' || encode(address, 'hex') AS asset_address FROM asset) a "
        "USING (asset_id) WHERE position <= %(end)s GROUP BY 1 ORDER BY 1"
    )
    assert by_files == [tuple(each.values()) for each in by_books]
    assert len(by_files) >= 2
    for kind in RECORDS:
        source = record_source(kind)
        names = {each.name: column_name(each) for each in fields_of(kind) if each.is_amount}
        summed = "".join(f', sum("{field}") AS "{name}"' for field, name in names.items())
        [row] = played.rows_of(f'SELECT count(*) AS n {summed} FROM "{kind.TABLE}" WHERE position <= %(end)s')
        by_epochs = _arrow(played, source, list(names.values()))
        added = [sum(column) for column in list(zip(*by_epochs, strict=True))[1:]] or [0] * (1 + len(names))
        assert list(_whole(tuple(row.values()))) == added, source.name


def test_pandas_reads_it_whole_and_in_part(played: Played) -> None:
    """The postings' amounts sum to zero for each token, to the wei; a filter by epoch reads that epoch's file."""
    frame = pd.read_parquet(played.directory / "postings")
    by_token = frame.groupby("asset_address", observed=True)["amount"].agg(lambda each: sum(map(int, each)))
    assert by_token.to_dict() == dict.fromkeys(by_token.index, 0)
    one = pd.read_parquet(played.directory / "postings", filters=[(PARTITION, "=", 1)])
    [file] = [each for each in played.manifest.epochs[1].files if each.source == "postings"]
    assert len(one) == file.rows
    assert (one["position"].min(), one["position"].max()) == (file.first_position, file.last_position)


def test_what_is_for_an_epoch_keeps_its_number(played: Played) -> None:
    """Rewards for epoch 1 come about in epoch 2: both numbers are there, in each reader."""
    files = f"{played.directory}/rewards"
    query = f"SELECT DISTINCT epoch, {PARTITION} FROM read_parquet('{files}/*/*.parquet', hive_partitioning = true)"
    assert duckdb.execute(query).fetchall() == [(1, 2)]
    assert pl.scan_parquet(files).select("epoch", PARTITION).unique().collect().rows() == [(1, 2)]
    frame = pd.read_parquet(files)
    assert set(zip(frame["epoch"], frame[PARTITION], strict=True)) == {(1, 2)}


def test_the_examples_of_the_page_run(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs each Python example of docs/dataset.md beside the dataset, but for Spark's, which is said not to be run."""
    monkeypatch.chdir(played.directory.parent)
    examples = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    run = [each for each in examples if "pyspark" not in each]
    assert len(run) == len(examples) - 1 == 5
    for each in run:
        exec(compile(each, str(PAGE), "exec"), {})


Rows = list[tuple[Any, ...]]


def _duckdb(played: Played, source: Source, amounts: list[str]) -> Rows:
    summed = "".join(f', sum("{name}")' for name in amounts)
    files = f"{played.directory}/{source.name}/*/*.parquet"
    found = duckdb.execute(
        f"SELECT {PARTITION}, count(*) {summed} FROM read_parquet('{files}', hive_partitioning = true) "
        f"GROUP BY 1 ORDER BY 1"
    ).fetchall()
    return [_whole(row) for row in found]


def _polars(played: Played, source: Source, amounts: list[str]) -> Rows:
    frame = pl.scan_parquet(played.directory / source.name).group_by(PARTITION)
    found = frame.agg(pl.len(), *(pl.col(name).sum() for name in amounts)).sort(PARTITION).collect().rows()
    return [_whole(row) for row in found]


def _arrow(played: Played, source: Source, amounts: list[str]) -> Rows:
    rows = ds.dataset(played.directory / source.name, partitioning="hive").to_table([PARTITION, *amounts])
    found: dict[int, list[int]] = {}
    for epoch, *values in zip(*(column.to_pylist() for column in rows.columns), strict=True):
        sums = found.setdefault(epoch, [0] * (1 + len(values)))
        sums[0] += 1
        for place, value in enumerate(values, 1):
            sums[place] += int(value or 0)
    return [(epoch, *sums) for epoch, sums in sorted(found.items())]


def _whole(row: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(0 if each is None else int(each) for each in row)
