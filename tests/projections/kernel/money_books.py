"""Books kept twice, event by event: by the rules alone, and by the twins with the rules behind them."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from deepnode_ledger.account import BURN, MINT, UNATTRIBUTED, Account
from deepnode_ledger.decoding import ChainEvent
from deepnode_ledger.posting import AMOUNT_LIMIT, Entry
from deepnode_ledger.roster import Roster
from deepnode_projections.folds import running_balance
from deepnode_projections.folds.running_balance import BalanceKey
from deepnode_projections.kernel import ops
from deepnode_projections.kernel.holding import ColumnHoldings
from deepnode_projections.kernel.layout import values_of_cells
from deepnode_projections.kernel.loop import fold
from deepnode_projections.kernel.maps import Maps
from deepnode_projections.kernel.money_views import money_tables
from deepnode_projections.kernel.op_cells import CELLS, Of
from deepnode_projections.kernel.sides import BOTH
from deepnode_projections.kernel.split_profiles import SETTLED_BY, SplitProfiles
from deepnode_projections.kernel.state import HOT, ColumnState
from deepnode_projections.kernel.table import Table
from deepnode_projections.kernel.task_params import task_params
from deepnode_projections.kernel.task_tables import task_tables
from deepnode_projections.kernel.wide import amount_of_cells, cells_of_amount
from deepnode_projections.registers.record import Key, Record, Value, key_of, values_of
from deepnode_projections.registers.state import MemoryState, State
from deepnode_projections.rules import book
from deepnode_projections.rules.pockets import pocket_of
from deepnode_projections.rules.tokens import ZERO_ADDRESS
from tests.projections.rules.told import MANIFEST, scene

Posting = tuple[int, int, str, bytes, int, int]
"""Position, leg, account, token, amount, balance after it."""

Stood = tuple[str, int, tuple[Value, ...]]
"""What a record was from a position on: its table, the position, its values."""

_OPS = {("Token", "Transfer"): ops.TRANSFER, ("RevenueRouter", "RevenueReceived"): ops.RECEIVED}
_OPS["RevenueRouter", "RevenueSplit"] = ops.SPLIT


def put(event: ChainEvent, state: State, position: int) -> Entry | str:
    """Put an event to the rules: what it moves, or why it has no effect."""
    moved = book.apply(event, scene(state, position))
    if isinstance(moved, book.Refusal):
        return moved.reason
    return Entry(position, event.name, event.contract.name, tuple(moved))


class Ruled:
    """Books by the rules alone. ``stood`` is every version of every hot record; ``refused`` are reasons by position."""

    def __init__(self) -> None:
        self.state = MemoryState()
        self.balances: dict[BalanceKey, int] = {}
        self.postings: list[Posting] = []
        self.refused: list[tuple[int, str]] = []
        self.stood: list[Stood] = []
        self._known: dict[tuple[type[Record], Key], Record] = {}
        self._position = 0

    def tell(self, *events: ChainEvent) -> None:
        for event in events:
            self._position += 1
            done = put(event, self.state, self._position)
            if isinstance(done, str):
                self.refused.append((self._position, done))
                continue
            posted, beyond = running_balance.run(self.balances, [done])
            self.refused += [(each.position, each.reason) for each in beyond]
            self.postings += [
                (
                    each.position,
                    each.leg,
                    each.posting.account.name,
                    each.posting.asset,
                    each.posting.amount,
                    each.balance,
                )
                for each in posted
            ]
            for record in self.state.records():
                place = (type(record), key_of(record))
                if type(record) in HOT and self._known.get(place) != record:
                    self._known[place] = record
                    self.stood.append((type(record).TABLE, self._position, values_of(record)))


class Twinned:
    """Books by the twins, and by the rules where a twin leaves an event. ``done`` counts what twins did, by operation.

    ``left`` are the positions of events that a twin was asked to do and left.
    """

    def __init__(self) -> None:
        self.state = ColumnState(keeps=True)
        self.holdings = ColumnHoldings(self.state.words, keeps=True)
        self.profiles = SplitProfiles(Roster(MANIFEST), self.state, self.holdings)
        self.refused: list[tuple[int, str]] = []
        self.done: Counter[int] = Counter()
        self.left: list[int] = []
        self._position = 0

    def tell(self, *events: ChainEvent) -> None:
        for event in events:
            self._position += 1
            op = op_of(event)
            if op != ops.RULES and self._twin(op, event):
                self.done[op] += 1
                continue
            if op != ops.RULES:
                self.left.append(self._position)
            self.state.changed.clear()
            done = put(event, self.state, self._position)
            if self.state.changed & SETTLED_BY:
                self.profiles.forget()
            if isinstance(done, str):
                self.refused.append((self._position, done))
            else:
                self.refused += [(each.position, why.reason) for each, why in self.holdings.post([done])]

    def _twin(self, op: int, event: ChainEvent) -> bool:
        cells, maps = self._cells(op, event)
        for table in self.state.tables.values():
            table.make_room(1, 16)
        self.holdings.make_room(1)
        ops_, starts = np.array([ops.NOTHING, op], np.int8), np.array([0, 1], np.int64)
        params, tables = task_params(self.state, ()), task_tables(self.state)
        while True:
            views, money = self.holdings.views(self.profiles), money_tables(self.state)
            given = (ops_, starts, cells, self._position - 1, 0, 2, BOTH)
            is_done = bool(fold(*given, maps, params, tables, money, views) == 2)
            if is_done or not self.profiles.make_wanted():
                return is_done

    def _cells(self, op: int, event: ChainEvent) -> tuple[np.ndarray[Any, Any], Maps]:
        """The cells of an event behind one that is not its own, and the maps of a batch of it alone."""
        cells, words, accounts = [77], list[int](), list[int]()
        for cell in CELLS[op]:
            value: Any = event.contract.address if cell.name in ("contract", "token") else event.args[cell.name]
            if cell.of is Of.AMOUNT:
                cells += cells_of_amount(value)
            elif cell.of is Of.HOLDER:
                cells.append(len(accounts))
                accounts.append(self._account(value, is_giver=cell.name == "from"))
            else:
                cells.append(len(words))
                words.append(self.state.words.number(value))
        none = np.zeros(0, np.int64)
        maps = Maps(np.array(words, np.int64), none, np.array(accounts, np.int64), np.zeros(2, np.int64))
        return np.array(cells, np.int64), maps

    def _account(self, address: bytes, *, is_giver: bool) -> int:
        contract = MANIFEST.get(address)
        pockets: list[Account] = []
        if address == ZERO_ADDRESS:
            pockets = [MINT if is_giver else BURN]
        elif contract is not None:
            pockets = [pocket_of(contract, UNATTRIBUTED)]
        holders = np.array([-1 if pockets else 0], np.int64)
        ids = np.array([self.state.words.number(address)], np.int64)
        return int(self.holdings.accounts_of(holders, pockets, ids)[0])

    @property
    def postings(self) -> list[Posting]:
        """The postings since they were taken last."""
        return [
            (
                *(position, leg, self.holdings.holder(account).name, self.state.words[asset][:20]),
                *(amount_of_cells(*amount), amount_of_cells(*after)),
            )
            for position, leg, account, asset, *halves in self.holdings.take_postings().tolist()
            for amount, after in [(halves[:2], halves[2:])]
        ]

    @property
    def stood(self) -> list[Stood]:
        """Every version of every hot record, as the tables have them."""
        return [version for table in self.state.tables.values() for version in self._versions(table)]

    def _versions(self, table: Table) -> Sequence[Stood]:
        rows = [*table.take_old().tolist(), *table.cells[: table.rows].tolist()]
        values = [values_of_cells(table.layout, row, self.state.words, self.state.texts) for row in rows]
        name, since = table.layout.kind.TABLE, table.layout.since
        return [(name, row[since], tuple(found)) for row, found in zip(rows, values, strict=True)]


def op_of(event: ChainEvent) -> int:
    """The operation that an event is, if one row can say it: an amount that the books refuse is left to the rules."""
    op = _OPS.get((event.contract.kind, event.name), ops.RULES)
    is_sayable = all(event.args[cell.name] < AMOUNT_LIMIT for cell in CELLS[op] if cell.of is Of.AMOUNT)
    return op if is_sayable else ops.RULES
