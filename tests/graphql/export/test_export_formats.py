"""What each format promises beside its values: no formulas, exact numbers, equal bytes, and words about itself."""

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pandas as pd
import polars as pl
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deepnode_graphql.export.formats import FORMATS, parquet, xlsx
from deepnode_graphql.export.request import Question, begin
from deepnode_graphql.export.source import AMOUNT, NAME, TEXT, TIME
from deepnode_graphql.export.sources import postings
from deepnode_graphql.export.wire import Column, Wire, fetch, hexadecimal, named
from deepnode_graphql.service import Service
from tests.graphql.export.export_books import made
from tests.graphql.small_books import AMOUNT_MAX

DANGEROUS = (
    "=cmd|'/c calc'!A1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "'=1",
    'a"b',
    "a,b",
    "a\nb",
    "plain",
    "",
    None,
)
AMOUNTS = (-5, AMOUNT_MAX, -AMOUNT_MAX, 0, 10**15, 7, 1, -1, 2, 3, 4, 5, None)

SCHEMA = pa.schema(
    [
        pa.field("position", pa.int64(), nullable=False),
        pa.field("text", TEXT),
        pa.field("name", NAME),
        pa.field("amount", AMOUNT),
        pa.field("time", TIME),
        pa.field("known", pa.bool_()),
    ]
)


def batch(texts: Sequence[str | None], amounts: Sequence[int | None], first: int = -3) -> pa.RecordBatch:
    """Rows of every type."""
    rows = len(texts)
    return pa.RecordBatch.from_arrays(
        [
            pa.array(range(first, first + rows), pa.int64()),
            pa.array(texts, TEXT),
            pa.array(texts, pa.string()).dictionary_encode(),
            pa.array([None if each is None else Decimal(each) for each in amounts], AMOUNT),
            pa.array([1_700_000_000 + place for place in range(rows)], pa.int64()).cast(TIME),
            pa.array([None if place == 2 else place % 2 == 0 for place in range(rows)]),
        ],
        schema=SCHEMA,
    )


def written(suffix: str, *batches: pa.RecordBatch, **metadata: str) -> bytes:
    """A file of these batches."""
    return b"".join(FORMATS[suffix].write(iter(batches), SCHEMA, metadata))


def test_csv_holds_no_formula_and_leaves_numbers_as_they_are() -> None:
    """Reads texts that a spreadsheet would run, and amounts below zero, with Python's reader and with DuckDB."""
    content = written("csv", batch(DANGEROUS, AMOUNTS))
    rows = list(csv.DictReader(io.StringIO(content.decode(), newline=""), strict=True))
    for row, text, amount in zip(rows, DANGEROUS, AMOUNTS, strict=True):
        for cell in (row["text"], row["name"]):
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
            assert cell.removeprefix("'") == (text or "")
        assert row["amount"] == ("" if amount is None else str(amount))
    assert rows[0]["position"] == "-3"
    assert rows[0]["time"] == "2023-11-14T22:13:20Z"
    assert content.count(b"\r\n") == len(DANGEROUS) + 1
    assert [line.split(b",")[1] for line in content.split(b"\r\n")[-3:-1]] == [b'""', b""], "empty and null differ"


def test_csv_is_read_with_all_digits_by_duckdb_polars_and_pandas(tmp_path: Path) -> None:
    """Adds the amounts up in each; pandas is told to read text, because its numbers are floating point."""
    content = written("csv", batch(DANGEROUS, AMOUNTS))
    expected = [None if each is None else str(each) for each in AMOUNTS]
    frame = pl.read_csv(io.BytesIO(content), schema_overrides={"amount": pl.Decimal(38, 0)})
    assert [None if each is None else str(int(each)) for each in frame["amount"].to_list()] == expected
    panda = pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)
    assert list(panda["amount"]) == [each or "" for each in expected]
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    read = duckdb.read_csv(str(path), dtype={"amount": "DECIMAL(38,0)"}).project("amount::VARCHAR").fetchall()
    assert [row[0] for row in read] == expected


