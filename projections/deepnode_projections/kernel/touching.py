"""Touching: memory that will soon be written to is got from the system by another thread.

The system clears a page when something is first written to it, and where it is a guest itself it may have to be given
the page first: that takes many times as long as what is written there. Touching changes nothing, whatever is written to
the same page meanwhile, for it is the system that does it. Where the system cannot, nothing is done.
"""

import ctypes
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Final

from deepnode_projections.kernel.room import LARGE_PAGE, Array, row_bytes, zeros

AHEAD_BYTES: Final = 2 * LARGE_PAGE
"""Bytes behind the last row that are ready: so nobody waits for them, and little is touched in vain."""

_TIMES: Final = 8
"""Of a small array so many times its size is ready, and no more."""

_GROWTH: Final = 4
"""How many times as long as an index the next one is: what is in it has to be entered anew."""

_POPULATE_WRITE: Final = 23
"""The system's number for what it is asked: ``MADV_POPULATE_WRITE``."""


class Touched:
    """How far the memory of an array that grows is ready.

    The first page is not asked for, as many arrays never need another. ``due`` rows call for more to be made ready.
    """

    def __init__(self) -> None:
        self.due = 0
        self._ready = LARGE_PAGE

    def follow(self, array: Array, used: int) -> None:
        """Have memory ready behind the rows that are used."""
        width = row_bytes(array)
        while self._ready < array.nbytes and used * width >= self._due_bytes():
            if self._ready >= used * width:
                touch(array, self._ready, self._ready + LARGE_PAGE)
            self._ready += LARGE_PAGE
        self.due = -(-self._due_bytes() // width) if self._ready < array.nbytes else len(array) + 1

    def _due_bytes(self) -> int:
        return max(self._ready - AHEAD_BYTES, self._ready // _TIMES)


class Coming:
    """The index that is used when the present one is half full: made, and touched, some time before."""

    def __init__(self) -> None:
        self._index: Array | None = None

    def larger(self, index: Array, entries: int) -> Array | None:
        """Return an empty index for so many entries, or None as long as there is room for them in the present one."""
        if 2 * entries <= len(index):
            if self._index is None and 16 * entries > 7 * len(index) and _GROWTH * index.nbytes >= LARGE_PAGE:
                self._index = zeros(_GROWTH * len(index), index)
                touch(self._index, 0, self._index.nbytes)
            return None
        coming, self._index = self._index, None
        return coming if coming is not None and 2 * entries <= len(coming) else zeros(_places(entries), index)


def _places(entries: int) -> int:
    """Return the least length of an index, a power of two, of which so many entries take no more than a quarter."""
    return 1 << (_GROWTH * entries - 1).bit_length()


def touch(array: Array, start: int, stop: int) -> None:
    """Let another thread get the memory of some bytes of an array, which is kept until that is done."""
    if _populate() is not None:
        _toucher().submit(_touch, array, start, min(stop, array.nbytes))


def _touch(array: Array, start: int, stop: int) -> None:
    populate = _populate()
    # A page at a time: who wants new addresses meanwhile waits for one of them at the most.
    for at in range(start, stop, LARGE_PAGE):
        if populate is None or populate(array.ctypes.data + at, min(LARGE_PAGE, stop - at), _POPULATE_WRITE) != 0:
            # Whoever writes there gets the memory then, as ever.
            return


@cache
def _populate() -> Callable[[int, int, int], int] | None:
    """Return what asks the system for memory; it runs without the interpreter's lock."""
    if sys.platform != "linux":
        return None
    found = ctypes.CDLL(None).madvise
    found.argtypes, found.restype = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int), ctypes.c_int
    return found


@cache
def _toucher() -> ThreadPoolExecutor:
    """Return the thread that does it, one for all arrays, which begins with the first of them."""
    os.register_at_fork(after_in_child=_toucher.cache_clear)
    return ThreadPoolExecutor(1, "touching")
