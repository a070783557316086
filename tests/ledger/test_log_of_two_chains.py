"""Two chains in one log: one order over both, and each is taken back, sealed, found and restored by its own blocks."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from deepnode_ledger.backup import PointInTime, backup, restore
from deepnode_ledger.batch import entries
from deepnode_ledger.chain import WrongChain
from deepnode_ledger.database import url_of
from deepnode_ledger.errors import BadInput
from deepnode_ledger.evidence import Evidence, EvidenceKind, Hold
from deepnode_ledger.fsck import fsck
from deepnode_ledger.log import Behind, Log
from deepnode_ledger.record import ChainLog, LogEntry
from deepnode_ledger.sealing import Sealed
from deepnode_ledger.snapshot import Reorg, snapshot
from deepnode_ledger.subscription import START, Extended, RolledBack, subscribe
from tests.conftest import fresh_database
from tests.ledger.histories import (
    CHAIN_ID,
    FIRST_BLOCK,
    GENESIS,
    OTHER_CHAIN,
    block,
    contents,
    datastore,
    everything,
    opened,
    other_chain,
    placed,
    ref,
    run,
    task,
)
from tests.ledger.tampering import superuser


@pytest.fixture
def other(log: Log) -> Log:
    """The log of the fixture ``log``, for the other chain."""
    return other_chain(log)


@pytest.fixture(autouse=True)
def nothing_differs(log: Log, request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a test did, the check finds nothing; unless the test is about what it finds."""
    yield
    if "tampered" not in request.node.name:
        assert list(fsck(url_of(log.datastore))) == []


def order(log: Log) -> list[tuple[int, int | str]]:
    """Chain and block of each chain log, chain and id of each task event."""
    return [told(entry) for entry in contents(log)]


def told(entry: LogEntry) -> tuple[int, int | str]:
    record = entry.record
    return entry.chain_id, entry.block.number if isinstance(record, ChainLog) else record.event_id


def coverage(log: Log) -> list[tuple[int, int, int, str]]:
    with log.datastore.cursor() as cursor:
        cursor.execute("SELECT * FROM log.coverage ORDER BY chain_id, first_block")
        names = ("chain_id", "first_block", "last_block", "evidence")
        return [tuple(row[name] for name in names) for row in cursor.fetchall()]


A, B = CHAIN_ID, OTHER_CHAIN


def test_a_chain_that_is_not_meant_is_refused(log: Log, other: Log) -> None:
    """Opens a log of two chains as one of the first alone, as one of a third, and as one of the two."""
    before = everything(log)
    with pytest.raises(WrongChain, match=f"this log holds chain {B}; chain {A} needs a database of its own, or a man"):
        log.create(GENESIS, FIRST_BLOCK)
    with pytest.raises(WrongChain, match=f"this log holds chain {B}"):
        Log(log.datastore, 1).create(GENESIS, FIRST_BLOCK, beside=[A])
    assert other.create(GENESIS, FIRST_BLOCK, beside=[A, 1]).tip is None
    assert everything(log) == before
    with snapshot(log.datastore) as view:
        assert [chain.chain_id for chain in view.chains()] == [B, A]


def test_a_reorg_puts_the_other_chains_logs_back_behind_the_new_blocks(log: Log, other: Log) -> None:
    """Replaces block 6 of the first chain, behind which are logs of the second and task events."""
    log.extend(None, run(5, 6))
    other.extend(None, run(5, 6))
    log.accept([task(1)])
    other.extend(ref(6), run(7, 7, logs=2))
    log.accept([task(2)])
    assert order(log) == [(A, 5), (A, 6), (B, 5), (B, 6), (A, "e1"), (B, 7), (B, 7), (A, "e2")]
    log.extend(ref(5), run(6, 7, branch="b", parent="a"))
    assert order(log) == [(A, 5), (A, 6), (A, 7), (B, 5), (B, 6), (A, "e1"), (B, 7), (B, 7), (A, "e2")]
    held = contents(log)
    assert [entry.position for entry in held] == list(range(1, 10))
    assert [entry.block for entry in held if entry.chain_id == B] == [ref(5), ref(6), ref(7), ref(7)]
    assert {entry.block for entry in held if not isinstance(entry.record, ChainLog)} == {ref(7, "b")}
    assert log.chain().tip == ref(7, "b")
    assert other.chain().tip == ref(7)
    other.extend(ref(6), [])
    assert order(log) == [(A, 5), (A, 6), (A, 7), (B, 5), (B, 6), (A, "e1"), (A, "e2")]
    with snapshot(log.datastore) as view:
        assert view.reorgs() == [
            Reorg(1, 1, 5, (6, ref(6).hash), (7, ref(7, "b").hash), A),
            Reorg(2, 6, 6, (7, ref(7).hash), (6, ref(6).hash), B),
        ]


