"""PDF: a statement as pages to read, print and file.

Every page names the address, the period and the state root of the books, and its number. The file depends on the
statement alone: it has no time of making, and its identifiers are those of its content.
"""

import io
from collections.abc import Iterator
from typing import Final

from reportlab.lib.pagesizes import A4, landscape
from reportlab.pdfgen.canvas import Canvas

from deepnode_graphql.statements import tables
from deepnode_graphql.statements.figures import utc
from deepnode_graphql.statements.page_layout import Row, pages_of, rows_of
from deepnode_graphql.statements.statement import Statement
from deepnode_graphql.statements.tables import Table
from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import to_hex

ROWS_MAX: Final = 20_000
"""Rows of all tables: beyond that nobody reads pages."""

_SIZE: Final = 6.5
_LEADING: Final = 8.5
_MARGIN: Final = 30
_WIDTH, _HEIGHT = landscape(A4)
_CHARACTER: Final = 0.6 * _SIZE
_COLUMNS: Final = int((_WIDTH - 2 * _MARGIN) / _CHARACTER)
_ROWS: Final = int((_HEIGHT - 2 * _MARGIN) / _LEADING) - 5

_SHOWN: Final = {
    "summary": ("what", "value"),
    "positions": ("account", "token", "opening", "lines", "closing"),
    "totals": ("type", "own", "token", "lines", "came in", "went out", "total", "value"),
    "counterparties": ("type", "counterparty", "own", "token", "lines", "came in", "went out", "total", "value"),
    "lines": ("time", "type", "account", "counterparty", "amount", "token", "balance", "value", "position", "note"),
    "rewards": ("epoch", "token", "amount", "accrued", "claimable", "received", "state", "value", "claim position"),
    "accruals": ("epoch", "accrued", "token", "amount", "role", "kind", "subject"),
    "waiting": ("pocket", "token", "at the beginning", "at the end"),
    "terms": ("word", "meaning"),
    "corrected": ("epoch", "token", "as counted", "as corrected", "difference", "role", "kind", "subject"),
    "corrections": ("epoch", "value", "told", "right", "reason", "corrected at position", "event"),
    "differences": ("change", "what", "key", "before", "after"),
}


def write(statement: Statement) -> bytes:
    """Write the pages.

    Raises:
        BadInput: there are more rows than anybody reads.
    """
    shown = tables.tables(statement)
    count = sum(len(each.rows) for each in shown)
    if count > ROWS_MAX:
        raise BadInput(f"{count} rows are too many for pages, which take {ROWS_MAX}: choose a shorter period")
    pages = pages_of(_rows(shown), _ROWS)
    made = io.BytesIO()
    canvas = Canvas(made, pagesize=(_WIDTH, _HEIGHT), invariant=1, pageCompression=1)
    canvas.setTitle(f"DeepNode statement {to_hex(statement.address)}")
    canvas.setAuthor("DeepNode Ledger")
    for number, page in enumerate(pages, start=1):
        _draw(canvas, statement, page, f"page {number} of {len(pages)}")
        canvas.showPage()
    canvas.save()
    return made.getvalue()


def _rows(shown: tuple[Table, ...]) -> Iterator[Row]:
    for table in shown:
        yield Row(table.title.upper(), strong=True)
        if table.rows:
            yield from rows_of(table, _SHOWN[table.name], _COLUMNS)
        else:
            yield Row("none")
        yield Row("")


def _draw(canvas: Canvas, statement: Statement, page: list[Row], number: str) -> None:
    top = _HEIGHT - _MARGIN
    period = f"from {utc(statement.from_time)} until before {utc(statement.to_time)}"
    canvas.setFont("Courier-Bold", _SIZE + 1)
    canvas.drawString(_MARGIN, top, f"DeepNode statement of {to_hex(statement.address)}, {period}")
    text = canvas.beginText(_MARGIN, top - 2 * _LEADING)
    for row in page:
        text.setFont("Courier-Bold" if row.strong else "Courier", _SIZE, _LEADING)
        text.textLine(row.text)
    canvas.drawText(text)
    canvas.setFont("Courier", _SIZE)
    canvas.drawString(_MARGIN, _MARGIN, f"state root {to_hex(statement.state_root)} at position {statement.position}")
    canvas.drawRightString(_WIDTH - _MARGIN, _MARGIN, number)
