"""Sides: what two threads make of a log at once is what one makes of it in its order."""

from itertools import cycle

import pytest

from deepnode_ledger.compiled import available, is_plain
from deepnode_projections.kernel import sides
from deepnode_projections.kernel.sides import BOTH, MONEY, TASKS, Sides
from tests.projections.kernel.mixed_history import MixedHistory, batch_of
from tests.projections.kernel.test_mixed_histories import check_both_ways

pytestmark = pytest.mark.skipif(is_plain() or not available(), reason="without the compiler there is one thread")


@pytest.fixture
def parted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Two threads for every two rows, on a machine of any size; which sides were at work each time."""
    found: list[tuple[int, ...]] = []
    run = Sides.run

    def noting(own: Sides, do: sides.Does, rows: dict[int, int]) -> None:
        found.append(tuple(rows))
        run(own, do, rows)

    monkeypatch.setattr(sides, "FEWEST_ROWS", 2)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr(Sides, "run", noting)
    return found


@pytest.mark.parametrize(("seed", "errs", "wide"), [(1, 0.01, 0.0), (2, 0.05, 0.05), (3, 0.3, 0.4)])
def test_two_threads_come_to_the_same_as_one(
    seed: int, errs: float, wide: float, parted: list[tuple[int, ...]]
) -> None:
    """1 000 events, few or many of which the rules must see, in runs of two sizes: the books are those of the rules."""
    batch = batch_of(MixedHistory(seed, errs=errs, wide=wide).events(1_000))
    check_both_ways([batch], [(cycle([1_000]), 1), (cycle([90]), 1)])
    assert parted.count((TASKS, MONEY)) > 20


def test_few_rows_and_a_state_that_keeps_its_changes_are_one_threads() -> None:
    """What is short is done sooner by one, and the order of changes is kept by one alone."""
    few, many = sides.FEWEST_ROWS - 1, sides.FEWEST_ROWS
    assert Sides(may_part=True).of(few) == (BOTH,)
    assert Sides(may_part=False).of(many) == (BOTH,)


def test_each_side_goes_on_where_it_stopped() -> None:
    """Tells each side its row, and keeps the row that it returns; a side that is not asked for stays as it is."""
    told: list[tuple[int, int]] = []

    def do(side: int, row: int) -> int:
        told.append((side, row))
        return row + side

    rows = {MONEY: 10, TASKS: 20}
    own = Sides(may_part=True)
    own.run(do, rows)
    assert rows == {MONEY: 11, TASKS: 22}
    del rows[MONEY]
    own.run(do, rows)
    assert rows == {TASKS: 24}
    assert sorted(told) == [(MONEY, 10), (TASKS, 20), (TASKS, 22)]