def test_a_follower_of_the_log_holds_both_chains(log: Log, other: Log, database_url: str) -> None:
    """Reads while either chain is extended, reorganised and sealed, and holds the log at each stop."""
    held: list[LogEntry] = []
    place = START

    def follow() -> None:
        nonlocal place
        changes = subscribe(database_url, place, stop=threading.Event(), hints=False)
        while [(e.chain_id, e.block, e.record) for e in held] != [
            (e.chain_id, e.block, e.record) for e in contents(log)
        ]:
            change = next(changes)
            place = change.place
            match change:
                case RolledBack(back):
                    del held[back.position :]
                case Extended(_, batch, _):
                    held.extend(entries(batch, change.finality))
        changes.close()  # type: ignore[attr-defined]  # a generator

    log.extend(None, run(5, 8))
    other.extend(None, run(5, 8, logs=2))
    log.accept([task(1)])
    follow()
    log.extend(ref(6), run(7, 9, branch="b", parent="a"))
    follow()
    other.extend(ref(5), run(6, 8, branch="c", parent="a"))
    log.seal(ref(6))
    other.seal(ref(5))
    follow()
    assert place.reorg == 2


def test_sealing_waits_for_each_chains_own_finality(log: Log, other: Log) -> None:
    """Seals either chain in turn: what stands behind an entry that is not final waits, and its chain's coverage."""
    log.extend(None, run(5, 6))
    other.extend(None, run(5, 6))
    log.extend(ref(6), run(7, 9))
    assert log.seal(ref(8)) == Sealed(1, 2)
    assert coverage(log) == [(A, 5, 6, "header-continuity")]
    assert other.seal(ref(5)) == Sealed(3, 3)
    assert coverage(log) == [(B, 5, 5, "header-continuity"), (A, 5, 6, "header-continuity")]
    assert other.seal(ref(6), why="receipts") == Sealed(4, 6)
    assert coverage(log) == [
        (B, 5, 5, "header-continuity"),
        (B, 6, 6, "receipts"),
        (A, 5, 8, "header-continuity"),
    ]
    assert [header.block for header in log.headers()] == [ref(9), ref(8)]


def test_what_shows_completeness_is_kept_though_another_chain_seals(log: Log, other: Log) -> None:
    """Gives evidence for blocks that cannot be sealed yet, twice; the other chain's sealing takes them along."""
    shown = Evidence(EvidenceKind.RECEIPTS, 5, 6, 2, "a node", 2)
    other.extend(None, run(5, 5))
    log.extend(None, run(5, 7))
    for _ in range(2):
        assert log.seal(ref(6), why="receipts", evidence=[shown]) is None
    assert log.evidence(5, 9) == [shown]
    assert other.seal(ref(5)) == Sealed(1, 3)
    assert coverage(log) == [(B, 5, 5, "header-continuity"), (A, 5, 6, "receipts")]


def test_a_block_that_was_replaced_is_not_taken_along(log: Log, other: Log) -> None:
    """Calls a block of the first chain final, which waits and is replaced; then the second chain seals."""
    other.extend(None, run(5, 5))
    log.extend(None, run(5, 7))
    assert log.seal(ref(7)) is None
    log.extend(ref(5), run(6, 8, branch="b", parent="a"))
    assert other.seal(ref(5)) == Sealed(1, 1)
    assert log.seal(ref(7, "b")) == Sealed(2, 4)


