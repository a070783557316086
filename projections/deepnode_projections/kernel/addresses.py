"""Addresses: the kernel's arrays by where they lie in memory, and as they are.

To hand over a hundred arrays costs as much as some hundred operations, at every call of the loop. So they are written
down once, three numbers an array (address, rows, columns), and the loop is handed those. Whoever writes them down keeps
the arrays, and writes them down again when one is another.
"""

from collections.abc import Iterator
from itertools import count
from typing import Any, Final

import numpy as np
from numba import types as numba_types
from numba.extending import intrinsic
from numba.np import arrayobj

from deepnode_ledger.compiled import Integer, compiled, is_plain
from deepnode_projections.kernel import loop
from deepnode_projections.kernel.decoded import Cells
from deepnode_projections.kernel.maps import Maps
from deepnode_projections.kernel.money_views import MoneyTables, MoneyViews
from deepnode_projections.kernel.table import View
from deepnode_projections.kernel.task_tables import TaskTables

WIDTH: Final = 3
"""Numbers an array: its address, its rows, and its columns (1 of an array of one dimension)."""


def addresses_of(tasks: TaskTables, tables: MoneyTables, held: MoneyViews) -> Any:
    """Write down where the arrays are, in their order: shape (arrays, ``WIDTH``), int64.

    Where nothing is compiled there are no addresses: then it is the tables themselves.
    """
    if is_plain():
        return tasks, tables, held
    arrays = list(_arrays((tasks, tables, held)))
    kinds = [str(kind.dtype) for kind in _kinds(_ALL)]
    assert all(each.flags.c_contiguous and each.dtype == kind for each, kind in zip(arrays, kinds, strict=True))
    return np.array([(each.ctypes.data, *each.shape, 1)[:WIDTH] for each in arrays], np.int64)


@compiled
def fold(
    ops: Cells,
    starts: Cells,
    cells: Cells,
    first: Integer,
    row: Integer,
    stop: Integer,
    side: Integer,
    m: Maps,
    p: Cells,
    addresses: Any,
) -> Integer:
    """Do as ``loop.fold`` does, with its three last arguments at ``addresses``."""
    t, u, h = _at(addresses)
    return loop.fold(ops, starts, cells, first, row, stop, side, m, p, t, u, h)


def _arrays(each: Any) -> Iterator[Any]:
    if isinstance(each, tuple):
        for part in each:
            yield from _arrays(part)
    else:
        yield each


def _kinds(kind: Any) -> Iterator[Any]:
    if isinstance(kind, types.Array):
        yield kind
    else:
        for part in kind.types:
            yield from _kinds(part)


# The compiler's own functions say nothing of their types.
types: Final[Any] = numba_types
_COMPILER: Final[Any] = arrayobj

_COLUMN: Final[Any] = types.Array(types.int64, 1, "C")
_INDEX: Final[Any] = types.Array(types.int32, 1, "C")
_PLANE: Final[Any] = types.Array(types.int64, 2, "C")
_VIEW: Final[Any] = types.NamedTuple((_PLANE, _INDEX, _INDEX, _PLANE, _COLUMN), View)
_ALL: Final[Any] = types.Tuple(
    (
        types.NamedTuple((*(_VIEW,) * (len(TaskTables._fields) - 1), _PLANE), TaskTables),
        types.NamedTuple((*(_VIEW,) * 5, _COLUMN), MoneyTables),
        types.NamedTuple((_VIEW, _PLANE, _COLUMN, _VIEW, _COLUMN, _COLUMN), MoneyViews),
    )
)
"""What stands at the addresses, as the compiler calls it."""


def _what_stands_at(_typing: Any, addresses: Any) -> Any:
    """Make the tables of what is written down, in the compiler's own language: arrays that nobody owns."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        numbers = _COMPILER.make_array(addresses)(context, builder, arguments[0]).data
        places = count(step=WIDTH)

        def read(place: int) -> Any:
            return builder.load(builder.gep(numbers, [context.get_constant(types.intp, place)]))

        def made(kind: Any) -> Any:
            if not isinstance(kind, types.Array):
                return context.make_tuple(builder, kind, [made(part) for part in kind.types])
            place = next(places)
            data = builder.inttoptr(read(place), context.get_data_type(kind.dtype).as_pointer())
            shape = [read(place + 1 + axis) for axis in range(kind.ndim)]
            size = context.get_constant(types.intp, kind.dtype.bitwidth // 8)
            strides = [size] if kind.ndim == 1 else [builder.mul(shape[1], size), size]
            array = _COMPILER.make_array(kind)(context, builder)
            parts = {"data": data, "shape": shape, "strides": strides, "itemsize": size, "meminfo": None}
            _COMPILER.populate_array(array, **parts)
            return array._getvalue()

        return made(signature.return_type)

    return _ALL(addresses), generate


def _as_they_are(tables: Any) -> Any:
    return tables


_at: Final[Any] = _as_they_are if is_plain() else intrinsic(_what_stands_at)
