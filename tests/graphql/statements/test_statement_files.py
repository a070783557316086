"""The files of a statement, read by programs that are not ours."""

import csv
import io
import json
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import openpyxl
import pytest

from deepnode_graphql.statements import csv_files, data_file, pdf, tables, workbook
from deepnode_graphql.statements.figures import exact
from deepnode_graphql.statements.formats import BY_SUFFIX, FORMATS
from deepnode_graphql.statements.page_layout import rows_of
from deepnode_graphql.statements.statement import Statement, Token
from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import to_hex
from tests.graphql.statements.conftest import Make

FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("http://x","y")', "|cmd", "%0a=1")


def hostile(month: Statement, words: str) -> Statement:
    """The month with a token of a name that somebody else has chosen, and a note like it."""
    token = Token(words, bytes(20), 18)
    lines = tuple(replace(line, token=token, note=words, counterparty=words) for line in month.lines[:3])
    return replace(month, lines=lines, balances=tuple(replace(each, token=token) for each in month.balances[:1]))


@pytest.mark.parametrize("name", FORMATS)
def test_a_statement_made_again_is_the_same_file(statement_of: Make, name: str) -> None:
    """Makes the statement twice from the books, and writes each twice."""
    files = {FORMATS[name].write(each) for each in (statement_of(fiat="USD"), statement_of(fiat="USD")) for _ in "12"}
    assert len(files) == 1


def test_every_format_has_a_suffix_of_its_own() -> None:
    """Files of two formats are never taken for each other, in a directory or over HTTP."""
    assert len(BY_SUFFIX) == len(FORMATS)


def test_csv_holds_every_line_exactly(month: Statement) -> None:
    """Reads the table with Python's csv module and compares amounts and balances with the statement's integers."""
    rows = list(csv.DictReader(io.StringIO(csv_files.write_lines(month).decode(), newline="")))
    assert [(row["amount"], row["balance"], row["type"]) for row in rows] == [
        (exact(line.amount, line.token.decimals), exact(line.balance, line.token.decimals), line.type.value)
        for line in month.lines
    ]
    assert any(row["amount"].startswith("-") for row in rows)


def test_the_archive_holds_every_table(month: Statement) -> None:
    """Unpacks the ZIP: a CSV file for each table, with as many rows."""
    with zipfile.ZipFile(io.BytesIO(csv_files.write_all(month))) as archive:
        for table in tables.tables(month):
            rows = list(csv.reader(io.StringIO(archive.read(f"{table.name}.csv").decode(), newline="")))
            assert len(rows) == 1 + len(table.rows)


@pytest.mark.parametrize("words", FORMULAS)
def test_words_never_become_formulas_and_numbers_stay_numbers(month: Statement, words: str) -> None:
    """Names a token like a formula: words are guarded in CSV and stored as words in XLSX, negative amounts are not."""
    made = hostile(month, words)
    for row in csv.DictReader(io.StringIO(csv_files.write_lines(made).decode(), newline="")):
        assert row["token"] == row["note"] == row["counterparty"] == "'" + words
        assert row["amount"].lstrip("-").replace(".", "").isdigit()
    sheet = openpyxl.load_workbook(io.BytesIO(workbook.write(made)))["lines"]
    names = [cell.value for cell in sheet[1]]
    for cells in sheet.iter_rows(min_row=2):
        row = dict(zip(names, cells, strict=True))
        assert (row["token"].data_type, row["token"].quotePrefix) == ("s", True)
        assert row["amount"].data_type == "n"


def test_the_workbook_has_numbers_and_exact_texts(month: Statement) -> None:
    """Opens it with openpyxl: each sheet's rows, numbers as numbers, the exact text beside each."""
    book = openpyxl.load_workbook(io.BytesIO(workbook.write(month)))
    assert book.sheetnames == [table.name for table in tables.tables(month)]
    for name, count in (("lines", len(month.lines)), ("positions", len(month.balances))):
        assert book[name].max_row == count + 1
    names = [cell.value for cell in book["lines"][1]]
    for line, cells in zip(month.lines, book["lines"].iter_rows(min_row=2, values_only=True), strict=True):
        row = dict(zip(names, cells, strict=True))
        assert row["amount (exact)"] == exact(line.amount, line.token.decimals)
        assert row["amount"] == pytest.approx(line.amount / 10**line.token.decimals, rel=1e-14)
        assert row["position"] == line.position
        assert (row["value (exact)"] is None) == (line.value is None)


def test_pages_show_every_figure_and_what_they_are_of(month: Statement, tmp_path: Path) -> None:
    """Reads the PDF with pdftotext: every amount, balance and value; address, state root and number on each page."""
    path = tmp_path / "month.pdf"
    path.write_bytes(pdf.write(month))
    made = subprocess.run(["pdftotext", "-layout", path, "-"], capture_output=True, text=True, check=True).stdout
    pages = made.split("\f")[:-1]
    assert len(pages) > 1
    for number, page in enumerate(pages, start=1):
        assert to_hex(month.address) in page
        assert to_hex(month.state_root) in page
        assert f"page {number} of {len(pages)}" in page
    tops = [page.splitlines()[2:4] for page in pages[1:]]
    assert any(top[0] == "LINES" and top[1].startswith("time") for top in tops), tops
    words = set(made.split())
    for line in month.lines:
        assert exact(line.amount, line.token.decimals) in words
        assert exact(line.balance, line.token.decimals) in words
        assert line.value is None or exact(line.value.micros, 6) in words
    for each in month.balances:
        assert {exact(each.opening, each.token.decimals), exact(each.closing, each.token.decimals)} <= words
    for word, _ in tables.TERMS:
        assert word in made


def test_pages_of_more_rows_than_anybody_reads_are_refused(month: Statement, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lowers the limit below the month's rows."""
    monkeypatch.setattr(pdf, "ROWS_MAX", 20)
    with pytest.raises(BadInput, match="choose a shorter period"):
        pdf.write(month)


def test_figures_are_never_broken_and_words_are(month: Statement) -> None:
    """Sets the lines for a narrow page: no row is longer than it, and each figure is whole."""
    table = tables.lines(month)
    rows = [each.text for each in rows_of(table, ("account", "counterparty", "amount", "token"), 80)]
    assert max(map(len, rows)) <= 80
    text = "\n".join(rows)
    assert all(exact(line.amount, line.token.decimals) in text for line in month.lines)


def test_the_data_file_holds_all_and_its_digest(month: Statement) -> None:
    """Reads the JSON back: amounts as texts, equal to what was written, under the digest that it names."""
    content = data_file.write(month)
    digest, data = data_file.read(content)
    assert data == json.loads(json.dumps(data_file.as_data(month)))
    assert json.loads(content)["digest"] == digest
    assert [int(each["amount"]) for each in data["lines"]] == [line.amount for line in month.lines]
