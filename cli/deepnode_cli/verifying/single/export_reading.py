"""Reading an export row by row, whatever its format, with the values that its source's schema says.

Parquet and Arrow bring their types; the texts of CSV and NDJSON are read as the types that the schema of their source
says, so that the same checks do for all. Memory is a batch of rows.
"""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from deepnode_cli.verifying.single.broken import require
from deepnode_graphql.export.source import Source
from deepnode_graphql.export.sources import SOURCES
from deepnode_ledger.errors import BadInput

Row = Mapping[str, Any]

PREFIX: Final = "deepnode."
BATCH_ROWS: Final = 16_384
LINE_BYTES_MAX: Final = 16 * 1024 * 1024
THRIFT_BYTES_MAX: Final = 64 * 1024 * 1024
"""Of a Parquet file's footer."""

_NOT_FILTERS: Final = frozenset({"from_position", "at_block", "at_position", "at_time", "at_epoch", "history"})


@dataclass(frozen=True, slots=True)
class Export:
    """A file, what it says of itself (without ``deepnode.``; nothing in CSV and NDJSON), and whose rows it has."""

    path: Path
    form: str
    metadata: Mapping[str, str]
    source: Source

    @property
    def asked(self) -> Mapping[str, str]:
        """What was asked for, as far as the file says it."""
        return dict(parse_qsl(self.metadata.get("query", "")))

    @property
    def filters(self) -> Mapping[str, str]:
        """By what its rows were chosen; of CSV and NDJSON nobody knows."""
        return {name: value for name, value in self.asked.items() if name not in _NOT_FILTERS}

    @property
    def is_whole(self) -> bool:
        """Whether its rows begin where the log does."""
        first = self.metadata.get("first_position", self.asked.get("from_position", "1"))
        return bool(self.metadata) and first in ("", "0", "1")

    def rows(self) -> Iterator[Row]:
        """Yield the rows; names without a value are None.

        Raises:
            Broken: the columns are not those of the source. ValueError, OSError, pa.ArrowException: unreadable.
        """
        match self.form:
            case "Parquet":
                with pq.ParquetFile(self.path, thrift_string_size_limit=THRIFT_BYTES_MAX) as file:
                    self._check(file.schema_arrow)
                    for batch in file.iter_batches(BATCH_ROWS):
                        yield from _plain(batch)
            case "Arrow":
                with pa.OSFile(str(self.path)) as file, pa.ipc.open_stream(file) as stream:
                    self._check(stream.schema)
                    for batch in stream:
                        batch.validate(full=True)
                        yield from _plain(batch)
            case "CSV":
                yield from self._csv()
            case _:
                yield from self._ndjson()

    def _check(self, schema: pa.Schema) -> None:
        for field in self.source.schema:
            there = field.name in schema.names
            is_it = there and _of(schema.field(field.name).type) == _of(field.type)
            require(is_it, f"column {field.name}", f"{self.source.name} has it as {field.type}")
        more = set(schema.names) - set(self.source.schema.names)
        require(not more, "schema", f"{self.source.name} has no columns {sorted(more)[:5]}")

    def _csv(self) -> Iterator[Row]:
        csv.field_size_limit(LINE_BYTES_MAX)
        with self.path.open(newline="", encoding="utf-8") as file:
            for cells in csv.DictReader(file, strict=True):
                yield {field.name: _read(cells[field.name], field, quoted=True) for field in self.source.schema}

    def _ndjson(self) -> Iterator[Row]:
        with self.path.open("rb") as file:
            while line := file.readline(LINE_BYTES_MAX):
                require(line.endswith(b"\n"), "the last line", "it is cut off, or too long")
                cells = orjson.loads(line)
                names = set(self.source.schema.names)
                require(set(cells) == names, "schema", f"a line has not the columns of {self.source.name}")
                yield {field.name: _read(cells[field.name], field, quoted=False) for field in self.source.schema}


def open_export(path: Path) -> Export:
    """Say what a file is an export of.

    Raises:
        BadInput: nobody knows. OSError, ValueError, pa.ArrowException: it cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(4)
    if start == b"PAR1" or path.suffix == ".parquet":
        schema = pq.read_schema(path)
        return _named(path, "Parquet", schema)
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as text:
            return _by_columns(path, "CSV", next(csv.reader([text.readline(1 << 20)]), []))
    if path.suffix == ".ndjson":
        with path.open("rb") as file:
            first = orjson.loads(file.readline(LINE_BYTES_MAX) or b"{}")
        return _by_columns(path, "NDJSON", list(first) if isinstance(first, dict) else [])
    with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as stream:
        return _named(path, "Arrow", stream.schema)


def _named(path: Path, form: str, schema: pa.Schema) -> Export:
    said = {name.decode(): value.decode() for name, value in (schema.metadata or {}).items()}
    told = {name.removeprefix(PREFIX): value for name, value in said.items() if name.startswith(PREFIX)}
    name, _, version = told.get("format", "").rpartition("/")
    if name not in SOURCES or version != "1":
        raise BadInput(f"the file says that it is of {told.get('format', '')!a:.80}, which is no source of exports")
    return Export(path, form, told, SOURCES[name])


def _by_columns(path: Path, form: str, names: list[str]) -> Export:
    """Find the source by the names of the columns: CSV and NDJSON say no more."""
    for source in SOURCES.values():
        if source.schema.names == names:
            return Export(path, form, {}, source)
    raise BadInput(f"no source of exports has the columns {', '.join(names)!a:.200}")


def _of(kind: pa.DataType) -> pa.DataType:
    """Return a column's type without what formats may change of it: dictionaries, and Parquet's milliseconds."""
    if pa.types.is_timestamp(kind):
        return pa.timestamp("s", kind.tz)
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _plain(batch: pa.RecordBatch) -> Iterator[Row]:
    columns = [_values(column) for column in batch.columns]
    for cells in zip(*columns, strict=True):
        yield dict(zip(batch.schema.names, cells, strict=True))


def _values(column: pa.Array) -> list[Any]:
    kind = column.type
    if pa.types.is_decimal(kind):
        # Not through Decimal: as text, and then whole.
        return [None if each is None else int(each) for each in column.cast(pa.string()).to_pylist()]
    if pa.types.is_timestamp(kind):
        return list(column.cast(pa.timestamp("s", kind.tz)).cast(pa.int64()).to_pylist())
    return list(column.to_pylist())


def _read(cell: object, field: pa.Field, *, quoted: bool) -> Any:
    """Read a cell of text as what its column says; times become seconds since 1970."""
    kind = _of(field.type)
    if cell is None or (quoted and cell == "" and not pa.types.is_string(kind)):
        return None
    if pa.types.is_decimal(kind) or (quoted and pa.types.is_integer(kind)):
        require(isinstance(cell, str) and len(cell) < 60, field.name, f"{cell!a:.60} is no number")
        return int(str(cell))
    if pa.types.is_timestamp(kind):
        return int(datetime.strptime(str(cell), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())
    if pa.types.is_boolean(kind):
        return cell if isinstance(cell, bool) else {"true": True, "false": False}[str(cell)]
    if quoted and isinstance(cell, str):
        return cell.removeprefix("'") if cell[:1] == "'" else cell
    return cell
