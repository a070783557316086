"""The log takes in blocks and task events in one order without a gap, and what it refuses changes nothing."""

import psycopg
import pytest

from deepnode_ledger.chain import WrongChain
from deepnode_ledger.database import open_datastore, url_of
from deepnode_ledger.errors import BadInput, Conflict, TryAgain
from deepnode_ledger.log import Log
from deepnode_ledger.record import Block, Finality
from deepnode_ledger.snapshot import snapshot
from deepnode_ledger.tail import Accepted, NotContiguous
from tests.ledger.histories import (
    CHAIN_ID,
    FIRST_BLOCK,
    GENESIS,
    block,
    contents,
    everything,
    opened,
    records,
    ref,
    run,
    task,
)


def test_a_new_log_is_empty(log: Log) -> None:
    """Looks at everything that can be asked of a log before the first block."""
    chain = log.chain()
    assert (chain.first_block, chain.genesis_hash, chain.tip, chain.finalized) == (FIRST_BLOCK, GENESIS, None, None)
    assert log.headers() == []
    with snapshot(log.datastore) as view:
        assert (view.head.last_position, view.head.sealed_position, view.head.batches) == (0, 0, 0)
        assert list(view.read(1)) == []
        assert view.reorgs() == []
        assert view.last_position_at_block(CHAIN_ID, 10**9) == 0
        assert view.chain(1) is None


def test_positions_count_from_1_in_the_order_of_the_chain(log: Log) -> None:
    """Takes in blocks with none, one and many logs, and task events between them."""
    log.extend(None, [block(5, logs=2), block(6), block(7, logs=3)])
    log.accept([task(1), task(2)])
    log.extend(ref(7), [block(8, logs=1)])
    held = contents(log)
    assert [entry.position for entry in held] == list(range(1, 9))
    assert [entry.block.number for entry in held] == [5, 5, 7, 7, 7, 7, 7, 8]
    assert [entry.record for entry in held[5:7]] == [task(1), task(2)]
    assert tuple(entry.record for entry in held[:2]) == block(5, logs=2).logs
    assert {entry.finality for entry in held} == {Finality.PENDING}
    assert {entry.chain_id for entry in held} == {CHAIN_ID}
    assert log.chain().tip == ref(8)
    assert [header.block for header in log.headers()] == [ref(8), ref(7), ref(6), ref(5)]


def test_a_read_gives_the_positions_that_were_asked_for(log: Log) -> None:
    """Reads every range of a log whose first half is sealed in two batches."""
    log.extend(None, run(5, 8, logs=2))
    log.seal(ref(5))
    log.seal(ref(6))
    with snapshot(log.datastore) as view:
        for first in range(1, 11):
            for last in [*range(10), None]:
                found = [entry.position for entry in view.entries(first, last)]
                assert found == list(range(first, min(8, 8 if last is None else last) + 1)), (first, last)
        with pytest.raises(BadInput, match="positions count from 1, not 0"):
            list(view.read(0))


def test_a_long_tail_is_read_in_pages(log: Log) -> None:
    """Reads more entries than a page of the tail has."""
    log.extend(None, [block(5, logs=9_000)])
    with snapshot(log.datastore) as view:
        assert [batch.num_rows for batch in view.read(1)] == [8_192, 808]


@pytest.mark.parametrize(
    ("kept", "blocks"),
    [
        (None, [block(6)]),
        (None, [block(4)]),
        (None, []),
        (6, [block(8)]),
        (6, [block(7, parent="other")]),
        (6, [block(7), block(8, parent="other")]),
        (6, [block(7), block(9)]),
        (6, [block(7), block(7)]),
        (7, [block(8)]),
    ],
)
def test_blocks_that_do_not_follow_are_refused(log: Log, kept: int | None, blocks: list[Block]) -> None:
    """Leaves blocks out, repeats them, gives them a foreign parent, builds on a block that is not there."""
    log.extend(None, run(5, 6))
    log.accept([task(1)])
    before = everything(log)
    with pytest.raises(NotContiguous):
        log.extend(None if kept is None else ref(kept), blocks)
    assert everything(log) == before


def test_a_block_of_another_hash_cannot_be_built_on(log: Log) -> None:
    """Builds on the block of another branch at a covered height."""
    log.extend(None, run(5, 7))
    before = everything(log)
    with pytest.raises(NotContiguous, match=r"block 6 .* is not covered by the log"):
        log.extend(ref(6, "b"), [block(7, branch="b")])
    assert everything(log) == before


def test_an_empty_log_has_no_block_to_build_on(log: Log) -> None:
    """Builds on a block before the first one is covered: it is not covered, as any other that is not."""
    before = everything(log)
    with pytest.raises(NotContiguous):
        log.extend(ref(5), [block(6)])
    assert everything(log) == before


def test_the_same_task_event_is_accepted_again_and_adds_nothing(log: Log) -> None:
    """Delivers an event twice in one call and once more, also signed anew: one entry, one position."""
    log.extend(None, [block(5, logs=3)])
    first = log.accept([task(1), task(1)])
    assert first == [Accepted(4, duplicate=False), Accepted(4, duplicate=True)]
    before = everything(log)
    assert log.accept([task(1)]) == [Accepted(4, duplicate=True)]
    assert everything(log) == before


