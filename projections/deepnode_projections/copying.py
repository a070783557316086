"""Rows for PostgreSQL in its binary format, made of arrays: many rows at once, and no object a value.

A column is an array of int64 (``bigint``) or int16 (``smallint``), rows of bytes (``bytea``), one text that is the
same in every row, or ``Numeric``. So every row of a chunk is as long as the others, and a chunk is one array. That
PostgreSQL takes a NUMERIC with zeros in front, and keeps it without them, is what makes amounts fit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from psycopg import Cursor
from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.pq import Format
from typing_extensions import override

from deepnode_projections.folds import limbs
from deepnode_projections.folds.transfers import Octets

CHUNK_ROWS: Final = 8_192
"""Rows that are laid out before they are sent: the server works on some while the next are made."""

_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER: Final = b"\xff\xff"
_NEGATIVE: Final = 0x4000
_NOTHING: Final = np.empty(0, np.uint8)


@dataclass(frozen=True, slots=True)
class Numeric:
    """A column of NUMERIC without a fraction: limbs in normal form."""

    numbers: limbs.Numbers

    def __getitem__(self, rows: slice) -> "Numeric":
        return Numeric(self.numbers[:, rows])

    def __len__(self) -> int:
        return int(self.numbers.shape[1])


Column = npt.NDArray[np.int64] | npt.NDArray[np.int16] | Octets | Numeric | bytes
"""A column's values; bytes are a text for all rows."""


def copy(cursor: Cursor[Any], target: str, count: int, columns: Sequence[Column]) -> None:
    """Write ``count`` rows into ``target``, a table with the names of its columns."""
    if not count:
        return
    with cursor.copy(f"COPY {target} FROM STDIN (FORMAT BINARY)".encode()) as sent:
        sent.write(_HEADER)
        for chunk in _chunks(count, columns):
            sent.write(chunk)
        sent.write(_TRAILER)


def _chunks(count: int, columns: Sequence[Column]) -> Iterator[bytes]:
    for start in range(0, count, CHUNK_ROWS):
        length = min(CHUNK_ROWS, count - start)
        rows = slice(start, start + length)
        cells = [_cells(each if isinstance(each, bytes) else each[rows]) for each in columns]
        layout: list[Any] = [("columns", ">i2")]
        for number, (form, _) in enumerate(cells):
            layout += [(f"size{number}", ">i4"), (f"value{number}", *form)]
        table = np.empty(length, layout)
        table["columns"] = len(cells)
        for number, (_, values) in enumerate(cells):
            table[f"size{number}"] = table.dtype[f"value{number}"].itemsize
            if values is not _NOTHING:
                table[f"value{number}"] = values
        yield table.tobytes()


def _cells(column: Column) -> tuple[tuple[Any, ...], Any]:
    """Say how numpy lays a column's values out, and give it the values."""
    if isinstance(column, bytes):
        letters = np.frombuffer(column, np.uint8) if column else _NOTHING
        return ("u1", (len(column),)), letters
    if isinstance(column, Numeric):
        return _numeric(column.numbers)
    if column.dtype == np.uint8:
        assert column.ndim == 2, column.shape
        return ("u1", (column.shape[1],)), column
    assert column.dtype in (np.int64, np.int16), column.dtype
    return (f">i{column.dtype.itemsize}",), column


def _numeric(numbers: limbs.Numbers) -> tuple[tuple[Any, ...], Any]:
    magnitudes, negative = limbs.magnitude(numbers)
    digits = limbs.digits(magnitudes)
    words = np.empty((len(digits), 4 + digits.shape[1]), np.int64)
    words[:, 0] = digits.shape[1]
    words[:, 1] = digits.shape[1] - 1  # The weight of the highest digit.
    words[:, 2] = np.where(negative, _NEGATIVE, 0)
    words[:, 3] = 0  # No digits of a fraction are shown.
    words[:, 4:] = digits
    return (">i2", (words.shape[1],)), words


@dataclass(frozen=True, slots=True)
class Array:
    """An array parameter in the binary format; the statement casts it to its type."""

    message: bytes


_ELEMENT_OF_ARRAY: Final = {"bigint": 20, "smallint": 21, "bytea": 17, "text": 25, "numeric": 1700}


def array(element: str, column: npt.NDArray[Any] | Numeric) -> Array:
    """Make an array parameter of a column; ``element`` names the type of what is in it."""
    form, values = _cells(column)
    table = np.empty(len(column), [("size", ">i4"), ("value", *form)])
    table["size"] = table.dtype["value"].itemsize
    table["value"] = values
    return Array(_head(element, len(column)) + table.tobytes())


def text_array(texts: Sequence[str]) -> Array:
    """Make an array parameter of texts."""
    encoded = [text.encode() for text in texts]
    elements = b"".join([len(each).to_bytes(4) + each for each in encoded])
    return Array(_head("text", len(texts)) + elements)


def _head(element: str, count: int) -> bytes:
    dimensions = [count, 1] if count else []  # So many elements, the first of which has the number 1.
    return np.array([len(dimensions) // 2, 0, _ELEMENT_OF_ARRAY[element], *dimensions], ">i4").tobytes()


class _ArrayDumper(Dumper):
    format = Format.BINARY

    @override
    def dump(self, obj: Array) -> Buffer:
        return obj.message


def teach(cursor: Cursor[Any]) -> Cursor[Any]:
    """Let a cursor take ``Array`` parameters; return it."""
    cursor.adapters.register_dumper(Array, _ArrayDumper)
    return cursor
