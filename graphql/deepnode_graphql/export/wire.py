"""Columns from PostgreSQL to Arrow, many rows at a time and without a Python object for any of them.

The server sends what COPY gives row by row, and a client that takes it so handles each row. Here the rows of a batch
come as one row instead, with an aggregate for each column: the big-endian integers of an array, the texts one behind
the other and their lengths, the digits of amounts in places of equal width. Arrow's buffers are made of these by whole
arrays. Postings took COPY, as text or binary, 2.4 µs a row before anything was parsed; so they take the server 1.2 µs
and this program 0.7, both at once (``benchmarks/bench_export.py`` measures it beside rows).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import Connection
from psycopg.rows import tuple_row

from deepnode_graphql.export.source import AMOUNT

Integers = npt.NDArray[np.int64]


class Wire(Enum):
    """What a column is in PostgreSQL, and how its values are sent together."""

    WHOLE = "an integer above -2**63, or true or false"
    AMOUNT = "NUMERIC without a fraction, below 10**38 in either direction"
    TEXT = "text"
    BYTES = "bytea"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a query: how it is called there, and what it is. ``sql`` is the program's own."""

    name: str
    sql: str
    wire: Wire
    nullable: bool = False


_NULL: Final = -(2**63)
"""What an integer that is null is sent as. No field of the books can hold it (see ``registers.record``)."""

_ARRAY_HEADER_BYTES: Final = 20
"""Of an array of one dimension: dimensions, flags, type, length and lower bound, four bytes each."""

_ELEMENT: Final = np.dtype([("length", ">i4"), ("value", ">i8")])

_GROUPS: Final = 10
"""Digits of base 10 000 that an amount may have: 38 decimal ones."""

_AMOUNT_BYTES: Final = 8 + 2 * _GROUPS
"""NUMERIC's header (number of digits, weight of the first, sign, scale) and its digits, two bytes each."""

_NEGATIVE: Final = 0x4000

_TOP_MAX: Final = 10**6
"""What stands above the lower 32 decimal digits of an amount is less."""

_HEX: Final = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), np.uint16)


def fetch(
    connection: Connection[Any], columns: Sequence[Column], rest: str, parameters: Mapping[str, Any]
) -> dict[str, pa.Array] | None:
    """Return the columns of a query's rows, in their order; None if there are none.

    Whole numbers come as int64, amounts as decimal128(38, 0), texts as string and bytes as binary.

    Args:
        connection: in a transaction.
        columns: what is selected.
        rest: the query from FROM on, with the ORDER BY that the rows keep. It is the program's own.
        parameters: the values of its ``%(name)s``.
    """
    selected = ", ".join(f"{each.sql} AS c{number}" for number, each in enumerate(columns))
    sent = ", ".join(part for number, each in enumerate(columns) for part in _aggregates(each, f"r.c{number}"))
    # LIMIT ALL would be optimised away. OFFSET 0 is not: the sorted rows stay a step of their own.
    statement = f"SELECT count(*), {sent} FROM (SELECT {selected} {rest} OFFSET 0) r"  # noqa: S608 - the program's own
    with connection.cursor(binary=True, row_factory=tuple_row) as cursor:
        cursor.execute(statement.encode(), parameters)
        result = cursor.pgresult
        assert result is not None
        rows = int.from_bytes(result.get_value(0, 0) or b"", "big")
        values = [result.get_value(0, place) for place in range(1, result.nfields)]
    if rows == 0:
        return None
    given = iter(values)
    return {each.name: _array(each, rows, given) for each in columns}


def integers(array: pa.Array) -> Integers:
    """View whole numbers without a null."""
    return cast("Integers", array.to_numpy())


def hexadecimal(array: pa.Array) -> pa.Array:
    """Write bytes as 0x and lower-case digits; null stays null."""
    if len(array) == 0:
        return pa.array([], pa.string())
    array = array.cast(pa.large_binary())
    offsets = np.frombuffer(array.buffers()[1], np.int64)[array.offset : array.offset + len(array) + 1]
    data = array.buffers()[2]
    content = np.frombuffer(data, np.uint8)[offsets[0] : offsets[-1]] if data is not None else np.empty(0, np.uint8)
    digits = pa.Array.from_buffers(
        pa.large_string(), len(array), [None, pa.py_buffer((offsets - offsets[0]) * 2), pa.py_buffer(_HEX[content])]
    )
    written = pc.binary_join_element_wise(pa.scalar("0x", pa.large_string()), digits, pa.scalar("", pa.large_string()))
    if array.null_count:
        written = pc.if_else(array.is_valid(), written, pa.scalar(None, pa.large_string()))
    return written.cast(pa.string())


def named(array: pa.Array) -> pa.Array:
    """Make text or bytes a dictionary of texts, in the order in which they come first."""
    encoded = array.dictionary_encode()
    values = encoded.dictionary
    if pa.types.is_binary(values.type) or pa.types.is_fixed_size_binary(values.type):
        values = hexadecimal(values)
    return pa.DictionaryArray.from_arrays(encoded.indices, values)