def test_what_a_chain_holds_back_is_not_taken_along(log: Log, other: Log) -> None:
    """Holds a block of the first chain that was ready; the second chain's sealing stops before it."""
    other.extend(None, run(5, 5))
    log.extend(None, run(5, 7))
    assert log.seal(ref(7)) is None
    log.hold(Hold(6, 6, "two providers differ"))
    assert other.seal(ref(5)) == Sealed(1, 2)
    log.release(6, 6)
    assert log.seal(ref(7)) == Sealed(3, 4)


def test_a_final_range_waits_behind_the_other_chains_entries(log: Log, other: Log) -> None:
    """Backfills behind an entry that is not final: refused as a whole; the same blocks can extend the tail."""
    other.extend(None, run(5, 5))
    before = everything(log)
    with pytest.raises(Behind, match="1 entries, the first of which is not final on its own chain, stand before"):
        log.append_finalized(5, block(7).header, placed(run(5, 7)), "range")
    assert everything(log) == before
    log.extend(None, run(5, 7))
    assert log.seal(ref(7)) is None
    assert other.seal(ref(5)) == Sealed(1, 4)
    log.append_finalized(8, block(9).header, placed(run(8, 9)), "range")
    assert order(log) == [(B, 5), *((A, number) for number in range(5, 10))]


def test_a_task_event_keeps_the_header_that_it_stands_under(log: Log, other: Log) -> None:
    """Accepts an event behind another chain's entry; blocks behind the event's are not covered before it is sealed."""
    log.extend(None, run(5, 6))
    other.extend(None, run(5, 5))
    log.accept([task(1)])
    log.extend(ref(6), run(7, 9, logs=0))
    assert log.seal(ref(8)) == Sealed(1, 2)
    assert coverage(log) == [(A, 5, 6, "header-continuity")]
    assert log.headers()[-1].block == ref(6)
    assert other.seal(ref(5)) == Sealed(3, 4)
    assert coverage(log)[-1] == (A, 5, 8, "header-continuity")


def test_entries_are_found_by_chain_and_block(log: Log, other: Log) -> None:
    """Looks for the same block and index on both chains, sealed in one batch and pending."""
    log.extend(None, run(5, 6, logs=2))
    other.extend(None, run(5, 7, logs=3))
    log.extend(ref(6), run(7, 7, logs=2))
    for _ in range(2):
        held = contents(log)
        with snapshot(log.datastore) as view:
            for chain_id in (A, B):
                for number in range(4, 9):
                    own = [e for e in held if e.chain_id == chain_id and e.block.number <= number]
                    assert view.last_position_at_block(chain_id, number) == (own[-1].position if own else 0)
                    found = view.chain_log(chain_id, ref(number).hash, 1, block_number=number)
                    meant = [e for e in own if e.block.number == number]
                    assert found == (meant[1] if meant else None)
            assert view.chain_log(A, ref(7).hash, 2, block_number=7) is None
        log.seal(ref(7))
        other.seal(ref(6))


def test_two_followers_do_not_disturb_each_other(log: Log, database_url: str) -> None:
    """Extends, reorganises and seals both chains from threads of their own; each has its own logs in the end."""
    other_chain(log)
    failures: list[BaseException] = []

    def follow(chain_id: int) -> None:
        try:
            with datastore(database_url) as store:
                own = Log(store, chain_id)
                own.extend(None, run(5, 8))
                for number in range(9, 41, 4):
                    own.extend(ref(number - 1), run(number, number + 1, branch="b", parent="a"))
                    own.extend(ref(number - 1), run(number, number + 3, logs=2))
                    own.seal(ref(number - 2))
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=follow, args=(chain_id,)) for chain_id in (A, B)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    for chain_id in (A, B):
        own = [(e.block, e.record) for e in contents(log) if e.chain_id == chain_id]
        blocks = [block(number, logs=1 if number < 9 else 2) for number in range(5, 41)]
        assert own == placed(blocks)


