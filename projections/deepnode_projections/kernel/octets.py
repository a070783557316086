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
from deepnode_ledger.hexadecimal import WORD_BYTES

Octets = npt.NDArray[Any]
"""An array of uint8."""

EIGHT: Final = 8

DIGITS: Final = 2 * WORD_BYTES

# The compiler's own functions say nothing of their types.
types: Final[Any] = numba_types
_COMPILER: Final[Any] = arrayobj
_LANGUAGE: Final[Any] = vars(cgutils)["ir"]

_READ: Final = 0
_SOON: Final = 3
_DATA: Final = 1
"""What the hint says: it is for reading, it is needed soon, and it is no code."""


def _place(context: Any, builder: Any, kinds: Any, arguments: Any) -> Any:
    """Return where an array's element is, given the array and its place on every axis, or on the first ones."""
    array = _COMPILER.make_array(kinds[0])(context, builder, arguments[0])
    at = builder.ptrtoint(array.data, context.get_value_type(types.intp))
    for axis in range(min(kinds[0].ndim, len(kinds) - 1)):
        number = context.cast(builder, arguments[1 + axis], kinds[1 + axis], types.intp)
        at = builder.add(at, builder.mul(number, builder.extract_value(array.strides, axis)))
    return at


def _read_eight(_typing: Any, octets: Any, at: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        where = _place(context, builder, signature.args, arguments)
        return builder.load(builder.inttoptr(where, context.get_value_type(types.uint64).as_pointer()), align=1)

    return types.uint64(octets, at), generate


def _write_eight(_typing: Any, octets: Any, at: Any, number: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        where = _place(context, builder, signature.args, arguments)
        value = context.cast(builder, arguments[2], signature.args[2], types.uint64)
        builder.store(value, builder.inttoptr(where, value.type.as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(octets, at, number), generate


def _write_word(_typing: Any, words: Any, number: Any, out: Any, at: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        source = _place(context, builder, kinds[:2], arguments[:2])
        target = _place(context, builder, kinds[2:], arguments[2:])
        octet = _LANGUAGE.IntType(8)
        half, whole = _LANGUAGE.VectorType(octet, WORD_BYTES), _LANGUAGE.VectorType(octet, DIGITS)

        def all_of(kind: Any, number: int) -> Any:
            return kind([number] * kind.count)

        word = builder.load(builder.inttoptr(source, half.as_pointer()), align=1)
        upper, lower = builder.lshr(word, all_of(half, 4)), builder.and_(word, all_of(half, 15))
        # The upper half of each octet, and behind it the lower one.
        mask = [WORD_BYTES * (place % 2) + place // 2 for place in range(DIGITS)]
        order = _LANGUAGE.VectorType(_LANGUAGE.IntType(32), DIGITS)(mask)
        digits = builder.shuffle_vector(upper, lower, order)
        is_letter = builder.icmp_unsigned(">", digits, all_of(whole, 9))
        first = builder.select(is_letter, all_of(whole, ord("a") - 10), all_of(whole, ord("0")))
        builder.store(builder.add(digits, first), builder.inttoptr(target, whole.as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(words, number, out, at), generate


def _ask(_typing: Any, array: Any, row: Any, column: Any) -> Any:
    # By steps from the array's own pointer: made of a number, a pointer might be to any array, and the compiler would
    # read all it knows of them again.
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        held = _COMPILER.make_array(kinds[0])(context, builder, arguments[0])
        at = context.cast(builder, arguments[1], kinds[1], types.intp)
        if kinds[0].ndim > 1:
            width = builder.extract_value(held.shape, 1)
            at = builder.add(builder.mul(at, width), context.cast(builder, arguments[2], kinds[2], types.intp))
        flag, octets = _LANGUAGE.IntType(32), _LANGUAGE.IntType(8).as_pointer()
        kind = _LANGUAGE.FunctionType(_LANGUAGE.VoidType(), [octets, flag, flag, flag])
        hint = builder.module.declare_intrinsic("llvm.prefetch", [octets], kind)
        where = builder.bitcast(builder.gep(held.data, [at]), octets)
        builder.call(hint, [where, *map(flag, (_READ, _SOON, _DATA))])
        return context.get_dummy_value()

    return types.void(array, row, column), generate


def _plain_read_eight(octets: Octets, at: int) -> Any:
    return octets[at : at + EIGHT].view("<u8")[0]


def _plain_write_eight(octets: Octets, at: int, number: Any) -> None:
    octets[at : at + EIGHT] = np.array([number], "<u8").view(np.uint8)


def _plain_write_word(words: Any, number: int, out: Octets, at: int) -> None:
    out[at : at + DIGITS] = np.frombuffer(words[number].tobytes().hex().encode(), np.uint8)


def _plain_ask(_array: Any, _row: int, _column: int) -> None:
    return None


read_eight: Final[Any] = _plain_read_eight if is_plain() else intrinsic(_read_eight)
"""``read_eight(octets, at)``: eight octets as a number, the first the lowest. They may begin anywhere."""

write_eight: Final[Any] = _plain_write_eight if is_plain() else intrinsic(_write_eight)
"""``write_eight(octets, at, number)``: the same, to write."""

write_word: Final[Any] = _plain_write_word if is_plain() else intrinsic(_write_word)
"""``write_word(words, number, out, at)``: all 64 hexadecimal digits of a word, without ``0x``."""

ask: Final[Any] = _plain_ask if is_plain() else intrinsic(_ask)
"""``ask(array, row, column)``: this element will be read soon; of an array with one axis, the column says nothing.

The array's elements stand side by side."""
