"""The importers: golden files, the documented headers, and what a tool reads adds up to the statement."""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepnode_graphql.statements.importers import IMPORTERS
from deepnode_graphql.statements.importers.importer import Kind, cell, kind_of
from deepnode_graphql.statements.importers.wording import money, quantity
from deepnode_graphql.statements.statement import FiatValue, Line, LineType
from tests.graphql.importers.awkward_statement import (
    AMOUNTS,
    AWKWARD,
    DN,
    GOLDEN,
    TOKENS,
    USDC,
    line,
    move,
    statement_of,
)
from tests.graphql.importers.importer_readers import READERS, Movement, movements, rows_of

# As each tool's public page has it; docs/importers.md names the pages.
HEADERS = {
    "bittytax": "Type,Buy Quantity,Buy Asset,Buy Value in GBP,Sell Quantity,Sell Asset,Sell Value in GBP,Fee Quantity,"
    "Fee Asset,Fee Value in GBP,Wallet,Timestamp,Note",
    "coinledger": "Date (UTC),Platform (Optional),Asset Sent,Amount Sent,Asset Received,Amount Received,"
    "Fee Currency (Optional),Fee Amount (Optional),Type,Description (Optional),TxHash (Optional)",
    "cointracker": "Date,Received Quantity,Received Currency,Sent Quantity,Sent Currency,Fee Amount,Fee Currency,Tag",
    "cointracking": "Type,Buy Amount,Buy Currency,Sell Amount,Sell Currency,Fee,Fee Currency,Exchange,Trade-Group,"
    "Comment,Date,Tx-ID,Buy Value in Account Currency,Sell Value in Account Currency,Liquidity pool",
    "cryptio": "transactionDate,orderType,txhash,incomingAsset,incomingVolume,incomingUnitRate,"
    "incomingTransactionValue,outgoingAsset,outgoingVolume,outgoingUnitRate,outgoingTransactionValue,feeAsset,"
    "feeVolume,feeUnitRate,feeTransactionValue,otherParties,note",
    "cryptobooks": "TYPE,CATEGORY,TRANSACTION DATE,FROM CURRENCY,FROM AMOUNT,TO CURRENCY,TO AMOUNT,FEE CURRENCY,"
    "FEE AMOUNT,NOTES,ORIGINAL ID",
    "koinly": "Date,Sent Amount,Sent Currency,Received Amount,Received Currency,Fee Amount,Fee Currency,"
    "Net Worth Amount,Net Worth Currency,Label,Description,TxHash",
    "rotki": "Type,Location,Currency,Amount,Fee,Fee Currency,Description,Timestamp",
    "summ": "Timestamp (UTC),Type,Base Currency,Base Amount,Quote Currency (Optional),Quote Amount (Optional),"
    "Fee Currency (Optional),Fee Amount (Optional),From (Optional),To (Optional),Blockchain (Optional),ID (Optional),"
    "Description (Optional),Reference Price Per Unit (Optional),Reference Price Currency (Optional)",
    "tokentax": "Type,BuyAmount,BuyCurrency,SellAmount,SellCurrency,FeeAmount,FeeCurrency,Exchange,Group,Comment,Date",
}

NAMES = sorted(IMPORTERS)
PAGE = Path(__file__).resolve().parents[3] / "docs" / "importers.md"


def read(name: str, lines: Sequence[Line]) -> list[Movement]:
    return movements(name, IMPORTERS[name].write(statement_of(list(lines))), TOKENS)


def sums(pairs: Sequence[tuple[str, int]]) -> dict[str, int]:
    totals: Counter[str] = Counter()
    for symbol, amount in pairs:
        totals[symbol] += amount
    return {symbol: total for symbol, total in totals.items() if total}


@pytest.mark.parametrize("name", NAMES)
def test_the_file_is_the_golden_one_whenever_it_is_made(name: str) -> None:
    """Writes the awkward statement twice, and compares it with the file that was looked through."""
    importer = IMPORTERS[name]
    data = importer.write(AWKWARD)
    assert data == importer.write(AWKWARD)
    assert data == (GOLDEN / f"{name}.{importer.suffix}").read_bytes()


def test_every_importer_is_tested_against_a_documented_header_and_a_reader() -> None:
    """Compares the names that the tests know with those that there are."""
    assert [*HEADERS] == NAMES == sorted(READERS)
    assert {path.stem for path in GOLDEN.iterdir()} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_header_is_the_documented_one_and_every_row_has_its_columns(name: str) -> None:
    """Reads the first line as text, and counts the cells of the others."""
    text = IMPORTERS[name].write(AWKWARD).decode()
    assert text.splitlines()[0] == HEADERS[name]
    assert {len(row) for row in csv.reader(io.StringIO(text, newline=""), strict=True)} == {len(IMPORTERS[name].header)}


