"""A reorg takes back what was orphaned and nothing else, and stops loudly at what is sealed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepnode_ledger.log import Log
from deepnode_ledger.record import ChainLog, TaskEvent
from deepnode_ledger.snapshot import Reorg, snapshot
from deepnode_ledger.tail import Accepted, NotContiguous, ReorgBelowSealed
from tests.conftest import fresh_database
from tests.ledger.histories import (
    CHAIN_ID,
    WITHOUT_SHRINKING,
    block,
    contents,
    everything,
    opened,
    placed,
    records,
    ref,
    run,
    task,
)


def told(log: Log) -> list[Reorg]:
    with snapshot(log.datastore) as view:
        return view.reorgs()


def test_orphaned_logs_go_and_task_events_stay_behind_the_new_blocks_in_their_old_order(log: Log) -> None:
    """Replaces 7 and 8, under which task events were accepted, by a longer branch."""
    log.extend(None, run(5, 6))
    log.accept([task(1)])
    log.extend(ref(6), run(7, 7))
    log.accept([task(3), task(2)])
    log.extend(ref(7), run(8, 8))
    log.accept([task(4)])
    new = run(7, 9, logs=2, branch="b", parent="a")
    log.extend(ref(6), new)
    assert records(log) == [
        *[record for _, record in placed(run(5, 6))],
        task(1),
        *[record for _, record in placed(new)],
        task(3),
        task(2),
        task(4),
    ]
    held = contents(log)
    assert [entry.position for entry in held] == list(range(1, 13))
    assert [entry.block for entry in held[-3:]] == [ref(9, "b")] * 3
    assert held[2].block == ref(6)
    assert log.chain().tip == ref(9, "b")
    assert [header.block for header in log.headers()] == [ref(9, "b"), ref(8, "b"), ref(7, "b"), ref(6), ref(5)]
    assert log.accept([task(4), task(2)]) == [Accepted(12, duplicate=True), Accepted(11, duplicate=True)]


def test_every_reorg_is_told_with_what_it_kept(log: Log) -> None:
    """Lives through a reorg with new blocks, one that only shortens the chain, and one of blocks without logs."""
    log.extend(None, run(5, 8, logs=2))
    log.extend(ref(6), run(7, 7, branch="b", parent="a"))
    log.extend(ref(6), [])
    log.extend(ref(6), run(7, 8, logs=0, branch="c", parent="a"))
    log.extend(ref(7, "c"), run(8, 8, branch="d", parent="c"))
    first, second, third = told(log)
    assert first == Reorg(1, 4, 6, (8, ref(8).hash), (7, ref(7, "b").hash), CHAIN_ID)
    assert second == Reorg(2, 4, 6, (7, ref(7, "b").hash), (6, ref(6).hash), CHAIN_ID)
    assert third == Reorg(3, 4, 7, (8, ref(8, "c").hash), (8, ref(8, "d").hash), CHAIN_ID)
    assert told(log)[1:] == [second, third]
    with snapshot(log.datastore) as view:
        assert view.reorgs(after=2) == [third]
        assert view.reorgs(after=3) == []


def test_task_events_survive_a_chain_that_only_becomes_shorter(log: Log) -> None:
    """Takes two blocks back without a new one: the events accepted under them stand under the block that stays."""
    log.extend(None, run(5, 7))
    log.accept([task(1), task(2)])
    log.extend(ref(5), [])
    assert [(entry.position, entry.block) for entry in contents(log)] == [(1, ref(5)), (2, ref(5)), (3, ref(5))]
    assert records(log)[1:] == [task(1), task(2)]


def test_everything_can_be_replaced_while_nothing_is_sealed(log: Log) -> None:
    """Builds anew from the first block, of another branch."""
    log.extend(None, run(5, 7))
    log.accept([task(1)])
    log.extend(None, run(5, 6, branch="b"))
    assert records(log) == [*[record for _, record in placed(run(5, 6, branch="b"))], task(1)]
    assert told(log) == [Reorg(1, 0, 4, (7, ref(7).hash), (6, ref(6, "b").hash), CHAIN_ID)]


def test_a_block_can_come_back(log: Log) -> None:
    """Leaves a branch and returns to it: the same logs under the same keys are taken in again."""
    log.extend(None, run(5, 8))
    before = [(entry.position, entry.record) for entry in contents(log)]
    log.extend(ref(6), run(7, 8, branch="b", parent="a"))
    log.extend(ref(6), run(7, 8))
    assert [(entry.position, entry.record) for entry in contents(log)] == before


@pytest.mark.parametrize("kept", [None, 4, 5, 6])
def test_a_reorg_below_the_sealed_part_changes_nothing(log: Log, kept: int | None) -> None:
    """Builds on blocks below the sealed one, and on none, after sealing up to block 7."""
    log.extend(None, run(5, 9))
    log.accept([task(1)])
    log.seal(ref(7))
    before = everything(log)
    first = 5 if kept is None else kept + 1
    with pytest.raises(ReorgBelowSealed, match="sealed"):
        log.extend(None if kept is None else ref(kept), run(first, 10, branch="b", parent="a"))
    assert everything(log) == before


def test_the_sealed_block_itself_is_not_replaced(log: Log) -> None:
    """Builds on another block at the height of the last sealed one; then on the sealed one itself, which is allowed."""
    log.extend(None, run(5, 9))
    log.seal(ref(7))
    before = everything(log)
    with pytest.raises((ReorgBelowSealed, NotContiguous)):
        log.extend(ref(7, "b"), run(8, 10, branch="b"))
    assert everything(log) == before
    log.extend(ref(7), run(8, 10, branch="b", parent="a"))
    assert [entry.block for entry in contents(log)] == [ref(5), ref(6), ref(7), ref(8, "b"), ref(9, "b"), ref(10, "b")]


@pytest.mark.parametrize("kept", [5, 6, 7, 8])
def test_a_reorg_into_a_final_range_changes_nothing(log: Log, kept: int) -> None:
    """Takes in two ranges of final blocks, and builds on blocks inside them and on the end of the first."""
    log.append_finalized(5, block(6).header, placed(run(5, 6)), "range")
    log.append_finalized(7, block(9).header, placed(run(7, 9)), "range")
    before = everything(log)
    with pytest.raises(ReorgBelowSealed, match="sealed"):
        log.extend(ref(kept), run(kept + 1, 10, branch="b", parent="a"))
    assert everything(log) == before


def test_blocks_without_logs_are_sealed_as_well(log: Log) -> None:
    """Seals blocks that hold nothing: a reorg below them is refused all the same."""
    log.extend(None, run(5, 9, logs=0))
    log.seal(ref(7))
    with pytest.raises(ReorgBelowSealed):
        log.extend(ref(6), run(7, 10, logs=0, branch="b", parent="a"))
    with pytest.raises(ReorgBelowSealed):
        log.extend(None, run(5, 10, logs=0, branch="b"))


@settings(max_examples=15, phases=WITHOUT_SHRINKING)
@given(
    sizes=st.lists(st.integers(0, 4), min_size=1, max_size=12),
    tasks_after=st.sets(st.integers(5, 16)),
    sealed=st.integers(4, 16),
)
def test_the_last_position_at_a_block_is_found(
    postgres_url: str, sizes: list[int], tasks_after: set[int], sealed: int
) -> None:
    """Compares with a search through all entries, for every block of a history sealed in several batches."""
    with fresh_database(postgres_url) as url, opened(url) as log:
        last = 4 + len(sizes)
        for number, size in enumerate(sizes, 5):
            log.extend(None if number == 5 else ref(number - 1), [block(number, logs=size)])
            if number in tasks_after:
                log.accept([task(number)])
            if number <= sealed and number % 3 == 0:
                log.seal(ref(number - 1) if number > 5 else ref(5))
        held = contents(log)
        with snapshot(log.datastore) as view:
            for number in range(last + 3):
                expected = max([entry.position for entry in held if entry.block.number <= number], default=0)
                assert view.last_position_at_block(CHAIN_ID, number) == expected, number


def test_a_snapshot_does_not_move_while_others_write(log: Log, database_url: str) -> None:
    """Reads half of the log, lets another connection reorganise, seal and accept, and reads the rest."""
    log.extend(None, run(5, 10, logs=3))
    log.accept([task(1)])
    log.seal(ref(6))
    with opened(database_url) as other, snapshot(log.datastore) as view:
        before = [entry.record for entry in view.entries(1)]
        reader = view.entries(1)
        half: list[ChainLog | TaskEvent] = [next(reader).record for _ in range(4)]
        other.extend(ref(7), run(8, 12, logs=1, branch="b", parent="a"))
        other.accept([task(2)])
        other.seal(ref(9, "b"))
        rest = [entry.record for entry in reader]
        assert half + rest == before
        assert [entry.record for entry in view.entries(1)] == before
        assert view.reorgs() == []
        assert view.last_position_at_block(CHAIN_ID, 7) == 9
    assert records(log) != before
    assert len(told(log)) == 1
