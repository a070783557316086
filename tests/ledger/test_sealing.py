"""Sealing makes entries immutable: positions and bytes stay, and what covers every block is on record."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepnode_ledger import batch as batches
from deepnode_ledger.log import Log
from deepnode_ledger.record import Finality, Header
from deepnode_ledger.sealing import Sealed
from deepnode_ledger.snapshot import snapshot
from deepnode_ledger.tail import NotContiguous, ReorgBelowSealed
from tests.conftest import fresh_database
from tests.ledger.histories import (
    CHAIN_ID,
    FIRST_BLOCK,
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


def header(number: int, branch: str = "a") -> Header:
    return Header(ref(number, branch), ref(number - 1, branch).hash)


def coverage(log: Log) -> list[tuple[int, int, str]]:
    with log.datastore.cursor() as cursor:
        cursor.execute("SELECT first_block, last_block, evidence FROM log.coverage ORDER BY first_block")
        return [(row["first_block"], row["last_block"], row["evidence"]) for row in cursor.fetchall()]


def test_sealing_keeps_positions_and_bytes(log: Log) -> None:
    """Compares the whole log before and after, with task events between the blocks."""
    log.extend(None, run(5, 6, logs=2))
    log.accept([task(1)])
    log.extend(ref(6), run(7, 8, logs=2))
    log.accept([task(2)])
    before = contents(log)
    assert log.seal(ref(7)) == Sealed(1, 7)
    after = contents(log)
    assert [(e.position, e.block, e.record) for e in after] == [(e.position, e.block, e.record) for e in before]
    assert [e.finality for e in after] == [Finality.SEALED] * 7 + [Finality.PENDING] * 3
    assert log.seal(ref(8)) == Sealed(8, 10)
    assert {e.finality for e in contents(log)} == {Finality.SEALED}
    assert [(e.position, e.block, e.record) for e in contents(log)] == [(e.position, e.block, e.record) for e in before]
    assert log.chain().finalized == ref(8)


def test_sealing_again_adds_nothing(log: Log) -> None:
    """Seals up to the same block, an older one, and one below the first."""
    log.extend(None, run(5, 8))
    log.seal(ref(7))
    before = everything(log)
    for number in (7, 6, 5, 4):
        assert log.seal(ref(number)) is None
    assert everything(log) == before


def test_sealing_waits_for_enough_entries(log: Log) -> None:
    """Asks for batches of at least four entries: three wait, four are sealed."""
    log.extend(None, run(5, 9))
    assert log.seal(ref(7), entries_min=4) is None
    assert {e.finality for e in contents(log)} == {Finality.PENDING}
    assert log.chain().finalized == ref(7)
    assert log.seal(ref(8), entries_min=4) == Sealed(1, 4)


def test_a_block_that_is_final_elsewhere_is_not_sealed(log: Log) -> None:
    """Names another block as final at a covered height."""
    log.extend(None, run(5, 8))
    before = everything(log)
    with pytest.raises(ReorgBelowSealed, match=r"block 7 is final as .* covered as"):
        log.seal(ref(7, "b"))
    assert everything(log) == before


def test_an_empty_log_seals_nothing(log: Log) -> None:
    """Seals before the first block, and a tail without a single entry."""
    assert log.seal(ref(5)) is None
    log.extend(None, run(5, 8, logs=0))
    assert log.seal(ref(7)) is None
    assert coverage(log) == [(5, 7, "header-continuity")]


def test_a_task_event_is_sealed_with_the_block_under_which_it_was_accepted(log: Log) -> None:
    """Accepts events under blocks 5 and 6 and seals one block after the other."""
    log.extend(None, run(5, 5, logs=0))
    log.accept([task(1)])
    log.extend(ref(5), run(6, 6, logs=0))
    log.accept([task(2)])
    assert log.seal(ref(5)) == Sealed(1, 1)
    assert log.seal(ref(6)) == Sealed(2, 2)


def test_final_ranges_are_sealed_as_they_come(log: Log) -> None:
    """Takes in two ranges, the second without a log, and goes on with the tail behind them."""
    logs = placed(run(5, 9, logs=2))
    log.append_finalized(5, header(9), logs, "range")
    log.append_finalized(10, header(12), [], "range")
    log.extend(ref(12), run(13, 14))
    held = contents(log)
    assert [(e.block, e.record) for e in held] == logs + placed(run(13, 14))
    assert [e.position for e in held] == list(range(1, 13))
    assert [e.finality for e in held] == [Finality.SEALED] * 10 + [Finality.PENDING] * 2
    assert coverage(log) == [(5, 12, "range")]
    chain = log.chain()
    assert (chain.tip, chain.finalized) == (ref(14), ref(12))
    assert log.headers()[-1].block.number <= 12


def test_what_is_pending_is_sealed_before_a_final_range(log: Log) -> None:
    """Has a tail with a task event, and then a range of final blocks behind it."""
    log.extend(None, run(5, 7))
    log.accept([task(1)])
    log.append_finalized(8, header(9), placed(run(8, 9)), "range")
    assert records(log) == [*[r for _, r in placed(run(5, 7))], task(1), *[r for _, r in placed(run(8, 9))]]
    assert {e.finality for e in contents(log)} == {Finality.SEALED}
    assert coverage(log) == [(5, 7, "header-continuity"), (8, 9, "range")]


@pytest.mark.parametrize("first", [5, 7, 9, 10])
def test_a_final_range_must_follow_what_is_covered(log: Log, first: int) -> None:
    """Offers ranges that begin too early and too late."""
    log.extend(None, run(5, 7))
    before = everything(log)
    with pytest.raises(NotContiguous, match=f"the next block to cover is 8, not {first}"):
        log.append_finalized(first, header(12), [], "range")
    assert everything(log) == before


def test_the_first_range_begins_with_the_first_block(log: Log) -> None:
    """Offers a range that leaves the first block out."""
    with pytest.raises(NotContiguous, match=f"the next block to cover is {FIRST_BLOCK}, not 6"):
        log.append_finalized(6, header(9), [], "range")


def test_large_ranges_become_several_batches(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lowers the limit of a batch to 7 entries and seals 20, by both ways."""
    monkeypatch.setattr(batches, "ENTRIES_MAX", 7)
    log.append_finalized(5, header(14), placed(run(5, 14, logs=2)), "range")
    log.extend(ref(14), run(15, 24, logs=2))
    assert log.seal(ref(24)) == Sealed(21, 40)
    with snapshot(log.datastore) as view:
        assert [batch.num_rows for batch in view.read(1)] == [7, 7, 6, 7, 7, 6]
        assert view.head.batches == 6
        assert [view.last_position_at_block(CHAIN_ID, n) for n in range(4, 26)] == [0, *range(2, 41, 2), 40]