@pytest.mark.parametrize("name", NAMES)
def test_each_kind_has_a_label_and_incoming_ones_are_never_outgoing(name: str) -> None:
    """Looks the kinds up; those of the two directions share no label, unless it is empty, which direction-less files
    may not have.
    """
    labels = IMPORTERS[name].labels
    assert set(labels) == set(Kind)
    incoming = {labels[kind] for kind in (Kind.REWARD, Kind.INCOME, Kind.REFUND, Kind.RECEIVED)}
    outgoing = {labels[kind] for kind in (Kind.SPENT, Kind.FEE, Kind.LOST, Kind.SENT)}
    assert incoming & outgoing <= ({"Transfer"} if name == "cryptobooks" else {""})


def test_a_lines_kind_follows_its_type_and_its_sign() -> None:
    """Asks for every type with both signs; what is not named here is plainly received or sent."""
    said = {
        (LineType.REWARD, 1): Kind.REWARD,
        (LineType.REVENUE, 1): Kind.INCOME,
        (LineType.FUNDING, 1): Kind.INCOME,
        (LineType.COMPENSATION, 1): Kind.INCOME,
        (LineType.PAYMENT, 1): Kind.INCOME,
        (LineType.FEE, 1): Kind.INCOME,
        (LineType.REFUND, 1): Kind.REFUND,
        (LineType.PAYMENT, -1): Kind.SPENT,
        (LineType.FEE, -1): Kind.FEE,
        (LineType.SLASHING, -1): Kind.LOST,
        (LineType.BURN, -1): Kind.LOST,
    }
    for kind in LineType:
        for sign, plain in ((1, Kind.RECEIVED), (-1, Kind.SENT)):
            assert kind_of(line(1, kind, sign)) == said.get((kind, sign), plain)
            assert kind_of(line(1, kind, sign, own=True)) == plain


@pytest.mark.parametrize("name", NAMES)
def test_what_a_tool_reads_is_the_statement_line_by_line(name: str) -> None:
    """Reads the awkward statement's file back: tokens, amounts, times and ids are its lines', in their order."""
    importer = IMPORTERS[name]
    kept = [each for each in AWKWARD.lines if each.amount and (importer.moves or not each.own)]
    found = movements(name, importer.write(AWKWARD), TOKENS)
    assert [(each.symbol, each.amount, each.time) for each in found] == [
        (each.token.symbol, each.amount, each.time) for each in kept
    ]
    if found[0].identity is not None:
        assert [each.identity for each in found] == [
            f"0x{each.transaction_hash.hex()}-{each.position}-{each.leg}" for each in kept
        ]
        assert len({each.identity for each in found}) == len(found)


@st.composite
def lines_of_a_statement(draw: st.DrawFn) -> list[Line]:
    """Lines of any type and amount, some of them between own accounts."""
    lines: list[Line] = []
    for position in range(1, draw(st.integers(0, 6)) + 1):
        kind = draw(st.sampled_from(LineType))
        if draw(st.booleans()):
            lines += move(position, kind, draw(st.integers(1, 10**38 - 1)), "Wallet:0x01", "Stake:0x02")
        else:
            token, amount = draw(st.sampled_from(AMOUNTS))
            amount = draw(st.one_of(st.just(amount), st.integers(-(10**38) + 1, 10**38 - 1)))
            lines.append(line(position, kind, amount, token, time=draw(st.integers(0, 2**32))))
    return lines


@given(lines=lines_of_a_statement())
@settings(max_examples=60, deadline=None)
def test_what_a_tool_reads_adds_up_to_the_statement(lines: list[Line]) -> None:
    """Writes and reads random statements in every format; each token's sum is the statement's, to the base unit."""
    expected = sums([(each.token.symbol, each.amount) for each in lines])
    for name in NAMES:
        assert sums([(each.symbol, each.amount) for each in read(name, lines)]) == expected, name


@pytest.mark.parametrize("name", NAMES)
def test_a_movement_between_own_accounts_is_a_transfer_or_nothing(name: str) -> None:
    """Writes one movement of a type that would be income from others, and one from somebody else."""
    rows = rows_of(IMPORTERS[name].write(statement_of(move(1, LineType.REFUND, 5, "Stake:0x02", "Wallet:0x01"))))
    if not IMPORTERS[name].moves:
        assert rows == []
        return
    assert [row["Type"] for row in rows] == ["Withdrawal", "Deposit"]
    place = "Wallet" if name == "bittytax" else "Exchange"
    assert [row[place].removeprefix("DeepNode ") for row in rows] == ["Stake:0x02", "Wallet:0x01"]


