"""Cryptio's custom file, for companies' books.

Source: Cryptio's help centre, "Importing transactions using the Custom CSV Template": the header, order types in
small letters, times ``YYYY-MM-DD HH:MM:SS`` in UTC. A deposit fills the incoming columns, a withdrawal the outgoing
ones. It has no labels (rules inside Cryptio give them, and the note begins with the line's type), and its values are
in the currency of the user's workspace, which a statement does not know: they stay empty, and the note holds ours.
"""

from typing import Final

from deepnode_graphql.statements.importers.importer import Importer, Kind
from deepnode_graphql.statements.importers.wording import description, received, sent, time_text
from deepnode_graphql.statements.statement import Line, Statement
from deepnode_ledger.hexadecimal import to_hex

LABELS: Final = {
    Kind.REWARD: "deposit",
    Kind.INCOME: "deposit",
    Kind.REFUND: "deposit",
    Kind.RECEIVED: "deposit",
    Kind.SPENT: "withdraw",
    Kind.FEE: "withdraw",
    Kind.LOST: "withdraw",
    Kind.SENT: "withdraw",
}


def _row(statement: Statement, line: Line, label: str) -> tuple[str, ...]:
    return (
        time_text(line.time),
        label,
        to_hex(line.transaction_hash),
        *reversed(received(line)),
        "",
        "",
        *reversed(sent(line)),
        *("",) * 6,
        line.counterparty,
        description(statement, line),
    )


CRYPTIO: Final = Importer(
    name="cryptio",
    said="Cryptio's custom CSV",
    source='Cryptio help centre, "Importing transactions using the Custom CSV Template"',
    header=(
        "transactionDate",
        "orderType",
        "txhash",
        "incomingAsset",
        "incomingVolume",
        "incomingUnitRate",
        "incomingTransactionValue",
        "outgoingAsset",
        "outgoingVolume",
        "outgoingUnitRate",
        "outgoingTransactionValue",
        "feeAsset",
        "feeVolume",
        "feeUnitRate",
        "feeTransactionValue",
        "otherParties",
        "note",
    ),
    labels=LABELS,
    row=_row,
)
