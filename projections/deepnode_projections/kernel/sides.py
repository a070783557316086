"""Sides: the operations about money and those about tasks, which two threads may do at once.

What one side's operations write the other's neither read nor write; what both read (parameters, nodes, models,
collateral) is written by the rules alone, which have the state to themselves. The table of comparisons is of both, but
each of its rows is of one side, and neither side enters a row while the other is at work.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Final, TypeAlias

from deepnode_ledger.compiled import is_plain

BOTH: Final = 0
"""All operations, in their order."""

MONEY: Final = 1
"""Those below ``ops.CREATED``."""

TASKS: Final = 2
"""The others."""

FEWEST_ROWS: Final = 512
"""Rows that are done sooner by one thread than two come together."""

Does: TypeAlias = Callable[[int, int], int]
"""Does the operations of a side from a row on; returns the row at which it stopped."""


class Sides:
    """Does the sides' operations: at once where that is sooner, in the order of the log where it must be."""

    def __init__(self, *, may_part: bool) -> None:
        """``may_part`` says whether two threads may work on the state: none of its tables keeps an order of changes."""
        self._may_part = may_part and not is_plain() and (os.cpu_count() or 1) > 1

    @cached_property
    def _other(self) -> ThreadPoolExecutor:
        """The thread beside the caller's, which is begun when it is first needed."""
        return ThreadPoolExecutor(1, "money")

    def of(self, rows: int) -> tuple[int, ...]:
        """Return the sides that so many rows are done as."""
        return (TASKS, MONEY) if self._may_part and rows >= FEWEST_ROWS else (BOTH,)

    def run(self, do: Does, rows: dict[int, int]) -> None:
        """Let ``do(side, row)`` do the operations of each side from its row on; put the row it returns in its place."""
        [first, *others] = rows
        coming = [(side, self._other.submit(do, side, rows[side])) for side in others]
        rows[first] = do(first, rows[first])
        for side, end in coming:
            rows[side] = end.result()
