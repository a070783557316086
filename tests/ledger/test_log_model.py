"""Whatever is done to the log, it holds what a list and a dict would hold."""

import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from psycopg import Cursor
from psycopg.rows import DictRow
from typing_extensions import override

from deepnode_ledger import batch as batches
from deepnode_ledger import leaf
from deepnode_ledger.batch import from_rows, row_of
from deepnode_ledger.database import url_of
from deepnode_ledger.errors import Conflict, TryAgain
from deepnode_ledger.fsck import fsck
from deepnode_ledger.log import Log
from deepnode_ledger.publishing import Publisher
from deepnode_ledger.record import BlockRef, ChainLog, Finality, LogEntry, TaskEvent
from deepnode_ledger.snapshot import snapshot
from deepnode_ledger.subscription import START, Extended, RolledBack, subscribe
from deepnode_ledger.tail import Accepted, NotContiguous, ReorgBelowSealed
from deepnode_ledger.transparency import leaf_hash, root_of
from tests.conftest import fresh_database
from tests.ledger.histories import (
    CHAIN_ID,
    FIRST_BLOCK,
    WITHOUT_SHRINKING,
    block,
    everything,
    opened,
    placed,
    ref,
    run,
    task,
)
from tests.ledger.publishing.sealed_history import SIGNER

Held = tuple[BlockRef, ChainLog | TaskEvent]


class DyingLog(Log):
    """A log whose session at the database is ended when everything is written and nothing is committed."""

    @override
    @contextmanager
    def _writing(self) -> Iterator[Cursor[DictRow]]:
        with super()._writing() as cursor:
            yield cursor
            with psycopg.connect(url_of(self.datastore), autocommit=True) as killer:
                killer.execute("SELECT pg_terminate_backend(%s, 10000)", (cursor.connection.info.backend_pid,))


