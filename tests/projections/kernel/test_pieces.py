"""Pieces that several threads write: all rows once, in their order."""

import pytest

from deepnode_projections.kernel.pieces import PIECE_ROWS, in_pieces


@pytest.mark.parametrize("rows", [0, 1, PIECE_ROWS, PIECE_ROWS + 1, 11 * PIECE_ROWS - 1])
def test_pieces_hold_every_row_once_and_in_order(rows: int) -> None:
    """Writes each row's number."""

    def piece(start: int, end: int) -> bytes:
        return "".join(f"{row} " for row in range(start, end)).encode()

    assert b"".join(in_pieces(rows, piece)) == piece(0, rows)
