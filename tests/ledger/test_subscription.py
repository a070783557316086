"""A reader that follows the log and resumes from its place holds exactly the log, reorgs, lost hints and all."""

import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.conninfo import make_conninfo

from deepnode_ledger import subscription
from deepnode_ledger.batch import entries
from deepnode_ledger.errors import BadInput, TryAgain
from deepnode_ledger.log import CHANNEL, Log
from deepnode_ledger.record import Block, BlockRef, Finality, Header, LogEntry
from deepnode_ledger.snapshot import Snapshot
from deepnode_ledger.subscription import START, Change, Extended, Place, RolledBack, subscribe
from tests.conftest import fresh_database
from tests.ledger.histories import WITHOUT_SHRINKING, chain_log, contents, opened, placed, ref, run, task

NEVER = threading.Event()

A_DAY = 86_400.0
"""A wait that no test could sit out: what comes before it came by a hint."""

WAIT_SECONDS = 60
"""How long a test waits for what comes at once, before it calls it lost."""


class Copy:
    """A reader's own copy of the log, kept by the changes alone."""

    def __init__(self, place: Place = START, held: Sequence[LogEntry] = ()) -> None:
        self.place = place
        self.held = list(held)
        self.changes: list[Change] = []

    def take(self, change: Change) -> None:
        if isinstance(change, RolledBack):
            assert change.place.position < len(self.held), "a rollback takes something back"
            assert change.place.reorg > self.place.reorg, "a reorg is told once"
            del self.held[change.place.position :]
        else:
            new = list(entries(change.batch, change.finality))
            assert [entry.position for entry in new] == list(range(len(self.held) + 1, change.place.position + 1))
            self.held += new
        self.place = change.place
        self.changes.append(change)

    def told(self) -> list[tuple[object, ...]]:
        return told(self.held)


def told(held: Sequence[LogEntry]) -> list[tuple[object, ...]]:
    """What a reader is promised of each entry: its finality is as of the time of reading."""
    return [(entry.position, entry.block, entry.record) for entry in held]


class WhenIdle:
    """Says stop when the reader was asked for nothing between two looks at the log."""

    def __init__(self) -> None:
        self.looks = 0

    def is_set(self) -> bool:
        self.looks += 1
        return self.looks > 2


def follow(url: str, copy: Copy, *, sealed_only: bool = False) -> None:
    """Resume where the copy stands, and take changes as long as there are any."""
    stop = WhenIdle()
    for change in subscribe(url, copy.place, stop=stop, sealed_only=sealed_only, hints=False, poll_seconds=0):
        copy.take(change)
        stop.looks = 0


@contextmanager
def following(url: str, **options: Any) -> Iterator["queue.SimpleQueue[Change | Exception | None]"]:
    """A reader in a thread of its own that passes on what it gets, an error or None at the end."""
    changes: queue.SimpleQueue[Change | Exception | None] = queue.SimpleQueue()
    stop = threading.Event()

    def read() -> None:
        try:
            for change in subscribe(url, START, stop=stop, **options):
                changes.put(change)
            changes.put(None)
        except Exception as error:  # noqa: BLE001 - handed to the test's own thread
            changes.put(error)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        yield changes
    finally:
        stop.set()
        ask(url, f"NOTIFY {CHANNEL}")
        thread.join(timeout=WAIT_SECONDS)
    assert not thread.is_alive(), "the reader did not stop"


