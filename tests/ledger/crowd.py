"""A crowd on one log: writers of every kind and readers of every kind, each a process of its own.

The chain is a story that any writer can tell from the tip alone: above each seventh block of branch ``a`` two blocks of
branch ``b`` come first, and are replaced by the blocks of ``a``. So two writers of blocks may race: the one who comes
late finds that its block does not follow, and looks again.
"""

import hashlib
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from typing import Final, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from deepnode_ledger.batch_versions import SCHEMA
from deepnode_ledger.log import Log
from deepnode_ledger.record import BlockRef, Header, Kind
from deepnode_ledger.subscription import START, Change, Place, RolledBack, subscribe
from deepnode_ledger.tail import Accepted, NotContiguous, ReorgBelowSealed
from tests.ledger.histories import CHAIN_ID, TOKEN, block, opened, ref, run, task, word

END: Final = "urn:end"
"""The producer of the log's last entry: a reader that has read it is done."""

FORK_EVERY: Final = 7

PATIENCE_SECONDS: Final = 1_200
"""How long the writers, and then the readers, may take before they are called hung."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Mix:
    """How much each writer writes. Blocks of a range have ``range_logs`` logs each, those of the tail ``tail_logs``."""

    ranges: int
    range_blocks: int
    range_logs: int
    tail_blocks_between: int
    tail_logs: int
    producers: int
    events: int
    readers: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What a reader has in the end: its place, SHA-256 over (position, key) of all entries, and how it came there."""

    place: Place
    digest: str
    changes: int
    rollbacks: int
    resumptions: int


@dataclass(slots=True)
class _Signals:
    """Backfill: a range is about to be appended, so the tail waits. Done: the last block was written. Stop: give up."""

    backfill: Event
    done: Event
    stop: Event


_signals: _Signals


def gather(url: str, mix: Mix) -> list[Seen]:
    """Let all of them loose on a log whose first block is covered; return what each reader saw.

    The log's last entry is ``END``'s in the end, and everything is sealed.
    """
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    signals = (context.Event(), context.Event(), context.Event())
    people = mix.producers + 4 + mix.readers
    with ProcessPoolExecutor(people, context, _introduce, signals) as pool:
        try:
            readers = [pool.submit(read, url, number) for number in range(mix.readers)]
            writers = [pool.submit(produce, url, f"urn:{n}", mix.events) for n in range(mix.producers)]
            writers += [pool.submit(extend, url, mix) for _ in range(2)]
            writers += [pool.submit(backfill, url, mix), pool.submit(seal, url)]
            _results(writers)
            _end(url)
            return _results(readers)
        finally:
            for signal in signals:
                signal.set()


def read(url: str, number: int) -> Seen:
    """Follow the log to its last entry. Some resume from their place again and again, get no hints, or are auditors."""
    copy = Running()
    changes = rollbacks = resumptions = 0
    while True:
        subscription = subscribe(
            url, copy.place, stop=_signals.stop, sealed_only=number % 5 == 4, hints=number % 3 > 0, poll_seconds=0.05
        )
        for change in subscription:
            copy.take(change)
            changes += 1
            rollbacks += isinstance(change, RolledBack)
            if copy.at_end:
                return Seen(copy.place, copy.digest(), changes, rollbacks, resumptions)
            if number % 2 and changes % 20 == 0:
                break
        else:
            raise AssertionError(f"told to stop at {copy.place}, before the end")
        resumptions += 1


class Running:
    """A reader's digest, kept by the changes alone: what is sealed is in it, what is pending waits in memory."""

    def __init__(self) -> None:
        self.place = START
        self.at_end = False
        self._sealed = hashlib.sha256()
        self._digested = 0
        self._pending: list[pa.RecordBatch] = []

    def take(self, change: Change) -> None:
        """Carry out a change; its entries must follow on those before it."""
        if isinstance(change, RolledBack):
            assert self._digested <= change.place.position < self.place.position, (change, self.place)
            assert change.place.reorg > self.place.reorg, (change, self.place)
            self._pending = [batch for batch in self._pending if first_position(batch) <= change.place.position]
            if self._pending:
                last = self._pending[-1]
                self._pending[-1] = last.slice(0, change.place.position - first_position(last) + 1)
        else:
            positions = change.batch.column("position").to_numpy()
            expected = np.arange(self.place.position + 1, change.place.position + 1)
            assert np.array_equal(positions, expected), (change.place, self.place, positions)
            self._pending.append(change.batch)
            self.at_end = pc.any(pc.equal(change.batch.column("producer"), END)).as_py() or False
            while self._pending and last_position(self._pending[0]) <= change.head.sealed_position:
                self._digested = last_position(self._pending[0])
                self._sealed.update(places_and_keys(self._pending.pop(0)))
        self.place = change.place

    def digest(self) -> str:
        """SHA-256 over (position, key) of all entries."""
        whole = self._sealed.copy()
        for batch in self._pending:
            whole.update(places_and_keys(batch))
        return whole.hexdigest()


def places_and_keys(batch: pa.RecordBatch) -> bytes:
    """44 bytes an entry: its position and its key, which is a log's block and index or the hash of a task event's."""
    rows = np.zeros(batch.num_rows, dtype=[("position", "<i8"), ("key", "S32"), ("index", "<i4")])
    rows["position"] = batch.column("position").to_numpy()
    blocks = batch.column("block_hash")
    rows["key"] = np.frombuffer(blocks.buffers()[1], "S32")[blocks.offset : blocks.offset + len(blocks)]
    rows["index"] = batch.column("log_index").fill_null(-1).to_numpy()
    tasks = np.flatnonzero(batch.column("kind").to_numpy() == Kind.TASK_EVENT)
    for row in tasks.tolist():
        producer, event_id = (batch.column(name)[row].as_py() for name in ("producer", "event_id"))
        rows["key"][row] = hashlib.sha256(f"{producer}\n{event_id}".encode()).digest()
    return rows.tobytes()


