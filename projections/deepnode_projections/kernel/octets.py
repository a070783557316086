"""Octets in compiled functions: eight at a time, and asked of the memory before they are read.

What is read in the order of keys lies anywhere. To wait for each of it takes longer than all the work on it, so it is
asked for some steps ahead: that is a hint alone, of which nothing depends that is computed.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import types as numba_types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np import arrayobj

from deepnode_ledger.compiled import is_plain

Octets = npt.NDArray[Any]
"""An array of uint8."""

EIGHT: Final = 8

# The compiler's own functions say nothing of their types.
types: Final[Any] = numba_types
_COMPILER: Final[Any] = arrayobj
_LANGUAGE: Final[Any] = vars(cgutils)["ir"]

_READ: Final = 0
_SOON: Final = 3
_DATA: Final = 1
"""What the hint says: it is for reading, it is needed soon, and it is no code."""


def _place(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Return where an array's element is: of the first axis, and of the second if there is one."""
    kind = signature.args[0]
    array = _COMPILER.make_array(kind)(context, builder, arguments[0])
    at = builder.ptrtoint(array.data, context.get_value_type(types.intp))
    for axis in range(kind.ndim):
        number = context.cast(builder, arguments[1 + axis], signature.args[1 + axis], types.intp)
        at = builder.add(at, builder.mul(number, builder.extract_value(array.strides, axis)))
    return at


def _read_eight(_typing: Any, octets: Any, at: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        where = _place(context, builder, signature, arguments)
        return builder.load(builder.inttoptr(where, context.get_value_type(types.uint64).as_pointer()), align=1)

    return types.uint64(octets, at), generate


def _write_eight(_typing: Any, octets: Any, at: Any, number: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        where = _place(context, builder, signature, arguments)
        value = context.cast(builder, arguments[2], signature.args[2], types.uint64)
        builder.store(value, builder.inttoptr(where, value.type.as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(octets, at, number), generate


def _ask(_typing: Any, array: Any, row: Any, column: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        flag, octets = _LANGUAGE.IntType(32), _LANGUAGE.IntType(8).as_pointer()
        kind = _LANGUAGE.FunctionType(_LANGUAGE.VoidType(), [octets, flag, flag, flag])
        hint = builder.module.declare_intrinsic("llvm.prefetch", [octets], kind)
        where = builder.inttoptr(_place(context, builder, signature, arguments), octets)
        builder.call(hint, [where, *map(flag, (_READ, _SOON, _DATA))])
        return context.get_dummy_value()

    return types.void(array, row, column), generate


def _plain_read_eight(octets: Octets, at: int) -> Any:
    return octets[at : at + EIGHT].view("<u8")[0]


def _plain_write_eight(octets: Octets, at: int, number: Any) -> None:
    octets[at : at + EIGHT] = np.array([number], "<u8").view(np.uint8)


def _plain_ask(_array: Any, _row: int, _column: int) -> None:
    return None


read_eight: Final[Any] = _plain_read_eight if is_plain() else intrinsic(_read_eight)
"""``read_eight(octets, at)``: eight octets as a number, the first the lowest. They may begin anywhere."""

write_eight: Final[Any] = _plain_write_eight if is_plain() else intrinsic(_write_eight)
"""``write_eight(octets, at, number)``: the same, to write."""

ask: Final[Any] = _plain_ask if is_plain() else intrinsic(_ask)
"""``ask(array, row, column)``: this element will be read soon; of an array with one axis, the column says nothing."""
