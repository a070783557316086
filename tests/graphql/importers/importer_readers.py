"""Readers of the importers' files, each as its tool's documentation says that the tool reads it.

They are written apart from the writers, and turn a row back into base units by integer arithmetic. ``movements`` reads
a whole file: what adds it up for any statement in any format is one call.
"""

import calendar
import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

from deepnode_graphql.statements.importers.importer import cell
from deepnode_graphql.statements.statement import Token

PLAIN = re.compile(r"[0-9]+(\.[0-9]+)?")
AMERICAN, ISO = "%m/%d/%Y %H:%M:%S", "%Y-%m-%d %H:%M:%S"

Row: TypeAlias = Mapping[str, str]
Tokens: TypeAlias = Iterable[Token]


@dataclass(frozen=True, slots=True)
class Movement:
    """What a tool takes from a row: a token by its symbol, signed base units, seconds, and the row's own id if any."""

    symbol: str
    amount: int
    time: int
    identity: str | None


Reader: TypeAlias = Callable[[Row, Tokens], Movement]


def base_units(text: str, decimals: int) -> int:
    """Base units of a plain decimal; refuses signs, exponents, separators and more places than the token has."""
    assert PLAIN.fullmatch(text), text
    whole, _, fraction = text.partition(".")
    assert len(fraction.rstrip("0")) <= decimals, text
    return int(whole + fraction.rstrip("0").ljust(decimals, "0"))


def by_symbol(tokens: Tokens, symbol: str) -> Token:
    """The one token that has this symbol."""
    (found,) = {token for token in tokens if cell(token.symbol) == symbol}
    return found


def seconds(text: str, pattern: str) -> int:
    """Seconds since 1970 of a UTC time."""
    return calendar.timegm(datetime.strptime(text, pattern).replace(tzinfo=UTC).timetuple())


def two_sided(columns: tuple[str, str, str, str], time: str, pattern: str, identity: str | None) -> Reader:
    """A reader of files that have a column pair for what came in and one for what went out."""
    amount_in, token_in, amount_out, token_out = columns

    def read(row: Row, tokens: Tokens) -> Movement:
        assert bool(row[amount_in]) != bool(row[amount_out]), row
        assert bool(row[amount_in]) == bool(row[token_in])
        assert bool(row[amount_out]) == bool(row[token_out])
        token = by_symbol(tokens, row[token_in] or row[token_out])
        amount = base_units(row[amount_in] or row[amount_out], token.decimals)
        name = row[identity].rpartition("; id ")[2] if identity else None
        return Movement(token.symbol, amount if row[amount_in] else -amount, seconds(row[time], pattern), name)

    return read


def one_sided(amount: str, token: str, label: str, incoming: set[str], time: str, identity: str) -> Reader:
    """A reader of files that have one amount, and a type that says its direction."""

    def read(row: Row, tokens: Tokens) -> Movement:
        known = by_symbol(tokens, row[token])
        size = base_units(row[amount], known.decimals)
        return Movement(known.symbol, size if row[label] in incoming else -size, seconds(row[time], ISO), row[identity])

    return read


def rotki(row: Row, tokens: Tokens) -> Movement:
    """A row of rotki's generic events."""
    chain, _, contract = row["Currency"].partition("/erc20:0x")
    assert re.fullmatch(r"eip155:[1-9][0-9]*", chain)
    (token,) = {token for token in tokens if token.address.hex() == contract.lower()}
    size = base_units(row["Amount"], token.decimals)
    sign = 1 if row["Type"] in {"Deposit", "Income", "Staking"} else -1
    assert int(row["Timestamp"]) % 1000 == 0
    identity = row["Description"].rpartition("; id ")[2]
    return Movement(token.symbol, sign * size, int(row["Timestamp"]) // 1000, identity)


READERS: dict[str, Reader] = {
    "koinly": two_sided(
        ("Received Amount", "Received Currency", "Sent Amount", "Sent Currency"), "Date", ISO, "Description"
    ),
    "cointracker": two_sided(
        ("Received Quantity", "Received Currency", "Sent Quantity", "Sent Currency"), "Date", AMERICAN, None
    ),
    "cointracking": two_sided(("Buy Amount", "Buy Currency", "Sell Amount", "Sell Currency"), "Date", ISO, "Tx-ID"),
    "coinledger": two_sided(
        ("Amount Received", "Asset Received", "Amount Sent", "Asset Sent"),
        "Date (UTC)",
        AMERICAN,
        "Description (Optional)",
    ),
    "tokentax": two_sided(("BuyAmount", "BuyCurrency", "SellAmount", "SellCurrency"), "Date", AMERICAN, "Comment"),
    "cryptio": two_sided(
        ("incomingVolume", "incomingAsset", "outgoingVolume", "outgoingAsset"), "transactionDate", ISO, "note"
    ),
    "bittytax": two_sided(
        ("Buy Quantity", "Buy Asset", "Sell Quantity", "Sell Asset"), "Timestamp", "%Y-%m-%dT%H:%M:%S UTC", "Note"
    ),
    "rotki": rotki,
    "summ": one_sided(
        "Base Amount",
        "Base Currency",
        "Type",
        {"receive", "staking", "income"},
        "Timestamp (UTC)",
        "ID (Optional)",
    ),
    "cryptobooks": one_sided("FROM AMOUNT", "FROM CURRENCY", "TYPE", {"Deposit"}, "TRANSACTION DATE", "ORIGINAL ID"),
}


def rows_of(data: bytes) -> list[dict[str, str]]:
    """The rows of a file by their columns."""
    return list(csv.DictReader(io.StringIO(data.decode("utf-8"), newline=""), strict=True))


def movements(name: str, data: bytes, tokens: Tokens) -> list[Movement]:
    """What the tool called ``name`` reads from its file."""
    known = tuple(tokens)
    return [READERS[name](row, known) for row in rows_of(data)]
