"""Books in which every table has rows, and what readers that are not ours make of an export of them.

The rows of the records are made up, by the sorts of their fields: texts that a spreadsheet would take for formulas,
amounts of 38 digits, nulls wherever they may be. A past version of each stands beside what holds.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openpyxl
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from openpyxl.utils.escape import unescape
from psycopg import sql

from deepnode_graphql.export.books import Books
from deepnode_graphql.export.request import Question, begin
from deepnode_graphql.export.source import Source
from deepnode_graphql.service import Service, make_service
from deepnode_projections.registers.record import Field, Record, fields_of
from deepnode_projections.rules.book import RECORDS
from deepnode_projections.tables import SCHEMA
from tests.graphql.small_books import Scribe, address_of, scribe, word, write_small_history

TEXTS = (
    "=1+1",
    "-2",
    "+x",
    "@a",
    "\tb",
    'quote " and, comma',
    "two\r\nlines",
    "",
    "ünïcöde €",
    "back\\slash",
    "'=x",
    "7",
)
AMOUNTS = (10**37 + 7, 0, 123456789012345678901234567, 1, 10**36 - 1, -5)
KEYS = 5
POSITION = 9
"""The last one of what is final in the small history."""

Canonical = dict[str, list[str | None]]
"""The columns of a file, every value as text."""


@contextmanager
def export_books(url: str, folder: Path) -> Iterator[Scribe]:
    """The small history, and made-up records of every kind."""
    with scribe(url, folder) as books:
        write_small_history(books)
        with psycopg.connect(url, options=f"-c search_path={SCHEMA}") as connection:
            for kind in RECORDS:
                _fill(connection, kind)
        yield books


@contextmanager
def service_of(books: Scribe) -> Iterator[Service]:
    """A service over the books."""
    service = make_service(books.url, books.manifest, SCHEMA)
    try:
        yield service
    finally:
        service.engine.dispose()


def made(service: Books, source: str, suffix: str, /, **given: Any) -> bytes:
    """An export, whole."""
    texts = {name: str(value) for name, value in given.items()}
    export = begin(service, Question(source, suffix, texts, ""))
    try:
        return b"".join(iter(export.next_chunk, None))
    finally:
        export.close()


def value_of(field: Field, kind: type[Record], number: int) -> Any:
    """The made-up value of a field in the row of a number."""
    salt = sum(map(ord, field.name))
    in_key = field in fields_of(kind)[: kind.KEY]
    if field.may_be_unknown and (number + salt) % 3 == 0:
        return None
    if field.is_amount:
        return AMOUNTS[(number + salt) % len(AMOUNTS)]
    if field.type is bool:
        return (number + salt) % 2 == 0
    if field.type is int:
        return 1_700_000_000 + number if field.name.endswith("_time") else number if in_key else salt * 10**12 + number
    if field.type is str:
        return f"{TEXTS[number % len(TEXTS)]}{number}" if in_key else TEXTS[(number + salt) % len(TEXTS)]
    if field.name in ("asset", "asset_in"):
        return address_of({1: "DNToken", 2: "USDCStandIn"}.get(number, f"unknown {number}"))
    return word(field.name, number)[: (0, 20, 32)[(number + salt) % 3] if not in_key else 32]


def rows_of(kind: type[Record]) -> list[tuple[Any, ...]]:
    """The rows of a kind: its fields, position and until. Each thing has a version that is over at ``POSITION``."""
    key = kind.KEY
    found = []
    for number in range(1, KEYS + 1):
        old, new, later = ([value_of(field, kind, number + 7 * age) for field in fields_of(kind)] for age in range(3))
        versions = [(1 + number % 3, 5), (5, 12 if number % 2 else None), *([(12, None)] if number % 2 else [])]
        for (position, until), row in zip(versions, (old, new, later), strict=False):
            found.append((*old[:key], *row[key:], position, until))
    return found


def _fill(connection: psycopg.Connection[Any], kind: type[Record]) -> None:
    names = [*(field.name for field in fields_of(kind)), "position", "until"]
    columns = sql.SQL(", ").join(map(sql.Identifier, names))
    # The small history has rows of its own in some.
    connection.execute(sql.SQL("TRUNCATE {}").format(sql.Identifier(kind.TABLE)))
    copy = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(kind.TABLE), columns)
    with connection.cursor().copy(copy) as target:
        for row in rows_of(kind):
            target.write_row(row)


def text_of(value: Any) -> str | None:
    """A value as the text that every format has of it."""
    match value:
        case None | str():
            return value
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(int(value))


def of_table(table: pa.Table) -> Canonical:
    """The columns of an Arrow table."""
    return {name: [text_of(value) for value in table.column(name).to_pylist()] for name in table.column_names}


def by_arrow(content: bytes, source: Source) -> Canonical:
    """What pyarrow reads of a stream."""
    return of_table(pa.ipc.open_stream(content).read_all())


def by_parquet(content: bytes, source: Source) -> Canonical:
    """What pyarrow reads of a Parquet file."""
    return of_table(pq.read_table(io.BytesIO(content)))


def by_csv(content: bytes, source: Source) -> Canonical:
    """What Python's own reader reads, without the apostrophe that guards from formulas. It does not tell null."""
    names, *rows = csv.reader(io.StringIO(content.decode(), newline=""), strict=True)
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    return {
        name: [_read(value, source.schema.field(name)) for value in column]
        for name, column in zip(names, columns, strict=True)
    }


def by_ndjson(content: bytes, source: Source) -> Canonical:
    """What Python's own reader reads, line by line."""
    rows = [json.loads(line) for line in content.decode().removesuffix("\n").split("\n") if line]
    return {name: [text_of(row[name]) for row in rows] for name in source.schema.names}


def by_xlsx(content: bytes, source: Source) -> Canonical:
    """What openpyxl reads: of amounts the exact text."""
    sheet = openpyxl.load_workbook(io.BytesIO(content))["rows"]
    names, *rows = sheet.iter_rows()
    assert not any(cell.data_type == "f" for row in rows for cell in row), "there is a formula"
    read: Canonical = {}
    for field in source.schema:
        exact = f"{field.name}_exact" if pa.types.is_decimal(field.type) else field.name
        place = [cell.value for cell in names].index(exact)
        read[field.name] = [_cell(row[place].value, field) for row in rows]
    return read


READERS: Mapping[str, Callable[[bytes, Source], Canonical]] = {
    "arrow": by_arrow,
    "parquet": by_parquet,
    "csv": by_csv,
    "ndjson": by_ndjson,
    "xlsx": by_xlsx,
}


def blurred(columns: Canonical) -> Canonical:
    """The columns with null and the empty text alike, and one sort of line ends: CSV and XLSX do not tell them."""
    return {name: [(value or "").replace("\r\n", "\n") for value in column] for name, column in columns.items()}


def _read(value: str, field: pa.Field) -> str:
    is_text = pa.types.is_string(field.type) or pa.types.is_dictionary(field.type)
    return value.removeprefix("'") if is_text else value


def _cell(value: Any, field: pa.Field) -> str | None:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return unescape(value) if isinstance(value, str) else text_of(value)
