"""Many writers, one order: a reader that follows the log sees every position once, in order, and never a gap."""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from deepnode_ledger.log import Log
from deepnode_ledger.record import Kind, LogEntry, TaskEvent
from deepnode_ledger.snapshot import snapshot
from deepnode_ledger.tail import Accepted
from tests.ledger import crowd
from tests.ledger.histories import FIRST_BLOCK, block, contents, opened, ref, task

WRITERS = 4
EVENTS = 300
BLOCKS = 60


class Crew:
    """Threads whose failures are the test's."""

    def __init__(self) -> None:
        self.failures: list[BaseException] = []

    def start(self, work: Callable[..., None], *arguments: object) -> threading.Thread:
        def body() -> None:
            try:
                work(*arguments)
            except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
                self.failures.append(error)

        thread = threading.Thread(target=body)
        thread.start()
        return thread


def write_task_events(database_url: str, name: int) -> None:
    with opened(database_url) as log:
        for start in range(1, EVENTS + 1, 3):
            answers = log.accept([task(n, producer=f"urn:{name}") for n in range(start, start + 3)])
            assert all(isinstance(answer, Accepted) and not answer.duplicate for answer in answers)


def write_blocks(database_url: str) -> None:
    with opened(database_url) as log:
        for number in range(6, 6 + BLOCKS):
            log.extend(ref(number - 1), [block(number, logs=2)])
            if number % 7 == 0:
                log.seal(ref(number - 2))


def follow(database_url: str, seen: list[LogEntry], done: threading.Event) -> None:
    with opened(database_url) as log:
        last_round = False
        while not last_round:
            last_round = done.is_set()
            with snapshot(log.datastore) as view:
                seen.extend(view.entries(len(seen) + 1))
                assert len(seen) == view.head.last_position


def test_a_reader_that_follows_many_writers_misses_nothing(database_url: str) -> None:
    """Four writers with a log each add hundreds of task events, a fifth extends and seals the chain, a reader tails."""
    crew, seen, done = Crew(), list[LogEntry](), threading.Event()
    with opened(database_url) as log:
        log.extend(None, [block(5)])
        reader = crew.start(follow, database_url, seen, done)
        writers = [crew.start(write_task_events, database_url, name) for name in range(WRITERS)]
        writers.append(crew.start(write_blocks, database_url))
        for thread in writers:
            thread.join()
        done.set()
        reader.join()
        held = contents(log)
    assert crew.failures == []
    assert [entry.position for entry in seen] == list(range(1, WRITERS * EVENTS + 2 * BLOCKS + 1))
    assert [(e.position, e.block, e.record) for e in seen] == [(e.position, e.block, e.record) for e in held]
    told = [e.record for e in held if isinstance(e.record, TaskEvent)]
    for name in range(WRITERS):
        assert [e.sequence for e in told if e.producer == f"urn:{name}"] == list(range(1, EVENTS + 1))
    assert [e.block.number for e in held] == sorted(e.block.number for e in held)


def test_the_same_events_from_many_writers_are_in_the_log_once(database_url: str) -> None:
    """Four writers deliver the same events at once, as producers do that try again through several doors."""
    with opened(database_url) as log:
        log.extend(None, [block(5)])
        events = [task(n) for n in range(1, 51)]
        answers: list[list[object]] = []

        def deliver() -> None:
            with opened(database_url) as own:
                answers.append([answer for event in events for answer in own.accept([event])])

        threads = [threading.Thread(target=deliver) for _ in range(WRITERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(answers) == WRITERS
        for at_once in zip(*answers, strict=True):
            accepted = [answer for answer in at_once if isinstance(answer, Accepted)]
            assert len(accepted) == WRITERS
            assert sum(not answer.duplicate for answer in accepted) == 1
            assert len({answer.position for answer in accepted}) == 1
        assert len(contents(log)) == len(events)


def test_many_programs_may_make_the_log_at_once(database_url: str) -> None:
    """Creates the tables from eight threads in an empty database."""
    failures: list[BaseException] = []
    start = threading.Barrier(8)

    def create() -> None:
        try:
            start.wait()
            with opened(database_url) as log:
                assert log.chain().tip is None
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


TWO_HUNDRED_THOUSAND = crowd.Mix(
    ranges=20,
    range_blocks=50,
    range_logs=200,
    tail_blocks_between=14,
    tail_logs=20,
    producers=4,
    events=1_000,
    readers=10,
)
A_MILLION = replace(TWO_HUNDRED_THOUSAND, range_logs=1_000, events=3_000)


@pytest.mark.parametrize(
    "mix",
    [
        pytest.param(TWO_HUNDRED_THOUSAND, id="two hundred thousand"),
        pytest.param(A_MILLION, id="a million", marks=pytest.mark.soak),
        pytest.param(
            replace(A_MILLION, ranges=200, tail_blocks_between=28, events=50_000),
            id="ten million",
            marks=pytest.mark.soak,
        ),
    ],
)
def test_ten_readers_of_eight_writers_see_the_log_that_is_there(database_url: str, mix: crowd.Mix) -> None:
    """Lets processes write ranges, blocks, reorgs, task events and seals at once; each reader's digest is the log's."""
    with opened(database_url) as log:
        log.extend(None, [block(FIRST_BLOCK, logs=mix.tail_logs)])
        seen = crowd.gather(database_url, mix)
        held, digest = audit(log, mix)
    assert held > mix.ranges * mix.range_blocks * mix.range_logs + mix.producers * mix.events
    assert len(seen) == mix.readers
    for reader in seen:
        assert (reader.place.position, reader.digest) == (held, digest)
    assert sum(reader.rollbacks for reader in seen) > 0, "no reader saw a reorg"
    assert sum(reader.resumptions for reader in seen) > 0, "no reader resumed"


def audit(log: Log, mix: crowd.Mix) -> tuple[int, str]:
    """Read the log at rest: it holds what the writers were told that it holds. Return its length and its digest."""
    digest = hashlib.sha256()
    batches = []
    with snapshot(log.datastore) as view:
        assert view.head.sealed_position == view.head.last_position
        for batch in view.read(1):
            digest.update(crowd.places_and_keys(batch))
            batches.append(batch.select(["kind", "block_number", "block_hash", "log_index", "producer", "sequence"]))
    table = pa.Table.from_batches(batches)
    tasks = table.filter(pc.equal(table["kind"], int(Kind.TASK_EVENT))).to_pydict()
    told: dict[str, list[int]] = {}
    for producer, sequence in zip(tasks["producer"], tasks["sequence"], strict=True):
        told.setdefault(producer, []).append(sequence)
    each = list(range(1, mix.events + 1))
    assert told == {**{f"urn:{n}": each for n in range(mix.producers)}, crowd.END: [1]}
    logs = table.filter(pc.equal(table["kind"], int(Kind.CHAIN_LOG)))
    numbers, counts = np.unique(logs["block_number"].to_numpy(), return_counts=True)
    assert set(counts.tolist()) == {mix.tail_logs, mix.range_logs}
    tip = log.chain().tip
    assert tip is not None
    assert numbers.tolist() == list(range(FIRST_BLOCK, tip.number + 1))
    # Every block in one piece, of one hash, each log of it once: so no key is in the log twice.
    assert np.array_equal(logs["block_number"].to_numpy(), np.repeat(numbers, counts))
    assert np.array_equal(logs["log_index"].to_numpy(), np.concatenate([np.arange(count) for count in counts]))
    assert len(logs["block_hash"].unique()) == len(numbers)
    return view.head.last_position, digest.hexdigest()
