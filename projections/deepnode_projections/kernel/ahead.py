"""Ahead: what a later operation will look for is fetched from memory while those before it are done.

Rows of accounts and tasks lie all over the memory, and most of the time of an operation is spent waiting for them. So
some operations ahead the place in the index is fetched, and a few operations later the row that stands there. Nothing
is changed by that, whatever is fetched; a wrong guess costs what it would have cost to wait.
"""

from typing import Final

from deepnode_ledger.compiled import Integer, inlined
from deepnode_projections.kernel.decoded import Cells
from deepnode_projections.kernel.maps import Maps
from deepnode_projections.kernel.money_views import MoneyTables, MoneyViews
from deepnode_projections.kernel.octets import ask
from deepnode_projections.kernel.ops import AGREED, ASSIGNED, CREATED, CREDITED, RECEIVED, SPLIT, TRANSFER, VALIDATED
from deepnode_projections.kernel.sides import BOTH, MONEY, TASKS
from deepnode_projections.kernel.table import View, place_of
from deepnode_projections.kernel.task_tables import TaskTables

FAR: Final = 8
"""Operations ahead of which the place in the index is fetched; twice as many rows, where only one side's are done."""

NEAR: Final = 4
"""Operations ahead of which the row is fetched, likewise."""

_TASK_MIDDLE: Final = 12
_SLOT_MIDDLE: Final = 11
_RECEIPT_MIDDLE: Final = 8


@inlined
def look_ahead(
    ops: Cells,
    starts: Cells,
    cells: Cells,
    row: Integer,
    stop: Integer,
    side: Integer,
    m: Maps,
    t: TaskTables,
    u: MoneyTables,
    h: MoneyViews,
) -> None:
    """Fetch what operations of a side ``NEAR`` and ``FAR`` behind ``row`` will look for."""
    far, near = (FAR, NEAR) if side == BOTH else (2 * FAR, 2 * NEAR)
    if row + far < stop:
        _fetch(ops[row + far], starts[row + far], cells, side, m, t, u, h, True)
        _fetch(ops[row + near], starts[row + near], cells, side, m, t, u, h, False)


@inlined
def _fetch(
    op: Integer,
    at: Integer,
    cells: Cells,
    side: Integer,
    m: Maps,
    t: TaskTables,
    u: MoneyTables,
    h: MoneyViews,
    is_far: Integer,
) -> None:
    if op == TRANSFER:
        if side != TASKS:
            asset = m.ids[cells[at]]
            _fetch_key(h.balances, m.accounts[cells[at + 1]], asset, 0, 0, 0, is_far)
            _fetch_key(h.balances, m.accounts[cells[at + 2]], asset, 0, 0, 0, is_far)
    elif op in (RECEIVED, SPLIT):
        if side != TASKS:
            _fetch_key(u.receipts, m.ids[cells[at + 1]], m.ids[cells[at]], 0, 0, _RECEIPT_MIDDLE, is_far)
    elif op >= CREATED and side != MONEY:
        task = m.ids[cells[at]]
        _fetch_key(t.task, task, 0, 0, 0, _TASK_MIDDLE, is_far)
        if op == AGREED:
            _fetch_newest(t.slot, task, is_far)
            _fetch_newest(t.validation, task, is_far)
        elif CREATED < op <= CREDITED:
            attempt, slot = cells[at + 1], cells[at + 2]
            _fetch_key(t.slot, task, attempt, slot, 0, _SLOT_MIDDLE, is_far)
            if op == VALIDATED:
                _fetch_key(t.validation, task, attempt, slot, m.ids[cells[at + 3]], 0, is_far)
                _fetch_newest(t.validation, task, is_far)
            elif op == ASSIGNED:
                _fetch_newest(t.slot, task, is_far)


@inlined
def _fetch_key(table: View, a: Integer, b: Integer, c: Integer, d: Integer, middle: Integer, is_far: Integer) -> None:
    """Fetch the row of a key: where it begins, and a cell in its middle, which a wide one has in another line."""
    _fetch_row(table.slots, place_of(a, b, c, d, len(table.slots) - 1), table.cells, middle, is_far)


@inlined
def _fetch_newest(table: View, first: Integer, is_far: Integer) -> None:
    """Fetch the row that was entered last with a key that begins with a cell."""
    _fetch_row(table.firsts, place_of(first, 0, 0, 0, len(table.firsts) - 1), table.cells, 0, is_far)


@inlined
def _fetch_row(index: Cells, place: Integer, cells: Cells, middle: Integer, is_far: Integer) -> None:
    """Fetch a place in an index, or the row that stands there."""
    if is_far:
        ask(index, place, 0)
    else:
        row = index[place] - 1
        if row >= 0:
            ask(cells, row, 0)
            if middle > 0:
                ask(cells, row, middle)
