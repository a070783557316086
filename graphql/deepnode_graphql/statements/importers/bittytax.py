"""BittyTax's transaction records.

Source: the README of BittyTax, "Transaction Records", and ``data/example.csv`` of its repository (read as of July
2026). Columns count by their order; times are ``YYYY-MM-DDTHH:MM:SS UTC``. Values are in pounds and are filled in
only for a statement in GBP; BittyTax looks up the others. ``Lost`` would leave the tokens with their owner there (a
claim that they are worth nothing), so what a review took or what was burned is a ``Spend`` for nothing. Wallets are
kept apart, so a movement between own accounts is a withdrawal from one and a deposit into the other.
"""

from typing import Final

from deepnode_graphql.statements.importers.importer import Importer, Kind, kind_of
from deepnode_graphql.statements.importers.wording import description, money, received, sent, time_text
from deepnode_graphql.statements.statement import Line, Statement

LABELS: Final = {
    Kind.REWARD: "Staking-Reward",
    Kind.INCOME: "Income",
    Kind.REFUND: "Cashback",
    Kind.RECEIVED: "Deposit",
    Kind.SPENT: "Spend",
    Kind.FEE: "Spend",
    Kind.LOST: "Spend",
    Kind.SENT: "Withdrawal",
}
FIAT: Final = "GBP"
TIME: Final = "%Y-%m-%dT%H:%M:%S UTC"
# The README's table: a transfer between wallets has no value.
WITHOUT_VALUE: Final = (Kind.RECEIVED, Kind.SENT)


def _row(statement: Statement, line: Line, label: str) -> tuple[str, ...]:
    kind = kind_of(line)
    value = money(line.value.micros) if line.value and line.value.fiat == FIAT and kind not in WITHOUT_VALUE else ""
    if kind is Kind.LOST:
        value = "0"
    return (
        label,
        *received(line),
        value if line.amount > 0 else "",
        *sent(line),
        value if line.amount < 0 else "",
        "",
        "",
        "",
        line.account,
        time_text(line.time, TIME),
        description(statement, line),
    )


BITTYTAX: Final = Importer(
    name="bittytax",
    said="BittyTax's transaction records, each own account a wallet of its own",
    source='BittyTax README, "Transaction Records", and its data/example.csv',
    header=(
        "Type",
        "Buy Quantity",
        "Buy Asset",
        "Buy Value in GBP",
        "Sell Quantity",
        "Sell Asset",
        "Sell Value in GBP",
        "Fee Quantity",
        "Fee Asset",
        "Fee Value in GBP",
        "Wallet",
        "Timestamp",
        "Note",
    ),
    labels=LABELS,
    row=_row,
    moves=True,
)
