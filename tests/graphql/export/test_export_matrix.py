"""Every source in every format: other programs read of it, value by value, what PostgreSQL holds."""

import io
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import psycopg
import pyarrow as pa
import pytest

from deepnode_graphql.export import rows
from deepnode_graphql.export.formats import FORMATS
from deepnode_graphql.export.sources import SOURCES, log_entries, postings
from deepnode_graphql.export.sources.records import HISTORY, column_name, record_source
from deepnode_graphql.service import Service
from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.registers.record import Record, fields_of
from deepnode_projections.rules.book import RECORDS
from deepnode_projections.tables import SCHEMA
from tests.graphql.export.export_books import POSITION, READERS, blurred, by_arrow, made, rows_of, text_of
from tests.graphql.small_books import Scribe

BINARY = ("arrow", "parquet", "ndjson")
"""Formats that tell null from an empty text."""


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_source_reads_the_same_in_every_format(full_service: Service, suffix: str) -> None:
    """Reads each source's file with a reader of the format, and compares every value with what Arrow has."""
    for name, source in SOURCES.items():
        arrow = by_arrow(made(full_service, name, "arrow"), source)
        read = READERS[suffix](made(full_service, name, suffix), source)
        assert (read if suffix in BINARY else blurred(read)) == (arrow if suffix in BINARY else blurred(arrow)), name
        assert list(arrow) == source.schema.names, name
        assert arrow["position"], f"{name}: no row"


