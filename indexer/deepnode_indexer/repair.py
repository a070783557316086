"""Repair: one range of blocks fetched once more, with the receipts of every block, and compared with the log.

What waits in the tail is replaced where it differs, what was held before the tip is put in, and what is sealed is only
compared: it cannot be changed, so a difference there is told and nothing is done; if there is none, the proof is kept.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from deepnode_indexer import chain_logs
from deepnode_indexer.completeness import Examiner, Shown
from deepnode_indexer.confirming import Confirmer
from deepnode_indexer.following import SEAL_ENTRIES
from deepnode_indexer.watched import Watched
from deepnode_ledger.batch import EMPTY
from deepnode_ledger.errors import BadInput
from deepnode_ledger.evidence import describe
from deepnode_ledger.log import Log
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.record import Kind
from deepnode_ledger.snapshot import snapshot

STEP_BLOCKS: Final = 500
"""Blocks fetched in one step, so that memory has a bound."""


class Part(StrEnum):
    """Where a repaired range stands in the log."""

    SEALED = "sealed"
    WAITING = "waiting"
    NEW = "new"


@dataclass(frozen=True, slots=True)
class Compared:
    """Blocks ``first`` to ``last``: the log had ``before`` logs of them, the proof has ``after``; ``same`` if alike."""

    part: Part
    first: int
    last: int
    before: int
    after: int
    same: bool


class Repairer:
    """Compares ranges of a chain with their proof, and mends what may be mended."""

    def __init__(self, examiner: Examiner, log: Log, manifest: Manifest) -> None:
        self._examiner = examiner
        self._log = log
        self._watched = Watched(log, manifest)
        self._confirmer = Confirmer(examiner, log, self._watched, seal_entries=SEAL_ENTRIES)

    def run(self, first: int, last: int) -> Iterator[Compared]:
        """Fetch blocks ``first`` to ``last`` with proof and make the log agree with it, as far as it is not sealed.

        Raises:
            BadInput: the range begins before the log does or ends behind what is final, or leaves blocks out.
            completeness.Disputed: nobody can prove the range.
            TryAgain: no provider answers, or the database is away.
        """
        chain = self._log.chain()
        finalized = self._examiner.providers.call(lambda provider: provider.tags()).finalized
        tip = chain.first_block - 1 if chain.tip is None else chain.tip.number
        final = -1 if finalized is None else finalized.block.number
        if not chain.first_block <= first <= last:
            raise BadInput(f"a range is like 100..200 and begins at block {chain.first_block} or later")
        if last > max(final, tip):
            raise BadInput(f"block {last} is not final yet: the newest final one is {final}")
        if first > tip + 1:
            raise BadInput(f"the log is covered up to block {tip}, so a repair begins at {tip + 1} or before")
        unsealed = self._log.first_unsealed()
        for low, high in ((first, min(last, unsealed - 1)), (max(first, unsealed), min(last, tip))):
            for start in range(low, high + 1, STEP_BLOCKS):
                yield self._compared(start, min(start + STEP_BLOCKS - 1, high), is_sealed=high < unsealed)
        for start in range(max(first, tip + 1), last + 1, STEP_BLOCKS):
            yield self._added(start, min(start + STEP_BLOCKS - 1, last))

    def _compared(self, first: int, last: int, *, is_sealed: bool) -> Compared:
        proven = self._proven(first, last)
        logs = self._watched.counting(proven.range.logs)
        if not is_sealed:
            before = self._log.waiting_logs(first, last).num_rows
            repaired = self._confirmer.replace(first, last, proven)
            return Compared(Part.WAITING, first, last, before, logs.num_rows, same=repaired is None)
        held = self._sealed_logs(first, last)
        same = chain_logs.digest(held) == chain_logs.digest(logs)
        if same:
            self._log.show(proven.evidence)
        return Compared(Part.SEALED, first, last, held.num_rows, logs.num_rows, same=same)

    def _added(self, first: int, last: int) -> Compared:
        proven = self._proven(first, last)
        logs = self._watched.counting(proven.range.logs)
        why = describe(proven.evidence)
        self._log.append_finalized(first, proven.range.last, logs, why, evidence=proven.evidence, release=True)
        return Compared(Part.NEW, first, last, 0, logs.num_rows, same=not logs.num_rows)

    def _proven(self, first: int, last: int) -> Shown:
        """Prove a range, and once more while its logs make children whose logs were not asked for."""
        while True:
            asked = self._watched.addresses
            proven = self._examiner.prove(first, last, asked)
            self._watched.learn(proven.range.logs)
            if self._watched.addresses == asked:
                return proven

    def _sealed_logs(self, first: int, last: int) -> pa.RecordBatch:
        chain_id = self._log.chain_id
        with snapshot(self._log.datastore) as view:
            begin = view.last_position_at_block(chain_id, first - 1) + 1
            end = view.last_position_at_block(chain_id, last)
            found = [
                batch.filter(
                    pc.and_(
                        pc.equal(batch.column("chain_id"), chain_id),
                        pc.and_(
                            pc.equal(batch.column("kind"), int(Kind.CHAIN_LOG)),
                            pc.greater_equal(batch.column("block_number"), first),
                        ),
                    )
                )
                for batch in (view.read(begin, end) if begin <= end else ())
            ]
        return pa.concat_batches(found) if found else EMPTY
