"""The ways of a replay that are measured, each in a process of its own: what it took, and the root that came of it."""

import json
import os
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path

import pyarrow as pa
from benchmarks.ingest.processes import cost_of
from benchmarks.replay.stored import Kept, opened
from typing_extensions import override

from deepnode_ledger.batch import entry_of
from deepnode_ledger.compiled import available
from deepnode_ledger.database import open_datastore
from deepnode_ledger.record import Finality, LogEntry
from deepnode_ledger.snapshot import snapshot
from deepnode_projections.replay import Replay
from deepnode_projections.replay.log import replay_log


class Way(StrEnum):
    """How a history is replayed."""

    LOG = "out of PostgreSQL"
    DECODED = "out of PostgreSQL, decoded before"
    STAGES = "from files, stage by stage"
    SPECIFICATION = "by the specification, from files"


@dataclass(frozen=True, slots=True)
class Task:
    """What a process is to replay: a history's folder, how many entries, the log's database, decoded batches."""

    way: Way
    folder: str
    entries: int
    log: str = ""
    decoded: str = ""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay took: seconds by stage, the highest resident size of its process, and the root at the end."""

    stages: dict[str, float]
    peak_mib: float
    root: str

    @property
    def seconds(self) -> float:
        """All stages together."""
        return sum(self.stages.values())


class Timed(Replay):
    """A replay that knows how long its root has taken."""

    root_seconds: float = 0.0

    @override
    def root(self) -> bytes:
        began = time.perf_counter()
        found = super().root()
        self.root_seconds += time.perf_counter() - began
        return found


def run_child(task: Task) -> Replayed:
    """Replay in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.replay_ways", json.dumps(asdict(task))]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return Replayed(**json.loads(done.stdout))


def main() -> None:
    """Do the task that is given as JSON, and print what it took."""
    print(json.dumps(asdict(child(Task(**json.loads(sys.argv[1]))))))


def child(task: Task) -> Replayed:
    """Do a task in this process."""
    history = opened(Path(task.folder))
    if task.way != Way.SPECIFICATION:
        # What is compiled is loaded once in a process, however long the log is.
        Replay(history.manifest).feed(next(history.batches()))
    replay = Timed(history.manifest, by_definition=task.way == Way.SPECIFICATION, epoch_roots=False)
    match task.way:
        case Way.LOG | Way.DECODED:
            stages = _of_log(replay, task)
        case Way.STAGES if available():
            stages = _stage_by_stage(replay, history, task.entries)
        case _:
            stages = _of_files(replay, history, task.entries)
    root = replay.root()
    assert replay.position == task.entries, (replay.position, task)
    if task.entries == history.entries:
        assert replay.refusals == history.meant.refusals, (replay.refusals, history.meant)
    return Replayed({**stages, "root": replay.root_seconds}, cost_of(os.getpid()).peak_mib, root.hex())


def _of_log(replay: Timed, task: Task) -> dict[str, float]:
    cache = Path(task.decoded) if task.way == Way.DECODED else None
    with closing(open_datastore(task.log)) as datastore, snapshot(datastore) as log:
        if cache is not None and not any(cache.iterdir()):
            replay_log(log, Replay(replay.roster.manifest, epoch_roots=False), cache)
        began = time.perf_counter()
        replay_log(log, replay, cache)
        return {"fold": time.perf_counter() - began - replay.root_seconds}


def _of_files(replay: Timed, history: Kept, entries: int) -> dict[str, float]:
    batches, read, fold = history.batches(entries), 0.0, 0.0
    while True:
        began = time.perf_counter()
        batch = next(batches, None)
        read += time.perf_counter() - began
        if batch is None:
            return {"read": read, "fold": fold - replay.root_seconds}
        began = time.perf_counter()
        replay.feed(batch)
        fold += time.perf_counter() - began


def _stage_by_stage(replay: Timed, history: Kept, entries: int) -> dict[str, float]:
    """Do one thing after the other that a replay of the log does side by side."""
    from deepnode_projections.kernel.decoding import decode_batch

    batches, read, decode, fold = history.batches(entries), 0.0, 0.0, 0.0
    while True:
        times = [time.perf_counter()]
        batch = next(batches, None)
        times.append(time.perf_counter())
        read += times[1] - times[0]
        if batch is None:
            return {"read": read, "decode": decode, "fold": fold - replay.root_seconds}
        decoded = decode_batch(batch, replay.roster, set())
        times.append(time.perf_counter())
        replay.feed_decoded(decoded, partial(_entry, batch))
        times.append(time.perf_counter())
        decode += times[2] - times[1]
        fold += times[3] - times[2]


def _entry(batch: pa.RecordBatch, row: int) -> LogEntry:
    [values] = zip(*(column.slice(row, 1).to_pylist() for column in batch.columns), strict=True)
    return entry_of(values, Finality.SEALED)


if __name__ == "__main__":
    main()
