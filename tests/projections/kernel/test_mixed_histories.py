"""Histories of money and tasks in one log: the kernel's books are those of the rules, and of the SQL that has neither.

The log is fed in runs of any size, of which some are too short for the kernel.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import cycle
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepnode_ledger.decoding import ChainEvent
from deepnode_ledger.log import Log
from deepnode_ledger.posting import AMOUNT_LIMIT
from deepnode_ledger.record import Block, ChainLog, Header, TaskEvent
from deepnode_ledger.snapshot import snapshot
from deepnode_projections.projector import connect
from deepnode_projections.recompute import recompute
from deepnode_projections.replay import Fed, Replay
from deepnode_projections.rules.book import RECORDS
from deepnode_projections.rules.tasks import Task
from deepnode_projections.state_root import state_root
from tests.conftest import fresh_database
from tests.ledger.histories import FIRST_BLOCK, WITHOUT_SHRINKING, opened, ref
from tests.projections.kernel.mixed_history import Event, MixedHistory, batch_of, log_of
from tests.projections.recompute.test_sql_recomputation import histories, hostile_logs
from tests.projections.rules.spoken import data_of, event
from tests.projections.rules.told import DN, MANIFEST, USDC, told
from tests.projections.stories import projecting

ENTRIES = 1_000

SHORT = 20
"""Runs that are shorter than this are put to the rules, in tests of runs of any size."""


def replayed(batches: Sequence[pa.RecordBatch], sizes: Iterator[int], **options: Any) -> tuple[Replay, Fed]:
    """The replay of a log that is fed in runs of these sizes, and all that it told on its way."""
    replay, told_ = Replay(MANIFEST, **options), Fed()
    for batch in batches:
        start = 0
        while start < batch.num_rows:
            size = next(sizes)
            fed = replay.feed(batch.slice(start, size))
            start += size
            told_.refused.extend(fed.refused)
            told_.quarantined.extend(fed.quarantined)
            told_.ended.extend(fed.ended)
    return replay, told_


def check_same(one: tuple[Replay, Fed], other: tuple[Replay, Fed]) -> None:
    """Holds two replays against one another: records, balances, what was refused and why, roots of epochs, the root."""
    for kind in RECORDS:
        assert list(one[0].records(kind)) == list(other[0].records(kind)), kind
    held = [{key: held for key, held in replay.balances.items() if held} for replay, _ in (one, other)]
    assert held[0] == held[1]
    assert one[1].refused == other[1].refused
    assert one[1].quarantined == other[1].quarantined
    assert one[1].ended == other[1].ended
    assert one[0].root() == other[0].root()


def check_both_ways(batches: Sequence[pa.RecordBatch], ways: Sequence[tuple[Iterator[int], int]]) -> Replay:
    """Replays by the rules, and by the kernel in runs of some sizes, each with its shortest run for the kernel."""
    right = replayed(batches, cycle([ENTRIES]), by_definition=True)
    for sizes, kernel_entries in ways:
        check_same(replayed(batches, sizes, kernel_entries=kernel_entries), right)
    return right[0]


def mixed_sizes(seed: int) -> Iterator[int]:
    """Sizes of runs, of which every second or so is too short for the kernel."""
    random = Random(seed)
    while True:
        yield random.choice((1, 2, 5, 40, 150))


@settings(max_examples=3, deadline=None, phases=WITHOUT_SHRINKING)
@given(seed=st.integers(0, 2**32), errs=st.sampled_from([0.01, 0.05, 0.3]), wide=st.sampled_from([0.0, 0.05, 0.4]))
def test_any_history_comes_to_the_same_in_runs_of_any_size(seed: int, errs: float, wide: float) -> None:
    """300 events; in runs of seven, of one, of all, and of sizes by chance, which go from the kernel to the rules."""
    batch = batch_of(MixedHistory(seed, errs=errs, wide=wide).events(300))
    check_both_ways([batch], [(cycle([300]), 1), (cycle([7]), 1), (cycle([1]), 1), (mixed_sizes(seed), SHORT)])


@settings(max_examples=15, deadline=None, phases=WITHOUT_SHRINKING)
@given(history=histories(), size=st.sampled_from([1, 4, 200]))
def test_any_events_of_any_contract_come_to_the_same(history: list[Event], size: int) -> None:
    """Tasks' lives, corrections, and whatever contracts may say, sensible or not."""
    opening = told("Emission", "EpochOpened", epoch=1, startBlock=5)
    check_both_ways([batch_of([opening, *history])], [(cycle([size]), 1)])


@pytest.mark.parametrize("size", [1, 7, 200])
def test_what_is_meant_to_break_a_reader_comes_to_the_same(size: int) -> None:
    """Logs and payloads that nobody should write, in runs of some sizes, between ordinary events."""
    history: list[Event | ChainLog] = [*MixedHistory(2).events(60), *hostile_logs(), *MixedHistory(2).events(90)[60:]]
    books = check_both_ways([batch_of(history)], [(cycle([size]), 1)])
    assert books.refusals > 20
    assert books.quarantined > 5


