"""Lines of balances in the state root, written from rows of cells: what ``state_root.balance_lines`` writes."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from deepnode_ledger.compiled import Integer, compiled, inlined
from deepnode_ledger.hexadecimal import ADDRESS_BYTES
from deepnode_projections.kernel.characters import FAR, ROOM, padded, write_number
from deepnode_projections.kernel.octets import EIGHT, Octets, ask, read_eight, write_eight, write_word
from deepnode_projections.kernel.pieces import Written, in_pieces
from deepnode_projections.kernel.table import Cells
from deepnode_projections.kernel.texts import Texts
from deepnode_projections.kernel.words import Quads
from deepnode_projections.posting_columns import WALLET
from deepnode_projections.registers.state import Lines

HEAD: Final = b"balance "
_WALLET: Final = WALLET.removesuffix("0x").encode()

_HEAD: Final = padded(HEAD)
_OWNER: Final = padded(_WALLET)
"""What a line of any account begins with, and what comes next in that of a wallet."""

_ADDRESS: Final = 2 + 2 * ADDRESS_BYTES
_AMOUNT: Final = 40
"""Characters of an address, and the most of an amount."""

_BEGUN: Final = np.int64(len(HEAD))
_OWNED: Final = np.int64(len(_WALLET))


def lines(cells: Cells, rows: Cells, who: Cells, words: Quads, pockets: Texts) -> Iterator[Lines]:
    """Yield the lines of balances other than zero, many of them in a piece (``in_pieces``).

    Args:
        cells: rows of account number, word of the token, and the amount.
        rows: those to write, in their order.
        who: of accounts by number, the word of a wallet's address, or -1 - n for pocket n.
        words: of all addresses.
        pockets: the names of pockets.
    """
    longest = max(len(_WALLET) + _ADDRESS, int(np.diff(pockets.ends[: pockets.count + 1]).max(initial=0)))
    width = len(HEAD) + longest + _ADDRESS + _AMOUNT + 3

    def write_rows(start: int, stop: int, out: Octets) -> Written:
        if len(out) < (stop - start) * width + ROOM:
            out = np.empty((stop - start) * width + ROOM, np.uint8)
        length = _write(cells, rows[start:stop], who, words, pockets.data, pockets.ends, _HEAD, _OWNER, out)
        return out, int(length)

    return in_pieces(len(rows), write_rows)


@compiled
def _write(
    cells: Cells,
    rows: Cells,
    who: Cells,
    words: Quads,
    names: Octets,
    ends: Cells,
    head: Octets,
    owner: Octets,
    out: Octets,
) -> Integer:
    """Write the lines of rows; return their length."""
    at = np.int64(0)
    for number in range(len(rows) + 3 * FAR):
        if number < len(rows):
            ask(cells, rows[number], 0)
        if FAR <= number < len(rows) + FAR:
            ask(who, cells[rows[number - FAR], 0], 0)
        if 2 * FAR <= number < len(rows) + 2 * FAR:
            ask(words, max(who[cells[rows[number - 2 * FAR], 0]], 0), 0)
        if number < 3 * FAR:
            continue
        row = rows[number - 3 * FAR]
        low, high = cells[row, 2], cells[row, 3]
        if low == 0 and high == 0:
            continue
        write_eight(out, at, read_eight(head, 0))
        at += _BEGUN
        of = who[cells[row, 0]]
        if of >= 0:
            for octet in range(0, len(owner), EIGHT):
                write_eight(out, at + octet, read_eight(owner, octet))
            at = _address(words, of, out, at + _OWNED)
        else:
            for place in range(ends[-1 - of], ends[-of]):
                out[at] = names[place]
                at += 1
        out[at] = 32
        at = _address(words, cells[row, 1], out, at + 1)
        out[at] = 32
        at = write_number(high, low, out, at + 1)
        out[at] = 10
        at += 1
    return at


@inlined
def _address(words: Quads, word: Integer, out: Octets, at: Integer) -> Integer:
    """Write an address in hexadecimal; return the place behind it."""
    out[at], out[at + 1] = 48, 120
    write_word(words, word, out, at + 2)
    return at + _ADDRESS