def constant(value: str, rows: int) -> pa.Array:
    """Make a dictionary of one text for all rows."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([value]))


def _aggregates(column: Column, name: str) -> list[str]:
    match column.wire:
        case Wire.WHOLE:
            return [_integers_sent(f"{name}::bigint", column.nullable, _NULL)]
        case Wire.AMOUNT:
            zeros, ones = "00" * 2 * _GROUPS, "ff" * _AMOUNT_BYTES
            # The digits behind those that there are: zeros, as if they were there.
            sent = rf"substr(numeric_send({name}) || '\x{zeros}'::bytea, 1, {_AMOUNT_BYTES})"
            return [rf"string_agg(coalesce({sent}, '\x{ones}'::bytea), ''::bytea)"]
        case Wire.TEXT:
            return [_integers_sent(f"octet_length({name})::bigint", True, -1), f"string_agg({name}, '')"]
        case Wire.BYTES:
            return [_integers_sent(f"octet_length({name})::bigint", True, -1), f"string_agg({name}, ''::bytea)"]


def _integers_sent(value: str, nullable: bool, null: int) -> str:
    return f"array_agg(coalesce({value}, {null}))" if nullable else f"array_agg({value})"


def _array(column: Column, rows: int, given: Any) -> pa.Array:
    match column.wire:
        case Wire.WHOLE:
            values = _integers(next(given), rows)
            return pa.array(values, mask=values == _NULL if column.nullable else None)
        case Wire.AMOUNT:
            return amounts(next(given), rows)
        case _:
            lengths, content = _integers(next(given), rows), next(given) or b""
            return _strings(lengths, content, pa.string() if column.wire is Wire.TEXT else pa.binary())


def _integers(sent: bytes, rows: int) -> Integers:
    elements = np.frombuffer(sent, _ELEMENT, offset=_ARRAY_HEADER_BYTES)
    assert len(elements) == rows, (len(elements), rows)
    return elements["value"].astype(np.int64)


def _strings(lengths: Integers, content: bytes, of: pa.DataType) -> pa.Array:
    valid = lengths >= 0
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(np.maximum(lengths, 0), out=offsets[1:])
    assert offsets[-1] == len(content), "the database and its client write text in different ways"
    mask = None if valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.Array.from_buffers(of, len(lengths), [mask, pa.py_buffer(offsets), pa.py_buffer(content)])


def amounts(sent: bytes, rows: int) -> pa.Array:
    """Make amounts of what the server sends of each: its NUMERIC, filled up with zeros to one width.

    A NUMERIC is a sign and digits of base 10 000, the first of which has a weight (a power of 10 000). They are put at
    the places of their powers, four places are made one number, and the three numbers, by Horner's rule with base
    10**16, the 128 bits of Arrow's decimal.
    """
    words = np.frombuffer(sent, ">i2").reshape(rows, _AMOUNT_BYTES // 2).astype(np.int64)
    valid = words[:, 0] >= 0
    weight, negative, digits = words[:, 1], words[:, 2] == _NEGATIVE, words[:, 4:]
    powers = np.zeros((rows, _GROUPS), np.int64)
    # Amounts have few different lengths; of those of one, the digits are a block.
    for first in np.unique(weight[valid]):
        of_length = weight == first
        powers[of_length, : first + 1] = digits[of_length, first::-1]
    of_four = np.array([1, 10**4, 10**8, 10**12])
    low = (powers[:, 8:] @ of_four[:2]).astype(np.uint64)
    assert not (low >= _TOP_MAX).any(), "an amount of 10**38 or more"
    high = np.zeros(rows, np.uint64)
    for part in (powers[:, 4:8] @ of_four, powers[:, :4] @ of_four):
        high, low = _times_and_plus(high, low, part.astype(np.uint64))
    # Two's complement: all bits turned round, and one more.
    low = np.where(negative, ~low + np.uint64(1), low)
    high = np.where(negative, ~high + (low == 0), high)
    data = np.empty((rows, 2), np.uint64)
    data[:, 0], data[:, 1] = low, high
    mask = None if valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.Array.from_buffers(AMOUNT, rows, [mask, pa.py_buffer(data)])


_FACTOR: Final = 10**16
_FACTOR_HIGH, _FACTOR_LOW = np.uint64(_FACTOR >> 32), np.uint64(_FACTOR & 0xFFFFFFFF)
_MASK, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)

Unsigned = npt.NDArray[np.uint64]


def _times_and_plus(high: Unsigned, low: Unsigned, plus: Unsigned) -> tuple[Unsigned, Unsigned]:
    """Return (high, low) * 10**16 + plus, as the upper and the lower 64 bits."""
    low_0, low_1 = low & _MASK, low >> _HALF
    first = low_0 * _FACTOR_LOW
    middle = low_1 * _FACTOR_LOW + (first >> _HALF)
    middle_2 = (middle & _MASK) + low_0 * _FACTOR_HIGH
    upper = low_1 * _FACTOR_HIGH + (middle >> _HALF) + (middle_2 >> _HALF) + high * np.uint64(_FACTOR)
    lower = (middle_2 << _HALF) | (first & _MASK)
    summed = lower + plus
    return upper + (summed < lower), summed
