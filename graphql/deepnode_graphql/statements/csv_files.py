"""CSV: the lines as one table, or all tables as files of one archive.

RFC 4180: commas, double quotes, CR LF, UTF-8. Numbers are exact decimal texts of whole tokens. A cell of words that a
spreadsheet would take for a formula gets an apostrophe in front; numbers are never touched, so a negative one stays a
number.
"""

import csv
import io
import zipfile
from collections.abc import Iterable
from typing import Final

from deepnode_graphql.statements import tables
from deepnode_graphql.statements.figures import FIAT_DECIMALS, exact, utc
from deepnode_graphql.statements.statement import Statement
from deepnode_graphql.statements.tables import Cell, Kind, Table

RISKY: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
"""What a cell begins with that spreadsheets, or what imports their files, may run."""

_ZIP_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


def write_lines(statement: Statement) -> bytes:
    """Write the lines as one CSV table."""
    return csv_of(tables.lines(statement))


def write_all(statement: Statement) -> bytes:
    """Write every table as a CSV file of one ZIP archive, whose dates are all the same."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for table in tables.tables(statement):
            file = zipfile.ZipInfo(f"{table.name}.csv", _ZIP_EPOCH)
            file.compress_type = zipfile.ZIP_DEFLATED
            file.external_attr = 0o644 << 16
            archive.writestr(file, csv_of(table))
    return made.getvalue()


def csv_of(table: Table) -> bytes:
    """Write a table as CSV."""
    made = io.StringIO(newline="")
    writer = csv.writer(made, lineterminator="\r\n")
    writer.writerow([name for name, _ in table.columns])
    writer.writerows(_row(table, row) for row in table.rows)
    return made.getvalue().encode()


def guarded(text: str) -> str:
    """Return words as no spreadsheet takes them for a formula."""
    return "'" + text if text.startswith(RISKY) else text


def written(cell: Cell, kind: Kind) -> str:
    """Write a cell as exact text; nothing for what is not known."""
    if cell is None:
        return ""
    if isinstance(cell, tuple):
        return exact(*cell)
    if isinstance(cell, str):
        return cell
    if kind is Kind.FIAT:
        return exact(cell, FIAT_DECIMALS)
    return utc(cell) if kind is Kind.TIME else str(cell)


def _row(table: Table, row: tuple[Cell, ...]) -> Iterable[str]:
    for cell, (_, kind) in zip(row, table.columns, strict=True):
        text = written(cell, kind)
        yield guarded(text) if kind is Kind.TEXT else text
