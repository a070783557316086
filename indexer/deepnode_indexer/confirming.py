"""Confirming: what waits in the tail is shown to be complete before it is sealed.

The tail takes in what one provider says of a block when it is seconds old. Once the block is final the provider has
had time to find all of its logs, so the range is fetched again with its evidence and compared with what waits. If they
differ, the receipts decide; what they show replaces what waited.
"""

from collections.abc import Iterator
from typing import Final

from deepnode_indexer import chain_logs
from deepnode_indexer.changes import Change, Doubted, Repaired
from deepnode_indexer.completeness import Disputed, Examiner, Shown
from deepnode_indexer.rpc import BadAnswer
from deepnode_indexer.watched import Watched
from deepnode_ledger.evidence import Hold, describe
from deepnode_ledger.log import Log
from deepnode_ledger.record import BlockRef

SEAL_BLOCKS: Final = 150
"""Final entries are sealed once there are enough of them for a batch, or this many blocks waited (five minutes on
Base): tiny batches cost space, and waiting longer serves nobody."""

CONFIRMED_BLOCKS: Final = 1_000
"""Blocks confirmed in one step, so that memory has a bound after a long outage."""


class Confirmer:
    """Seals the tail of one chain, behind its evidence."""

    def __init__(self, examiner: Examiner, log: Log, watched: Watched, *, seal_entries: int) -> None:
        self._examiner = examiner
        self._log = log
        self._watched = watched
        self._seal_entries = seal_entries

    def seal(self, final: BlockRef | None, *, entries_min: int | None = None) -> Iterator[Change]:
        """Confirm and seal what waits up to ``final``, a covered block; nothing while too little waits.

        Raises:
            Disputed: what waits could not be confirmed; it is held.
            TryAgain: as for ``Follower.sync``.
        """
        if final is None:
            return
        first = self._log.first_unsealed()
        wanted = self._seal_entries if entries_min is None else entries_min
        if final.number - first < SEAL_BLOCKS and self._log.waiting(final.number) < wanted:
            return
        hashes = {header.block.number: header.block for header in self._log.headers()}
        while first <= final.number:
            last = min(first + CONFIRMED_BLOCKS - 1, final.number)
            try:
                shown = self._confirm(first, last, hashes[last])
            except Disputed as dispute:
                if self._log.hold(Hold(dispute.first, dispute.last, dispute.reason)):
                    yield Doubted(dispute.first, dispute.last, dispute.reason, settled=False)
                raise
            if shown.dispute is not None:
                yield Doubted(shown.dispute.first, shown.dispute.last, shown.dispute.reason, settled=True)
            if shown.proof:
                repaired = self.replace(first, last, shown)
                if repaired is not None:
                    yield repaired
            sealed = self._log.seal(hashes[last], why=describe(shown.evidence), evidence=shown.evidence)
            if sealed is not None:
                yield sealed
            first = last + 1

    def replace(self, first: int, last: int, proven: Shown) -> Repaired | None:
        """Put what is proven in the place of what waits, and let go of the hold; None if they are the same."""
        logs = self._watched.counting(proven.range.logs)
        waiting = self._log.waiting_logs(first, last)
        changed = chain_logs.digest(logs) != chain_logs.digest(waiting)
        if changed:
            self._log.replace(first, last, logs)
            self._watched.forget()
        self._log.release(first, last)
        return Repaired(first, last, waiting.num_rows, logs.num_rows) if changed else None

    def _confirm(self, first: int, last: int, block: BlockRef) -> Shown:
        """Fetch what waits once more, with evidence; where it differs, with proof."""
        addresses = self._watched.addresses
        if any(held.first <= last and held.last >= first for held in self._log.holds()):
            shown = self._examiner.prove(first, last, addresses)
        else:
            shown = self._examiner.show(first, last, addresses)
        if shown.range.last.block.hash != block.hash:
            raise BadAnswer(f"block {last} is covered with another hash than the one that is final: look again")
        waiting = self._log.waiting_logs(first, last)
        found = self._watched.counting(shown.range.logs)
        if shown.proof or chain_logs.digest(found) == chain_logs.digest(waiting):
            return shown
        counts = f"{waiting.num_rows} logs came with the blocks, {found.num_rows} once they were final"
        dispute = Disputed(first, last, counts)
        try:
            proven = self._examiner.prove(first, last, addresses)
        except Disputed as error:
            raise Disputed(first, last, f"{counts}; nothing decides: {error}") from error
        return Shown(proven.range, proven.evidence, proof=True, dispute=dispute)
