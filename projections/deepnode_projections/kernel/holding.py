"""Holdings in columns: every account's balance as a row of cells, for the kernel and for the rules alike.

The rule is that of the books' running balances (``folds.running_balance``), which is asked itself for what the rules
return: an entry that would take a balance to 10**38 or beyond has no effect, and says so.

Accounts have numbers, in the order in which they were first asked for; one may have a number and never a posting. A
wallet is found by the number of its address's word, so that no object is made for any of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np
from typing_extensions import override

from deepnode_ledger.account import Account, wallet
from deepnode_ledger.hexadecimal import ADDRESS_BYTES
from deepnode_ledger.posting import Entry
from deepnode_projections.folds import running_balance
from deepnode_projections.folds.running_balance import BalanceKey, Posted
from deepnode_projections.kernel.holding_lines import lines
from deepnode_projections.kernel.layout import layout_of
from deepnode_projections.kernel.money_views import LEGS_COUNT, MOVES_CARRIED, MoneyViews
from deepnode_projections.kernel.order import by_octets
from deepnode_projections.kernel.room import grown
from deepnode_projections.kernel.table import ROWS_MAX, Cells, Table
from deepnode_projections.kernel.texts import Texts
from deepnode_projections.kernel.touching import Touched
from deepnode_projections.kernel.wide import amount_of_cells, cells_of_amount
from deepnode_projections.kernel.words import Words
from deepnode_projections.posting_columns import WALLET
from deepnode_projections.registers.record import Amount
from deepnode_projections.registers.state import Lines
from deepnode_projections.replay.holding import Beyond

if TYPE_CHECKING:
    from deepnode_projections.kernel.split_profiles import SplitProfiles

POSITION: Final = 0
LEG: Final = 1
ACCOUNT: Final = 2
ASSET: Final = 3
AMOUNT: Final = 4
AFTER: Final = 6
"""Cells of a posting; ``ACCOUNT`` is the account's number and ``ASSET`` the word of the token's address. ``AMOUNT`` and
``AFTER``, the balance after it, are two cells each, the lower and the upper 64 bits."""

POSTING_WIDTH: Final = 8

POSTINGS_MAX: Final = LEGS_COUNT + 2
"""An entry that a twin of a rule does has no more postings: a split's, from escrow to the legs and suspense."""

POSTINGS: Final = 0
KEEPS: Final = 1
"""Places in ``ColumnHoldings.counts``: postings, and whether they are kept (1) or not (0)."""

_FEWEST: Final = 1_024
_HALF: Final = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Balance:
    """What an account, by its number, has in an asset, by the word of the token's address, in base units."""

    TABLE: ClassVar[str] = "balance"
    KEY: ClassVar[int] = 2

    account: int
    asset: int
    amount: Amount


LAYOUT: Final = layout_of(Balance)
BALANCE: Final = LAYOUT.at("amount")
BALANCE_SINCE: Final = LAYOUT.since
BALANCE_SAME: Final = LAYOUT.same
"""Where in a row of ``Balance`` the amount is, the position of the last posting, and the row before of its account."""


