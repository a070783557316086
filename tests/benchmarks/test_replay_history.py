"""The history that `make bench-replay` is measured with holds what it says it does, and nothing else is wrong in it."""

import numpy as np
import psycopg
import pytest
from benchmarks.replay.deployment import SMALL
from benchmarks.replay.stored import Kept, fill, kept

from deepnode_ledger.batch import entries
from deepnode_ledger.record import Finality, Kind, TaskEvent
from deepnode_ledger.task import task_of
from deepnode_ledger.task_event import parse_payload
from deepnode_projections.projector import Projector
from deepnode_projections.replay import Replay
from deepnode_projections.rules.comparisons import Difference
from deepnode_projections.rules.epochs import current
from deepnode_projections.rules.registry import Node
from deepnode_projections.rules.work import ModelUse, Work
from deepnode_projections.state_root import state_root
from deepnode_projections.tables import SCHEMA


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """A history of some thousand entries."""
    return kept(SMALL, tmp_path_factory.mktemp("cache"))


def test_only_what_is_meant_is_refused_or_differs(history: Kept) -> None:
    """Replays it by the specification, without a short cut, and counts."""
    replay = Replay(history.manifest, by_definition=True)
    fed = [replay.feed(batch) for batch in history.batches()]
    assert replay.position == history.entries
    assert replay.refusals == history.meant.refusals > 10
    assert replay.quarantined == 0
    assert len(replay.records(Difference)) == history.meant.differences > 3
    assert {(each.subject, each.what) for each in replay.records(Difference)} == {("TaskAssigned", "trust")}
    assert replay.below_zero() == []
    assert [end.epoch for each in fed for end in each.ended] == list(range(SMALL.epochs))
    assert current(replay.state) == SMALL.epochs


def test_three_of_five_entries_are_task_events_of_many_open_tasks(history: Kept) -> None:
    """Counts kinds, and the tasks that began before another one's end."""
    kinds = np.concatenate([batch.column("kind").to_numpy() for batch in history.batches()])
    assert len(kinds) == SMALL.entries
    assert abs((kinds == int(Kind.TASK_EVENT)).mean() - 0.6) < 0.01
    tasks = [each for batch in history.batches() for each in batch.column("task").to_pylist()]
    places: dict[str, list[int]] = {}
    for place, task in enumerate(tasks):
        if task is not None:
            places.setdefault(task, []).append(place)
    spans = [found[-1] - found[0] for found in places.values()]
    assert np.median(spans) > 100


def test_events_are_as_producers_send_them(history: Kept) -> None:
    """Reads every payload as the intake does: its id, sequence and task are those of the entry's columns."""
    sequence = 0
    for batch in history.batches():
        told = batch.filter(batch.column("kind").to_numpy() == int(Kind.TASK_EVENT))
        for entry, task in zip(entries(told, Finality.SEALED), told.column("task").to_pylist(), strict=True):
            sequence += 1
            event = entry.record
            assert isinstance(event, TaskEvent)
            parsed = parse_payload(event.payload)
            assert (parsed.id, parsed.source, parsed.type) == (event.event_id, event.producer, event.type)
            assert int(parsed.sequence) == event.sequence == sequence
            assert task == task_of(event.payload)


def test_an_epoch_in_the_middle_was_worked_in_by_a_few_more_than_by_others(history: Kept) -> None:
    """Sorts the miners of an epoch by their work: as Zipf's law has it, the first does more than three at the end."""
    replay = Replay(history.manifest, by_definition=True)
    for batch in history.batches():
        replay.feed(batch)
    done = sorted(each.tasks for each in replay.records(Work) if each.epoch == SMALL.epochs // 2)
    assert done[-1] > sum(done[:3])
    assert {each.model for each in replay.records(ModelUse)}
    assert len(replay.records(Node)) == SMALL.miners + SMALL.validators


def test_the_log_takes_it_and_the_books_are_those_of_the_replay(history: Kept, database_url: str) -> None:
    """Fills a real log, projects it, and compares the state root with that of the replay."""
    assert fill(database_url, history) == SMALL.entries
    projector = Projector(database_url, history.manifest)
    projector.open()
    try:
        assert projector.catch_up().position == SMALL.entries
    finally:
        projector.close()
    replay = Replay(history.manifest, by_definition=True)
    for batch in history.batches():
        replay.feed(batch)
    with psycopg.connect(database_url, options=f"-c search_path={SCHEMA}") as connection:
        assert state_root(connection, SMALL.entries) == replay.root()


def test_it_is_made_once(history: Kept) -> None:
    """Asks for the same history again: no file is written anew."""
    before = [file.stat().st_mtime_ns for file in history.files]
    again = kept(SMALL, history.folder.parent)
    assert again == history
    assert [file.stat().st_mtime_ns for file in again.files] == before