@settings(max_examples=15, phases=WITHOUT_SHRINKING)
@given(st.lists(st.sampled_from(["tail", "seal", "range"]), min_size=1, max_size=12), st.data())
def test_covered_ranges_follow_one_another_without_overlap(
    postgres_url: str, steps: list[str], data: st.DataObject
) -> None:
    """Extends, seals and backfills in any order: the ranges go from the first block to the sealed one, each once."""
    with fresh_database(postgres_url) as url, opened(url) as log:
        tip, sealed = FIRST_BLOCK - 1, FIRST_BLOCK - 1
        for step in steps:
            length = data.draw(st.integers(1, 4))
            if step == "tail":
                log.extend(
                    None if tip < FIRST_BLOCK else ref(tip),
                    [block(n, logs=n % 2) for n in range(tip + 1, tip + length + 1)],
                )
                tip += length
            elif step == "range":
                log.append_finalized(
                    tip + 1, header(tip + length), placed(run(tip + 1, tip + length)), data.draw(st.sampled_from("xy"))
                )
                tip = sealed = tip + length
            elif tip >= FIRST_BLOCK:
                final = data.draw(st.integers(FIRST_BLOCK, tip))
                log.seal(ref(final))
                sealed = max(sealed, final)
            covered = coverage(log)
            ends = [FIRST_BLOCK - 1, *[last for _, last, _ in covered]]
            assert [first for first, _, _ in covered] == [end + 1 for end in ends[:-1]]
            assert all(first <= last for first, last, _ in covered)
            assert ends[-1] == sealed


def test_each_transaction_that_seals_notes_a_moment_to_restore_to(log: Log) -> None:
    """Seals blocks, then a task event that came under the sealed tip, then nothing, then a final range."""
    log.extend(None, run(5, 8, logs=1))
    log.seal(ref(6))
    log.seal(ref(6))
    log.seal(ref(8))
    log.accept([task(1)])
    log.seal(ref(8))
    log.append_finalized(9, header(10), placed(run(9, 10)), "range")
    with log.datastore.cursor() as cursor:
        cursor.execute("SELECT * FROM log.sealing JOIN log.sealing_block USING (number) ORDER BY number")
        noted = [(row["number"], row["sealed_position"], row["block_number"]) for row in cursor.fetchall()]
        assert noted == [(1, 2, 6), (2, 4, 8), (3, 5, 8), (4, 7, 10)]
