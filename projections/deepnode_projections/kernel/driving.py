"""Driving: batch after batch through the loop, and through the rules what the loop leaves to them."""

import gc
from collections.abc import Callable, Iterator
from functools import cache
from operator import is_not
from typing import Any, Final

import numpy as np

from deepnode_ledger.batch import entries
from deepnode_ledger.record import Finality, LogEntry
from deepnode_ledger.roster import Roster
from deepnode_projections.books import Page
from deepnode_projections.folding import put
from deepnode_projections.kernel.addresses import addresses_of, fold
from deepnode_projections.kernel.decoded import DecodedBatch
from deepnode_projections.kernel.holding import ColumnHoldings
from deepnode_projections.kernel.loop import MANY_ROWS, NEW_ROWS, OLD_ROWS
from deepnode_projections.kernel.maps import Maps
from deepnode_projections.kernel.money_views import MoneyTables, MoneyViews, money_tables
from deepnode_projections.kernel.ops import AGREED, CREDITED, RULES, SPLIT
from deepnode_projections.kernel.sides import TASKS, Sides
from deepnode_projections.kernel.split_profiles import SETTLED_BY, SplitProfiles
from deepnode_projections.kernel.state import ColumnState
from deepnode_projections.kernel.table import KEEPS
from deepnode_projections.kernel.task_params import task_params
from deepnode_projections.kernel.task_tables import TaskTables, task_tables
from deepnode_projections.replay.holding import Beyond

WINDOW_ROWS: Final = 32_768
"""Operations for which room is made at a time, so that memory has a bound."""

FEWEST_ROWS: Final = 1_024
"""Operations for which there must be room left, or else room is made."""

ROWS_BY_RULES: Final = 64
"""Operations whose room an entry that is put to the rules may take."""