def ask(url: str, statement: str) -> list[tuple[Any, ...]]:
    """Do something beside the log, as the database's owner."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def position_of(change: Change | Exception | None) -> int:
    assert isinstance(change, Extended), change
    return change.place.position


@pytest.mark.parametrize("page_entries", [1, 3, subscription.PAGE_ENTRIES])
def test_a_reader_gets_sealed_and_pending_entries_once_and_in_order(
    log: Log, database_url: str, monkeypatch: pytest.MonkeyPatch, page_entries: int
) -> None:
    """Follows a log of both parts from the start, then from its place after more came in; with pages of any size."""
    monkeypatch.setattr(subscription, "PAGE_ENTRIES", page_entries)
    log.append_finalized(5, run(9, 9)[0].header, placed(run(5, 9, logs=3)), "test")
    for number in range(10, 13):
        log.append_finalized(number, run(number, number)[0].header, placed(run(number, number, logs=2)), "test")
    log.extend(ref(12), run(13, 15, logs=2))
    copy = Copy()
    follow(database_url, copy)
    assert copy.told() == told(contents(log))
    assert [entry.finality for entry in copy.held] == [Finality.SEALED] * 21 + [Finality.PENDING] * 6
    log.seal(ref(14))
    log.accept([task(1)])
    follow(database_url, copy)
    assert copy.told() == told(contents(log))
    assert len(copy.held) == 28


def test_a_reader_may_resume_at_every_place_and_within_a_batch(log: Log, database_url: str) -> None:
    """Starts once behind each entry of a log with batches and a tail."""
    log.append_finalized(5, run(9, 9)[0].header, placed(run(5, 9, logs=2)), "test")
    log.extend(ref(9), run(10, 12, logs=2))
    held = contents(log)
    for position in range(len(held) + 1):
        copy = Copy(Place(position, 0), held[:position])
        follow(database_url, copy)
        assert copy.told() == told(held)


def test_a_reorg_is_a_rollback_to_the_smallest_kept_position(log: Log, database_url: str) -> None:
    """Replaces blocks twice while the reader is away, the first time deeper; it sees one rollback, then what stands."""
    log.extend(None, run(5, 12))
    copy = Copy()
    follow(database_url, copy)
    log.extend(ref(7), run(8, 13, branch="b", parent="a"))
    log.extend(ref(10, "b"), run(11, 14, branch="c", parent="b"))
    follow(database_url, copy)
    assert [type(change) for change in copy.changes] == [Extended, RolledBack, Extended]
    assert copy.changes[1].place == Place(3, 2)
    assert copy.told() == told(contents(log))


def test_a_reorg_behind_what_a_reader_has_read_is_none_for_it(log: Log, database_url: str) -> None:
    """Replaces blocks that the reader has not come to yet."""
    log.extend(None, run(5, 12))
    copy = Copy(Place(2, 0), contents(log)[:2])
    log.extend(ref(7), run(8, 9, branch="b", parent="a"))
    follow(database_url, copy)
    assert [change.place for change in copy.changes] == [Place(5, 1)]
    assert copy.told() == told(contents(log))


def test_a_chain_that_became_shorter_is_seen_though_nothing_follows(log: Log, database_url: str) -> None:
    """Takes back the last blocks and puts nothing in their place."""
    log.extend(None, run(5, 9))
    copy = Copy()
    follow(database_url, copy)
    log.extend(ref(6), [])
    follow(database_url, copy)
    assert copy.changes[1:] == [RolledBack(Place(2, 1))]


def test_a_reader_of_the_sealed_part_never_sees_a_rollback(log: Log, database_url: str) -> None:
    """Replaces, seals and takes back in turn; the reader has what is sealed at each turn and nothing else."""
    log.extend(None, run(5, 6))
    auditor = Copy()
    for number in range(6, 30, 3):
        log.extend(ref(number), run(number + 1, number + 3, branch="b", parent="a"))
        log.extend(ref(number), run(number + 1, number + 4))
        log.accept([task(number)])
        log.seal(ref(number + 2))
        log.extend(ref(number + 3), [])
        follow(database_url, auditor, sealed_only=True)
        held = contents(log)
        sealed = [entry for entry in held if entry.finality is Finality.SEALED]
        assert auditor.told() == told(sealed)
        assert len(sealed) < len(held)
    assert all(isinstance(change, Extended) and change.finality is Finality.SEALED for change in auditor.changes)


MOVES = st.lists(st.sampled_from(["extend", "reorg", "accept", "seal", "one change", "all", "sealed"]), max_size=30)


@settings(max_examples=15, phases=WITHOUT_SHRINKING)
@given(moves=MOVES)
def test_a_reader_that_stops_anywhere_holds_the_log_in_the_end(postgres_url: str, moves: list[str]) -> None:
    """Mixes writers' moves with readers that take one change, all of them, or the sealed part, each time anew."""
    with fresh_database(postgres_url) as url, opened(url) as log:
        log.extend(None, run(5, 6))
        reader, auditor = Copy(), Copy()
        for turn, move in enumerate(moves, start=1):
            if move == "one change" and reader.told() != told(contents(log)):
                reader.take(next(subscribe(url, reader.place, stop=NEVER)))
            elif move == "all":
                follow(url, reader)
            elif move == "sealed":
                follow(url, auditor, sealed_only=True)
            else:
                write(log, move, turn)
        follow(url, reader)
        follow(url, auditor, sealed_only=True)
        held = contents(log)
        assert reader.told() == told(held)
        assert auditor.told() == told([entry for entry in held if entry.finality is Finality.SEALED])
        assert not any(isinstance(change, RolledBack) for change in auditor.changes)


