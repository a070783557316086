"""Double entry: value never appears or disappears, it moves.

An entry is what one log event did to the books; its postings sum to zero in every asset. This is checked when an entry
is made, so an entry that does not balance cannot exist.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from deepnode_ledger.account import Account
from deepnode_ledger.errors import BadInput

AMOUNT_LIMIT: Final = 10**38
"""Amounts at or above this are refused by the books: they fit no decimal128(38,0), and no token has such a supply."""


class AmountTooLarge(BadInput):
    """An amount is 10**38 base units or more. The log keeps the event; the books refuse it, visibly."""


@dataclass(frozen=True, slots=True)
class Posting:
    """``amount`` base units (signed) of the token at address ``asset`` came into ``account``."""

    account: Account
    asset: bytes
    amount: int


@dataclass(frozen=True, slots=True)
class Entry:
    """What the log entry at ``position`` moved. ``kind`` is the event's name, ``contract`` the manifest's name."""

    position: int
    kind: str
    contract: str
    postings: tuple[Posting, ...]

    def __post_init__(self) -> None:
        sums: dict[bytes, int] = {}
        for posting in self.postings:
            sums[posting.asset] = sums.get(posting.asset, 0) + posting.amount
        assert not any(sums.values()), f"entry {self.position} ({self.kind}) does not balance: {sums}"


def postings(asset: bytes, moves: Iterable[tuple[Account, int]]) -> tuple[Posting, ...]:
    """Make the postings of one asset, leaving out those of nothing.

    Raises:
        AmountTooLarge: an amount is 10**38 or more, in either direction.
    """
    made = []
    for account, amount in moves:
        if not -AMOUNT_LIMIT < amount < AMOUNT_LIMIT:
            raise AmountTooLarge(f"{amount} base units: the books hold amounts below 10**38")
        if amount:
            made.append(Posting(account, asset, amount))
    return tuple(made)
