"""Room: whatever comes, nothing is written behind the end of an array, and nothing is looked for in a long walk."""

from collections.abc import Iterator
from itertools import cycle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepnode_ledger.vocabulary import LEGS
from deepnode_projections import rulesets
from deepnode_projections.kernel import driving
from deepnode_projections.kernel.decoded import DecodedBatch
from deepnode_projections.kernel.holding import POSTINGS_MAX, ColumnHoldings
from deepnode_projections.kernel.loop import MANY_ROWS, NEW_ROWS
from deepnode_projections.kernel.maps import Maps
from deepnode_projections.kernel.table import Table
from deepnode_projections.kernel.words import Words
from deepnode_projections.maths.carry import split
from deepnode_projections.registers.state import MemoryState
from deepnode_projections.replay import Replay
from deepnode_projections.rules import book
from deepnode_projections.rules.domains import Route
from deepnode_projections.rules.registry import Model
from deepnode_projections.rules.splits import rates_of
from deepnode_projections.rules.tasks import Slot, Task
from deepnode_projections.rules.verdicts import Validation
from tests.ledger.histories import WITHOUT_SHRINKING
from tests.projections.kernel.mixed_history import Event, MixedHistory, batch_of
from tests.projections.kernel.test_edges import market, moved
from tests.projections.kernel.test_mixed_histories import check_both_ways, mixed_sizes
from tests.projections.rules.told import MANIFEST, USDC, address, scene, told, word

WINDOW = 64
"""Operations for which room is made at a time, in some tests."""

make_room = Table.make_room


@settings(max_examples=2, deadline=None, phases=WITHOUT_SHRINKING)
@given(seed=st.integers(0, 2**32))
def test_rooms_are_made_as_often_as_is_needed(seed: int) -> None:
    """Any history with room for four operations at a time."""
    batch = batch_of(MixedHistory(seed).events(300))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(driving, "WINDOW_ROWS", 4)
        check_both_ways([batch], [(cycle([300]), 1), (mixed_sizes(seed), 1)])


def _grow_to_just_the_room(table: Table, more: int, old_rows: int = 0) -> None:
    """Have room for so many rows, where there is less: for as many, and not for one more."""
    before, rows = table.cells, table.rows + more
    make_room(table, more, old_rows)
    if rows > len(before):
        table.cells = np.zeros((rows, table.layout.width), np.int64)
        table.cells[: table.rows] = before[: table.rows]
        table._view = None


@pytest.mark.parametrize("rows_of_two", [2, 10_000])
def test_no_more_room_is_counted_on_than_there_is(rows_of_two: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A history in which rules are often asked unforeseen, by two threads and by one, in tables without a reserve."""
    counted: list[int] = []
    fold = driving.Kernel.fold

    def checked(self: driving.Kernel, batch: DecodedBatch, m: Maps, row: int, stop: int) -> Iterator[int]:
        yield from fold(self, batch, m, row, stop)
        counted.append(self._room)
        for kind in (Task, Slot, Validation):
            table = self._state.tables[kind]
            wanted = NEW_ROWS * self._room + 2 * MANY_ROWS
            assert table.rows + wanted <= len(table.cells), (kind, stop)

    monkeypatch.setattr(driving, "WINDOW_ROWS", WINDOW)
    monkeypatch.setattr("deepnode_projections.kernel.sides.FEWEST_ROWS", rows_of_two)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr(driving.Kernel, "fold", checked)
    monkeypatch.setattr(Table, "make_room", _grow_to_just_the_room)
    Replay(MANIFEST, kernel_entries=1).feed(batch_of(MixedHistory(5, errs=0.3).events(600)))
    assert len(set(counted)) > 10


def _make_just_the_room(holdings: ColumnHoldings, entries: int) -> None:
    """Have room for what so many entries move, and for nothing else."""
    table = holdings.table
    cells = np.zeros((table.rows + 2 * entries + POSTINGS_MAX, table.layout.width), np.int64)
    cells[: table.rows] = table.cells[: table.rows]
    table.cells, table._view = cells, None


def test_splits_leave_room_for_the_transfers_behind_them() -> None:
    """Pays to many models, splits that where balances have just the room they are to have, and pays new wallets."""
    models = [f"new{n}" for n in range(38)]
    story, rates = market(), {"a": 200_000, "b": 100_000, "x": 300_000}
    for model in models:
        story.append(told("Models", "ModelRegistered", model=model, domain="d1", creator=model, **rates))
    paid = {"asset": USDC, "payer": "ben", "ref": "t1"}
    story += [
        told("RevenueRouter", "RevenueReceived", receipt=model, model=model, amount=10**6, **paid) for model in models
    ]
    teller = MemoryState()
    for position, each in enumerate(story, 1):
        book.apply(each, scene(teller, position))
    known, route = teller.get(Model, word(models[0])), teller.get(Route, word("d1"), USDC)
    assert known is not None
    assert route is not None
    legs = split(10**6, rates_of(rulesets.default(), known, route), (0,) * 9).legs
    own = {"asset": USDC, "gross": 10**6, "ruleset": rulesets.default().spec_hash, **dict(zip(LEGS, legs, strict=True))}
    run: list[Event] = [told("RevenueRouter", "RevenueSplit", receipt=each, model=each, **own) for each in models]
    run += [moved(address(f"from{n}"), address(f"to{n}"), 1) for n in range(WINDOW - len(models))]
    replay = Replay(MANIFEST, kernel_entries=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(driving, "WINDOW_ROWS", WINDOW)
        patch.setattr(ColumnHoldings, "make_room", _make_just_the_room)
        replay.feed(batch_of(story))
        replay.feed(batch_of(run, len(story) + 1))
    holdings = replay._holdings
    assert isinstance(holdings, ColumnHoldings)
    assert holdings.table.rows <= len(holdings.table.cells)
    right = Replay(MANIFEST, by_definition=True)
    right.feed(batch_of([*story, *run]))
    assert replay.root() == right.root()
    assert replay.refusals == right.refusals == 0


def test_words_that_count_up_are_found_as_quickly_as_any() -> None:
    """Numbers words that differ in their last bytes alone, as a counter does: a walk would take an hour."""
    counters = np.zeros((500_000, 4), np.uint64)
    counters[:, 3] = np.arange(500_000, dtype=np.uint64).byteswap()
    words = Words()
    assert words.numbers(counters.view(np.uint8)).tolist() == list(range(500_000))
    assert words.numbers(counters[::-1].copy().view(np.uint8)).tolist() == list(range(499_999, -1, -1))