def test_a_value_goes_where_the_tool_knows_its_currency() -> None:
    """Writes a reward worth 1.234567 of a currency, and looks for it in each tool's columns."""
    reward = line(1, LineType.REWARD, 2 * 10**18, value=FiatValue("USD", 1_234_567, "settlement", 9, 617_284))
    pounds = line(1, LineType.REWARD, 2 * 10**18, value=FiatValue("GBP", 1_234_567, "settlement", 9, 617_284))
    koinly = rows_of(IMPORTERS["koinly"].write(statement_of([reward])))[0]
    assert (koinly["Net Worth Amount"], koinly["Net Worth Currency"]) == ("1.234567", "USD")
    summ = rows_of(IMPORTERS["summ"].write(statement_of([reward])))[0]
    assert summ["Reference Price Per Unit (Optional)"] == "0.617284"
    assert summ["Reference Price Currency (Optional)"] == "USD"
    for fiat, given_line, expected in (("USD", reward, ""), ("GBP", pounds, "1.234567")):
        bittytax = rows_of(IMPORTERS["bittytax"].write(statement_of([given_line], fiat)))[0]
        assert bittytax["Buy Value in GBP"] == expected
    for name, column in (
        ("cointracking", "Comment"),
        ("coinledger", "Description (Optional)"),
        ("rotki", "Description"),
    ):
        row = rows_of(IMPORTERS[name].write(statement_of([reward])))[0]
        assert "1.234567 USD by settlement, entry 9" in row[column]


def test_what_a_review_took_is_sold_for_nothing_in_bittytax() -> None:
    """Writes a slashing: its value is zero in any currency, so that no gain comes from it."""
    row = rows_of(IMPORTERS["bittytax"].write(statement_of([line(1, LineType.SLASHING, -(10**18))])))[0]
    assert (row["Type"], row["Sell Quantity"], row["Sell Value in GBP"]) == ("Spend", "1", "0")


@pytest.mark.parametrize("name", NAMES)
def test_no_cell_starts_a_formula_and_no_row_breaks(name: str) -> None:
    """Reads the awkward statement, whose symbol, event, counterparty and note would be formulas, cell by cell."""
    text = IMPORTERS[name].write(AWKWARD).decode()
    assert len(text.splitlines()) == len(rows_of(text.encode())) + 1
    for row in csv.reader(io.StringIO(text, newline=""), strict=True):
        assert [each for each in row if each.lstrip().startswith(("=", "+", "-", "@", "\t", "\r"))] == []


def test_a_cell_is_guarded_without_harm_to_negative_numbers() -> None:
    """Guards numbers, formulas, and texts that only look like one of them."""
    for number in ("-1", "-0.000000000000000001", "12", "-10000000000000000000"):
        assert cell(number) == number
    assert cell("-1+1") == "'-1+1"
    assert cell("=1") == "'=1"
    assert cell(" @x") == "' @x"
    assert cell("\uff1d1") == "'\uff1d1"
    assert cell("\t=1") == "' =1"
    assert cell("a\r\nb\x00c") == "a b c"
    assert cell("1e5") == "1e5"


def test_amounts_are_exact_plain_decimals() -> None:
    """Writes the smallest and the largest amounts."""
    assert quantity(1, DN.decimals) == "0.000000000000000001"
    assert quantity(-(10**37), DN.decimals) == "10000000000000000000"
    assert quantity(10**38 - 1, DN.decimals) == "99999999999999999999.999999999999999999"
    assert quantity(10**37, DN.decimals, places_min=2) == "10000000000000000000.00"
    assert quantity(2_500_000, USDC.decimals, places_min=2) == "2.50"
    assert quantity(0, 0) == "0"
    assert quantity(12345678901234567890123, 0) == "12345678901234567890123"
    assert money(-1_230_000) == "1.23"
    assert money(5) == "0.000005"


def test_the_page_says_what_each_kind_is_called_and_where_it_is_from() -> None:
    """Looks for the table of labels in docs/importers.md, row by row, and for a source of every importer."""
    page = PAGE.read_text("utf-8")
    table = [f"| a line that was | {' | '.join(f'`{name}`' for name in NAMES)} |"]
    table += [f"| {kind} | {' | '.join(IMPORTERS[name].labels[kind] or '(none)' for name in NAMES)} |" for kind in Kind]
    assert [row for row in table if f"\n{row}\n" not in page] == []
    for name, importer in IMPORTERS.items():
        (row,) = [each for each in page.splitlines() if each.startswith(f"| `{name}` |")]
        titles = importer.source.split('"')[1::2]
        assert titles
        assert [title for title in titles if f'"{title}"' not in row] == []