def write(log: Log, move: str, turn: int) -> None:
    """One move of a writer; the branch of a new block is told by the turn."""
    covered = [header.block for header in log.headers()]
    if move == "accept":
        log.accept([task(turn)])
    elif move == "seal":
        log.seal(covered[min(1, len(covered) - 1)])
    else:
        kept = covered[0 if move == "extend" else min(2, len(covered) - 1)]
        log.extend(kept, [grown_from(kept, turn)])


def grown_from(parent: BlockRef, turn: int) -> Block:
    own = ref(parent.number + 1, f"turn {turn}")
    return Block(Header(own, parent.hash), (chain_log(own, 0), chain_log(own, 1)))


def test_a_hint_wakes_a_reader_long_before_the_poll(log: Log, database_url: str) -> None:
    """Writes twenty times, each after the reader has come to the end; its poll is a day away."""
    log.extend(None, run(5, 5))
    with following(database_url, poll_seconds=A_DAY) as changes:
        assert position_of(changes.get(timeout=WAIT_SECONDS)) == 1
        for number in range(1, 21):
            log.accept([task(number)])
            assert position_of(changes.get(timeout=WAIT_SECONDS)) == 1 + number


@pytest.mark.parametrize("how", ["no hints asked for", "all hints lost"])
def test_a_reader_without_hints_sees_every_change_by_polling(
    log: Log, database_url: str, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Follows on a connection that never listens, and on one that listens where nobody speaks."""
    if how == "all hints lost":
        monkeypatch.setattr(subscription, "CHANNEL", "a_channel_that_nobody_uses")
    log.extend(None, run(5, 5))
    with following(database_url, poll_seconds=0.01, hints=how == "all hints lost") as changes:
        assert position_of(changes.get(timeout=WAIT_SECONDS)) == 1
        for number in range(1, 21):
            log.accept([task(number)])
            assert position_of(changes.get(timeout=WAIT_SECONDS)) == 1 + number
        log.extend(None, run(5, 7, branch="b"))
        assert changes.get(timeout=WAIT_SECONDS) == RolledBack(Place(0, 1))


def test_a_reader_that_lost_its_connection_goes_on_from_its_place(log: Log, database_url: str) -> None:
    """Ends the reader's session on the server while it waits; what it raises says to try again."""
    log.extend(None, run(5, 7))
    url = make_conninfo(database_url, application_name="reader")
    copy = Copy()
    with following(url, poll_seconds=A_DAY) as changes:
        copy.take(change := changes.get(timeout=WAIT_SECONDS))  # type: ignore[arg-type]  # looked at in the next line
        assert position_of(change) == 3
        ask(database_url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'reader'")
        assert isinstance(changes.get(timeout=WAIT_SECONDS), TryAgain)
    log.extend(ref(6), run(7, 9, branch="b", parent="a"))
    follow(url, copy)
    assert copy.told() == told(contents(log))


def test_a_database_that_is_away_means_try_again(database_url: str) -> None:
    """Names a database where no server is."""
    with pytest.raises(TryAgain):
        next(subscribe(make_conninfo(database_url, host="127.0.0.1", port=1), START, stop=NEVER))


def test_a_slow_reader_holds_no_transaction_open(log: Log, database_url: str) -> None:
    """Stops between two changes of a page, and looks at what the server knows of its session."""
    for number in range(5, 9):
        log.append_finalized(number, run(number, number)[0].header, placed(run(number, number)), "test")
    changes = subscribe(make_conninfo(database_url, application_name="slow"), START, stop=NEVER)
    next(changes)
    next(changes)
    found = ask(database_url, "SELECT state, backend_xmin FROM pg_stat_activity WHERE application_name = 'slow'")
    assert found == [("idle", None)]


def test_a_reader_stops_between_two_changes(log: Log, database_url: str) -> None:
    """Asks it to stop while it hands out a page of four batches, and before it has begun."""
    for number in range(5, 9):
        log.append_finalized(number, run(number, number)[0].header, placed(run(number, number)), "test")
    stop = threading.Event()
    changes = subscribe(database_url, START, stop=stop)
    assert next(changes).place == Place(1, 0)
    stop.set()
    assert list(changes) == []
    assert list(subscribe(database_url, START, stop=stop)) == []


def test_a_page_has_a_bound_and_a_batch_is_read_whole(
    log: Log, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counts how many batches of 3, 3, 7, 3 and 3 entries the server is asked for before each is handed out."""
    monkeypatch.setattr(subscription, "PAGE_ENTRIES", 5)
    monkeypatch.setattr(subscription, "ENTRIES_MAX", 7)
    for number, logs in enumerate([3, 3, 7, 3, 3], start=5):
        log.append_finalized(number, run(number, number)[0].header, placed(run(number, number, logs=logs)), "test")
    changes = subscribe(database_url, START, stop=NEVER)
    assert [next(changes).place.position for _ in range(5)] == [3, 6, 13, 16, 19]
    with psycopg.connect(database_url, row_factory=psycopg.rows.dict_row) as connection:
        view = Snapshot(connection)
        for position, expected in [(0, [3, 6]), (3, [6, 13]), (6, [13]), (13, [16, 19])]:
            page, at_end = subscription._page(view, Place(position, 0), sealed_only=False)
            assert [change.place.position for change in page] == expected
            assert at_end == (expected[-1] == 19)


@pytest.mark.parametrize(
    ("place", "sealed_only", "why"),
    [
        (Place(7, 1), False, "come to position 7, this log ends at 6"),
        (Place(6, 2), False, "has seen reorg 2, this log has not"),
        (Place(5, 1), True, "come to position 5, this log is sealed at 2"),
    ],
)
def test_a_place_where_this_log_has_never_been_is_refused(
    log: Log, database_url: str, place: Place, sealed_only: bool, why: str
) -> None:
    """Resumes as a reader would whose database was replaced by another, or by an older copy."""
    log.extend(None, run(5, 9))
    log.extend(ref(8), run(9, 10, branch="b", parent="a"))
    log.seal(ref(6))
    with pytest.raises(BadInput, match=why):
        next(subscribe(database_url, place, stop=NEVER, sealed_only=sealed_only))


def test_a_database_without_a_log_is_refused(database_url: str) -> None:
    """Follows an empty database."""
    with pytest.raises(BadInput, match="holds no log"):
        next(subscribe(database_url, START, stop=NEVER))
