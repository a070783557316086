"""Holdings: every holder's balance, each token's supply and each contract's pockets against the tokens themselves."""

from collections.abc import Iterator

from deepnode_cli.reconciling.figures import Figure, question
from deepnode_cli.reconciling.reading import Reading
from deepnode_cli.reconciling.views import BALANCE_OF, TOTAL_SUPPLY
from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.holdings_at import held_at, supply_at


def holdings(reading: Reading) -> Iterator[Figure]:
    """Yield the figures that ``balanceOf`` and ``totalSupply`` must have, token by token.

    Asked about is every address that ever held the token by the books, and every contract of the manifest.
    """
    names = {each.address: each.name for each in reading.manifest.on(reading.manifest.chain_id)}
    for token, symbol in reading.tokens.items():
        held = held_at(reading.connection, token, reading.position)
        supply = supply_at(reading.connection, token, reading.position)
        yield Figure("supply", names.get(token, to_hex(token)), symbol, supply, (question(token, TOTAL_SUPPLY),))
        for holder in sorted(held.keys() | names.keys()):
            where = f"{names.get(holder, 'wallet')} {to_hex(holder)}"
            yield Figure("balances", where, symbol, held.get(holder, 0), (question(token, BALANCE_OF, holder),))
        for contract, name in names.items():
            pockets = sum(each.amount for each in reading.pockets if (each.contract, each.asset) == (name, token))
            asked = question(token, BALANCE_OF, contract)
            yield Figure("contracts", f"the pockets of {name}", symbol, pockets, (asked,))
