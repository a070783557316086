"""The fold of a log whose history is to be written down: its state and its holdings, and one run after the other."""

from deepnode_ledger.manifest import Manifest
from deepnode_ledger.roster import Roster
from deepnode_projections.books import Page
from deepnode_projections.kernel.driving import Kernel
from deepnode_projections.kernel.history import HistoryState
from deepnode_projections.kernel.holding import ColumnHoldings
from deepnode_projections.kernel.log_source import DecodedRun
from deepnode_projections.replay.holding import Beyond


class LogFold:
    """The books of a deployment in memory, with the history of its records, from position 0 on."""

    def __init__(self, manifest: Manifest) -> None:
        self.roster = Roster(manifest)
        self.state = HistoryState()
        self.holdings = ColumnHoldings(self.state.words, keeps=True)
        self._kernel = Kernel(self.roster, self.state, self.holdings)

    def feed(self, run: DecodedRun) -> tuple[Page, list[Beyond]]:
        """Fold the entries that follow, of which the roster has learned.

        Returns:
            What was refused and what has no meaning; and the entries that would take a balance too far.
        """
        page = Page()
        beyond = self._kernel.begin(run.decoded, run.entry_at).to(len(run.decoded.ops), page)
        page.quarantined += run.decoded.quarantined
        return page, beyond
