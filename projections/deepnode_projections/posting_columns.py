"""Postings as columns: the accounts numbered, the balances run on. The fast twin of ``folds.running_balance``."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from deepnode_ledger.account import Account
from deepnode_ledger.posting import AMOUNT_LIMIT, Entry
from deepnode_projections.folds import limbs
from deepnode_projections.folds.transfers import Holder, Integers, Transfers
from deepnode_projections.rules.tokens import ZERO_ADDRESS

WALLET: Final = "Wallet:0x"


class BeyondLimit(Exception):
    """A balance would come to 10**38 or more. Which entry has no effect therefore says ``running_balance`` alone."""


@dataclass(frozen=True, slots=True)
class Numbering:
    """The accounts that postings name: ``names`` and ``holders`` by number."""

    names: list[str]
    holders: list[Holder]


@dataclass(frozen=True, slots=True)
class Postings:
    """Postings in the order of their places: an array's element each. ``account`` counts in ``accounts``."""

    accounts: Numbering
    position: Integers
    leg: Integers
    account: Integers
    asset: Integers
    amount: limbs.Numbers

    def firsts(self) -> Integers:
        """Return each account's first posting; for one without any, the number of postings."""
        found = np.full(len(self.accounts.names), len(self.position), np.int64)
        # Of several assignments to one element the last one stays: hence from the end.
        found[self.account[::-1]] = np.arange(len(self.position) - 1, -1, -1)
        return found


def gather(transfers: Sequence[Transfers], entries: Sequence[Entry], asset_ids: Mapping[bytes, int]) -> Postings:
    """Make the postings of transfers and of entries, in the order of positions."""
    numbers: dict[str, int] = {}
    holders: list[Holder] = []
    parts = [_of_transfers(each, numbers, holders, asset_ids) for each in transfers]
    if any(entry.postings for entry in entries):
        parts.append(_of_entries(entries, numbers, holders, asset_ids))
    rows = [np.concatenate(column) for column in zip(*(part[:4] for part in parts), strict=True)]
    amount = np.concatenate([part[4] for part in parts], axis=1)
    if np.any(rows[0][1:] < rows[0][:-1]):
        order = np.argsort(rows[0], kind="stable")
        rows, amount = [column[order] for column in rows], amount[:, order]
    return Postings(Numbering(list(numbers), holders), rows[0], rows[1], rows[2], rows[3], amount)


_Part = tuple[Integers, Integers, Integers, Integers, limbs.Numbers]


def _of_transfers(
    transfers: Transfers, numbers: dict[str, int], holders: list[Holder], asset_ids: Mapping[bytes, int]
) -> _Part:
    names = _names(transfers.holders)
    codes = np.array([_number(n, h, numbers, holders) for n, h in zip(names, transfers.holders, strict=True)], np.int64)
    count = len(transfers.position)
    amount = np.empty((limbs.LIMBS, count, 2), np.int64)
    amount[:, :, 0] = -transfers.amount
    amount[:, :, 1] = transfers.amount
    return (
        np.repeat(transfers.position, 2),
        np.tile(np.array([0, 1], np.int64), count),
        codes[transfers.legs],
        np.full(2 * count, asset_ids[transfers.token.address], np.int64),
        amount.reshape(limbs.LIMBS, -1),
    )


def _of_entries(
    entries: Sequence[Entry], numbers: dict[str, int], holders: list[Holder], asset_ids: Mapping[bytes, int]
) -> _Part:
    legs = [(entry.position, leg, posting) for entry in entries for leg, posting in enumerate(entry.postings)]
    columns = [
        [position for position, _, _ in legs],
        [leg for _, leg, _ in legs],
        [_number(posting.account.name, posting.account, numbers, holders) for _, _, posting in legs],
        [asset_ids[posting.asset] for _, _, posting in legs],
    ]
    position, leg, account, asset = (np.array(column, np.int64) for column in columns)
    return position, leg, account, asset, limbs.of_ints([posting.amount for _, _, posting in legs])


def _names(holders: Sequence[Holder]) -> list[str]:
    """Name accounts: wallets, the most of them by far, all at once."""
    text = b"".join([holder if isinstance(holder, bytes) else ZERO_ADDRESS for holder in holders]).hex()
    names = [f"{WALLET}{text[start : start + 40]}" for start in range(0, len(text), 40)]
    for number, holder in enumerate(holders):
        if isinstance(holder, Account):
            names[number] = holder.name
    return names


def _number(name: str, holder: Holder, numbers: dict[str, int], holders: list[Holder]) -> int:
    number = numbers.setdefault(name, len(holders))
    if number == len(holders):
        holders.append(holder)
    return number


@dataclass(frozen=True, slots=True)
class Balances:
    """``after`` each posting; and of each account and asset that was touched, the last posting."""

    after: limbs.Numbers
    last: npt.NDArray[np.intp]


def run(postings: Postings, opening: Callable[[int, int], int]) -> Balances:
    """Run the balances on.

    Args:
        postings: in order.
        opening: the balance of an account, by its number, in an asset, before the first posting.

    Raises:
        BeyondLimit: a balance would come to 10**38 or more, in either direction.
    """
    groups = limbs.grouped(postings.account * (int(postings.asset.max()) + 1) + postings.asset)
    last = groups.last
    pairs = zip(postings.account[last].tolist(), postings.asset[last].tolist(), strict=True)
    openings = limbs.of_ints([opening(account, asset) for account, asset in pairs])
    after = limbs.running(groups, openings, postings.amount)
    magnitudes, _ = limbs.magnitude(after)
    if limbs.any_reaches(magnitudes, AMOUNT_LIMIT):
        raise BeyondLimit
    return Balances(after, last)
