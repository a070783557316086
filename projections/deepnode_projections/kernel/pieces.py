"""Pieces: many rows' lines, written some thousands at a time by several threads while those before are hashed."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Final

import numpy as np

from deepnode_projections.kernel.octets import Octets
from deepnode_projections.registers.state import Lines

PIECE_ROWS: Final = 2_048
"""Rows whose lines are written at a time."""

ROWS_ALONE: Final = 2 * PIECE_ROWS
"""So few rows are written without a thread."""

WRITERS: Final = 2
"""Threads that write pieces; a third hashes them, which takes about as long."""

Written = tuple[Octets, int]
"""An array, and how many of its octets are written."""


def in_pieces(rows: int, write: Callable[[int, int, Octets], Written]) -> Iterator[Lines]:
    """Yield what ``write`` writes of rows, in their order. Each is memory that is used again when the next is taken.

    Args:
        rows: how many there are.
        write: writes the rows from one to another (not included) into an array, or into another one if that is too
            short, without the interpreter's lock.
    """
    nothing: Octets = np.empty(0, np.uint8)
    if rows <= ROWS_ALONE:
        yield _lines(write(0, rows, nothing))
        return
    with ThreadPoolExecutor(WRITERS) as writers:
        starts, coming = iter(range(0, rows, PIECE_ROWS)), deque[Future[Written]]()
        for start in islice(starts, 2 * WRITERS):
            coming.append(writers.submit(write, start, min(start + PIECE_ROWS, rows), nothing))
        while coming:
            written = coming.popleft().result()
            yield _lines(written)
            for start in islice(starts, 1):
                coming.append(writers.submit(write, start, min(start + PIECE_ROWS, rows), written[0]))


def _lines(written: Written) -> Lines:
    out, length = written
    return out[:length].data
