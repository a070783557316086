"""Taking over: a replay that has become large goes on by the kernel, with all that it knows."""

from collections.abc import Callable, Mapping

import pyarrow as pa

from deepnode_ledger.account import Account, wallet
from deepnode_ledger.record import LogEntry
from deepnode_ledger.roster import Roster
from deepnode_projections.folds.running_balance import BalanceKey
from deepnode_projections.kernel.decoded import DecodedBatch
from deepnode_projections.kernel.driving import Kernel
from deepnode_projections.kernel.holding import ColumnHoldings
from deepnode_projections.kernel.log_source import run_of
from deepnode_projections.kernel.state import ColumnState
from deepnode_projections.kernel.wide import cells_of_amount
from deepnode_projections.posting_columns import WALLET
from deepnode_projections.registers.state import MemoryState
from deepnode_projections.replay.passes import ByKernel


class Compiled:
    """The ``state`` and the ``holdings`` of a replay as the kernel has them, and its way of folding."""

    def __init__(self, roster: Roster, state: MemoryState, balances: Mapping[BalanceKey, int]) -> None:
        """Take over what is known and held; the given state and balances are not to be used again."""
        self.state = ColumnState()
        self.state.take(state)
        self.holdings = ColumnHoldings(self.state.words)
        for (name, asset), amount in balances.items():
            # Of what is no wallet the name alone is known here, and that is what accounts are told apart by.
            is_wallet = name.startswith(WALLET)
            account = wallet(bytes.fromhex(name.removeprefix(WALLET))) if is_wallet else Account(name, "", b"", None)
            place = (self.holdings.account(account), self.state.words.number(asset))
            self.holdings.table.put((*place, *cells_of_amount(amount)), 0)
        self._roster = roster
        self._kernel = Kernel(roster, self.state, self.holdings)

    def way(self, run: pa.RecordBatch) -> ByKernel:
        """Begin with a run of entries; the roster learns of it."""
        made = run_of(run, self._roster)
        return self.decoded_way(made.decoded, made.entry_at)

    def decoded_way(self, decoded: DecodedBatch, entry_at: Callable[[int], LogEntry]) -> ByKernel:
        """Begin with a decoded run, of which the roster has learned."""
        return ByKernel(self._kernel, decoded, entry_at)