class LogAsAList(RuleBasedStateMachine):
    """The model: the covered blocks, the entries in order, how many are sealed, and the events by id."""

    postgres_url: str

    def __init__(self) -> None:
        super().__init__()
        self.blocks: list[BlockRef] = []
        self.held: list[Held] = []
        self.sealed = 0
        self.sealed_block = FIRST_BLOCK - 1
        self.events: dict[str, TaskEvent] = {}
        self.branches = 0
        self.reorgs = 0
        self.published = 0
        # A reader that follows: what it holds, and the place that it would resume from.
        self.read: list[LogEntry] = []
        self.place = START
        self._folder = tempfile.TemporaryDirectory(prefix="deepnode-model-")
        self._database = fresh_database(self.postgres_url)
        self._url = self._database.__enter__()
        self._open()

    def _open(self) -> None:
        self._opened = opened(self._url)
        self.log: Log = self._opened.__enter__()

    @override
    def teardown(self) -> None:
        found = list(fsck(self._url, directory=self.folder if self.published else None, verifier=SIGNER.verifier))
        self._opened.__exit__(None, None, None)
        self._database.__exit__(None, None, None)
        self._folder.cleanup()
        assert found == []

    @property
    def folder(self) -> Path:
        return Path(self._folder.name) / "published"

    def branch_of(self, number: int) -> str:
        found = self.blocks[number - FIRST_BLOCK]
        return next(str(n) for n in range(self.branches + 1) if ref(number, str(n)) == found)

    @property
    def tip(self) -> int:
        return FIRST_BLOCK - 1 + len(self.blocks)

    @initialize(logs=st.integers(0, 2))
    def begin(self, logs: int) -> None:
        first = block(FIRST_BLOCK, logs=logs, branch="0")
        self.log.extend(None, [first])
        self.blocks.append(first.header.block)
        self.held += placed([first])

    @rule(count=st.integers(1, 3), logs=st.integers(0, 2))
    def extend(self, count: int, logs: int) -> None:
        branch = self.branch_of(self.tip)
        new = run(self.tip + 1, self.tip + count, logs=logs, branch=branch)
        self.log.extend(self.blocks[-1], new)
        self.blocks += [each.header.block for each in new]
        self.held += placed(new)
        self.compare()

    @rule(depth=st.integers(1, 6), count=st.integers(0, 4), logs=st.integers(0, 2))
    def reorganise(self, depth: int, count: int, logs: int) -> None:
        kept = self.tip - depth
        self.branches += 1
        branch = str(self.branches)
        if kept < FIRST_BLOCK:
            new = run(FIRST_BLOCK, FIRST_BLOCK + count, logs=logs, branch=branch)
            on = None
            kept = FIRST_BLOCK - 1
        else:
            new = run(kept + 1, kept + count, logs=logs, branch=branch, parent=self.branch_of(kept))
            on = self.blocks[kept - FIRST_BLOCK]
        if kept < self.sealed_block:
            before = everything(self.log)
            with pytest.raises(ReorgBelowSealed):
                self.log.extend(on, new)
            assert everything(self.log) == before
            return
        self.log.extend(on, new)
        moved = [record for at, record in self.held if at.number > kept and isinstance(record, TaskEvent)]
        self.blocks = self.blocks[: kept + 1 - FIRST_BLOCK] + [each.header.block for each in new]
        self.held = [each for each in self.held if each[0].number <= kept]
        self.held += placed(new)
        self.held += [(self.blocks[-1], record) for record in moved]
        self.reorgs += 1
        self.compare()

    @rule(number=st.integers(1, 30), payload=st.sampled_from([b"x", b"y"]))
    def accept(self, number: int, payload: bytes) -> None:
        event = task(number, payload=payload)
        known = self.events.get(event.event_id)
        [answer] = self.log.accept([event])
        if known is None:
            self.events[event.event_id] = event
            self.held.append((self.blocks[-1], event))
            assert answer == Accepted(len(self.held), duplicate=False)
        elif known == event:
            at = next(n for n, (_, record) in enumerate(self.held, 1) if record == event)
            assert answer == Accepted(at, duplicate=True)
        else:
            assert isinstance(answer, Conflict)
        self.compare()

    @precondition(lambda self: self.events)
    @rule(data=st.data())
    def steal_a_sequence_number(self, data: st.DataObject) -> None:
        taken = data.draw(st.sampled_from(sorted(self.events)))
        [answer] = self.log.accept([task(self.events[taken].sequence, event_id="thief")])
        assert isinstance(answer, Conflict)
        self.compare()

    @rule(behind=st.integers(0, 4), entries_min=st.sampled_from([1, 1, 4]))
    def seal(self, behind: int, entries_min: int) -> None:
        number = max(FIRST_BLOCK, self.tip - behind)
        ready = sum(at.number <= number for at, _ in self.held) - self.sealed
        answer = self.log.seal(self.blocks[number - FIRST_BLOCK], entries_min=entries_min)
        if number < self.sealed_block or 0 < ready < entries_min:
            assert answer is None
        else:
            assert (answer is not None) == (ready > 0)
            self.sealed, self.sealed_block = self.sealed + ready, number
        self.compare()

    @rule(count=st.integers(1, 4), logs=st.integers(0, 2))
    def append_finalized(self, count: int, logs: int) -> None:
        new = run(self.tip + 1, self.tip + count, logs=logs, branch=self.branch_of(self.tip))
        self.log.append_finalized(self.tip + 1, new[-1].header, placed(new), "range")
        self.blocks += [each.header.block for each in new]
        self.held += placed(new)
        self.sealed, self.sealed_block = len(self.held), self.tip
        self.compare()

    @rule()
    def build_on_nothing(self) -> None:
        before = everything(self.log)
        with pytest.raises(NotContiguous):
            self.log.extend(ref(self.tip + 1, "0"), [block(self.tip + 2, branch="0")])
        assert everything(self.log) == before

    @rule(what=st.sampled_from(["extend", "accept", "seal", "append_finalized"]))
    def die_before_the_commit(self, what: str) -> None:
        before = everything(self.log)
        dying = DyingLog(self.log.datastore, self.log.chain_id)
        new = run(self.tip + 1, self.tip + 2, logs=2, branch=self.branch_of(self.tip))
        calls: dict[str, Callable[[], object]] = {
            "extend": lambda: dying.extend(self.blocks[-1], new),
            "accept": lambda: dying.accept([task(99)]),
            "seal": lambda: dying.seal(self.blocks[-1]),
            "append_finalized": lambda: dying.append_finalized(self.tip + 1, new[-1].header, placed(new), "range"),
        }
        with pytest.raises(TryAgain):
            calls[what]()
        assert everything(self.log) == before

    @rule(number=st.integers(1, 30))
    def die_behind_the_commit(self, number: int) -> None:
        # The caller got no answer, so it does the same again.
        event = task(number, payload=b"x")
        if self.events.get(event.event_id, event) != event:
            return
        self.accept(number, b"x")
        self.reopen()
        self.accept(number, b"x")

    @rule()
    def follow(self) -> None:
        stop = threading.Event()
        changes = subscribe(self._url, self.place, stop=stop, hints=False)
        while [(entry.block, entry.record) for entry in self.read] != self.held:
            change = next(changes)
            self.place = change.place
            match change:
                case RolledBack(place):
                    self.read = self.read[: place.position]
                case Extended(place, batch, _):
                    self.read += batches.entries(batch, change.finality)
            assert len(self.read) == self.place.position
        changes.close()  # type: ignore[attr-defined]  # a generator

    @rule()
    def publish(self) -> None:
        with Publisher(self._url, self.folder, SIGNER) as publisher:
            published = publisher.publish()
        assert (published is not None) == (self.sealed > self.published)
        if published is not None:
            self.published = self.sealed
            rows = [row_of(n, CHAIN_ID, *held) for n, held in enumerate(self.held[: self.sealed], 1)]
            leaves = [leaf_hash(entry) for entry in leaf.entries(from_rows(rows))]
            assert (published.head.size, published.head.root) == (self.sealed, root_of(leaves))

    @rule()
    def reopen(self) -> None:
        self._opened.__exit__(None, None, None)
        self._open()
        self.compare()

    def compare(self) -> None:
        with snapshot(self.log.datastore) as view:
            found = list(view.entries(1))
            assert len(view.reorgs()) == self.reorgs
            assert view.head.sealed_position == self.sealed
        assert [(entry.block, entry.record) for entry in found] == self.held
        assert [entry.position for entry in found] == list(range(1, len(self.held) + 1))
        for entry in found:
            assert entry.finality == (Finality.SEALED if entry.position <= self.sealed else Finality.PENDING)
        assert self.log.chain().tip == self.blocks[-1]


def test_the_log_is_a_list(postgres_url: str) -> None:
    """Runs random steps against the real log and the model, and compares the whole log after each."""
    LogAsAList.postgres_url = postgres_url
    bounded = settings(max_examples=20, stateful_step_count=25, deadline=None, phases=WITHOUT_SHRINKING)
    run_state_machine_as_test(LogAsAList, settings=bounded)