def first_position(batch: pa.RecordBatch) -> int:
    return int(batch.column("position")[0].as_py())


def last_position(batch: pa.RecordBatch) -> int:
    return int(batch.column("position")[batch.num_rows - 1].as_py())


def produce(url: str, producer: str, events: int) -> None:
    """Deliver task events in small calls, as intake does."""
    with opened(url) as log:
        for start in range(1, events + 1, 50):
            numbers = range(start, min(start + 50, events + 1))
            answers = log.accept([task(number, producer=producer) for number in numbers])
            assert all(isinstance(answer, Accepted) and not answer.duplicate for answer in answers), answers


def extend(url: str, mix: Mix) -> None:
    """Write the blocks of the tail until the last range is in, as one of two who race."""
    with opened(url) as log:
        while not _signals.done.is_set():
            if _signals.backfill.is_set():
                _signals.done.wait(0.001)
                continue
            tip = _tip(log)
            try:
                _extend_once(log, tip, mix.tail_logs)
            except (NotContiguous, ReorgBelowSealed):
                # The other one was quicker.
                continue


def _extend_once(log: Log, tip: BlockRef, logs: int) -> None:
    number = tip.number
    if tip == ref(number, "b"):
        kept = number - number % FORK_EVERY
        try:
            log.extend(ref(kept), run(kept + 1, number + 1, logs=logs))
        except ReorgBelowSealed:
            # A range was put on top of branch b, or its blocks were sealed: then they stay.
            log.extend(tip, [block(number + 1, logs=logs, parent="b")])
    elif number % FORK_EVERY == 0:
        log.extend(tip, run(number + 1, number + 2, logs=logs, branch="b", parent="a"))
    else:
        log.extend(tip, run(number + 1, number + 1, logs=logs))


def backfill(url: str, mix: Mix) -> None:
    """Append finalized ranges, which carry most entries; between two of them the tail grows."""
    with opened(url) as log:
        for _ in range(mix.ranges):
            last = _append_range(log, mix)
            while _tip(log).number < last + mix.tail_blocks_between:
                assert not _signals.stop.wait(0.002)
    _signals.done.set()


def _append_range(log: Log, mix: Mix) -> int:
    _signals.backfill.set()
    try:
        while True:
            assert not _signals.stop.is_set()
            tip = _tip(log)
            first, last = tip.number + 1, tip.number + mix.range_blocks
            header = Header(ref(last), ref(last - 1).hash)
            try:
                log.append_finalized(first, header, range_of_logs(first, last, mix.range_logs), "test")
            except NotContiguous:
                continue
            return last
    finally:
        _signals.backfill.clear()


def seal(url: str) -> None:
    """Make what is four blocks below the tip final, all the time."""
    with opened(url) as log:
        while not _signals.done.wait(0.01):
            headers = log.headers()
            try:
                log.seal(headers[min(4, len(headers) - 1)].block)
            except ReorgBelowSealed:
                # The chain was reorganised since the headers were read.
                continue


def range_of_logs(first: int, last: int, logs: int) -> pa.RecordBatch:
    """The logs of a range of blocks as columns: the same entries as from ``histories.block``, but for their bytes."""
    blocks = [ref(number) for number in range(first, last + 1)]
    count = len(blocks) * logs
    hashes = _repeated([each.hash for each in blocks], logs)
    columns = {
        "position": pa.array(np.arange(1, count + 1)),
        "kind": pa.array(np.full(count, Kind.CHAIN_LOG, np.uint8)),
        "chain_id": pa.array(np.full(count, CHAIN_ID)),
        "block_number": pa.array(np.repeat([each.number for each in blocks], logs)),
        "block_hash": hashes,
        "block_time": pa.array(np.repeat([each.time for each in blocks], logs)),
        "transaction_hash": hashes,
        "transaction_index": pa.array(np.zeros(count, np.int32)),
        "log_index": pa.array(np.tile(np.arange(logs, dtype=np.int32), len(blocks))),
        "address": _repeated([TOKEN], count),
        "topic0": _repeated([word("topic")], count),
        "data": pa.array([b"\x01" * 32] * count, pa.binary()),
    }
    return pa.RecordBatch.from_arrays(
        [columns.get(field.name, pa.nulls(count, field.type)) for field in SCHEMA], schema=SCHEMA
    )


def _repeated(values: Sequence[bytes], times: int) -> pa.Array:
    size_bytes = len(values[0])
    repeated = np.repeat(np.array(values, dtype=f"V{size_bytes}"), times)
    return pa.Array.from_buffers(pa.binary(size_bytes), len(repeated), [None, pa.py_buffer(repeated.tobytes())])


def _tip(log: Log) -> BlockRef:
    tip = log.chain().tip
    assert tip is not None
    return tip


def _end(url: str) -> None:
    """Put the last entry behind all others, and seal it."""
    with opened(url) as log:
        log.accept([task(1, producer=END)])
        log.seal(_tip(log))


def _introduce(backfill: Event, done: Event, stop: Event) -> None:
    global _signals  # noqa: PLW0603 (what a process of the pool inherits can only be kept in its module)
    _signals = _Signals(backfill, done, stop)


def _results(futures: Sequence[Future[_T]]) -> list[_T]:
    wait(futures, timeout=PATIENCE_SECONDS, return_when=FIRST_EXCEPTION)
    # The first of them that failed tells why. One that is still at work long after all others hangs.
    results = [future.result() for future in futures if future.done()]
    assert len(results) == len(futures), f"{len(futures) - len(results)} of {len(futures)} did not come to an end"
    return results