def test_short_pages_give_the_same_rows(full_service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads each source two rows at a time, with all that ever was so, and compares it with what one page gives."""
    whole = {name: by_arrow(made(full_service, name, "arrow", **_all(name)), each) for name, each in SOURCES.items()}
    monkeypatch.setattr(rows, "PAGE_ROWS", 2)
    monkeypatch.setattr(rows, "_SPARSE", 1)
    monkeypatch.setattr(postings, "BATCH_ROWS", 2)
    monkeypatch.setattr(postings, "_SPARSE", 0)
    monkeypatch.setattr(log_entries, "BATCH_ENTRIES", 2)
    for name, source in SOURCES.items():
        content = made(full_service, name, "arrow", **_all(name))
        assert by_arrow(content, source) == whole[name], name
        lengths = [batch.num_rows for batch in pa.ipc.open_stream(content)]
        assert set(lengths[:-1]) <= {2}, name
        assert sum(lengths) == len(whole[name]["position"]), name
    monkeypatch.setattr(log_entries, "BATCH_DATA_BYTES", 1)
    content = made(full_service, "log_entries", "arrow")
    assert by_arrow(content, SOURCES["log_entries"]) == whole["log_entries"]


@pytest.mark.parametrize("history", [False, True])
def test_every_kind_of_record_is_exported_value_by_value(full_service: Service, history: bool) -> None:
    """Compares the rows that were put with the rows of the export: what holds at the moment, and all that ever did."""
    for kind in RECORDS:
        source = record_source(kind)
        asked = {"at_position": POSITION, "history": "true" if history else "false"}
        read = by_arrow(made(full_service, source.name, "arrow", **asked), source)
        put = [row for row in rows_of(kind) if row[-2] <= POSITION and (history or (row[-1] or 99) > POSITION)]
        expected = sorted((_expected(kind, row) for row in put), key=str)
        names = ["position", "until", *(column_name(field) for field in fields_of(kind))]
        names = [f"{name}_address" if f"{name}_address" in read else name for name in names]
        found = sorted(zip(*(read[name] for name in names), strict=True), key=str)
        assert found == expected, kind
        assert [int(each or "") for each in read["position"]] == sorted(row[-2] for row in put), kind


def test_sums_are_those_of_sql_to_the_wei(full_books: Scribe, full_service: Service) -> None:
    """Adds every column of amounts up, in the export and by PostgreSQL's own sum."""
    with psycopg.connect(full_books.url, options=f"-c search_path={SCHEMA}") as connection:
        for kind in RECORDS:
            source = record_source(kind)
            read = by_arrow(made(full_service, source.name, "arrow", at_position=POSITION), source)
            for field in (each for each in fields_of(kind) if each.is_amount):
                [total] = _one(
                    connection,
                    f'SELECT coalesce(sum("{field.name}"), 0) FROM "{kind.TABLE}"'
                    f" WHERE position <= {POSITION} AND (until IS NULL OR until > {POSITION})",
                )
                assert sum(int(each) for each in read[column_name(field)] if each) == int(total), (kind, field)
        lines = by_arrow(made(full_service, "postings", "arrow"), SOURCES["postings"])
        [absolute] = _one(connection, "SELECT sum(abs(amount)) FROM posting")
        assert sum(abs(int(each or 0)) for each in lines["amount"]) == int(absolute)
        balances = by_arrow(made(full_service, "balances", "arrow"), SOURCES["balances"])
        [held] = _one(connection, "SELECT sum(abs(balance)) FROM balance")
        assert sum(abs(int(each or 0)) for each in balances["balance"]) == int(held)


def test_balances_of_the_past_are_made_of_postings(full_service: Service) -> None:
    """Compares them at every position with the last posting of each account and asset up to there."""
    read = by_arrow(made(full_service, "postings", "arrow"), SOURCES["postings"])
    lines = list(zip(*(read[name] for name in ("position", "account", "asset", "balance")), strict=True))
    for position in range(16):
        read = by_arrow(made(full_service, "balances", "arrow", at_position=position), SOURCES["balances"])
        found = dict(zip(zip(read["account"], read["asset"], strict=True), read["balance"], strict=True))
        assert found == {(line[1], line[2]): line[3] for line in lines if int(line[0] or 0) <= position}


def test_claims_are_what_totals_grew_by(full_service: Service) -> None:
    """Adds the claims of an earner up to its total."""
    read = by_arrow(made(full_service, "claims", "arrow"), SOURCES["claims"])
    sums: dict[Any, int] = {}
    for earner, asset, amount, total in zip(
        *(read[name] for name in ("earner", "asset_address", "amount", "claimed_total")), strict=True
    ):
        sums[earner, asset] = sums.get((earner, asset), 0) + int(amount or 0)
        assert sums[earner, asset] == int(total or 0)
    assert len(sums) == 5


def test_duckdb_polars_and_pandas_read_all_of_parquet_and_arrow(full_service: Service) -> None:
    """Reads the reward lines with each of them; amounts come as they are, not as floating point numbers."""
    source = SOURCES["rewards"]
    stream, parquet = (made(full_service, "rewards", each, at_position=POSITION) for each in ("arrow", "parquet"))
    expected = by_arrow(stream, source)["amount"]
    frames = [pl.read_ipc_stream(io.BytesIO(stream)), pl.read_parquet(io.BytesIO(parquet))]
    for frame in frames:
        assert [text_of(each) for each in frame["amount"].to_list()] == expected
        assert frame["role"].to_list() == by_arrow(stream, source)["role"]
    lines = pa.ipc.open_stream(stream).read_all()
    found = duckdb.sql("SELECT amount::VARCHAR FROM lines")
    assert found is not None
    assert [row[0] for row in found.fetchall()] == expected
    panda = pd.read_parquet(io.BytesIO(parquet))
    assert [text_of(each) for each in panda["amount"]] == expected
    assert lines.num_rows == len(expected)


def test_filters_of_records_choose_by_any_field(full_service: Service) -> None:
    """Filters each kind by all fields of its first row at once, and two kinds by each field alone."""
    for kind in RECORDS:
        source = record_source(kind)
        everything = by_arrow(made(full_service, source.name, "arrow"), source)
        shown = {name: f"{name}_address" if f"{name}_address" in everything else name for name in source.filters[:-1]}
        asked = {
            name: value
            for name, column in shown.items()
            if (value := everything[column][0]) is not None and everything[name][0] is not None and "_time" not in name
        }
        alone = [{name: value} for name, value in asked.items()] if kind.TABLE in ("observation", "reward") else []
        for given in (asked, *alone):
            read = by_arrow(made(full_service, source.name, "arrow", **given), source)
            assert read["position"], (kind, given)
            for name, value in given.items():
                assert set(read[shown[name]]) == {value}, (kind, name)
            if len(given) == 1:
                [(name, value)] = given.items()
                assert len(read["position"]) == everything[shown[name]].count(value), (kind, name)


def _all(name: str) -> dict[str, str]:
    return {"history": "true"} if HISTORY in SOURCES[name].filters else {}


def _expected(kind: type[Record], row: tuple[Any, ...]) -> tuple[str | None, ...]:
    values: list[str | None] = []
    for field, value in zip(fields_of(kind), row, strict=False):
        if isinstance(value, bytes):
            values.append(to_hex(value))
        elif field.name.endswith("_time") and type(value) is int:
            values.append(str(pd.Timestamp(value, unit="s").strftime("%Y-%m-%dT%H:%M:%SZ")))
        else:
            values.append(text_of(value))
    until = row[-1] if row[-1] is not None and row[-1] <= POSITION else None
    return (str(row[-2]), text_of(until), *values)


def _one(connection: psycopg.Connection[Any], statement: str) -> tuple[Any, ...]:
    row = connection.execute(statement.encode()).fetchone()
    assert row is not None
    return tuple(row)
