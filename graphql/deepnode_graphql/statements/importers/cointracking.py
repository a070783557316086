"""CoinTracking's file: a type, what was bought and what was sold, and a place for each row.

Source: CoinTracking's import page "CSV Import" (eleven columns, and four that may follow behind the date; quoted in a
public issue of February 2025) and its support page "Transaction Types" (article 29000042783). The two columns of values
are in the currency of the user's account, which a statement does not know: they stay empty, CoinTracking computes
them, and the comment holds ours. The time zone is chosen when the file is uploaded: choose UTC. Places are kept apart,
so a movement between own accounts is a withdrawal from one and a deposit into the other.
"""

from typing import Final

from deepnode_graphql.statements.importers.importer import Importer, Kind
from deepnode_graphql.statements.importers.wording import (
    PLATFORM,
    description,
    identity,
    received,
    sent,
    time_text,
)
from deepnode_graphql.statements.statement import Line, Statement

LABELS: Final = {
    Kind.REWARD: "Staking",
    Kind.INCOME: "Income",
    Kind.REFUND: "Income (non taxable)",
    Kind.RECEIVED: "Deposit",
    Kind.SPENT: "Spend",
    Kind.FEE: "Other Fee",
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
        f"{PLATFORM} {line.account}",
        PLATFORM,
        description(statement, line),
        time_text(line.time),
        identity(line),
        "",
        "",
        "",
    )


COINTRACKING: Final = Importer(
    name="cointracking",
    said="CoinTracking's CSV, each own account a place of its own",
    source='CoinTracking, import page "CSV Import" and support page "Transaction Types"',
    header=(
        "Type",
        "Buy Amount",
        "Buy Currency",
        "Sell Amount",
        "Sell Currency",
        "Fee",
        "Fee Currency",
        "Exchange",
        "Trade-Group",
        "Comment",
        "Date",
        "Tx-ID",
        "Buy Value in Account Currency",
        "Sell Value in Account Currency",
        "Liquidity pool",
    ),
    labels=LABELS,
    row=_row,
    moves=True,
)
