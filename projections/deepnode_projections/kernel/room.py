"""Room: arrays that grow, and take memory only where something was written to them.

To grow is to copy into memory that the system has cleared first, and both take longer than what is done with a row. So
an array that has become large is given far more addresses than it needs, which cost nothing as long as nothing is
written there. No array is ever moved while somebody has it; the one before is given back when nobody has it any more.
"""

import mmap
import sys
from contextlib import suppress
from functools import cache
from math import prod
from pathlib import Path
from resource import RLIM_INFINITY, RLIMIT_AS, getrlimit
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

LARGE: Final = 1 << 19
"""Bytes from which on an array has memory of its own."""

RESERVED: Final = 1 << 30
"""Bytes of addresses that a large array is given, or eight times its size, if that is more."""

LARGE_PAGE: Final = 2 << 20
"""Bytes of a large page: they are cleared several times as quickly as small ones, and found more quickly."""

_COUNTING: Final = Path("/proc/sys/vm/overcommit_memory")
_COUNTED: Final = "2"


def zeros(rows: int, like: Array) -> Array:
    """Make an array of zeros that will be written to all over; it has the columns and the type of another one.

    Raises:
        MemoryError: there is no room.
    """
    return _zeros(rows, like, 0)


def grown(held: Array, used: int, rows: int) -> Array:
    """Return an array with room for ``rows`` rows and for more, whose first ``used`` are those of ``held``.

    Raises:
        MemoryError: there is no room.
    """
    assert used <= min(rows, len(held)), (used, rows, len(held))
    width = row_bytes(held)
    given = [2 * rows, rows]
    if rows * width >= LARGE and _are_addresses_free():
        given.insert(0, max(8 * rows, RESERVED // width))
    for each in given:
        with suppress(MemoryError):
            larger = _zeros(each, held, LARGE_PAGE)
            larger[:used] = held[:used]
            return larger
    raise MemoryError(f"{rows * width} bytes")


def _zeros(rows: int, like: Array, small: int) -> Array:
    """Make an array of zeros, of small pages up to so many bytes: most arrays never have more."""
    shape, size = (rows, *like.shape[1:]), rows * row_bytes(like)
    if size < LARGE:
        return np.zeros(shape, like.dtype)
    try:
        memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise MemoryError(f"{size} bytes") from error
    if size >= small + LARGE_PAGE and hasattr(mmap, "MADV_HUGEPAGE"):
        # The system may know of no large pages.
        with suppress(OSError):
            memory.madvise(mmap.MADV_HUGEPAGE, small)
    return np.frombuffer(memory, like.dtype).reshape(shape)


def row_bytes(array: Array) -> int:
    """Return how many bytes a row of an array has."""
    return prod(array.shape[1:]) * array.itemsize


@cache
def _are_addresses_free() -> bool:
    """Say whether there are as many addresses as anybody may want, and only what is written to is counted."""
    if sys.maxsize < 2**32 or getrlimit(RLIMIT_AS)[0] != RLIM_INFINITY:
        return False
    return not _COUNTING.exists() or _COUNTING.read_text().strip() != _COUNTED
