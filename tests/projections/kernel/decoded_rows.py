"""A decoded batch read back, row by row: what each of its cells stands for."""

from typing import Any

import numpy as np

from deepnode_ledger.account import Account, wallet
from deepnode_projections.kernel.decoded import DecodedBatch
from deepnode_projections.kernel.layout import NONE
from deepnode_projections.kernel.op_cells import CELLS, Cell, Of

LOW = 2**64 - 1


def rows_of(decoded: DecodedBatch) -> list[tuple[int, dict[str, Any]]]:
    """Each row's operation, and its values by name: ids and hashes of 32 bytes, holders as accounts."""
    return [(int(op), _values(decoded, row)) for row, op in enumerate(decoded.ops.tolist())]


def holder_of(decoded: DecodedBatch, number: int) -> Account:
    """The account that a holder is."""
    held = int(decoded.holders[number])
    return decoded.pockets[-1 - held] if held < 0 else wallet(decoded.ids[held].tobytes()[:20])


def assert_same(found: DecodedBatch | None, decoded: DecodedBatch) -> None:
    """Each value is the same, and each array is one of the same kind to compiled code."""
    assert found is not None
    for name in ("first", "quarantined", "places", "singles"):
        assert getattr(found, name) == getattr(decoded, name), name
    assert list(found.names) == list(decoded.names)
    assert list(found.pockets) == list(decoded.pockets)
    for name in ("ops", "starts", "cells", "ids", "hashes", "events", "event_ends", "holders"):
        one, other = getattr(found, name), getattr(decoded, name)
        assert np.array_equal(one, other), name
        for array in (one, other):
            assert array.dtype == other.dtype, name
            assert array.flags.c_contiguous, name
            assert array.flags.writeable, name
            assert array.flags.aligned, name


def _values(decoded: DecodedBatch, row: int) -> dict[str, Any]:
    cells = decoded.cells[decoded.starts[row] : decoded.starts[row + 1]].tolist()
    values: dict[str, Any] = {}
    for cell in CELLS[int(decoded.ops[row])]:
        own, cells = cells[: cell.width], cells[cell.width :]
        values[cell.name] = _value(decoded, cell, own)
    assert not cells, row
    return values


def _value(decoded: DecodedBatch, cell: Cell, own: list[int]) -> Any:
    match cell.of:
        case Of.ID:
            return decoded.ids[own[0]].tobytes()
        case Of.HASH:
            if cell.may_be_left_out and own[0] == NONE:
                return None
            return decoded.hashes[own[0]].tobytes()
        case Of.NAME:
            return decoded.names[own[0]]
        case Of.EVENT:
            start, end = decoded.event_ends[own[0] : own[0] + 2].tolist()
            return decoded.events[start:end].tobytes().decode()
        case Of.HOLDER:
            return holder_of(decoded, own[0])
        case Of.AMOUNT:
            return own[1] << 64 | own[0] & LOW
        case Of.NUMBER:
            if cell.may_be_left_out and own[0] == NONE:
                return None
            assert cell.low <= own[0] <= cell.high, (cell, own)
            return own[0]
