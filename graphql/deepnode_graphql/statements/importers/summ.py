"""The custom file of Summ, which was Crypto Tax Calculator.

Source: Summ's help centre, "Advanced Custom CSV Import" (article 5777675, later "Custom CSV Import"): the columns,
times ``YYYY-MM-DD HH:mm:ss`` in UTC, and the types; the header word for word is the template's, as several public
programs that fill it quote it. ``receive`` and ``send`` are transfers without tax until the user says otherwise. Values
go in as the price of a whole token (Reference Price); without one, Summ takes its own. The chain is left empty if Summ
may not know it.
"""

from typing import Final

from deepnode_graphql.statements.importers.importer import Importer, Kind
from deepnode_graphql.statements.importers.wording import (
    description,
    identity,
    money,
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


def _row(statement: Statement, line: Line, label: str) -> tuple[str, ...]:
    price = (money(line.value.price_ppm), line.value.fiat) if line.value else ("", "")
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
        *price,
    )


SUMM: Final = Importer(
    name="summ",
    said="Summ's (Crypto Tax Calculator's) custom CSV, with a price of each reward",
    source='Summ help centre, "Advanced Custom CSV Import"',
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
