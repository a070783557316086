"""Pieces that several threads write: all rows once, in their order."""

import numpy as np
import pytest

from deepnode_projections.kernel.octets import Octets
from deepnode_projections.kernel.pieces import PIECE_ROWS, ROWS_ALONE, Written, in_pieces


@pytest.mark.parametrize("rows", [0, 1, ROWS_ALONE, ROWS_ALONE + 1, 11 * PIECE_ROWS - 1])
def test_pieces_hold_every_row_once_and_in_order(rows: int) -> None:
    """Writes each row's number, where there is room for it, and takes each piece before the next."""

    def write(start: int, stop: int, out: Octets) -> Written:
        text = "".join(f"{row} " for row in range(start, stop)).encode()
        if len(out) < len(text):
            out = np.empty(len(text), np.uint8)
        out[: len(text)] = np.frombuffer(text, np.uint8)
        return out, len(text)

    nothing: Octets = np.empty(0, np.uint8)
    assert b"".join(map(bytes, in_pieces(rows, write))) == write(0, rows, nothing)[0].tobytes()
