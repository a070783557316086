"""Whatever an entry can be looked up by, the lookup finds what reading the whole log finds, and reads little."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepnode_ledger import segment, stored
from deepnode_ledger.errors import BadInput
from deepnode_ledger.finding import OfAll, OfContract, OfKind, OfProducer, OfTask, OfTransaction, OfType, Selection
from deepnode_ledger.log import Log
from deepnode_ledger.record import Block, ChainLog, Finality, Kind, LogEntry, TaskEvent
from deepnode_ledger.segment import Segment
from deepnode_ledger.snapshot import Snapshot, snapshot
from tests.conftest import fresh_database
from tests.ledger.histories import (
    CHAIN_ID,
    WITHOUT_SHRINKING,
    block,
    chain_log,
    contents,
    opened,
    placed,
    ref,
    run,
    task,
    word,
)


def found(view: Snapshot, selection: Selection, *, newest_first: bool = False, first: int = 1) -> list[int]:
    read = view.find(selection, first, newest_first=newest_first)
    return [position for each in read for position in each.entries.column("position").to_pylist()]


def meant(selection: Selection, entry: LogEntry) -> bool:
    """The same question, asked of one entry."""
    record = entry.record
    match selection, record:
        case OfTask(name), TaskEvent():
            return f'"{name}"'.encode() in record.payload
        case OfProducer(name), TaskEvent():
            return record.producer == name
        case OfTransaction(key), ChainLog():
            return record.transaction_hash == key
        case OfContract(address), ChainLog():
            return record.address == address
        case OfType(topics, _), ChainLog():
            return record.topics[0] in topics
        case OfKind(kind), _:
            return (kind == Kind.CHAIN_LOG) == isinstance(record, ChainLog)
        case OfAll(parts), _:
            return all(meant(part, entry) for part in parts)
        case _:
            return False


def about(number: int, which: int) -> TaskEvent:
    """A producer's event about one of a few tasks, or about none."""
    payload = b'{"data":{"task":"task-%d"}}' % which if which else b'{"data":{}}'
    return task(number, producer=f"urn:p{which % 2}", payload=payload)


@settings(max_examples=12, phases=WITHOUT_SHRINKING)
@given(
    steps=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans()), min_size=1, max_size=14),
    first=st.integers(1, 8),
)
def test_a_lookup_finds_what_a_search_through_everything_finds(
    postgres_url: str, steps: list[tuple[int, int, bool]], first: int
) -> None:
    """Makes a history sealed in many batches, and asks for every transaction, type, task, producer and contract."""
    with fresh_database(postgres_url) as url, opened(url) as log:
        for number, (logs, which, seals) in enumerate(steps, 5):
            log.extend(None if number == 5 else ref(number - 1), [block(number, logs=logs)])
            log.accept([about(number, which)])
            if seals:
                log.seal(ref(number))
        held = contents(log)
        topic = word("topic", 1, 0)
        selections: list[Selection] = [
            *(OfTask(f"task-{n}") for n in (1, 2, 3, 4)),
            *(OfProducer(f"urn:p{n}") for n in (0, 1, 2)),
            *(OfTransaction(e.record.transaction_hash) for e in held if isinstance(e.record, ChainLog)),
            OfType.named([topic]),
            OfContract(b"\xaa" * 20),
            OfContract(b"\xab" * 20),
            OfKind(Kind.CHAIN_LOG),
            OfKind(Kind.TASK_EVENT),
            OfAll((OfProducer("urn:p1"), OfTask("task-1"))),
            OfAll((OfProducer("urn:p0"), OfTask("task-1"))),
            OfAll((OfContract(b"\xaa" * 20), OfType.named([topic]), OfKind(Kind.CHAIN_LOG))),
        ]
        with snapshot(log.datastore) as view:
            for selection in selections:
                expected = [entry.position for entry in held if entry.position >= first and meant(selection, entry)]
                assert found(view, selection, first=first) == expected, selection
                assert found(view, selection, first=first, newest_first=True) == expected[::-1], selection
            typed = view.read(first, types=[topic, "TaskCreated"])
            assert [p for batch in typed for p in batch.column(0).to_pylist()] == [
                e.position
                for e in held
                if e.position >= first and (isinstance(e.record, TaskEvent) or e.record.topics[0] == topic)
            ]


