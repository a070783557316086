"""The same totals everywhere: by SQL, by GraphQL, by every format of exports and every format of statements."""

import csv
import io
import json
import re
import subprocess
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from pathlib import Path

import openpyxl
import psycopg
import pytest
from beancount import loader
from beancount.core import data as directives
from starlette.testclient import TestClient

from deepnode_graphql.app import make_app
from deepnode_graphql.export.formats import FORMATS as EXPORT_FORMATS
from deepnode_graphql.export.sources import SOURCES
from deepnode_graphql.service import Service
from deepnode_graphql.statements.formats import FORMATS
from deepnode_graphql.statements.importers import IMPORTERS
from deepnode_graphql.statements.journal import asset_account
from deepnode_graphql.statements.statement import Statement
from deepnode_ledger.hexadecimal import to_hex
from tests.graphql.export.export_books import READERS as EXPORT_READERS
from tests.graphql.export.export_books import made
from tests.graphql.importers.importer_readers import movements
from tests.graphql.small_books import ALICE
from tests.graphql.statements.conftest import Make
from tests.graphql.statements.month_books import NODE, MonthScribe

Totals = Mapping[str, int]
"""What Alice has, by the token's symbol, in base units: her wallet, collateral, stakes, and money in rounds."""

WALLET = f"Wallet:{to_hex(ALICE)}"
DECIMALS = {"DN": 18, "USDC": 6}


@pytest.fixture(scope="module")
def totals(month_books: MonthScribe) -> Totals:
    """By SQL, from the tables of the books alone."""
    statement = """
        SELECT symbol, sum(amount)::text FROM (
            SELECT symbol, amount FROM posting JOIN account USING (account_id) JOIN asset USING (asset_id)
                WHERE account.name = %(wallet)s
            UNION ALL SELECT 'DN', free + frozen FROM collateral JOIN node USING (node)
                WHERE collateral.until IS NULL AND node.until IS NULL AND node.operator = %(who)s
            UNION ALL SELECT 'DN', amount FROM stake WHERE until IS NULL AND staker = %(who)s
            UNION ALL SELECT 'DN', amount FROM unbonding WHERE until IS NULL AND staker = %(who)s
            UNION ALL SELECT 'USDC', shares FROM backer_share WHERE until IS NULL AND backer = %(who)s
        ) AS own GROUP BY symbol
    """
    with psycopg.connect(month_books.url, options="-c search_path=books") as connection:
        rows = connection.execute(statement, {"wallet": WALLET, "who": ALICE}).fetchall()
    found = {symbol: int(total) for symbol, total in rows}
    assert all(found[symbol] > 0 for symbol in DECIMALS)
    return found


@pytest.fixture(scope="module")
def whole(statement_of: Make) -> Statement:
    """Alice's statement from the first block on."""
    return statement_of(begins="2023", ends=None)


def test_graphql_tells_the_same_totals(month_books: MonthScribe, totals: Totals) -> None:
    """Asks for the holder's balances, and for the records of what is hers elsewhere."""
    query = """
      query ($who: Address!, $hex: Hex!) {
        holder(address: $who) { balances { amount asset { symbol } } }
        nodes(where: { operator: { _eq: $hex } }) { edges { node { node } } }
        collaterals { edges { node { node free frozen } } }
        stakes(where: { staker: { _eq: $hex } }) { edges { node { amount } } }
        unbondings(where: { staker: { _eq: $hex } }) { edges { node { amount } } }
        backerShares(where: { backer: { _eq: $hex } }) { edges { node { shares } } }
      }"""
    with TestClient(make_app(month_books.url, month_books.manifest)) as http:
        variables = {"who": to_hex(ALICE), "hex": to_hex(ALICE)}
        data = http.post("/graphql", json={"query": query, "variables": variables}).json()["data"]
    found = Counter({each["asset"]["symbol"]: int(each["amount"]) for each in data["holder"]["balances"]})
    rows = {name: [edge["node"] for edge in data[name]["edges"]] for name in data if name != "holder"}
    own = {each["node"] for each in rows["nodes"]}
    found["DN"] += sum(int(each["free"]) + int(each["frozen"]) for each in rows["collaterals"] if each["node"] in own)
    found["DN"] += sum(int(each["amount"]) for each in (*rows["stakes"], *rows["unbondings"]))
    found["USDC"] += sum(int(each["shares"]) for each in rows["backerShares"])
    assert dict(found) == totals


