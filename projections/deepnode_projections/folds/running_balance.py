"""Running balances: what each account has after each of its postings.

A balance, like an amount, stays below 10**38 base units in either direction, so that whoever reads the books in
decimal128(38,0) reads them whole. An entry that would take an account beyond has no effect and says so.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from deepnode_ledger.posting import AMOUNT_LIMIT, Entry, Posting

BalanceKey = tuple[str, bytes]
"""(account name, asset address)."""


@dataclass(frozen=True, slots=True)
class Posted:
    """A posting as leg number ``leg`` of the entry at ``position``; the account has ``balance`` after it."""

    position: int
    leg: int
    posting: Posting
    balance: int


@dataclass(frozen=True, slots=True)
class TooMuch:
    """The entry at ``position`` has no effect: it would take a balance to 10**38 or beyond."""

    position: int
    reason: str


def run(balances: dict[BalanceKey, int], entries: Iterable[Entry]) -> tuple[list[Posted], list[TooMuch]]:
    """Post entries in order.

    Args:
        balances: what the accounts have before (none is zero); holds what they have after when this returns.
        entries: in the order of positions.
    """
    posted: list[Posted] = []
    refused: list[TooMuch] = []
    for entry in entries:
        after: dict[BalanceKey, int] = {}
        legs: list[Posted] = []
        for leg, posting in enumerate(entry.postings):
            key = (posting.account.name, posting.asset)
            after[key] = after.get(key, balances.get(key, 0)) + posting.amount
            legs.append(Posted(entry.position, leg, posting, after[key]))
        beyond = next((each for each in legs if not -AMOUNT_LIMIT < each.balance < AMOUNT_LIMIT), None)
        if beyond is not None:
            name = beyond.posting.account.name
            refused.append(TooMuch(entry.position, f"{name} would have {beyond.balance}: balances stay below 10**38"))
            continue
        balances.update(after)
        posted += legs
    return posted, refused