def test_a_chain_log_is_found_by_its_block_and_index_sealed_or_pending(log: Log) -> None:
    """Asks for every log of a history, for one that is not there, and for one of an orphaned block."""
    blocks = run(5, 30, logs=3)
    log.append_finalized(5, blocks[9].header, placed(blocks[:10]), "test")
    log.extend(ref(14), blocks[10:])
    log.seal(ref(20))
    with snapshot(log.datastore) as view:
        for each in blocks:
            for record in each.logs:
                got = view.chain_log(
                    CHAIN_ID, each.header.block.hash, record.log_index, block_number=each.header.block.number
                )
                assert got is not None
                assert (got.record, got.block) == (record, each.header.block)
                assert got.finality == (Finality.SEALED if each.header.block.number <= 20 else Finality.PENDING)
        assert view.chain_log(CHAIN_ID, ref(7).hash, 3, block_number=7) is None
        assert view.chain_log(CHAIN_ID, ref(7, "b").hash, 1, block_number=7) is None
        assert view.chain_log(CHAIN_ID + 1, ref(7).hash, 1, block_number=7) is None
        assert view.chain_log(CHAIN_ID, ref(99).hash, 0, block_number=99) is None


@contextmanager
def counting_batches(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Note which stored batches are opened."""
    opened_batches: list[int] = []
    really = stored.stored_bytes

    def noted(cursor: object, number: int) -> tuple[str, bytes]:
        opened_batches.append(number)
        return really(cursor, number)  # type: ignore[arg-type]  # passed on as it came

    with monkeypatch.context() as patched:
        patched.setattr(stored, "stored_bytes", noted)
        yield opened_batches


def test_a_lookup_opens_only_the_batches_that_hold_what_is_looked_for(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seals two hundred batches and looks up a transaction, a range, and a contract's newest log."""
    for number in range(5, 205):
        each = block(number, logs=2)
        log.append_finalized(number, each.header, placed([each]), "test")
    with snapshot(log.datastore) as view:
        with counting_batches(monkeypatch) as seen:
            assert found(view, OfTransaction(chain_log(ref(77), 1).transaction_hash)) == [146]
        assert seen == [73]
        with counting_batches(monkeypatch) as seen:
            assert found(view, OfTransaction(b"\x00" * 32)) == []
        assert seen == []
        with counting_batches(monkeypatch) as seen:
            assert [batch.num_rows for batch in view.read(101, 103)] == [2, 1]
        assert seen == [51, 52]
        with counting_batches(monkeypatch) as seen:
            newest = next(view.find(OfContract(b"\xaa" * 20), newest_first=True))
            assert (newest.entries.column("position").to_pylist(), newest.through) == ([400, 399], 399)
        assert seen == [200]
        with counting_batches(monkeypatch) as seen:
            assert view.chain_log(CHAIN_ID, ref(50).hash, 1, block_number=50) is not None
        assert len(seen) <= 2


def test_segments_merge_and_stay_few(log: Log) -> None:
    """Seals two hundred batches: there are as many segments as the digits of 200 to the base 8 say."""
    for number in range(5, 205):
        each = block(number, logs=1)
        log.append_finalized(number, each.header, placed([each]), "test")
    with log.datastore.cursor() as cursor:
        spans = [(each.first, each.last) for each in segment.load(cursor)]
    assert spans == [(1, 64), (65, 128), (129, 192), (193, 200)]


def test_a_log_without_segments_gets_them_when_it_is_opened(log: Log, database_url: str) -> None:
    """Drops the segments, as in a log of an older version: opening makes the same ones again."""
    for number in range(5, 25):
        each = block(number, logs=2)
        log.append_finalized(number, each.header, placed([each]), "test")
    with log.datastore.transaction(commit=True) as cursor:
        before = [(each.first, each.last, each.terms.tolist(), each.batches.tolist()) for each in segment.load(cursor)]
        cursor.execute("DELETE FROM log.segment")
    with opened(database_url) as again, again.datastore.cursor() as cursor:
        after = [(each.first, each.last, each.terms.tolist(), each.batches.tolist()) for each in segment.load(cursor)]
    assert after == before


@settings(max_examples=25, phases=WITHOUT_SHRINKING)
@given(
    terms=st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 5), min_size=1, max_size=30),
    repeated=st.integers(1, 200),
    size=st.sampled_from([0, 1_000, 5_000]),
    seed=st.integers(0, 99),
)
def test_a_term_is_found_wherever_it_stands_in_a_segment(
    one_log: Log, terms: list[int], repeated: int, size: int, seed: int
) -> None:
    """Stores one segment of many pages, with terms evenly spread, at the ends, and standing in many batches."""
    spread = np.random.default_rng(seed).integers(0, 2**64 - 1, size, np.uint64, endpoint=True)
    pairs = sorted({(term, n + 1) for term in terms for n in range(repeated)} | {(int(t), 1) for t in spread})
    made = Segment(1, 10**6 + 1, np.array([t for t, _ in pairs], np.uint64), np.array([n for _, n in pairs], np.uint32))
    with one_log.datastore.transaction(commit=True) as cursor:
        cursor.execute("DELETE FROM log.segment")
        segment.add(cursor, made)
        for term in [*terms, 0, 2**64 - 1, 2**63, int(spread[0]) if size else 7]:
            expected = [n for t, n in pairs if t == term]
            assert list(segment.batches_with(cursor, term, 1, 2**40, newest_first=False)) == expected
            assert list(segment.batches_with(cursor, term, 1, 2**40, newest_first=True)) == expected[::-1]