def test_an_event_that_contradicts_the_log_is_refused(log: Log) -> None:
    """Sends a known id with other bytes, a known sequence number under another id, and good events around them."""
    log.extend(None, [block(5)])
    log.accept([task(1)])
    other_bytes = task(1, payload=b"other")
    other_id = task(1, event_id="another")
    answers = log.accept([task(2), other_bytes, other_id, task(3)])
    assert answers[0] == Accepted(2, duplicate=False)
    assert isinstance(answers[1], Conflict)
    assert isinstance(answers[2], Conflict)
    assert "'e1' of urn:p is in the log with other bytes" in str(answers[1])
    assert "sequence 1 of urn:p belongs to event 'e1', not to 'another'" in str(answers[2])
    assert answers[3] == Accepted(3, duplicate=False)
    assert records(log) == [task(1), task(2), task(3)]


def test_producers_do_not_share_ids_or_sequence_numbers(log: Log) -> None:
    """Sends the same id and number from two producers."""
    log.extend(None, [block(5)])
    assert log.accept([task(1), task(1, producer="urn:q")]) == [Accepted(1, False), Accepted(2, False)]


def test_sequence_numbers_may_come_late_and_leave_holes(log: Log) -> None:
    """Sends 5, 2 and 9: order of arrival is the order of the log."""
    log.extend(None, [block(5)])
    log.accept([task(5)])
    log.accept([task(2), task(9)])
    assert records(log) == [task(5), task(2), task(9)]


def test_a_task_event_needs_a_block_to_stand_under(log: Log) -> None:
    """Sends one before the first block is covered: it may come again later."""
    with pytest.raises(TryAgain, match="no block is covered yet"):
        log.accept([task(1)])
    assert contents(log) == []


def test_a_log_that_is_there_is_opened_again(database_url: str) -> None:
    """Creates the log twice and reads with the second what the first wrote."""
    with opened(database_url) as first:
        first.extend(None, run(5, 6))
        before = contents(first)
    with opened(database_url) as second:
        assert contents(second) == before
        assert second.chain().tip == ref(6)


@pytest.mark.parametrize(
    ("chain_id", "genesis", "first_block", "message"),
    [
        (CHAIN_ID + 1, GENESIS, FIRST_BLOCK, "this log holds chain 8453; chain 8454 needs a database of its own"),
        (CHAIN_ID, b"\x01" * 32, FIRST_BLOCK, "genesis 0x0707.* the manifest's genesis is 0x0101"),
        (CHAIN_ID, GENESIS, FIRST_BLOCK - 1, "the log starts at block 5, the manifest's earliest start_block is 4"),
        (CHAIN_ID, GENESIS, FIRST_BLOCK + 1, "the log starts at block 5, the manifest's earliest start_block is 6"),
    ],
)
def test_the_log_of_another_chain_is_not_opened(
    log: Log, chain_id: int, genesis: bytes, first_block: int, message: str
) -> None:
    """Opens an existing log with another chain id, genesis hash or first block."""
    log.extend(None, run(5, 6))
    before = everything(log)
    with pytest.raises(WrongChain, match=message):
        Log(log.datastore, chain_id).create(genesis, first_block)
    assert everything(log) == before


def test_an_error_inside_a_change_leaves_everything_as_it_was(log: Log) -> None:
    """Hands over a block that breaks the database's own rule (a log's place twice) behind good ones, with a reorg."""
    log.extend(None, run(5, 8, logs=2))
    log.accept([task(1), task(2)])
    log.seal(ref(5))
    before = everything(log)
    good, bad = block(7, logs=1, branch="b", parent="a"), block(8, logs=2, branch="b")
    broken = Block(bad.header, (bad.logs[0], bad.logs[0]))
    with pytest.raises(Exception, match="pending_log_key"):
        log.extend(ref(6), [good, broken])
    assert everything(log) == before
    log.extend(ref(6), [good, bad])
    assert [entry.position for entry in contents(log)] == list(range(1, 10))


def test_a_crash_in_the_middle_of_a_call_leaves_everything_as_it_was(log: Log) -> None:
    """Raises between the answers of a call: the events before it are not in the log either."""
    log.extend(None, run(5, 6))
    before = everything(log)

    def events() -> list[object]:
        return [task(1), task(2), "not an event"]

    with pytest.raises(AttributeError):
        log.accept(events())  # type: ignore[arg-type] # the wrong type is the crash
    assert everything(log) == before


def test_a_database_that_is_away_is_worth_another_try() -> None:
    """Opens a log where no database listens."""
    nowhere = open_datastore("postgresql://postgres@127.0.0.1:9/x?connect_timeout=1")
    nowhere.pool.timeout = 1
    try:
        with pytest.raises(TryAgain, match=r"the database .*is away"):
            Log(nowhere, CHAIN_ID).create(GENESIS, FIRST_BLOCK)
    finally:
        nowhere.close()


def test_a_log_survives_the_loss_of_its_connections(log: Log) -> None:
    """Has the server end every connection between two calls; the next call, or the one after it, goes through."""
    log.extend(None, run(5, 6))
    with psycopg.connect(url_of(log.datastore), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    try:
        log.accept([task(1)])
    except TryAgain:
        log.accept([task(1)])
    assert records(log)[-1] == task(1)
