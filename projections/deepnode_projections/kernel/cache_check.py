"""Checking cells: that every one of a decoded batch lies where its operation lets it lie.

Compiled code looks nothing up twice: a number beyond its list would be read from anywhere. So what comes from a file is
checked before it goes there.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from deepnode_ledger.compiled import Integer, compiled
from deepnode_ledger.errors import Damaged
from deepnode_ledger.posting import AMOUNT_LIMIT
from deepnode_projections.kernel.decoded import Cells
from deepnode_projections.kernel.layout import NONE
from deepnode_projections.kernel.op_cells import CELLS, WIDTHS, Of

Ranges = dict[Of, tuple[int, int]]
"""Between which numbers, both included, those of a list's elements lie."""

_LOW: Final = 2**64 - 1
_LEAST: Final = -(2**63)
_MOST: Final = 2**63 - 1
_TOP_HIGH: Final = (AMOUNT_LIMIT - 1) >> 64
_TOP_LOW: Final = (AMOUNT_LIMIT - 1) & _LOW
_FREE, _UPPER = 1, 2
_OPS: Final = max(CELLS) + 1
_WIDTHS: Final = np.array([WIDTHS.get(op, -1) for op in range(_OPS)], np.int64)


def starts_of(ops: npt.NDArray[np.int8], cells: Cells, ranges: Ranges) -> Cells:
    """Return where each row's cells start, with the end behind the last.

    Raises:
        Damaged: there is an operation that is none, a cell outside of its range, or one too many or too few.
    """
    bounds = np.zeros((_OPS, max(WIDTHS.values()), 3), np.int64)
    for op, own in CELLS.items():
        at = 0
        for cell in own:
            if cell.of is Of.AMOUNT:
                bounds[op, at : at + 2] = [(_LEAST, _MOST, 0), (0, _TOP_HIGH, _UPPER)]
            else:
                low, high = (cell.low, cell.high) if cell.of is Of.NUMBER else ranges[cell.of]
                bounds[op, at] = (low, high, _FREE if cell.may_be_left_out else 0)
            at += cell.width
    starts = np.zeros(len(ops) + 1, np.int64)
    row = int(_check(ops, cells, _WIDTHS, bounds, np.uint64(_TOP_LOW), starts))
    if row < len(ops) or starts[-1] != len(cells):
        raise Damaged(f"the cells of row {row} are not those of an operation")
    return starts


@compiled
def _check(ops: Any, cells: Cells, widths: Cells, bounds: Cells, top_low: Integer, starts: Cells) -> Integer:
    """Fill in the starts up to the first row that is not as it must be, and return it, or how many rows there are."""
    at = 0
    for row in range(len(ops)):
        op = ops[row]
        if op < 0 or op >= len(widths) or widths[op] < 0 or at + widths[op] > len(cells):
            return row
        for number in range(widths[op]):
            cell, kind = cells[at + number], bounds[op, number, 2]
            if cell < bounds[op, number, 0] or cell > bounds[op, number, 1]:
                if kind != _FREE or cell != NONE:
                    return row
            elif kind == _UPPER and cell == bounds[op, number, 1] and np.uint64(cells[at + number - 1]) > top_low:
                return row
        at += widths[op]
        starts[row + 1] = at
    return len(ops)
