"""Passes: a run of entries on its way through the rules or through the kernel, as far as one goes at a time."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

import pyarrow as pa

from deepnode_ledger.record import LogEntry
from deepnode_ledger.roster import Roster
from deepnode_projections.books import Page, Quarantined
from deepnode_projections.folding import fold
from deepnode_projections.registers.state import MemoryState
from deepnode_projections.replay.fed import Fed, Refused
from deepnode_projections.replay.holding import Beyond

if TYPE_CHECKING:
    from deepnode_projections.kernel.decoded import DecodedBatch
    from deepnode_projections.kernel.driving import Kernel

FEW_ENTRIES: Final = 24
"""So few are put to the rules one by one sooner than they are sorted into columns."""


class Way(Protocol):
    """What folds a run."""

    def to(self, stop: int, fed: Fed) -> None:
        """Fold from where it stands up to a row of the run (not included), and add what came of it."""


class ByRules:
    """Folds by the rules; transfers as columns, unless ``by_definition``."""

    def __init__(
        self,
        run: pa.RecordBatch,
        roster: Roster,
        state: MemoryState,
        post: Callable[[Page], list[Beyond]],
        *,
        by_definition: bool,
    ) -> None:
        """Begin with a run; ``post`` posts what a page moves, and returns what would go too far."""
        self._run = run
        self._roster = roster
        self._state = state
        self._post = post
        self._by_definition = by_definition
        self._row = 0

    def to(self, stop: int, fed: Fed) -> None:
        """Fold up to a row, page by page."""
        while self._row < stop:
            run = self._run.slice(self._row, stop - self._row)
            by_definition = self._by_definition or run.num_rows <= FEW_ENTRIES
            page, count = fold(run, self._roster, self._state, by_definition=by_definition)
            _add(fed, page, self._post(page), page.quarantined)
            fed.pages.append(page)
            self._row += count


class ByKernel:
    """Folds by the kernel."""

    def __init__(self, kernel: "Kernel", decoded: "DecodedBatch", entry_at: Callable[[int], LogEntry]) -> None:
        """Begin with a decoded run, of which the roster has learned; ``entry_at`` returns the entry of a row."""
        self._pass = kernel.begin(decoded, entry_at)
        self._quarantined = list(reversed(decoded.quarantined))
        self._first = decoded.first

    def to(self, stop: int, fed: Fed) -> None:
        """Fold up to a row."""
        page, quarantined = Page(), list[Quarantined]()
        beyond = self._pass.to(stop, page)
        while self._quarantined and self._quarantined[-1].position < self._first + stop:
            quarantined.append(self._quarantined.pop())
        _add(fed, page, beyond, [*quarantined, *page.quarantined])


def _add(fed: Fed, page: Page, beyond: list[Beyond], quarantined: list[Quarantined]) -> None:
    refused = [Refused(e.position, kind, source, why.reason) for e, kind, source, why in page.refusals]
    refused += [Refused(e.position, e.kind, e.contract, too_much.reason) for e, too_much in beyond]
    fed.refused.extend(sorted(refused, key=lambda each: each.position))
    fed.quarantined.extend(sorted(quarantined, key=lambda each: each.position))