class ColumnHoldings:
    """Balances, and if wanted all postings since they were taken last.

    ``table`` has the rows of ``Balance``, ``postings`` (POSTING_WIDTH cells a row, room behind them) what is kept.
    ``pockets`` are the accounts that are no wallets.
    """

    def __init__(self, words: Words, *, keeps: bool = False) -> None:
        """Begin with nothing held.

        Args:
            words: of the state; those of addresses and tokens are among them.
            keeps: keep every posting for whoever writes them down.
        """
        self.table = Table(LAYOUT, by_first=False)
        self.postings: Cells = np.zeros((_FEWEST if keeps else 0, POSTING_WIDTH), np.int64)
        self.counts: Cells = np.array([0, int(keeps)], np.int64)
        self.pockets: list[Account] = []
        self._moves: Cells = np.zeros(MOVES_CARRIED + LEGS_COUNT, np.int64)
        self._words = words
        self._pocket_numbers: dict[str, int] = {}
        self._pocket_names = Texts()
        self._of_word: Cells = np.zeros(_FEWEST, np.int32)
        self._words_known = 0
        self._touched = Touched()
        self._who: Cells = np.zeros(_FEWEST, np.int64)
        self._count = 0

    @property
    def balances(self) -> Mapping[BalanceKey, int]:
        """Base units by account name and token address (20 bytes); some may be zero."""
        return _Balances(self)

    @property
    def who(self) -> Cells:
        """Whose each account is, by its number: the word of a wallet's address, or -1 - n for ``pockets[n]``."""
        return self._who[: self._count]

    def account(self, holder: Account) -> int:
        """Return the number of an account, which is given one if it has none."""
        found = self._pocket_numbers.get(holder.name)
        if found is not None:
            return found
        if holder.name.startswith(WALLET):
            word = self._words.number(holder.key)
            return int(self.accounts_of(np.zeros(1, np.int64), (), np.array([word], np.int64))[0])
        number = self._pocket_numbers[holder.name] = self._enrol(np.array([-1 - len(self.pockets)], np.int64))
        self.pockets.append(holder)
        self._pocket_names.enter(holder.name)
        return number

    def accounts_of(self, holders: Cells, pockets: Sequence[Account], ids: Cells) -> Cells:
        """Return the numbers of a batch's holders, as its maps have them.

        Args:
            holders: of the batch (see ``DecodedBatch``).
            pockets: of the batch.
            ids: the word of each of the batch's ids.
        """
        if len(self._of_word) < self._words.count:
            self._of_word, self._touched = grown(self._of_word, self._words_known, self._words.count), Touched()
        self._words_known = self._words.count
        if self._words_known >= self._touched.due:
            self._touched.follow(self._of_word, self._words_known)
        are_wallets = holders >= 0
        words = ids[holders[are_wallets]]
        new = words[self._of_word[words] == 0]
        self._of_word[new] = self._enrol(new) + np.arange(1, len(new) + 1)
        found = np.empty(len(holders), np.int64)
        found[are_wallets] = self._of_word[words] - 1
        for place in np.flatnonzero(~are_wallets).tolist():
            found[place] = self.account(pockets[-1 - int(holders[place])])
        return found

    def holder(self, number: int) -> Account:
        """Return an account by its number."""
        who = int(self._who[number])
        return wallet(self._words[who][:ADDRESS_BYTES]) if who >= 0 else self.pockets[-1 - who]

    def make_room(self, entries: int) -> None:
        """Have room for what so many entries move; arrays may be replaced.

        An entry makes two new balances at most. Of splits, which have more, only few do: one for which there is no room
        is left to the rules.
        """
        self.table.make_room(2 * entries + POSTINGS_MAX)
        self._make_room_for_postings(POSTINGS_MAX * entries)

    def views(self, profiles: "SplitProfiles") -> MoneyViews:
        """Return the arrays of holdings and profiles as they are now: until there is room made, or a profile."""
        return MoneyViews(
            self.table.view(), self.postings, self.counts, profiles.table.view(), profiles.wanted, self._moves
        )

    def post(self, entries: Sequence[Entry]) -> list[Beyond]:
        """Add what entries move, in the order of positions; return those without effect."""
        if not entries:
            return []
        places: dict[BalanceKey, tuple[int, int]] = {}
        for entry in entries:
            for posting in entry.postings:
                key = (posting.account.name, posting.asset)
                places[key] = self.account(posting.account), self._words.number(posting.asset)
        held = {key: amount for key, place in places.items() if (amount := self._amount(*place))}
        posted, refused = running_balance.run(held, entries)
        self._make_room_for_postings(len(posted))
        for each in posted:
            self._add(each, *places[each.posting.account.name, each.posting.asset])
        reasons = {each.position: each for each in refused}
        return [(entry, reasons[entry.position]) for entry in entries if entry.position in reasons]

    def take_postings(self) -> Cells:
        """Return the postings since they were taken last, in their order, and forget them."""
        taken = self.postings[: int(self.counts[POSTINGS])].copy()
        self.counts[POSTINGS] = 0
        return taken

    def sums(self) -> dict[bytes, int]:
        """Add all accounts up, by token: each sum is zero, as value is only moved."""
        cells = self.table.cells[: self.table.rows]
        assets, group = np.unique(cells[:, 1], return_inverse=True)
        low, high = cells[:, BALANCE], cells[:, BALANCE + 1]
        totals = [0] * len(assets)
        for place, part in enumerate((low & _HALF, (low >> 32) & _HALF, high & _HALF, high >> 32)):
            added = np.zeros(len(assets), np.int64)
            np.add.at(added, group, part)
            totals = [total + (each << (32 * place)) for total, each in zip(totals, added.tolist(), strict=True)]
        return {self._asset(asset): total for asset, total in zip(assets.tolist(), totals, strict=True)}

    def in_order(self) -> Iterator[tuple[str, bytes, int]]:
        """Yield the balances other than zero: account name, token address, base units, sorted by bytes."""
        cells = self.table.cells[self._rows_in_order()]
        names = self._names(cells[:, 0])
        for name, (_, asset, low, high, *_) in zip(names, cells.tolist(), strict=True):
            if low or high:
                yield name, self._asset(asset), amount_of_cells(low, high)

    def lines(self) -> Iterator[Lines]:
        """Yield the lines of the balances other than zero in the state root, many of them in a piece."""
        return lines(self.table.cells, self._rows_in_order(), self.who, self._words.data, self._pocket_names)

    def keys(self) -> Iterator[BalanceKey]:
        """Yield the account names and token addresses of which there are balances, zeros among them."""
        cells = self.table.cells[: self.table.rows]
        for name, asset in zip(self._names(cells[:, 0]), cells[:, 1].tolist(), strict=True):
            yield name, self._asset(asset)

    def find(self, name: str, asset: bytes) -> int:
        """Return the row of a balance, or -1."""
        number = self._pocket_numbers.get(name)
        if number is None and name.startswith(WALLET):
            word = self._words.number(bytes.fromhex(name.removeprefix(WALLET)))
            number = int(self._of_word[word]) - 1 if word < self._words_known else -1
        return -1 if number is None or number < 0 else self.table.row_of((number, self._words.number(asset)))

    def _make_room_for_postings(self, more: int) -> None:
        count = int(self.counts[POSTINGS])
        if self.counts[KEEPS] and count + more > len(self.postings):
            self.postings = grown(self.postings, count, count + more)

    def _enrol(self, who: Cells) -> int:
        """Give accounts the next numbers; return the first."""
        first, count = self._count, self._count + len(who)
        assert count <= ROWS_MAX, count
        if count > len(self._who):
            self._who = grown(self._who, first, count)
        self._who[first:count] = who
        self._count = count
        return first

    def _names(self, accounts: Cells) -> list[str]:
        """Name accounts by their numbers: wallets, the most of them by far, all at once."""
        who = self._who[accounts]
        text = self._words.octets()[np.maximum(who, 0), :ADDRESS_BYTES].tobytes().hex()
        return [
            f"{WALLET}{text[start : start + 40]}" if each >= 0 else self.pockets[-1 - each].name
            for each, start in zip(who.tolist(), range(0, len(text), 40), strict=True)
        ]

    def _rows_in_order(self) -> Cells:
        """Return the rows of all balances, in the order of the accounts' names and the tokens' addresses."""
        who = self.who
        wallets = np.flatnonzero(who >= 0)
        wallets = wallets[by_octets(self._words.data, who[wallets])]
        # Text has the order of its UTF-8 bytes. No pocket is named like a wallet.
        pockets = [self._pocket_numbers[name] for name in sorted(self._pocket_numbers)]
        before = sum(name < WALLET for name in self._pocket_numbers)
        ranks = np.empty(len(who), np.int64)
        ranks[np.concatenate([np.array(part, np.int64) for part in (pockets[:before], wallets, pockets[before:])])] = (
            np.arange(len(who))
        )
        cells = self.table.cells[: self.table.rows]
        assets, asset = np.unique(cells[:, 1], return_inverse=True)
        asset_ranks = np.empty(len(assets), np.int64)
        asset_ranks[by_octets(self._words.data, assets)] = np.arange(len(assets))
        return np.argsort(ranks[cells[:, 0]] * len(assets) + asset_ranks[asset])

    def _asset(self, word: int) -> bytes:
        return self._words[word][:ADDRESS_BYTES]

    def _amount(self, account: int, asset: int) -> int:
        row = self.table.row_of((account, asset))
        return 0 if row < 0 else amount_of_cells(*self.table.cells[row, BALANCE : BALANCE + 2].tolist())

    def _add(self, posted: Posted, account: int, asset: int) -> None:
        balance = cells_of_amount(posted.balance)
        self.table.put((account, asset, *balance), posted.position)
        if self.counts[KEEPS]:
            amount = cells_of_amount(posted.posting.amount)
            self.postings[self.counts[POSTINGS]] = (posted.position, posted.leg, account, asset, *amount, *balance)
            self.counts[POSTINGS] += 1


class _Balances(Mapping[BalanceKey, int]):
    """The balances, found by name."""

    def __init__(self, holdings: ColumnHoldings) -> None:
        self._holdings = holdings

    @override
    def __getitem__(self, key: BalanceKey) -> int:
        row = self._holdings.find(*key)
        if row < 0:
            raise KeyError(key)
        return amount_of_cells(*self._holdings.table.cells[row, BALANCE : BALANCE + 2].tolist())

    @override
    def __iter__(self) -> Iterator[BalanceKey]:
        return self._holdings.keys()

    @override
    def __len__(self) -> int:
        return self._holdings.table.rows
