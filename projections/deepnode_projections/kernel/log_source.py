"""The log as a source of decoded runs: what was decoded before comes from the cache, and no batch of it is read."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Final

import numpy as np
import pyarrow as pa

from deepnode_ledger.batch import entries
from deepnode_ledger.record import Finality, LogEntry
from deepnode_ledger.roster import Roster
from deepnode_ledger.sealed_batches import SealedBatchRef, read_sealed_run, sealed_batches
from deepnode_ledger.snapshot import Snapshot
from deepnode_ledger.trays import Trays
from deepnode_projections.kernel.cache import DecodedCache
from deepnode_projections.kernel.decoded import DecodedBatch
from deepnode_projections.kernel.decoding import decode_batch
from deepnode_projections.kernel.ops import RULES

AHEAD: Final = 2
"""Runs that are read and decoded while the one before them is folded."""

THREADS: Final = 2
"""Threads that read and decode: while one waits for the server, or holds the interpreter's lock, the other goes on."""

RUN_ENTRIES: Final = 65_536
"""Entries of a run, unless a single batch has more: batches that were sealed with few are decoded together."""


class DecodedRun:
    """A run of the log: ``decoded``, and its entries as they are, which are read when the first is asked for."""

    def __init__(
        self,
        decoded: DecodedBatch,
        read: Callable[[], pa.RecordBatch],
        keep: Callable[[DecodedBatch], None] | None = None,
    ) -> None:
        """Describe a run.

        Args:
            decoded: what it says.
            read: reads its entries.
            keep: keeps what it says for the next time.
        """
        self.decoded = decoded
        self._read = read
        self._keep = keep
        self._entries: pa.RecordBatch | None = None
        self._asked: list[int] = []

    def entry_at(self, row: int) -> LogEntry:
        """Return the entry of a row.

        Raises:
            Damaged: its batch cannot be read.
        """
        if self._entries is None:
            self._entries = self._read()
        self._asked.append(row)
        return next(entries(self._entries.slice(row, 1), Finality.SEALED))

    def done(self) -> None:
        """Keep the entries that were asked for: the same log asks for the same ones, and need not be read again.

        Raises:
            OSError: the cache cannot be written to.
        """
        if self._keep is not None and self._entries is not None:
            self._keep(_with_singles(self.decoded, self._asked, self._entries))


def run_of(batch: pa.RecordBatch, roster: Roster) -> DecodedRun:
    """Let the roster learn of entries that are at hand, and decode them."""
    uncertain = {child.contract.address for child in roster.learn(batch)}
    return DecodedRun(decode_batch(batch, roster, uncertain), partial(_same, batch))


def decoded_runs(snapshot: Snapshot, roster: Roster, cache: DecodedCache | None = None) -> Iterator[DecodedRun]:
    """Yield the whole log, oldest first; the roster has learned of a run when it is yielded.

    Runs are read and decoded ahead by threads of their own, unless there are factories: then what a run announces is
    learned before the next one is decoded. What had to be decoded is put into the cache.

    Raises:
        Damaged: a stored batch cannot be read, or the log has a gap.
        OSError: the cache cannot be written to.
    """
    source = _Sealed(snapshot, roster, cache)
    sealed = (partial(source.run, run) for run in _runs(sealed_batches(snapshot)))
    if roster.manifest.has_factories:
        yield from (make() for make in sealed)
    else:
        with ThreadPoolExecutor(THREADS, "decoding") as ahead:
            coming: deque[Future[DecodedRun]] = deque(ahead.submit(make) for make in islice(sealed, AHEAD))
            while coming:
                coming.extend(ahead.submit(make) for make in islice(sealed, 1))
                # Nothing of a run is held here while it is folded, nor afterwards: another may have its memory then.
                yield coming.popleft().result()
    for batch in snapshot.read(snapshot.head.sealed_position + 1):
        yield run_of(batch, roster)


def _runs(sealed: Sequence[SealedBatchRef]) -> Iterator[Sequence[SealedBatchRef]]:
    """Gather batches from the first on, so that all runs but the last stay what they are when the log grows."""
    run: list[SealedBatchRef] = []
    for each in sealed:
        if run and each.last_position - run[0].first_position >= RUN_ENTRIES:
            yield run
            run = []
        run.append(each)
    if run:
        yield run


class _Sealed:
    """The sealed log: its runs are read from the cache, or else from the log."""

    def __init__(self, snapshot: Snapshot, roster: Roster, cache: DecodedCache | None) -> None:
        self._snapshot = snapshot
        self._roster = roster
        self._cache = cache
        self._trays = Trays()

    def run(self, run: Sequence[SealedBatchRef]) -> DecodedRun:
        first, last = run[0].first_position, run[-1].last_position
        uncertain = {child.contract.address for child in self._roster.catch_up(self._snapshot, first, last)}
        if self._cache is None:
            batch = self._read(run)
            return DecodedRun(decode_batch(batch, self._roster, uncertain), partial(_same, batch))
        digest = hashlib.sha256(b"".join(each.sha256 for each in run)).digest()
        key = self._cache.key(SealedBatchRef(run[0].number, first, last, digest), self._roster, uncertain)
        decoded = self._cache.get(key, self._trays)
        if decoded is not None:
            return DecodedRun(decoded, partial(self._read, run), partial(self._cache.put, key))
        batch = self._read(run)
        decoded = decode_batch(batch, self._roster, uncertain)
        self._cache.put(key, decoded)
        return DecodedRun(decoded, partial(_same, batch), partial(self._cache.put, key))

    def _read(self, run: Sequence[SealedBatchRef]) -> pa.RecordBatch:
        return read_sealed_run(self._snapshot, run, self._trays)


def _with_singles(decoded: DecodedBatch, rows: Sequence[int], batch: pa.RecordBatch) -> DecodedBatch:
    """Leave more rows of a batch to the rules, with all that they need of them."""
    ops, widths = decoded.ops.copy(), np.diff(decoded.starts)
    ops[rows] = RULES
    cells = decoded.cells[np.repeat(ops != RULES, widths)]
    widths[rows] = 0
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(widths)])
    singles = batch.take(pa.array(np.flatnonzero(ops == RULES)))
    return replace(decoded, ops=ops, starts=starts, cells=cells, singles=singles)


def _same(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch
