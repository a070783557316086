"""TokenTax's manual report.

Source: TokenTax's help centre, "Create a manual CSV report of your transactions" (article 1707630): the types, of which
rewards of staking are ``Income``, and the columns up to ``Exchange``; the three behind it are as the public program
staketaxcsv writes them. Times are ``MM/DD/YYYY HH:MM:SS``, in UTC. There is no column for an id or a value: the comment
holds both.
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

LABELS: Final = {
    Kind.REWARD: "Income",
    Kind.INCOME: "Income",
    Kind.REFUND: "Deposit",
    Kind.RECEIVED: "Deposit",
    Kind.SPENT: "Spend",
    Kind.FEE: "Spend",
    Kind.LOST: "Lost",
    Kind.SENT: "Withdrawal",
}


def _row(statement: Statement, line: Line, label: str) -> tuple[str, ...]:
    return (
        label,
        *received(line),
        *sent(line),
        "",
        "",
        PLATFORM,
        "",
        description(statement, line),
        time_text(line.time, AMERICAN),
    )


TOKENTAX: Final = Importer(
    name="tokentax",
    said="TokenTax's manual CSV report",
    source='TokenTax help centre, "Create a manual CSV report of your transactions"',
    header=(
        "Type",
        "BuyAmount",
        "BuyCurrency",
        "SellAmount",
        "SellCurrency",
        "FeeAmount",
        "FeeCurrency",
        "Exchange",
        "Group",
        "Comment",
        "Date",
    ),
    labels=LABELS,
    row=_row,
)
