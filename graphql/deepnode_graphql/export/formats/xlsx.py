"""XLSX: for people with a spreadsheet.

Each amount is there twice: as a number to calculate with, which a spreadsheet rounds to 15 digits, and beside it as the
exact text.

The file is made on disk, row by row, and given out when it is whole. Nothing in it is of the day that it was made.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import xlsxwriter
from xlsxwriter.worksheet import Worksheet

from deepnode_graphql.export.formats.format import Format

SHEET_ROWS_MAX: Final = 1_048_576
"""Rows that a sheet may have, with its header. What is more goes on in the next sheet."""

TEXT_LENGTH_MAX: Final = 32_767
"""Characters that a cell may have."""

EXACT_WHOLE_MAX: Final = 10**15
"""A spreadsheet keeps whole numbers below it; others are written as text."""

PIECE_BYTES: Final = 2**20

_CREATED: Final = datetime(2000, 1, 1, tzinfo=UTC).replace(tzinfo=None)


def xlsx(batches: Iterable[pa.RecordBatch], schema: pa.Schema, metadata: Mapping[str, str]) -> Iterator[bytes]:
    """Write batches as a workbook: sheets of rows, and one that says what the file is of.

    While it is being made, the pieces are empty.
    """
    with tempfile.TemporaryDirectory(prefix="deepnode-xlsx-") as folder:
        path = Path(folder) / "export.xlsx"
        book = xlsxwriter.Workbook(
            str(path),
            {
                "constant_memory": True,
                "tmpdir": folder,
                "strings_to_formulas": False,
                "strings_to_numbers": False,
                "strings_to_urls": False,
                "remove_timezone": True,
                "use_zip64": True,
            },
        )
        book.set_properties({"created": _CREATED})
        try:
            _about(book, metadata)
            sheets = _Sheets(book, schema)
            for batch in batches:
                sheets.write(batch)
                yield b""
            book.close()
        finally:
            # Who gives up leaves open files otherwise: the library closes them when it writes the book.
            for sheet in book.worksheets():
                sheet._opt_close()
        with path.open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                yield piece


def _about(book: xlsxwriter.Workbook, metadata: Mapping[str, str]) -> None:
    sheet = book.add_worksheet("about")
    sheet.set_column(0, 1, 40)
    for row, (name, value) in enumerate(metadata.items()):
        sheet.write_string(row, 0, name)
        sheet.write_string(row, 1, value[:TEXT_LENGTH_MAX])


class _Sheets:
    """The sheets of rows: a new one begins where the last one is full."""

    def __init__(self, book: xlsxwriter.Workbook, schema: pa.Schema) -> None:
        self._book, self._schema = book, schema
        self._bold = book.add_format({"bold": True})
        self._time = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        self._number = 0
        self._begin()

    def write(self, batch: pa.RecordBatch) -> None:
        """Write the rows of a batch."""
        columns = [column.to_pylist() for column in batch.columns]
        for values in zip(*columns, strict=True):
            if self._row == SHEET_ROWS_MAX:
                self._begin()
            for write, value in zip(self._writers, values, strict=True):
                if value is not None:
                    write(self._row, value)
            self._row += 1

    def _begin(self) -> None:
        self._number += 1
        self._sheet = self._book.add_worksheet("rows" if self._number == 1 else f"rows {self._number}")
        self._sheet.freeze_panes(1, 0)
        self._writers: list[Callable[[int, Any], None]] = []
        names: list[str] = []
        for field in self._schema:
            place = len(names)
            names.append(field.name)
            if pa.types.is_decimal(field.type):
                names.append(f"{field.name}_exact")
                self._writers.append(partial(_amount, self._sheet, place))
            elif pa.types.is_integer(field.type):
                self._writers.append(partial(_whole, self._sheet, place))
            elif pa.types.is_timestamp(field.type):
                self._sheet.set_column(place, place, 20)
                self._writers.append(partial(_moment, self._sheet, place, self._time))
            elif pa.types.is_boolean(field.type):
                self._writers.append(partial(_truth, self._sheet, place))
            else:
                self._writers.append(partial(_text, self._sheet, place))
        for place, name in enumerate(names):
            self._sheet.write_string(0, place, name, self._bold)
        self._row = 1


def _amount(sheet: Worksheet, column: int, row: int, value: Any) -> None:
    whole = int(value)
    sheet.write_number(row, column, whole)
    sheet.write_string(row, column + 1, str(whole))


def _whole(sheet: Worksheet, column: int, row: int, value: int) -> None:
    if abs(value) < EXACT_WHOLE_MAX:
        sheet.write_number(row, column, value)
    else:
        sheet.write_string(row, column, str(value))


def _moment(sheet: Worksheet, column: int, style: Any, row: int, value: datetime) -> None:
    sheet.write_datetime(row, column, value, style)


def _truth(sheet: Worksheet, column: int, row: int, value: bool) -> None:
    sheet.write_boolean(row, column, value)


def _text(sheet: Worksheet, column: int, row: int, value: str) -> None:
    # Written as text whatever it begins with, so it is never a formula.
    if len(value) > TEXT_LENGTH_MAX:
        mark = f"… cut here: {len(value)} characters, of which a cell holds {TEXT_LENGTH_MAX}"
        value = value[: TEXT_LENGTH_MAX - len(mark)] + mark
    sheet.write_string(row, column, value)


XLSX: Final = Format("XLSX", "xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", 1, xlsx)