class Kernel:
    """Folds decoded batches into a state and its holdings."""

    def __init__(self, roster: Roster, state: ColumnState, holdings: ColumnHoldings) -> None:
        """Begin where the state stands.

        Args:
            roster: the contracts that are known; it has learned of a batch before that is folded.
            state: what is known; the rules and the loop both change it.
            holdings: the balances, likewise.
        """
        _leave_what_is_loaded()
        self._roster = roster
        self._state = state
        self._holdings = holdings
        self._profiles = SplitProfiles(roster, state, holdings)
        self._tokens = self._known_tokens()
        self._params = task_params(state, self._tokens)
        self._room = 0
        self._sides = Sides(may_part=not any(table.counts[KEEPS] for table in state.tables.values()))
        self._arrays: list[object] = []
        self._kept: tuple[TaskTables, MoneyTables, MoneyViews]
        self._addresses: Any

    def begin(self, decoded: DecodedBatch, entry_at: Callable[[int], LogEntry]) -> "Pass":
        """Begin with a batch, of which the roster has learned.

        Args:
            decoded: the batch.
            entry_at: returns the entry of a row that ``decoded.singles`` does not have.
        """
        state, tokens = self._state, self._known_tokens()
        if tokens != self._tokens:
            self._tokens = tokens
            self._params = task_params(state, tokens)
        ids = state.words.numbers(decoded.ids)
        bases = [state.words.enter_all(decoded.hashes), state.texts.enter_all(decoded.events, decoded.event_ends)]
        names = [state.texts.number(name) for name in decoded.names]
        accounts = self._holdings.accounts_of(decoded.holders, decoded.pockets, ids)
        maps = Maps(ids, np.array(names, np.int64), accounts, np.array(bases, np.int64))
        return Pass(self, decoded, maps, entry_at)

    def fold(self, batch: DecodedBatch, m: Maps, row: int, stop: int) -> Iterator[int]:
        """Do the operations of rows ``row`` to ``stop``, none of which is the rules' from the outset.

        Each row that has to be left to the rules is yielded, and is theirs until the next one is asked for.
        """
        while row < stop:
            if self._room < min(stop - row, FEWEST_ROWS):
                self._make_room()
            end = min(stop, row + self._room)
            self._room -= end - row
            yield from self._window(batch, m, row, end)
            row = end

    def _window(self, batch: DecodedBatch, m: Maps, row: int, stop: int) -> Iterator[int]:
        """Do the operations of rows for which there is room."""

        def do(side: int, begin: int) -> int:
            return int(fold(batch.ops, batch.starts, batch.cells, batch.first, begin, stop, side, m, params, where))

        at = dict.fromkeys(self._sides.of(stop - row), row)
        roomy: set[int] = set()
        while at:
            params, where = self._params, self._where()
            self._sides.run(do, at)
            for side, left in list(at.items()):
                if left == stop:
                    del at[side]
                elif side != TASKS and self._profiles.make_wanted():
                    continue
                elif batch.ops[left] in (AGREED, CREDITED, SPLIT) and left not in roomy:
                    # It may have stopped for want of room only.
                    roomy.add(left)
                    self._make_room(stop - min(at.values()))
                else:
                    yield left
                    at[side] = left + 1
                    self._make_room(stop - min(at.values()))

    def put(self, logged: LogEntry, page: Page) -> list[Beyond]:
        """Put an entry to the rules; what they refuse comes on the page, and what would go too far is returned."""
        self._room -= ROWS_BY_RULES
        self._state.changed.clear()
        put(page, logged, self._roster, self._state)
        if not self._state.changed.isdisjoint(SETTLED_BY):
            self._profiles.forget()
            self._params = task_params(self._state, self._tokens)
        moved = [entry for _, entry in page.entries]
        page.entries.clear()
        return self._holdings.post(moved)

    def _make_room(self, begun: int = 0) -> None:
        """Have room for what a window of operations may enter or replace, and for one of those that touch many rows.

        So many of these operations belong to a window that is not at its end: their room is no other one's.
        """
        for table in self._state.tables.values():
            table.make_room(NEW_ROWS * WINDOW_ROWS + 2 * MANY_ROWS, OLD_ROWS * WINDOW_ROWS + 2 * MANY_ROWS)
        self._holdings.make_room(WINDOW_ROWS)
        self._room = WINDOW_ROWS - begun

    def _where(self) -> Any:
        """Return the addresses of the arrays as they are now."""
        held = self._holdings.views(self._profiles)
        arrays: list[object] = [*(table.view() for table in self._state.tables.values()), *held]
        if len(arrays) != len(self._arrays) or any(map(is_not, arrays, self._arrays)):
            self._arrays = arrays
            self._kept = task_tables(self._state), money_tables(self._state), held
            self._addresses = addresses_of(*self._kept)
        return self._addresses

    def _known_tokens(self) -> list[bytes]:
        manifest = self._roster.manifest
        return [each.address for each in self._roster.on(manifest.chain_id) if each.kind == "Token"]


class Pass:
    """One batch on its way through the kernel, from its first row on."""

    def __init__(self, kernel: Kernel, decoded: DecodedBatch, maps: Maps, entry_at: Callable[[int], LogEntry]) -> None:
        self._kernel = kernel
        self._decoded = decoded
        self._maps = maps
        self._entry_at = entry_at
        self._singles: Iterator[LogEntry] = entries(decoded.singles, Finality.SEALED)
        self._row = 0
        self._barriers = np.flatnonzero(decoded.ops == RULES).tolist()
        self._barriers.reverse()

    def to(self, stop: int, page: Page) -> list[Beyond]:
        """Fold up to a row (not included).

        What the rules refuse comes on the page; entries that would take a balance too far are returned.
        """
        beyond: list[Beyond] = []
        while True:
            end = min(stop, self._barriers[-1]) if self._barriers else stop
            for row in self._kernel.fold(self._decoded, self._maps, self._row, end):
                beyond += self._put(row, self._entry_at(row), page)
            self._row = end
            if end == stop:
                return beyond
            self._barriers.pop()
            beyond += self._put(end, next(self._singles), page)
            self._row = end + 1

    def _put(self, row: int, logged: LogEntry, page: Page) -> list[Beyond]:
        assert logged.position == self._decoded.first + row, (logged.position, row)
        return self._kernel.put(logged, page)


@cache
def _leave_what_is_loaded() -> None:
    """Let the collector of garbage pass over all that is there, once a process.

    The compiler alone has some hundred thousand objects, which live as long as the process; to walk them takes as long
    as to fold some hundred thousand entries, and a replay makes just enough objects for one such walk.
    """
    gc.freeze()