def test_ndjson_escapes_whatever_text_there_is() -> None:
    """Reads every control character, quotes and other alphabets with Python's reader; amounts are strings."""
    texts = ["".join(map(chr, range(0x20))), '"\\/', "\x7f\u2028\U0001f600", *DANGEROUS]
    rows = [json.loads(line) for line in written("ndjson", batch(texts, [1] * len(texts))).decode().split("\n")[:-1]]
    assert [row["text"] for row in rows] == texts
    assert [row["name"] for row in rows] == texts
    assert {row["amount"] for row in rows} == {"1"}
    assert [row["known"] for row in rows][:3] == [True, False, None]


def test_xlsx_has_exact_text_beside_numbers_and_no_formula() -> None:
    """Opens the book with openpyxl: types of cells, the frozen header, the sheet that says what it is of."""
    book = openpyxl.load_workbook(
        io.BytesIO(written("xlsx", batch(DANGEROUS, AMOUNTS), **{"deepnode.query": "=1+1", "deepnode.position": "9"}))
    )
    assert book.sheetnames == ["about", "rows"]
    assert [[cell.value for cell in row] for row in book["about"].iter_rows()] == [
        ["deepnode.query", "=1+1"],
        ["deepnode.position", "9"],
    ]
    sheet = book["rows"]
    assert sheet.freeze_panes == "A2"
    names, *rows = sheet.iter_rows()
    assert [cell.value for cell in names] == ["position", "text", "name", "amount", "amount_exact", "time", "known"]
    assert all(cell.data_type != "f" for row in [*rows, *book["about"].iter_rows()] for cell in row)
    assert [row[4].value for row in rows] == [None if each is None else str(each) for each in AMOUNTS]
    assert [row[3].value for row in rows][:1] == [-5]
    assert {row[3].data_type for row in rows} == {"n"}
    assert str(rows[0][5].value) == "2023-11-14 22:13:20"


def test_xlsx_goes_on_in_another_sheet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives a sheet room for four rows with its header; a text that is too long for a cell says so."""
    monkeypatch.setattr(xlsx, "SHEET_ROWS_MAX", 4)
    content = written("xlsx", batch(["a"] * 5, [1] * 5), batch(["b" * 40_000, "c"], [2, 3], 7))
    book = openpyxl.load_workbook(io.BytesIO(content))
    assert book.sheetnames == ["about", "rows", "rows 2", "rows 3"]
    texts = [row[1].value for name in book.sheetnames[1:] for row in list(book[name].iter_rows())[1:]]
    assert [str(each)[:1] for each in texts] == ["a"] * 5 + ["b", "c"]
    assert len(str(texts[5])) == 32_767
    assert str(texts[5]).endswith("… cut here: 40000 characters, of which a cell holds 32767")
    assert all(sheet.freeze_panes == "A2" for sheet in book.worksheets[1:])


def test_parquet_has_row_groups_with_statistics_and_says_its_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes batches of 5 rows to groups of 4, and reads the footer."""
    monkeypatch.setattr(parquet, "GROUP_ROWS", 4)
    batches = [batch(["a", None, str(place), "b", "c"], [place] * 5, 5 * place) for place in range(3)]
    content = written("parquet", *batches, **{"deepnode.sorted_by": "position", "deepnode.position": "9"})
    footer = pq.read_metadata(io.BytesIO(content))
    assert [footer.row_group(place).num_rows for place in range(footer.num_row_groups)] == [4, 4, 4, 3]
    for place in range(footer.num_row_groups):
        group = footer.row_group(place)
        assert group.sorting_columns == (pq.SortingColumn(0),)
        assert group.column(0).compression == "ZSTD"
        assert (group.column(0).statistics.min, group.column(0).statistics.max) == (
            4 * place,
            4 * place + group.num_rows - 1,
        )
    assert footer.metadata[b"deepnode.position"] == b"9"
    read = pq.read_table(io.BytesIO(content))
    assert read.column("position").to_pylist() == list(range(15))
    assert read.schema.metadata[b"deepnode.position"] == b"9"
    assert read.column("name").to_pylist()[:5] == ["a", None, "0", "b", "c"]


