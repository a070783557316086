"""Touching: memory is there before it is written to, what is written meanwhile stays, and nobody depends on it."""

import os
import sys
from collections.abc import Callable
from mmap import PAGESIZE
from pathlib import Path

import numpy as np
import pytest

from deepnode_projections.kernel import touching
from deepnode_projections.kernel.room import LARGE, LARGE_PAGE, Array, grown
from deepnode_projections.kernel.touching import AHEAD_BYTES, Coming, Touched, touch

PAGES: Path = Path("/proc/self/pagemap")
EMPTY = np.zeros((0, 8), np.int64)
ROW = 64


def _is_there(array: Array, start: int, stop: int) -> bool:
    """Say whether all memory of some bytes of an array is there, by the highest bit of what is known of a page."""
    first, last = (array.ctypes.data + start) // PAGESIZE, (array.ctypes.data + stop - 1) // PAGESIZE
    with PAGES.open("rb") as pages:
        found = os.pread(pages.fileno(), 8 * (last - first + 1), 8 * first)
    return bool((np.frombuffer(found, np.uint64) >> np.uint64(63)).all())


def _wait() -> None:
    touching._toucher().submit(int).result()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Which bytes are asked for, and nothing is done."""
    found: list[tuple[int, int]] = []
    monkeypatch.setattr(touching, "touch", lambda _array, start, stop: found.append((start, stop)))
    return found


@pytest.mark.skipif(sys.platform != "linux" or not PAGES.exists(), reason="only Linux says what memory is there")
def test_memory_is_there_before_anything_is_written() -> None:
    """Asks the system which pages are there, before and behind."""
    larger = grown(EMPTY, 0, LARGE)
    start, stop = 2 * LARGE_PAGE, 4 * LARGE_PAGE
    assert not _is_there(larger, start, stop)
    touch(larger, start, stop)
    _wait()
    assert _is_there(larger, start, stop)
    assert not _is_there(larger, stop + LARGE_PAGE, stop + 2 * LARGE_PAGE)
    assert not larger[start // ROW : stop // ROW].any()


def test_what_is_written_meanwhile_stays() -> None:
    """Writes to pages while the other thread gets them, and reads them when it is done."""
    larger = grown(EMPTY, 0, LARGE)
    rows = 8 * LARGE_PAGE // ROW
    touch(larger, 0, 8 * LARGE_PAGE)
    larger[:rows] = np.arange(rows)[::-1, np.newaxis]
    _wait()
    assert (larger[:rows] == np.arange(rows)[::-1, np.newaxis]).all()


def test_an_array_may_go_before_it_is_touched() -> None:
    """Asks for the memory of arrays that nobody has any more."""
    for _ in range(20):
        touch(grown(EMPTY, 0, LARGE), 0, LARGE_PAGE)
    _wait()


@pytest.mark.parametrize("populate", [lambda *_: -1, None])
def test_where_the_system_cannot_nothing_is_done(
    monkeypatch: pytest.MonkeyPatch, populate: Callable[..., int] | None
) -> None:
    """Lets the system refuse, and know nothing of the kind."""
    monkeypatch.setattr(touching, "_populate", lambda: populate)
    larger = grown(EMPTY, 0, LARGE)
    touch(larger, 0, LARGE_PAGE)
    _wait()
    assert not larger[: LARGE_PAGE // ROW].any()


def test_each_page_is_asked_for_once_and_in_time(asked: list[tuple[int, int]]) -> None:
    """Fills an array row by row: pages come one behind the other, never late and never far ahead."""
    larger, touched, ready = grown(EMPTY, 0, LARGE), Touched(), LARGE_PAGE
    for used in range(0, 12 * LARGE_PAGE // ROW, 1_000):
        if used >= touched.due:
            touched.follow(larger, used)
            assert used < touched.due
        for start, stop in asked:
            assert (start, stop) == (ready, ready + LARGE_PAGE)
            ready = stop
        asked.clear()
        assert used * ROW < ready <= LARGE_PAGE + min(used * ROW + AHEAD_BYTES, 8 * used * ROW)


def test_of_a_small_array_nothing_is_asked_for(asked: list[tuple[int, int]]) -> None:
    """Follows arrays that have no page to come: one without memory of its own, and one that is nearly full."""
    for larger in (np.zeros((1_000, 8), np.int64), np.zeros((LARGE_PAGE // ROW, 8), np.int64)):
        touched = Touched()
        for used in range(len(larger) + 1):
            if used >= touched.due:
                touched.follow(larger, used)
    assert asked == []


def test_what_was_jumped_over_is_not_asked_for(asked: list[tuple[int, int]]) -> None:
    """Follows an array into which many rows come at once: they have taken their memory themselves."""
    larger, touched = grown(EMPTY, 0, LARGE), Touched()
    used = 10 * LARGE_PAGE // ROW
    touched.follow(larger, used)
    assert [start // LARGE_PAGE for start, _ in asked] == [10, 11, 12]
    assert touched.due > used


def test_an_index_comes_before_it_is_needed(asked: list[tuple[int, int]]) -> None:
    """Fills indexes of all sizes: they are half full at most, and a large one was asked for before."""
    coming, index = Coming(), np.zeros(4_096, np.int32)
    for entries in range(0, 600_000, 500):
        before, made = len(index), list(asked)
        if (larger := coming.larger(index, entries)) is not None:
            assert 2 * entries > before
            assert len(larger) == 4 * before
            assert not larger.any()
            assert larger.nbytes < LARGE_PAGE or made[-1] == (0, larger.nbytes)
            index = larger
        assert 2 * entries <= len(index)
    assert [stop for _, stop in asked] == sorted({stop for _, stop in asked})
    much = coming.larger(index, 5_000_000)
    assert much is not None
    assert len(much) == 2**25