def test_the_kernel_hears_of_what_short_runs_brought() -> None:
    """Opens an epoch in a run that is too short for the kernel, between two that are not."""
    moved: list[Event] = [told("DN", "Transfer", to="anna", value=1)] * SHORT
    story: list[list[Event]] = [
        [told("Emission", "EpochOpened", epoch=1, startBlock=5), *moved],
        [told("Emission", "EpochOpened", epoch=2, startBlock=5)],
        [event("TaskCreated", 1, data_of("TaskCreated")), *moved],
    ]
    batch = batch_of([each for run in story for each in run])
    books = check_both_ways([batch], [(iter([len(run) for run in story]), SHORT)])
    assert [task.epoch for task in books.records(Task)] == [2]


def put_into(log: Log, history: Sequence[Event]) -> None:
    """Put a history into a log: a block for every run of logs, and task events behind the block before them."""
    number, before = FIRST_BLOCK, None
    left = list(history)
    while left:
        logs, told_ = _taken(left, lambda each: isinstance(each, ChainEvent)), list[TaskEvent]()
        own = ref(number)
        placed = [log_of(each, own, n) for n, each in enumerate(logs) if isinstance(each, ChainEvent)]
        log.extend(before, [Block(Header(own, ref(number - 1).hash), tuple(placed))])
        number, before = number + 1, own
        told_ = [each for each in _taken(left, lambda each: isinstance(each, TaskEvent)) if isinstance(each, TaskEvent)]
        if told_:
            log.accept(told_)


def _taken(left: list[Event], belongs: Callable[[Event], bool]) -> list[Event]:
    found: list[Event] = []
    while left and belongs(left[0]):
        found.append(left.pop(0))
    return found


def check_three_ways(postgres_url: str, seed: int) -> None:
    """Puts a history into a log, and holds the books, both replays and the SQL against one another."""
    history = MixedHistory(seed, errs=0.05, wide=0.1).events(ENTRIES)
    with fresh_database(postgres_url) as url, opened(url) as log:
        put_into(log, history)
        with snapshot(log.datastore) as view:
            batches = list(view.read(1))
        assert sum(batch.num_rows for batch in batches) >= ENTRIES - 10
        books = check_both_ways(batches, [(cycle([ENTRIES]), 1), (cycle([7]), 1)])
        with projecting(url, MANIFEST) as projector:
            projector.catch_up()
        with closing(connect(url, "books")) as connection:
            assert state_root(connection, books.position) == books.root()
            found = recompute(connection, MANIFEST)
    assert list(found.values) == []
    assert found.differing == 0


def _splits(asset: bytes, models: Sequence[str], gross: int, emission: int) -> list[ChainEvent]:
    own = {"asset": asset, "gross": gross, "emission": emission}
    return [told("RevenueRouter", "RevenueSplit", receipt=model, model=model, **own) for model in models]


@pytest.mark.parametrize(
    ("splits", "refused"),
    [
        (_splits(DN, ["m2"], 5, 6), 0),
        (_splits(USDC, ["m1", "m3"], AMOUNT_LIMIT - 1, AMOUNT_LIMIT - 1), 1),
        (_splits(USDC, ["m1", "m3"], AMOUNT_LIMIT // 2, AMOUNT_LIMIT // 2), 1),
        (_splits(USDC, ["m1", "m2"], AMOUNT_LIMIT - 1, AMOUNT_LIMIT - 1), 0),
    ],
    ids=["no route, less than nothing waits", "two models of a domain", "half each", "two domains"],
)
def test_sql_goes_by_the_rules_at_the_edges_of_splits(
    database_url: str, splits: list[ChainEvent], refused: int
) -> None:
    """Splits where no route is known, and more in one epoch of a domain than the books can hold."""
    history = [*MixedHistory(0).events(9), *splits]
    assert check_both_ways([batch_of(history)], [(cycle([len(history)]), 1)]).refusals == refused
    with opened(database_url) as log:
        put_into(log, history)
    with projecting(database_url, MANIFEST) as projector:
        projector.catch_up()
    with closing(connect(database_url, "books")) as connection:
        assert list(recompute(connection, MANIFEST).values) == []


@settings(max_examples=1, deadline=None, phases=WITHOUT_SHRINKING)
@given(seed=st.integers(0, 2**32))
def test_rules_kernel_and_sql_agree_on_a_thousand_events(postgres_url: str, seed: int) -> None:
    """Any thousand events, amounts at the limit among them."""
    check_three_ways(postgres_url, seed)


@pytest.mark.soak
@settings(max_examples=10, deadline=None, phases=WITHOUT_SHRINKING)
@given(seed=st.integers(0, 2**32))
def test_rules_kernel_and_sql_agree_on_ten_thousand_events(postgres_url: str, seed: int) -> None:
    """Ten times any thousand events."""
    check_three_ways(postgres_url, seed)