def test_a_log_of_two_chains_comes_back_whole_and_to_each_sealing(
    log: Log, other: Log, postgres_url: str, tmp_path: Path
) -> None:
    """Restores everything, and to the block of a chain: each chain goes on behind what was sealed of it."""
    log.extend(None, run(5, 6))
    log.seal(ref(6))
    other.extend(None, run(5, 8))
    log.extend(ref(6), run(7, 10))
    log.seal(ref(9))
    other.seal(ref(7))
    other.seal(ref(8))
    log.accept([task(1)])
    backup(url_of(log.datastore), tmp_path)
    with fresh_database(postgres_url) as url:
        assert restore(tmp_path, url).blocks == {B: 8, A: 10}
        with opened(url, beside=[B]) as copy:
            assert everything(copy) == everything(log)
    for point, blocks, size in (
        (PointInTime(block=7, chain=B), {B: 7, A: 6}, 5),
        (PointInTime(block=8, chain=A), {B: 7, A: 6}, 5),
        (PointInTime(block=6, chain=B), {B: None, A: 6}, 2),
        (PointInTime(sealing=3), {B: 8, A: 9}, 9),
    ):
        with fresh_database(postgres_url) as url:
            assert restore(tmp_path, url, point=point).blocks == blocks
            with opened(url, beside=[B]) as copy:
                assert order(copy) == order(log)[:size]
                end = blocks[A]
                assert end is not None
                copy.extend(ref(end), run(end + 1, 12))
            assert list(fsck(url)) == []
    with fresh_database(postgres_url) as url:
        with pytest.raises(BadInput, match=f"the log has the chains {B}, {A}: say which one block 7 is of"):
            restore(tmp_path, url, point=PointInTime(block=7))
        with pytest.raises(BadInput, match=f"the log has no chain 1, only {B}, {A}"):
            restore(tmp_path, url, point=PointInTime(block=7, chain=1))


@pytest.mark.parametrize(
    ("statement", "where"),
    [
        (
            f"UPDATE log.sealing_block SET block_number = 9 WHERE chain_id = {B}",
            f"log.sealing_block number 2 chain {B}",
        ),
        (f"DELETE FROM log.sealing_block WHERE number = 2 AND chain_id = {A}", f"log.sealing_block number 2 chain {A}"),
        (
            f"UPDATE log.batch_block SET first_block = 4 WHERE chain_id = {B}",
            f"log.batch_block number 2 chain {B}: first",
        ),
        (f"DELETE FROM log.coverage WHERE chain_id = {B}", f"log.coverage chain {B}"),
        (f"UPDATE log.chain SET tip_number = 7 WHERE chain_id = {B}", f"log.chain {B}: tip_number"),
        (f"DELETE FROM log.header WHERE chain_id = {B} AND number = 6", f"log.header chain {B} number 7: number"),
        (f"UPDATE log.pending SET chain_id = {B} WHERE chain_id = {A}", "log.pending position"),
        (f"UPDATE log.reorg SET chain_id = {B}", "log.reorg number 1: kept_block"),
    ],
)
def test_a_tampered_row_of_one_chain_is_named(log: Log, other: Log, statement: str, where: str) -> None:
    """Changes one row of a log of two chains; the first difference is at its place."""
    log.extend(None, run(5, 8))
    log.extend(ref(7), run(8, 8, branch="b", parent="a"))
    log.seal(ref(8, "b"))
    other.extend(None, run(5, 8))
    other.seal(ref(5))
    log.extend(ref(8, "b"), run(9, 9, branch="b"))
    assert list(fsck(url_of(log.datastore))) == []
    with superuser(log) as connection:
        assert connection.execute(statement.encode()).rowcount >= 1
    found = list(fsck(url_of(log.datastore)))
    assert found
    assert found[0].where.startswith(where), found[:3]