@pytest.mark.parametrize("suffix", FORMATS)
def test_equal_questions_give_equal_bytes(full_service: Service, suffix: str) -> None:
    """Makes each file twice, of records, lines and log entries; and one without a row."""
    for source in ("rewards", "postings", "log_entries"):
        digests = {hashlib.sha256(made(full_service, source, suffix, at_position=9)).hexdigest() for _ in range(2)}
        assert len(digests) == 1, source
        # Of nothing, NDJSON has no line.
        assert bool(made(full_service, source, suffix, at_position=0)) == (suffix != "ndjson"), source


def test_an_xlsx_file_is_of_no_day() -> None:
    """Looks at the dates of the archive's members and of the document."""
    with zipfile.ZipFile(io.BytesIO(written("xlsx", batch(DANGEROUS, AMOUNTS)))) as archive:
        assert {each.date_time for each in archive.infolist()} == {(1980, 1, 31, 0, 0, 0)}
        core = archive.read("docProps/core.xml").decode()
    assert core.count("2000-01-01T00:00:00Z") == 2


@pytest.mark.parametrize("suffix", FORMATS)
def test_an_export_that_is_given_up_leaves_nothing(
    full_service: Service, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Takes two pieces of a file, while the next page is being read, and closes it: its connection is back."""
    monkeypatch.setattr(postings, "BATCH_ROWS", 2)
    for _ in range(20):
        export = begin(full_service, Question("postings", suffix, {}, ""))
        assert export.next_chunk() is not None
        assert export.next_chunk() is not None
        export.close()
    assert made(full_service, "postings", suffix)


def test_columns_come_from_the_database_as_they_are(full_service: Service) -> None:
    """Sends every sort of value, at its limits and null, through PostgreSQL, and compares it with what was sent."""
    whole = [0, 1, -1, 2**63 - 1, -(2**63) + 1, None]
    numbers = [0, 1, -1, 9999, 10000, -10000, 10**16 - 1, 10**16, 10**32, -(10**32) + 1, 2**64, -(2**64), AMOUNT_MAX]
    numbers += [-AMOUNT_MAX, *(7 * 10**place + place for place in range(37)), *(-(10**place) for place in range(38))]
    texts = ["", "a", "ünïcöde €", "two\nlines", None]
    octets = [b"", b"\x00", bytes(range(256)), None]
    rows: list[tuple[Any, ...]] = [
        (place, whole[place % len(whole)], each, texts[place % len(texts)], octets[place % len(octets)])
        for place, each in enumerate([*numbers, None])
    ]
    with full_service.reading() as reading:
        connection = reading.database.connection.driver_connection
        assert isinstance(connection, psycopg.Connection)
        values = ", ".join(["(%s::bigint, %s::bigint, %s::numeric, %s::text, %s::bytea)"] * len(rows))
        columns = [
            Column("place", "v.a", Wire.WHOLE),
            Column("whole", "v.b", Wire.WHOLE, nullable=True),
            Column("amount", "v.c", Wire.AMOUNT, nullable=True),
            Column("text", "v.d", Wire.TEXT, nullable=True),
            Column("octets", "v.e", Wire.BYTES, nullable=True),
        ]
        given = {f"p{place}": each for place, each in enumerate(value for row in rows for value in row)}
        for name in given:
            values = values.replace("%s", f"%({name})s", 1)
        rest = f"FROM (VALUES {values}) v(a, b, c, d, e) ORDER BY v.a"
        found = fetch(connection, columns, rest, given)
        assert found is not None
        assert fetch(connection, columns, f"{rest} LIMIT 0", given) is None
    for array in found.values():
        array.validate(full=True)
    amounts = [None if each is None else int(each) for each in found["amount"].to_pylist()]
    assert list(
        zip(*(found[name].to_pylist() for name in ("place", "whole")), amounts,
            *(found[name].to_pylist() for name in ("text", "octets")), strict=True)
    ) == rows  # fmt: skip
    as_text = [None if row[4] is None else f"0x{row[4].hex()}" for row in rows]
    assert hexadecimal(found["octets"]).to_pylist() == as_text
    assert hexadecimal(found["octets"].slice(3, 9)).to_pylist() == as_text[3:12]
    assert named(found["octets"]).to_pylist() == as_text