@pytest.mark.parametrize("suffix", EXPORT_FORMATS)
def test_every_format_of_exports_has_the_same_totals(month_service: Service, totals: Totals, suffix: str) -> None:
    """Exports postings and records, and adds up what the format's reader reads."""

    def rows(source: str) -> list[dict[str, str]]:
        columns = EXPORT_READERS[suffix](made(month_service, source, suffix), SOURCES[source])
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    found: Counter[str] = Counter()
    for each in rows("postings"):
        found[each["asset"]] += int(each["amount"]) if each["account"] == WALLET else 0
    own = {each["node"] for each in rows("nodes") if each["operator"] == to_hex(ALICE)}
    assert to_hex(NODE) in own
    found["DN"] += sum(int(each["free"]) + int(each["frozen"]) for each in rows("collaterals") if each["node"] in own)
    for source in ("stakes", "unbondings"):
        found["DN"] += sum(int(each["amount"]) for each in rows(source) if each["staker"] == to_hex(ALICE))
    found["USDC"] += sum(int(each["shares"]) for each in rows("backer_shares") if each["backer"] == to_hex(ALICE))
    assert dict(found) == totals


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_of_statements_has_the_same_totals(
    whole: Statement, totals: Totals, name: str, tmp_path: Path
) -> None:
    """Writes the statement, and adds up what a program that is not ours, or the tool's reader, reads of it."""
    content = FORMATS[name].write(whole)
    if name in IMPORTERS:
        found: Counter[str] = Counter()
        for each in movements(name, content, {balance.token for balance in whole.balances}):
            found[each.symbol] += each.amount
    else:
        path = tmp_path / "statement"
        path.write_bytes(content)
        found = READERS[name](path, whole)
    assert dict(found) == totals


def summed(pairs: Iterable[tuple[str, str]]) -> Counter[str]:
    """Exact decimal texts, added up by token."""
    found: Counter[str] = Counter()
    for symbol, text in pairs:
        units = Decimal(text).scaleb(DECIMALS[symbol])
        assert units == int(units)
        found[symbol] += int(units)
    return found


def by_csv(path: Path, _: Statement) -> Counter[str]:
    """The lines of the table."""
    rows = csv.DictReader(io.StringIO(path.read_text(), newline=""))
    return summed((row["token"], row["amount"]) for row in rows)


def by_zip(path: Path, _: Statement) -> Counter[str]:
    """The lines' table of the archive."""
    with zipfile.ZipFile(path) as archive:
        rows = csv.DictReader(io.StringIO(archive.read("lines.csv").decode(), newline=""))
    return summed((row["token"], row["amount"]) for row in rows)


def by_xlsx(path: Path, _: Statement) -> Counter[str]:
    """The exact texts of the lines' sheet."""
    sheet = openpyxl.load_workbook(io.BytesIO(path.read_bytes()))["lines"]
    names, *rows = sheet.iter_rows(values_only=True)
    token, amount = names.index("token"), names.index("amount (exact)")
    return summed((str(row[token]), str(row[amount])) for row in rows)


def by_pdf(path: Path, whole: Statement) -> Counter[str]:
    """The closing balances, as pdftotext reads them."""
    text = subprocess.run(["pdftotext", "-layout", path, "-"], capture_output=True, text=True, check=True).stdout
    rows = re.findall(r"^([A-Z]\w+:\S+) +(DN|USDC) +(-?[\d.]+) +(-?[\d.]+) +(-?[\d.]+)$", text, re.MULTILINE)
    assert len(rows) == len(whole.balances)
    return summed((symbol, closing) for _, symbol, _, _, closing in rows)


def by_json(path: Path, _: Statement) -> Counter[str]:
    """The lines' integers."""
    found: Counter[str] = Counter()
    for line in json.loads(path.read_bytes())["statement"]["lines"]:
        found[line["token"]["symbol"]] += int(line["amount"])
    return found


def by_beancount(path: Path, whole: Statement) -> Counter[str]:
    """What Beancount has for the own accounts."""
    own = {asset_account(each.account) for each in whole.balances}
    entries, errors, _ = loader.load_file(str(path))
    assert errors == []
    return summed(
        (posting.units.currency, str(posting.units.number))
        for entry in entries
        if isinstance(entry, directives.Transaction)
        for posting in entry.postings
        if posting.account in own and posting.units is not None
    )


def by_hledger(path: Path, whole: Statement) -> Counter[str]:
    """What hledger's balance report has for the own accounts."""
    own = {asset_account(each.account) for each in whole.balances}
    command = ["hledger", "-f", str(path), "balance", "--flat", "--no-total", "Assets", "--layout=bare", "-O", "csv"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return summed(
        (row["commodity"], row["balance"]) for row in csv.DictReader(io.StringIO(told)) if row["account"] in own
    )


READERS: Mapping[str, Callable[[Path, Statement], Counter[str]]] = {
    "csv": by_csv,
    "zip": by_zip,
    "xlsx": by_xlsx,
    "pdf": by_pdf,
    "json": by_json,
    "beancount": by_beancount,
    "hledger": by_hledger,
}
