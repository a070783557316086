"""Checking cells: that every one of a decoded batch lies where its operation lets it lie, and its bytes as a whole.

Compiled code looks nothing up twice: a number beyond its list would be read from anywhere. So what comes from a file is
checked before it goes there.

Whether bytes are the ones that were written is told by a sum of 64 bits, and not by a cryptographic digest, which took
half of the time of loading. Either is there for damage that comes by chance: a file has no signature, so who may write
to the folder could as well put down another digest. A change within eight bytes that stand side by side is always
found; any other is missed once in 2**64.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from deepnode_ledger.compiled import Integer, compiled, inlined
from deepnode_ledger.errors import Damaged
from deepnode_ledger.posting import AMOUNT_LIMIT
from deepnode_projections.kernel.decoded import Cells, Octets
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
_SUMS: Final = 8
_ALL_BUT_SEVEN: Final = np.uint64(_LOW - 7)
_FACTOR: Final = np.uint64(0x9E3779B97F4A7C15)
_HALF: Final = np.uint64(32)
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


def checksum(octets: Octets) -> int:
    """Return the sum of bytes, as many as a multiple of eight, in 64 bits."""
    words = octets.view(np.uint64)
    words.setflags(write=False)
    return int(_checksum(words, np.full(_SUMS, len(words), np.uint64)))


@compiled
def _checksum(words: Cells, sums: Cells) -> Integer:
    """Mix words into sums that do not wait for one another, and these into one. No step lets two numbers become one."""
    a, b, c, d, e, f, g, h = sums[0], sums[1], sums[2], sums[3], sums[4], sums[5], sums[6], sums[7]
    whole = np.uint64(len(words)) & _ALL_BUT_SEVEN
    for at in range(np.uint64(0), whole, np.uint64(_SUMS)):
        a, b = _mixed(a, words[at]), _mixed(b, words[at + np.uint64(1)])
        c, d = _mixed(c, words[at + np.uint64(2)]), _mixed(d, words[at + np.uint64(3)])
        e, f = _mixed(e, words[at + np.uint64(4)]), _mixed(f, words[at + np.uint64(5)])
        g, h = _mixed(g, words[at + np.uint64(6)]), _mixed(h, words[at + np.uint64(7)])
    for at in range(whole, np.uint64(len(words))):
        a = _mixed(a, words[at])
    for other in (b, c, d, e, f, g, h):
        a = _mixed(a, other)
    return a


@inlined
def _mixed(total: Integer, word: Integer) -> Integer:
    total = (total ^ word) * _FACTOR
    return total ^ (total >> _HALF)


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
