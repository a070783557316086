"""CoinTracker's file: eight columns, none to be added or left out.

Source: CoinTracker's support centre, "Convert your transaction history to CoinTracker CSV" (article 4413071299729)
for the header and ``MM/DD/YYYY HH:MM:SS`` in UTC, and "Transaction category definitions" (article 4413049710225) for
the tags. No number is negative. There is no column for a value, an id or a description: two equal movements in one
second are two equal rows. An earlier page of theirs (2019) named eight decimal places as the most; ours are exact,
and CoinTracker may round them.
"""

from typing import Final

from deepnode_graphql.statements.importers.importer import Importer, Kind
from deepnode_graphql.statements.importers.wording import AMERICAN, received, sent, time_text
from deepnode_graphql.statements.statement import Line, Statement

LABELS: Final = {
    Kind.REWARD: "staking",
    Kind.INCOME: "payment",
    Kind.REFUND: "",
    Kind.RECEIVED: "",
    Kind.SPENT: "",
    Kind.FEE: "",
    Kind.LOST: "lost",
    Kind.SENT: "",
}


def _row(_statement: Statement, line: Line, label: str) -> tuple[str, ...]:
    return (time_text(line.time, AMERICAN), *received(line), *sent(line), "", "", label)


COINTRACKER: Final = Importer(
    name="cointracker",
    said="CoinTracker's CSV (no ids, no values)",
    source='CoinTracker support centre, "Convert your transaction history to CoinTracker CSV"',
    header=(
        "Date",
        "Received Quantity",
        "Received Currency",
        "Sent Quantity",
        "Sent Currency",
        "Fee Amount",
        "Fee Currency",
        "Tag",
    ),
    labels=LABELS,
    row=_row,
)
