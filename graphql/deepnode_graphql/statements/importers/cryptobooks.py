"""CryptoBooks' file: a type and a category, and one currency unless it is a trade.

Source: CryptoBooks' help centre, "Guide to compiling the CryptoBooks CSV" (article 8200724): the columns in their
order, types, categories, and times ``yyyy-MM-dd HH:mm:ss``; the names of the columns behind the fourth are as the
public program staketaxcsv writes them. A deposit or a withdrawal has its currency and amount in the FROM columns, never
in the TO columns. There is no column for a value: the notes hold it.
"""

from typing import Final

from deepnode_graphql.statements.importers.importer import Importer, Kind
from deepnode_graphql.statements.importers.wording import description, identity, quantity, time_text
from deepnode_graphql.statements.statement import Line, Statement

LABELS: Final = {
    Kind.REWARD: "Staking",
    Kind.INCOME: "General_Income",
    Kind.REFUND: "Transfer",
    Kind.RECEIVED: "Transfer",
    Kind.SPENT: "Payments",
    Kind.FEE: "Fees",
    Kind.LOST: "Lost",
    Kind.SENT: "Transfer",
}


def _row(statement: Statement, line: Line, label: str) -> tuple[str, ...]:
    return (
        "Deposit" if line.amount > 0 else "Withdrawal",
        label,
        time_text(line.time),
        line.token.symbol,
        quantity(line.amount, line.token.decimals),
        "",
        "",
        "",
        "",
        description(statement, line),
        identity(line),
    )


CRYPTOBOOKS: Final = Importer(
    name="cryptobooks",
    said="CryptoBooks' CSV",
    source='CryptoBooks help centre, "Guide to compiling the CryptoBooks CSV"',
    header=(
        "TYPE",
        "CATEGORY",
        "TRANSACTION DATE",
        "FROM CURRENCY",
        "FROM AMOUNT",
        "TO CURRENCY",
        "TO AMOUNT",
        "FEE CURRENCY",
        "FEE AMOUNT",
        "NOTES",
        "ORIGINAL ID",
    ),
    labels=LABELS,
    row=_row,
)
