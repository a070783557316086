"""Holdings: every account's balance, in memory. The rule is that of the books' running balances.

An entry that would take a balance to 10**38 or beyond has no effect, and says so. Transfers come as columns and are
added as such; only where one of them would go too far does each become an entry of its own, for the rule to judge.
"""

from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from itertools import islice
from typing import Final

import numpy as np

from deepnode_ledger.account import Account, wallet
from deepnode_ledger.posting import Entry, postings
from deepnode_projections import posting_columns
from deepnode_projections.folds import limbs, running_balance
from deepnode_projections.folds.running_balance import BalanceKey, TooMuch
from deepnode_projections.folds.transfers import TRANSFER, Transfers
from deepnode_projections.posting_columns import BeyondLimit
from deepnode_projections.registers.state import Lines
from deepnode_projections.state_root import balance_lines

Beyond = tuple[Entry, TooMuch]
"""An entry without effect, and why it has none."""

_WORD: Final = (1 << 32) - 1


class Holdings:
    """``balances``: base units by account name and token address (20 bytes). Some may be zero."""

    def __init__(self, balances: dict[BalanceKey, int] | None = None) -> None:
        self.balances: dict[BalanceKey, int] = {} if balances is None else balances
        self._order: list[BalanceKey] = []

    def post(self, transfers: Sequence[Transfers], entries: Sequence[Entry]) -> list[Beyond]:
        """Add what transfers and entries move, in the order of positions; return the entries without effect.

        Args:
            transfers: columns of transfers that moved something.
            entries: what else moved, in the order of positions.
        """
        if transfers:
            try:
                self._add(transfers, entries)
            except BeyondLimit:
                each_alone = (_entries_of(each) for each in transfers)
                return self._post(list(merge(*each_alone, entries, key=lambda entry: entry.position)))
            return []
        return self._post(entries)

    def sums(self) -> dict[bytes, int]:
        """Add all accounts up, by token: each sum is zero, as value is only moved."""
        found: dict[bytes, int] = {}
        for (_, asset), amount in self.balances.items():
            found[asset] = found.get(asset, 0) + amount
        return found

    def in_order(self) -> Iterable[tuple[str, bytes, int]]:
        """Yield the balances other than zero: account name, token address, base units, sorted by bytes."""
        # What came since the last time stands last in the dictionary: nothing is ever removed from it.
        self._order += islice(self.balances, len(self._order), None)
        # Text has the order of its UTF-8 bytes.
        self._order.sort()
        return ((name, asset, amount) for name, asset in self._order if (amount := self.balances[name, asset]))

    def lines(self) -> Iterator[Lines]:
        """Yield the lines of the balances other than zero in the state root."""
        return iter(balance_lines(self.in_order()))

    def _post(self, entries: Sequence[Entry]) -> list[Beyond]:
        if not entries:
            return []
        _, refused = running_balance.run(self.balances, entries)
        if not refused:
            return []
        reasons = {each.position: each for each in refused}
        return [(entry, reasons[entry.position]) for entry in entries if entry.position in reasons]

    def _add(self, transfers: Sequence[Transfers], entries: Sequence[Entry]) -> None:
        tokens = [each.token.address for each in transfers]
        tokens += [posting.asset for entry in entries for posting in entry.postings]
        assets = list(dict.fromkeys(tokens))
        made = posting_columns.gather(transfers, entries, {asset: number for number, asset in enumerate(assets)})
        names, held = made.accounts.names, self.balances
        run = posting_columns.run(made, lambda account, asset: held.get((names[account], assets[asset]), 0))
        accounts, tokens_of = made.account[run.last].tolist(), made.asset[run.last].tolist()
        for account, asset, amount in zip(accounts, tokens_of, _ints(run.after[:, run.last]), strict=True):
            held[names[account], assets[asset]] = amount


def _entries_of(transfers: Transfers) -> Iterator[Entry]:
    """Make an entry of each transfer, as the rule for ``Transfer`` does."""
    accounts = [each if isinstance(each, Account) else wallet(each) for each in transfers.holders]
    token, legs = transfers.token, transfers.legs.reshape(-1, 2).tolist()
    for position, (giver, taker), amount in zip(
        transfers.position.tolist(), legs, _ints(transfers.amount), strict=True
    ):
        moves = [(accounts[giver], -amount), (accounts[taker], amount)]
        yield Entry(position, TRANSFER.name, token.name, postings(token.address, moves))


def _ints(numbers: limbs.Numbers) -> list[int]:
    """Read a column of limbs as Python's integers."""
    words = (limbs.normal(numbers) & _WORD).astype("<u4")
    octets = np.ascontiguousarray(words.T).tobytes()
    return [int.from_bytes(octets[start : start + 16], "little", signed=True) for start in range(0, len(octets), 16)]
