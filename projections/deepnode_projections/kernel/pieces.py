"""Pieces: many rows' lines, written some thousands at a time by several threads while those before are hashed."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Final

PIECE_ROWS: Final = 4_096
"""Rows whose lines are written at a time."""

WRITERS: Final = 2
"""Threads that write pieces; a third hashes them, which takes a tenth of the time."""


def in_pieces(rows: int, piece: Callable[[int, int], bytes]) -> Iterator[bytes]:
    """Yield what ``piece`` writes of rows, in their order.

    Args:
        rows: how many there are.
        piece: writes the rows from one to another (not included), without the interpreter's lock.
    """
    if rows <= PIECE_ROWS:
        yield piece(0, rows)
        return
    with ThreadPoolExecutor(WRITERS) as writers:
        starts, coming = iter(range(0, rows, PIECE_ROWS)), deque[Future[bytes]]()
        for start in islice(starts, 2 * WRITERS):
            coming.append(writers.submit(piece, start, min(start + PIECE_ROWS, rows)))
        while coming:
            yield coming.popleft().result()
            for start in islice(starts, 1):
                coming.append(writers.submit(piece, start, min(start + PIECE_ROWS, rows)))
