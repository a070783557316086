"""The formats of statements: every writer there is, by its name."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from deepnode_graphql.statements import beancount, csv_files, data_file, hledger, pdf, workbook
from deepnode_graphql.statements.figures import day
from deepnode_graphql.statements.importers import IMPORTERS
from deepnode_graphql.statements.statement import Statement
from deepnode_graphql.statements.writer import Format, Writer
from deepnode_ledger.hexadecimal import to_hex

_XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

_OWN: Final[tuple[Writer, ...]] = (
    Format("csv", "csv", "text/csv; charset=utf-8", "the lines as one table", csv_files.write_lines),
    Format("zip", "zip", "application/zip", "every table as a CSV file of its own", csv_files.write_all),
    Format("xlsx", "xlsx", _XLSX, "a workbook with a sheet for each table", workbook.write),
    Format("pdf", "pdf", "application/pdf", "pages to read and file", pdf.write),
    Format("json", "json", "application/json", "all data, to compare a later statement with", data_file.write),
    Format("beancount", "beancount", "text/plain; charset=utf-8", "a Beancount journal", beancount.write),
    Format("hledger", "journal", "text/plain; charset=utf-8", "an hledger journal", hledger.write),
)

FORMATS: Final[Mapping[str, Writer]] = MappingProxyType({each.name: each for each in (*_OWN, *IMPORTERS.values())})
"""Every format by its name: our own first, then those that tools read."""


def file_suffix(writer: Writer) -> str:
    """Return how a file of a format ends, by which it is told from all others: formats of tools add their names."""
    return writer.suffix if writer in _OWN else f"{writer.name}.{writer.suffix}"


BY_SUFFIX: Final[Mapping[str, Writer]] = MappingProxyType({file_suffix(each): each for each in FORMATS.values()})
"""Every format by how its files end."""


def file_name(statement: Statement, writer: Writer) -> str:
    """Return the name of a statement's file: whose it is, and from which day to which."""
    days = f"{day(statement.from_time)}-{day(statement.to_time - 1)}"
    return f"deepnode-{to_hex(statement.address)}-{days}.{file_suffix(writer)}"
