"""CoinLedger's universal manual import.

Source: CoinLedger's help centre, "Universal Manual Import Template Guide" (article 6028758) and the template that it
links, whose header is compared as a whole (``(Optional)`` belongs to it) and is quoted by several public programs, one
of which tells of an import in July 2026. Times are ``MM/DD/YYYY HH:MM:SS`` in UTC. Types are those of "What transaction
types does CoinLedger support?" (article 8546372), spelled as those programs do. A deposit or a withdrawal is a transfer
without tax there, until the user says otherwise. There is no column for a value: the description holds it.
"""

from typing import Final

from deepnode_graphql.statements.importers.importer import Importer, Kind
from deepnode_graphql.statements.importers.wording import (
    AMERICAN,
    PLATFORM,
    description,
    received,
    sent,
    time_text,
)
from deepnode_graphql.statements.statement import Line, Statement
from deepnode_ledger.hexadecimal import to_hex

LABELS: Final = {
    Kind.REWARD: "Staking",
    Kind.INCOME: "Income",
    Kind.REFUND: "Deposit",
    Kind.RECEIVED: "Deposit",
    Kind.SPENT: "Merchant Payment",
    Kind.FEE: "Merchant Payment",
    Kind.LOST: "Investment Loss",
    Kind.SENT: "Withdrawal",
}


def _row(statement: Statement, line: Line, label: str) -> tuple[str, ...]:
    return (
        time_text(line.time, AMERICAN),
        PLATFORM,
        *reversed(sent(line)),
        *reversed(received(line)),
        "",
        "",
        label,
        description(statement, line),
        to_hex(line.transaction_hash),
    )


COINLEDGER: Final = Importer(
    name="coinledger",
    said="CoinLedger's universal manual import CSV",
    source='CoinLedger help centre, "Universal Manual Import Template Guide"',
    header=(
        "Date (UTC)",
        "Platform (Optional)",
        "Asset Sent",
        "Amount Sent",
        "Asset Received",
        "Amount Received",
        "Fee Currency (Optional)",
        "Fee Amount (Optional)",
        "Type",
        "Description (Optional)",
        "TxHash (Optional)",
    ),
    labels=LABELS,
    row=_row,
)
