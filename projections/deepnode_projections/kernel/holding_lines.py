"""Lines of balances in the state root, written from rows of cells: what ``state_root.balance_lines`` writes."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from deepnode_ledger.compiled import Integer, compiled, inlined
from deepnode_ledger.hexadecimal import ADDRESS_BYTES
from deepnode_projections.kernel.lines import write_number
from deepnode_projections.kernel.pieces import in_pieces
from deepnode_projections.kernel.table import Cells
from deepnode_projections.kernel.texts import Texts
from deepnode_projections.posting_columns import WALLET

Octets = npt.NDArray[Any]
"""An array of uint8."""

_HEAD: Final = b"balance "
_WALLET: Final = WALLET.removesuffix("0x").encode()

_HEADS: Final = np.frombuffer(_HEAD + _WALLET, np.uint8)
"""What a line of any account begins with, and what comes next in that of a wallet."""

_ADDRESS: Final = 2 + 2 * ADDRESS_BYTES
_AMOUNT: Final = 40
"""Characters of an address, and the most of an amount."""


def lines(cells: Cells, rows: Cells, who: Cells, words: Octets, pockets: Texts) -> Iterator[bytes]:
    """Yield the lines of balances other than zero, many of them in a piece.

    Args:
        cells: rows of account number, word of the token, and the amount.
        rows: those to write, in their order.
        who: of accounts by number, the word of a wallet's address, or -1 - n for pocket n.
        words: of all addresses.
        pockets: the names of pockets.
    """
    longest = max(len(_WALLET) + _ADDRESS, int(np.diff(pockets.ends[: pockets.count + 1]).max(initial=0)))
    width = len(_HEAD) + longest + _ADDRESS + _AMOUNT + 3

    def piece(start: int, end: int) -> bytes:
        out = np.empty((end - start) * width, np.uint8)
        length = int(_write(cells, rows[start:end], who, words, pockets.data, pockets.ends, _HEADS, out))
        return out[:length].tobytes()

    yield from in_pieces(len(rows), piece)


@compiled
def _write(
    cells: Cells, rows: Cells, who: Cells, words: Octets, names: Octets, ends: Cells, heads: Octets, out: Octets
) -> Integer:
    """Write the lines of rows; return their length."""
    at = np.int64(0)
    for row in rows:
        low, high = cells[row, 2], cells[row, 3]
        if low == 0 and high == 0:
            continue
        of = who[cells[row, 0]]
        at = _copy(out, at, heads, 0, len(heads) if of >= 0 else len(_HEAD))
        at = _address(out, at, words[of]) if of >= 0 else _copy(out, at, names, ends[-1 - of], ends[-of])
        out[at] = 32
        at = _address(out, at + 1, words[cells[row, 1]])
        out[at] = 32
        at = write_number(high, low, out, at + 1)
        out[at] = 10
        at += 1
    return at


@inlined
def _copy(out: Octets, at: Integer, source: Octets, start: Integer, end: Integer) -> Integer:
    for place in range(start, end):
        out[at + place - start] = source[place]
    return at + end - start


@inlined
def _address(out: Octets, at: Integer, word: Octets) -> Integer:
    """Write an address in hexadecimal; return the place behind it."""
    out[at], out[at + 1] = 48, 120
    # Slices and arithmetic alone: so the compiler does many octets at once.
    digits = out[at + 2 : at + 2 + 2 * ADDRESS_BYTES]
    for octet in range(ADDRESS_BYTES):
        high, low = word[octet] >> 4, word[octet] & 15
        digits[2 * octet] = high + 48 + 39 * (high > 9)
        digits[2 * octet + 1] = low + 48 + 39 * (low > 9)
    return at + 2 + 2 * ADDRESS_BYTES
