"""rotki's generic events.

Source: rotki's usage guide, "Rotki Generic Events Import", and the example ``docs/files/rotki_generic_events.csv`` of
its repository (read as of August 2026): a location that rotki knows, or ``external``; a currency as a symbol or as an
identifier of the token's chain and contract; times in milliseconds since 1970. A token must be added to rotki before
(Manage assets), or its rows are refused by name; the identifier here is the one that rotki gives a token of that
contract. ``Spend`` is newer than ``Loss``, and means the same to rotki.
"""

from typing import Final

from eth_utils.address import to_checksum_address

from deepnode_graphql.statements.importers.importer import Importer, Kind
from deepnode_graphql.statements.importers.wording import description, quantity
from deepnode_graphql.statements.statement import Line, Statement

LABELS: Final = {
    Kind.REWARD: "Staking",
    Kind.INCOME: "Income",
    Kind.REFUND: "Deposit",
    Kind.RECEIVED: "Deposit",
    Kind.SPENT: "Spend",
    Kind.FEE: "Spend",
    Kind.LOST: "Loss",
    Kind.SENT: "Withdrawal",
}
LOCATION: Final = "external"


def _row(statement: Statement, line: Line, label: str) -> tuple[str, ...]:
    return (
        label,
        LOCATION,
        f"eip155:{statement.chain_id}/erc20:{to_checksum_address(line.token.address)}",
        quantity(line.amount, line.token.decimals),
        "",
        "",
        description(statement, line),
        str(line.time * 1000),
    )


ROTKI: Final = Importer(
    name="rotki",
    said="rotki's generic events CSV, tokens by chain and contract",
    source='rotki usage guide, "Rotki Generic Events Import", and its example rotki_generic_events.csv',
    header=("Type", "Location", "Currency", "Amount", "Fee", "Fee Currency", "Description", "Timestamp"),
    labels=LABELS,
    row=_row,
)
