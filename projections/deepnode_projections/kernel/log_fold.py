"""The fold of a log whose history is to be written down: its state and its holdings, and one run after the other."""

from collections.abc import Callable

from deepnode_ledger.record import LogEntry
from deepnode_ledger.roster import Roster
from deepnode_projections.books import Page
from deepnode_projections.kernel.decoded import DecodedBatch
from deepnode_projections.kernel.driving import Kernel
from deepnode_projections.kernel.history import HistoryState
from deepnode_projections.kernel.holding import ColumnHoldings
from deepnode_projections.replay.holding import Beyond


class LogFold:
    """The books of a deployment in memory, with the history of its records.

    Args:
        roster: the contracts that are known.
        state: what is known; nothing, if left out.
        holdings: of its words; they keep their postings.
    """

    def __init__(
        self, roster: Roster, state: HistoryState | None = None, holdings: ColumnHoldings | None = None
    ) -> None:
        self.roster = roster
        self.state = state or HistoryState()
        self.holdings = holdings or ColumnHoldings(self.state.words, keeps=True)
        self._kernel = Kernel(self.roster, self.state, self.holdings)

    def feed(self, decoded: DecodedBatch, entry_at: Callable[[int], LogEntry]) -> tuple[Page, list[Beyond]]:
        """Fold the entries that follow, of which the roster has learned.

        Args:
            decoded: the entries.
            entry_at: returns the entry of a row, where the kernel leaves one to the rules.

        Returns:
            What was refused and what has no meaning; and the entries that would take a balance too far.
        """
        page = Page()
        beyond = self._kernel.begin(decoded, entry_at).to(len(decoded.ops), page)
        page.quarantined += decoded.quarantined
        return page, beyond
