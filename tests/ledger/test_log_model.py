"""Whatever is done to the log, on one chain or on two, it holds what a list and a dict would hold."""

import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
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
from deepnode_ledger.log import Behind, Log
from deepnode_ledger.publishing import Publisher
from deepnode_ledger.record import Block, BlockRef, ChainLog, Finality, LogEntry, TaskEvent
from deepnode_ledger.snapshot import snapshot
from deepnode_ledger.subscription import START, Extended, RolledBack, subscribe
from deepnode_ledger.tail import Accepted, NotContiguous, ReorgBelowSealed
from deepnode_ledger.transparency import leaf_hash, root_of
from tests.conftest import fresh_database
from tests.ledger.histories import (
    CHAIN_ID,
    FIRST_BLOCK,
    OTHER_CHAIN,
    WITHOUT_SHRINKING,
    block,
    chain_log,
    everything,
    opened,
    other_chain,
    placed,
    ref,
    run,
    task,
)
from tests.ledger.publishing.sealed_history import SIGNER

Held = tuple[int, BlockRef, ChainLog | TaskEvent]
"""An entry of the model: the chain's id, the block and what came in."""


def held_by(entries: Iterable[LogEntry]) -> list[Held]:
    """What the model says of entries."""
    return [(entry.chain_id, entry.block, entry.record) for entry in entries]


