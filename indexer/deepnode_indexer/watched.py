"""Whose logs are asked for: a chain's contracts, and the children that their factories make as the chain goes on.

Who is watched follows from the log alone. So it is read from the log at the start, grows with the logs that come in,
and is read again after anything that went wrong.
"""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from deepnode_ledger.batch import entries, from_rows, row_of
from deepnode_ledger.log import Log
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.record import Block, BlockRef, ChainLog, Finality
from deepnode_ledger.roster import Roster
from deepnode_ledger.snapshot import snapshot


class Watched:
    """The watched addresses of one chain."""

    def __init__(
        self,
        log: Log,
        manifest: Manifest,
        unknown: Callable[[Counter[tuple[bytes, bytes | None]]], None] = lambda _unknown: None,
    ) -> None:
        self._log = log
        self._unknown = unknown
        self._manifest = manifest
        self._roster: Roster | None = None

    @property
    def addresses(self) -> list[bytes]:
        """The contracts' addresses (20 bytes each), those of known children included."""
        return self._known().addresses(self._log.chain_id)

    def forget(self) -> None:
        """Read from the log again when next asked: what was learned may not have been kept."""
        self._roster = None

    def reorged(self, above: int) -> None:
        """Unlearn the children that were made in blocks above ``above``."""
        if self._roster is not None:
            self._roster.forget_blocks(self._log.chain_id, above)

    def learn(self, logs: pa.RecordBatch) -> None:
        """Learn the children that logs of a range make."""
        self._known().learn(logs)

    def learn_blocks(self, blocks: Sequence[Block]) -> None:
        """Learn the children that logs of the tail make."""
        logs = ((block.header.block, log) for block in blocks for log in block.logs)
        self._known().learn_logs(self._log.chain_id, logs)

    def counting(self, logs: pa.RecordBatch) -> pa.RecordBatch:
        """Leave out what a child's address logged before its factory made it: it was not the child's yet."""
        if not self._manifest.has_factories or not logs.num_rows:
            return logs
        keep = []
        for entry in entries(logs, Finality.SEALED):
            assert isinstance(entry.record, ChainLog), entry.position
            keep.append(self._counts(entry.block, entry.record))
        return logs if all(keep) else _renumbered(logs.filter(pa.array(keep)))

    def counting_blocks(self, blocks: Sequence[Block]) -> list[Block]:
        """Leave the same out of blocks of the tail."""
        if not self._manifest.has_factories:
            return list(blocks)
        return [
            Block(block.header, tuple(log for log in block.logs if self._counts(block.header.block, log)))
            for block in blocks
        ]

    def count_unknown(self, logs: pa.RecordBatch) -> None:
        """Tell which of the logs no ABI gives a meaning."""
        if logs.num_rows and (unknown := self._known().unknown(logs)):
            self._unknown(unknown)

    def count_unknown_blocks(self, blocks: Sequence[Block]) -> None:
        """Tell the same of blocks of the tail."""
        placed = [(block.header.block, log) for block in blocks for log in block.logs]
        if placed:
            rows = [row_of(n, self._log.chain_id, block, log) for n, (block, log) in enumerate(placed, start=1)]
            self.count_unknown(from_rows(rows))

    def _counts(self, block: BlockRef, log: ChainLog) -> bool:
        return self._known().get(log.address, self._log.chain_id, (block.number, log.log_index)) is not None

    def _known(self) -> Roster:
        if self._roster is None:
            with snapshot(self._log.datastore) as view:
                self._roster = Roster.load(view, self._manifest)
        return self._roster


def _renumbered(logs: pa.RecordBatch) -> pa.RecordBatch:
    positions = pa.array(np.arange(1, logs.num_rows + 1, dtype=np.int64))
    return logs.set_column(0, logs.schema.field(0), positions)
