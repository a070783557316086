"""Laws: what must hold within the books, and money that a contract holds without having said what for."""

from typing import Final

from deepnode_cli.reconciling.figures import Difference
from deepnode_cli.reconciling.reading import Reading
from deepnode_ledger.account import UNATTRIBUTED
from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.conservation import LAWS, breaches, unasked
from deepnode_projections.holdings_at import Pocket

SORTED: Final = ("Collateral", "RevenueRouter", "Staking", "Funding", "Governance")
"""Kinds of contracts that put all that comes in into a named pocket, within the same transaction.

Others hold money that no event has a pocket for yet: what emission may still allocate, what rewards hold beyond what
roots entitle to, what is to be burned.
"""


def laws(reading: Reading) -> None:
    """Look for breaches of the laws of double entry, and tell of money that nobody asked for."""
    findings = reading.findings
    for law in LAWS:
        compared, found = breaches(reading.connection, law, reading.position)
        findings.count(law, compared)
        for each in found:
            differs = Difference(law, each.where, each.symbol, each.found, each.wanted, is_law=True)
            findings.differences.append(differs)
    for pocket in reading.pockets:
        if pocket.pocket == UNATTRIBUTED and pocket.asset in reading.tokens:
            findings.count("nothing is unattributed")
            if pocket.amount:
                _tell(reading, pocket)


def _tell(reading: Reading, pocket: Pocket) -> None:
    symbol = reading.tokens[pocket.asset]
    if reading.declared_of(pocket.contract).kind not in SORTED:
        if pocket.amount > 0:
            text = f"{pocket.contract} holds {pocket.amount} {symbol} (base units) that no event has a pocket for yet"
            reading.findings.remarks.append(text)
        else:
            _differs(reading, pocket.account, symbol, pocket.amount)
        return
    for each in unasked(reading.connection, pocket.account, pocket.asset, reading.position):
        where = f"transaction {to_hex(each.transaction_hash)}"
        if each.is_gift:
            gift = f"{each.amount} {symbol} (base units) from {each.other} in {where}"
            reading.findings.remarks.append(f"a donation to {pocket.contract}: {gift}")
        else:
            _differs(reading, f"{pocket.account} in {where}", symbol, each.amount)


def _differs(reading: Reading, where: str, symbol: str, amount: int) -> None:
    reading.findings.differences.append(Difference("nothing is unattributed", where, symbol, amount, 0, is_law=True))
