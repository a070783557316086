"""Ahead: what a later operation will look for is fetched from memory while those before it are done.

Rows of accounts and tasks lie all over the memory, and most of the time of an operation is spent waiting for them. So
some operations ahead the place in the index is fetched, and a few operations later the row that stands there. Nothing
is changed by that, whatever is fetched; a wrong guess costs what it would have cost to wait.
"""

from typing import Any, Final

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped] # it has no types
from numba import types as numba_types
from numba.extending import intrinsic
from numba.np import arrayobj

from deepnode_ledger.compiled import Integer, inlined, is_plain
from deepnode_projections.kernel.decoded import Cells
from deepnode_projections.kernel.maps import Maps
from deepnode_projections.kernel.money_views import MoneyViews
from deepnode_projections.kernel.ops import CREATED, TRANSFER
from deepnode_projections.kernel.table import View, place_of
from deepnode_projections.kernel.task_tables import TaskTables

FAR: Final = 12
"""Operations ahead of which the place in the index is fetched."""

NEAR: Final = 6
"""Operations ahead of which the row is fetched."""


@inlined
def look_ahead(
    ops: Cells, starts: Cells, cells: Cells, row: Integer, stop: Integer, m: Maps, t: TaskTables, h: MoneyViews
) -> None:
    """Fetch what rows ``NEAR`` and ``FAR`` behind ``row`` will look for."""
    if row + FAR < stop:
        _fetch(ops[row + FAR], starts[row + FAR], cells, m, t, h, True)
        _fetch(ops[row + NEAR], starts[row + NEAR], cells, m, t, h, False)


@inlined
def _fetch(op: Integer, at: Integer, cells: Cells, m: Maps, t: TaskTables, h: MoneyViews, is_far: Integer) -> None:
    if op == TRANSFER:
        asset = m.ids[cells[at]]
        _fetch_key(h.balances, m.accounts[cells[at + 1]], asset, is_far)
        _fetch_key(h.balances, m.accounts[cells[at + 2]], asset, is_far)
    elif op >= CREATED:
        _fetch_key(t.task, m.ids[cells[at]], np.int64(0), is_far)


@inlined
def _fetch_key(table: View, a: Integer, b: Integer, is_far: Integer) -> None:
    place = place_of(a, b, 0, 0, len(table.slots) - 1)
    if is_far:
        _from_memory(table.slots, place)
    else:
        row = table.slots[place] - 1
        if row >= 0:
            _from_memory(table.cells, row * table.cells.shape[1])


def _from_memory_compiled(_typing: Any, array: Any, place: Any) -> Any:
    """Ask for a cell of an array, counted from its first, without waiting for it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = _COMPILER.make_array(array)(context, builder, arguments[0]).data
        octet = _IR.IntType(8).as_pointer()
        pointer = builder.bitcast(builder.gep(data, [arguments[1]]), octet)
        number = _IR.IntType(32)
        kind = _IR.FunctionType(_IR.VoidType(), [octet, number, number, number])
        fetch = builder.module.declare_intrinsic("llvm.prefetch", [octet], kind)
        builder.call(fetch, [pointer, number(0), number(3), number(1)])
        return context.get_dummy_value()

    return numba_types.none(array, place), generate


def _do_nothing(_array: Any, _place: Any) -> None:
    pass


# The compiler's own functions say nothing of their types.
_COMPILER: Final[Any] = arrayobj
_IR: Final[Any] = ir
_from_memory: Final[Any] = _do_nothing if is_plain() else intrinsic(_from_memory_compiled)
