"""XLSX: a sheet for each table, numbers as numbers with the exact text beside them.

A spreadsheet's number keeps about 15 digits, and an amount in base units has more. So each amount has two columns: the
number to calculate with, and the text that is exact to the last unit. Words are always stored as words, and those that
would become a formula when somebody edits the cell are marked as text.
"""

import io
from datetime import UTC, datetime
from typing import Final

import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from deepnode_graphql.statements import tables
from deepnode_graphql.statements.csv_files import RISKY, written
from deepnode_graphql.statements.figures import FIAT_DECIMALS
from deepnode_graphql.statements.statement import Statement
from deepnode_graphql.statements.tables import Cell, Kind, Table
from deepnode_ledger.errors import BadInput

ROWS_MAX: Final = 1_048_575
"""Rows of a sheet below its header."""

_DECIMALS_SHOWN: Final = 8
_WIDTHS: Final = {Kind.TEXT: 24, Kind.WHOLE: 10, Kind.AMOUNT: 20, Kind.FIAT: 14, Kind.TIME: 19}
_CREATED: Final = datetime(2000, 1, 1, tzinfo=UTC).replace(tzinfo=None)


def write(statement: Statement) -> bytes:
    """Write the workbook.

    Raises:
        BadInput: a table has more rows than a sheet.
    """
    made = io.BytesIO()
    book = xlsxwriter.Workbook(
        made, {"in_memory": True, "strings_to_numbers": False, "strings_to_formulas": False, "strings_to_urls": False}
    )
    # The time of making would make each file another one.
    book.set_properties({"title": "DeepNode statement", "created": _CREATED})
    formats = {
        "head": book.add_format({"bold": True, "bottom": 1}),
        "risky": book.add_format({"quote_prefix": True}),
        "time": book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
        "amount": book.add_format({"num_format": f"#,##0.{'0' * 2}{'#' * (_DECIMALS_SHOWN - 2)}"}),
        "whole": book.add_format({"num_format": "0"}),
    }
    for table in tables.tables(statement):
        if len(table.rows) > ROWS_MAX:
            raise BadInput(f"{len(table.rows)} rows of {table.name} are more than a sheet has: choose a shorter period")
        _fill(book.add_worksheet(table.name), table, formats)
    book.close()
    return made.getvalue()


def _fill(sheet: Worksheet, table: Table, formats: dict[str, Format]) -> None:
    sheet.freeze_panes(1, 0)
    columns = list(_columns(table))
    for column, (name, kind, _) in enumerate(columns):
        sheet.write_string(0, column, name, formats["head"])
        sheet.set_column(column, column, _WIDTHS[kind])
    for row, cells in enumerate(table.rows, start=1):
        for column, (_, kind, place) in enumerate(columns):
            _write(sheet, row, column, cells[place], kind, formats)
    if table.rows:
        sheet.autofilter(0, 0, len(table.rows), len(columns) - 1)


def _columns(table: Table) -> list[tuple[str, Kind, int]]:
    """Return the sheet's columns with the table's place of each: an amount and a value have two."""
    found = []
    for place, (name, kind) in enumerate(table.columns):
        found.append((name, kind, place))
        if kind in (Kind.AMOUNT, Kind.FIAT):
            found.append((f"{name} (exact)", Kind.TEXT, place))
    return found


def _write(sheet: Worksheet, row: int, column: int, cell: Cell, kind: Kind, formats: dict[str, Format]) -> None:
    if cell is None:
        return
    if kind is Kind.TEXT:
        # A number's exact text has the column's own kind, which is not TEXT.
        is_figure = not isinstance(cell, str)
        text = written(cell, Kind.FIAT) if is_figure else written(cell, kind)
        risky = not is_figure and text.startswith(RISKY)
        sheet.write_string(row, column, text, formats["risky"] if risky else None)
    elif kind is Kind.TIME:
        assert isinstance(cell, int), cell
        sheet.write_datetime(row, column, datetime.fromtimestamp(cell, UTC).replace(tzinfo=None), formats["time"])
    elif kind is Kind.WHOLE:
        assert isinstance(cell, int), cell
        sheet.write_number(row, column, cell, formats["whole"])
    else:
        amount, decimals = cell if isinstance(cell, tuple) else (cell, FIAT_DECIMALS)
        assert isinstance(amount, int), cell
        # What a spreadsheet can hold at all; the division is rounded correctly, and the exact text stands beside it.
        sheet.write_number(row, column, amount / 10**decimals, formats["amount"])