@pytest.fixture(scope="module")
def one_log(postgres_url: str) -> Iterator[Log]:
    """A log for examples that clean up behind themselves."""
    with fresh_database(postgres_url) as url, opened(url) as log:
        yield log


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: OfTransaction(b"\x00" * 31), "32 bytes, not 31"),
        (lambda: OfContract(b""), "20 bytes, not 0"),
        (lambda: OfType.named([]), "at least one type"),
        (lambda: OfType.named([b"\x00" * 20]), "32 bytes, not 20"),
    ],
)
def test_what_cannot_be_looked_for_is_refused(make: Callable[[], Selection], told: str) -> None:
    """Asks for values of a wrong length."""
    with pytest.raises(BadInput, match=told):
        make()


def test_blocks_cut_by_a_seal_are_found_whole(log: Log) -> None:
    """Puts 70 000 logs into one block, more than a batch holds: first and last are found by index."""
    header = Block(block(5).header, ()).header
    own = header.block
    logs = [(own, ChainLog(word("t"), 0, n, b"\xaa" * 20, (), b"")) for n in range(70_000)]
    log.append_finalized(5, header, logs, "test")
    with snapshot(log.datastore) as view:
        assert view.head.batches == 2
        for index in (0, 65_535, 65_536, 69_999):
            entry = view.chain_log(CHAIN_ID, own.hash, index, block_number=5)
            assert entry is not None
            assert entry.position == index + 1
        assert found(view, OfTransaction(word("t"))) == list(range(1, 70_001))
        assert found(view, OfTransaction(word("t")), newest_first=True) == list(range(70_000, 0, -1))
        newest = next(view.find(OfTransaction(word("t")), newest_first=True))
        assert newest.entries.num_rows < 5_000
        assert newest.through == newest.entries.column("position")[newest.entries.num_rows - 1].as_py()