@dataclass
class OnChain:
    """A chain of the model: its covered blocks, up to which one everything is sealed, and which may be sealed next."""

    chain_id: int
    first_block: int
    sealed_block: int
    blocks: list[BlockRef] = field(default_factory=list)
    sealable: BlockRef | None = None

    @property
    def tip(self) -> int:
        return self.first_block - 1 + len(self.blocks)

    def at(self, number: int) -> BlockRef:
        return self.blocks[number - self.first_block]

    @property
    def final(self) -> int:
        """Up to which block another chain's sealing takes entries along."""
        mark = self.sealable
        holds = mark is not None and mark.number <= self.tip and self.at(mark.number) == mark
        return mark.number if mark is not None and holds else self.sealed_block

    def held(self, blocks: Sequence[Block]) -> list[Held]:
        return [(self.chain_id, at, record) for at, record in placed(blocks)]


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
    """The model: the entries in order, how many are sealed, the events by id, and where each of two chains stands."""

    postgres_url: str

    def __init__(self) -> None:
        super().__init__()
        # Both chains have the same first blocks: a log's key is its chain's, too.
        self.chains = [OnChain(CHAIN_ID, FIRST_BLOCK, FIRST_BLOCK - 1), OnChain(OTHER_CHAIN, 7, 6)]
        self.held: list[Held] = []
        self.sealed = 0
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
        self._opened = opened(self._url, beside=[OTHER_CHAIN])
        self.log: Log = self._opened.__enter__()
        self.logs = [self.log, other_chain(self.log, self.chains[1].first_block)]

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

    def branch_of(self, chain: OnChain, number: int) -> str:
        found = chain.at(number)
        return next(str(n) for n in range(self.branches + 1) if ref(number, str(n)) == found)

    def following(self, chain: OnChain, count: int, logs: int) -> list[Block]:
        """So many blocks behind the chain's tip."""
        branch = self.branch_of(chain, chain.tip) if chain.blocks else "0"
        return run(chain.tip + 1, chain.tip + count, logs=logs, branch=branch)

    def ready(self, chain: OnChain, final: int) -> int:
        """How many entries are final, each on its own chain, before the first that is not."""
        finals = {each.chain_id: final if each is chain else each.final for each in self.chains}
        waiting = (n for n in range(self.sealed, len(self.held)) if self.held[n][1].number > finals[self.held[n][0]])
        return next(waiting, len(self.held))

    def seal_ready(self, chain: OnChain, final: int) -> None:
        """Seal them, and cover what is whole by it: a block without a pending log, and no block behind a task event."""
        finals = {each.chain_id: final if each is chain else each.final for each in self.chains}
        self.sealed = self.ready(chain, final)
        for each in self.chains:
            whole = finals[each.chain_id]
            for chain_id, at, record in self.held[self.sealed :]:
                if chain_id == each.chain_id:
                    whole = min(whole, at.number - isinstance(record, ChainLog))
            each.sealed_block = max(each.sealed_block, whole)
            if each.sealable is not None and each.sealable.number <= each.sealed_block:
                each.sealable = None

    @initialize(turns=st.lists(st.tuples(st.integers(1, 3), st.sampled_from([1, 0, 2])), min_size=3, max_size=5))
    def begin(self, turns: list[tuple[int, int]]) -> None:
        # So that from the first step on, each chain's blocks stand among the other's.
        for turn, (count, logs) in enumerate(turns):
            self.extend(turn % 2, count, logs)

    @rule(which=st.integers(0, 1), count=st.integers(1, 3), logs=st.integers(0, 2))
    def extend(self, which: int, count: int, logs: int) -> None:
        chain = self.chains[which]
        new = self.following(chain, count, logs)
        self.logs[which].extend(chain.blocks[-1] if chain.blocks else None, new)
        chain.blocks += [each.header.block for each in new]
        self.held += chain.held(new)
        self.compare()

    @rule(which=st.integers(0, 1), depth=st.integers(1, 6), count=st.integers(0, 4), logs=st.integers(0, 2))
    def reorganise(self, which: int, depth: int, count: int, logs: int) -> None:
        chain, log = self.chains[which], self.logs[which]
        if not chain.blocks:
            return
        kept = chain.tip - depth
        self.branches += 1
        branch = str(self.branches)
        if kept < chain.first_block:
            new = run(chain.first_block, chain.first_block + count, logs=logs, branch=branch)
            on = None
            kept = chain.first_block - 1
        else:
            new = run(kept + 1, kept + count, logs=logs, branch=branch, parent=self.branch_of(chain, kept))
            on = chain.at(kept)
        if kept < chain.sealed_block:
            before = everything(log)
            with pytest.raises(ReorgBelowSealed):
                log.extend(on, new)
            assert everything(log) == before
            return
        log.extend(on, new)
        chain.blocks = chain.blocks[: kept + 1 - chain.first_block] + [each.header.block for each in new]
        taken = self.take_out(chain, kept)
        self.held += chain.held(new)
        self.put_back(chain, taken)

    def take_out(self, chain: OnChain, kept: int) -> list[Held]:
        """Take out what stands behind the first of the chain's entries above a block."""
        above = (n for n, (own, at, _) in enumerate(self.held) if own == chain.chain_id and at.number > kept)
        first = next(above, len(self.held))
        taken, self.held = self.held[first:], self.held[:first]
        return taken

    def put_back(self, chain: OnChain, taken: list[Held]) -> None:
        """Put back what is not the chain's logs; its task events go under its tip."""
        for chain_id, at, record in taken:
            if chain_id != chain.chain_id:
                self.held.append((chain_id, at, record))
            elif isinstance(record, TaskEvent):
                self.held.append((chain_id, chain.blocks[-1], record))
        self.reorgs += 1
        self.compare()

    @rule(which=st.integers(0, 1), depth=st.integers(0, 3), count=st.integers(1, 3), logs=st.integers(0, 3))
    def replace(self, which: int, depth: int, count: int, logs: int) -> None:
        chain = self.chains[which]
        first = chain.tip - depth
        last = min(chain.tip, first + count - 1)
        if first <= chain.sealed_block or not chain.blocks:
            return
        proven = [block(n, logs=logs, branch=self.branch_of(chain, n)) for n in range(first, last + 1)]
        rows = [row_of(n, chain.chain_id, at, log) for n, (at, log) in enumerate(placed(proven), 1)]
        spare = from_rows([row_of(1, chain.chain_id, chain.at(first), chain_log(chain.at(first), 0))])
        self.logs[which].replace(first, last, from_rows(rows) if rows else spare.slice(0, 0))
        taken = self.take_out(chain, first - 1)
        stay = [each for each in taken if each[0] == chain.chain_id and isinstance(each[2], ChainLog)]
        self.held += chain.held(proven) + [each for each in stay if each[1].number > last]
        self.put_back(chain, taken)

    @rule(which=st.sampled_from([0, 0, 0, 1]), number=st.integers(1, 30), payload=st.sampled_from([b"x", b"y"]))
    def accept(self, which: int, number: int, payload: bytes) -> None:
        chain = self.chains[which]
        if not chain.blocks:
            return
        event = task(number, payload=payload)
        known = self.events.get(event.event_id)
        [answer] = self.logs[which].accept([event])
        if known is None:
            self.events[event.event_id] = event
            self.held.append((chain.chain_id, chain.blocks[-1], event))
            assert answer == Accepted(len(self.held), duplicate=False)
        elif known == event:
            at = next(n for n, (_, _, record) in enumerate(self.held, 1) if record == event)
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

    @rule(which=st.integers(0, 1), behind=st.integers(0, 4), entries_min=st.sampled_from([1, 1, 4]))
    def seal(self, which: int, behind: int, entries_min: int) -> None:
        chain = self.chains[which]
        if not chain.blocks:
            return
        number = max(chain.first_block, chain.tip - behind)
        ready = self.ready(chain, number) - self.sealed
        answer = self.logs[which].seal(chain.at(number), entries_min=entries_min)
        if 0 < ready < entries_min:
            assert answer is None
        else:
            assert (answer is not None) == (ready > 0)
            if number > chain.sealed_block:
                chain.sealable = chain.at(number)
            self.seal_ready(chain, number)
        self.compare()

    @rule(which=st.integers(0, 1), count=st.integers(1, 4), logs=st.integers(0, 2))
    def append_finalized(self, which: int, count: int, logs: int) -> None:
        chain, log = self.chains[which], self.logs[which]
        new = self.following(chain, count, logs)
        if self.ready(chain, chain.tip) < len(self.held):
            before = everything(log)
            with pytest.raises(Behind):
                log.append_finalized(chain.tip + 1, new[-1].header, placed(new), "range")
            assert everything(log) == before
            return
        log.append_finalized(chain.tip + 1, new[-1].header, placed(new), "range")
        self.seal_ready(chain, chain.tip)
        chain.blocks += [each.header.block for each in new]
        self.held += chain.held(new)
        self.sealed, chain.sealed_block = len(self.held), chain.tip
        self.compare()

    @rule(what=st.sampled_from(["extend on nothing", "extend", "accept", "seal", "append_finalized"]))
    def fail(self, what: str) -> None:
        # All but the first die when everything is written and nothing is committed.
        before = everything(self.log)
        dying = DyingLog(self.log.datastore, self.log.chain_id)
        chain = self.chains[0]
        new = self.following(chain, 2, logs=2)
        calls: dict[str, Callable[[], object]] = {
            "extend on nothing": lambda: self.log.extend(ref(chain.tip + 1, "0"), [block(chain.tip + 2, branch="0")]),
            "extend": lambda: dying.extend(chain.blocks[-1], new),
            "accept": lambda: dying.accept([task(99)]),
            "seal": lambda: dying.seal(chain.blocks[-1]),
            "append_finalized": lambda: dying.append_finalized(chain.tip + 1, new[-1].header, placed(new), "range"),
        }
        with pytest.raises(NotContiguous if what == "extend on nothing" else TryAgain):
            calls[what]()
        assert everything(self.log) == before

    @rule(number=st.integers(1, 30))
    def die_behind_the_commit(self, number: int) -> None:
        # The caller got no answer, so it does the same again.
        event = task(number, payload=b"x")
        if self.events.get(event.event_id, event) != event:
            return
        self.accept(0, number, b"x")
        self.reopen()
        self.accept(0, number, b"x")

    @rule()
    def follow(self) -> None:
        stop = threading.Event()
        changes = subscribe(self._url, self.place, stop=stop, hints=False)
        while held_by(self.read) != self.held:
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
            rows = [row_of(n, *held) for n, held in enumerate(self.held[: self.sealed], 1)]
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
        assert held_by(found) == self.held
        assert [entry.position for entry in found] == list(range(1, len(self.held) + 1))
        for entry in found:
            assert entry.finality == (Finality.SEALED if entry.position <= self.sealed else Finality.PENDING)
        for chain, log in zip(self.chains, self.logs, strict=True):
            assert log.chain().tip == (chain.blocks[-1] if chain.blocks else None)
            assert log.first_unsealed() == chain.sealed_block + 1


@pytest.mark.parametrize("histories", [8, pytest.param(100, marks=pytest.mark.soak)])
def test_the_log_is_a_list(postgres_url: str, histories: int) -> None:
    """Runs random steps against the real log and the model, and compares the whole log after each."""
    LogAsAList.postgres_url = postgres_url
    bounded = settings(max_examples=histories, stateful_step_count=30, deadline=None, phases=WITHOUT_SHRINKING)
    run_state_machine_as_test(LogAsAList, settings=bounded)
