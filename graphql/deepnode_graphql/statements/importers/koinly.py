"""Koinly's universal file: what was sent and what was received in columns of their own.

Source: Koinly's help centre, "How to create a custom CSV file with your data" (article 9489976, revisions of 2024 and
2025): the columns, amounts with a dot and decimals (``#.00``), times ``YYYY-MM-DD HH:mm:ss`` in UTC; labels as in "What
are tags?" (article 9490023). Their order is that of the template, as public programs that fill it have it. Some
revisions of the page call the column ``Label`` ``Tag``. A deposit or withdrawal without a label is a purchase or a sale
at the market's price there; a fee column belongs to a transfer, and ours is always empty.
"""

from typing import Final

from deepnode_graphql.statements.importers.importer import Importer, Kind
from deepnode_graphql.statements.importers.wording import description, money, received, sent, time_text
from deepnode_graphql.statements.statement import Line, Statement
from deepnode_ledger.hexadecimal import to_hex

LABELS: Final = {
    Kind.REWARD: "reward",
    Kind.INCOME: "income",
    Kind.REFUND: "",
    Kind.RECEIVED: "",
    Kind.SPENT: "",
    Kind.FEE: "cost",
    Kind.LOST: "lost",
    Kind.SENT: "",
}
PLACES_MIN: Final = 2


def _row(statement: Statement, line: Line, label: str) -> tuple[str, ...]:
    worth = (money(line.value.micros), line.value.fiat) if line.value else ("", "")
    return (
        time_text(line.time),
        *sent(line, PLACES_MIN),
        *received(line, PLACES_MIN),
        "",
        "",
        *worth,
        label,
        description(statement, line),
        to_hex(line.transaction_hash),
    )


KOINLY: Final = Importer(
    name="koinly",
    said="Koinly's universal CSV, with fiat values and tags",
    source='Koinly help centre, "How to create a custom CSV file with your data"',
    header=(
        "Date",
        "Sent Amount",
        "Sent Currency",
        "Received Amount",
        "Received Currency",
        "Fee Amount",
        "Fee Currency",
        "Net Worth Amount",
        "Net Worth Currency",
        "Label",
        "Description",
        "TxHash",
    ),
    labels=LABELS,
    row=_row,
)
