"""The custom file of Summ, which was Crypto Tax Calculator.

Source: Summ's help centre, "Custom CSV Import" (article 5777675, formerly "Advanced Custom CSV Import"): the columns
of its template, times ``YYYY-MM-DD HH:mm:ss`` in UTC, and the types. ``receive`` and ``send`` are transfers without
tax until the user says otherwise. The value at receipt goes in as a price of one unit (Reference Price), rounded half
to even to 18 places; without one, Summ takes its own. A chain that Summ does not know is left empty.
"""

from typing import Final

from deepnode_graphql.statements.importers.importer import Importer, Kind
from deepnode_graphql.statements.importers.wording import (
    MICRO_DECIMALS,
    description,
    identity,
    quantity,
    time_text,
)
from deepnode_graphql.statements.statement import Line, Statement

LABELS: Final = {
    Kind.REWARD: "staking",
    Kind.INCOME: "income",
    Kind.REFUND: "receive",
    Kind.RECEIVED: "receive",
    Kind.SPENT: "expense",
    Kind.FEE: "fee",
    Kind.LOST: "lost",
    Kind.SENT: "send",
}
CHAINS: Final = {1: "Ethereum", 8453: "Base"}
PRICE_DECIMALS: Final = 18


def price_of(line: Line) -> tuple[str, str]:
    """Return the price of a whole token and its currency, two empty texts if the value is unknown or below a micro."""
    if line.value is None or line.value.micros == 0:
        return "", ""
    dividend = abs(line.value.micros) * 10 ** (PRICE_DECIMALS - MICRO_DECIMALS + line.token.decimals)
    whole, rest = divmod(dividend, abs(line.amount))
    twice = 2 * rest
    rounded = whole + (twice > abs(line.amount) or (twice == abs(line.amount) and whole % 2 == 1))
    return (quantity(rounded, PRICE_DECIMALS), line.value.fiat) if rounded else ("", "")


def _row(statement: Statement, line: Line, label: str) -> tuple[str, ...]:
    return (
        time_text(line.time),
        label,
        line.token.symbol,
        quantity(line.amount, line.token.decimals),
        "",
        "",
        "",
        "",
        "",
        "",
        CHAINS.get(statement.chain_id, ""),
        identity(line),
        description(statement, line),
        *price_of(line),
    )


SUMM: Final = Importer(
    name="summ",
    said="Summ's (Crypto Tax Calculator's) custom CSV, with a price of each reward",
    source='Summ help centre, "Custom CSV Import"',
    header=(
        "Timestamp (UTC)",
        "Type",
        "Base Currency",
        "Base Amount",
        "Quote Currency (Optional)",
        "Quote Amount (Optional)",
        "Fee Currency (Optional)",
        "Fee Amount (Optional)",
        "From (Optional)",
        "To (Optional)",
        "Blockchain (Optional)",
        "ID (Optional)",
        "Description (Optional)",
        "Reference Price Per Unit (Optional)",
        "Reference Price Currency (Optional)",
    ),
    labels=LABELS,
    row=_row,
)
