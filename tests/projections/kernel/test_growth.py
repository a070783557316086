"""Growth: an array that has become larger has what it had, and takes memory only where something was written."""

import mmap
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest

from deepnode_projections.kernel import room
from deepnode_projections.kernel.layout import layout_of
from deepnode_projections.kernel.room import LARGE, RESERVED, grown
from deepnode_projections.kernel.table import FIRSTS, ROWS_MAX, Table
from deepnode_projections.kernel.words import Words
from deepnode_projections.rules.registry import Node
from deepnode_projections.rules.tasks import Slot

FULL = np.arange(3_000, dtype=np.int64).reshape(1_000, 3)


@pytest.fixture(autouse=True)
def _known_anew() -> Iterator[None]:
    """What is known of the system's addresses is forgotten before each test, and behind it."""
    room._are_addresses_free.cache_clear()
    yield
    room._are_addresses_free.cache_clear()


def _check(larger: Any, used: int, rows: int) -> None:
    assert len(larger) >= rows
    assert (larger[:used] == FULL[:used]).all()
    assert not larger[used : used + 5_000].any()
    larger[rows - 1] = 7


@pytest.mark.parametrize("rows", [1_001, LARGE // 24, LARGE // 24 + 1, LARGE])
def test_a_larger_array_has_what_it_had_and_zeros(rows: int) -> None:
    """Grows an array to sizes around the one from which on it has memory of its own."""
    larger = grown(FULL, 1_000, rows)
    _check(larger, 1_000, rows)
    _check(grown(larger[: rows - 1], 400, 2 * rows), 400, 2 * rows)


def test_addresses_without_anything_take_no_memory() -> None:
    """Keeps forty arrays with a gigabyte of addresses each, more than there is memory."""
    many = [grown(FULL, 1_000, LARGE) for _ in range(40)]
    for each in many:
        assert each.nbytes > RESERVED - 24
        _check(each, 1_000, LARGE)


def test_where_addresses_are_counted_few_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Grows where the process may have no more than so many addresses, and where each of them counts as memory."""
    monkeypatch.setattr(room, "getrlimit", lambda _which: (10**9, 10**9))
    assert len(grown(FULL, 1_000, LARGE)) == 2 * LARGE
    monkeypatch.undo()
    room._are_addresses_free.cache_clear()
    monkeypatch.setattr(room, "_COUNTED", room._COUNTING.read_text().strip() if room._COUNTING.exists() else "")
    assert room._are_addresses_free() is not room._COUNTING.exists()


def test_what_the_system_refuses_is_asked_for_in_smaller_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Grows where there are only so many bytes: the array is as large as can be, or there is an error."""
    given = mmap.mmap

    def as_far_as(most: int) -> Any:
        def make(number: int, size: int, **others: Any) -> mmap.mmap:
            if size > most:
                raise OSError(12, "Cannot allocate memory")
            return given(number, size, **others)

        return make

    for most, rows in ((24 * LARGE, LARGE), (50 * LARGE, 2 * LARGE)):
        monkeypatch.setattr(mmap, "mmap", as_far_as(most))
        larger = grown(FULL, 1_000, LARGE)
        assert len(larger) == rows
        _check(larger, 1_000, LARGE)
    monkeypatch.setattr(mmap, "mmap", as_far_as(24 * LARGE - 1))
    with pytest.raises(MemoryError, match=f"{24 * LARGE} bytes"):
        grown(FULL, 1_000, LARGE)


def test_rows_are_found_however_often_a_table_grew() -> None:
    """Enters slots of tasks one by one, some tasks with many: by key and by task they are those that were entered."""
    table, known = Table(layout_of(Slot)), dict[tuple[int, int, int], int]()
    width = table.layout.since
    for task, slot in product(range(1_500), range(8)):
        if slot > task % 9:
            continue
        key = (task * 7_919, task % 3, slot)
        known[key] = table.put((*key, *[task] * (width - 3)), 1)
    assert table.rows == len(known) > 4 * 1_024
    assert int(table.counts[FIRSTS]) == 1_500
    assert all(table.row_of(key) == row for key, row in known.items())
    for task in range(1_500):
        rows = [row for key, row in known.items() if key[0] == task * 7_919] if task % 100 == 0 else None
        assert rows is None or table.rows_under(task * 7_919) == rows[::-1]
    assert table.row_of((1, 0, 0)) == -1
    assert table.rows_under(1) == []


def test_a_key_of_one_field_needs_no_second_index() -> None:
    """Looks for the rows under a node, of which there is one or none."""
    table = Table(layout_of(Node))
    row = table.put([5] * table.layout.since, 1)
    assert len(table.firsts) == 0
    assert table.rows_under(5) == [row]
    assert table.rows_under(6) == []
    assert table.cells[row, table.layout.same] == -1


def test_a_table_has_a_limit() -> None:
    """Asks for one row more than an index can tell apart."""
    with pytest.raises(AssertionError, match="Node"):
        Table(layout_of(Node)).make_room(ROWS_MAX + 1)


def test_words_of_one_call_may_be_the_same() -> None:
    """Numbers words of which each comes often, side by side and far apart, in calls of all sizes."""
    some = np.random.default_rng(0).integers(0, 2**63, (3_000, 4), np.uint64)
    words, known = Words(), dict[bytes, int]()
    start = 0
    for size in (1, 2, 63, 64, 65, 128, 1_000, 7_000):
        which = (np.arange(start, start + size) * 31) % min(start + 10, 3_000) // 2
        numbers = words.numbers(some[which].view(np.uint8)).tolist()
        for word, number in zip(some[which], numbers, strict=True):
            assert known.setdefault(word.tobytes(), number) == number
        start += size
    assert sorted(known.values()) == list(range(words.count))
    assert all(words[number] == word for word, number in known.items())
