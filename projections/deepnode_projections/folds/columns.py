"""Views of a batch's columns as arrays: nothing is copied, and what a null hides is zeros or rubbish."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Octets = npt.NDArray[np.uint8]
"""Fixed-width bytes: a row each."""

Integers = npt.NDArray[np.int64]

Flags = npt.NDArray[np.bool_]


def integers(batch: pa.RecordBatch, name: str) -> Integers:
    """Return an integer column as int64."""
    column = batch.column(name)
    width = np.dtype(column.type.to_pandas_dtype())
    values = np.frombuffer(column.buffers()[1], width)[column.offset : column.offset + len(column)]
    return values.astype(np.int64, copy=False)


def octets(batch: pa.RecordBatch, name: str) -> Octets:
    """Return a column of fixed-width bytes, a row each."""
    return _octets(batch.column(name))


def _octets(column: pa.Array) -> Octets:
    width = column.type.byte_width
    cells = np.frombuffer(column.buffers()[1], np.uint8)
    return cells[column.offset * width : (column.offset + len(column)) * width].reshape(-1, width)


def filled(batch: pa.RecordBatch, name: str) -> Flags:
    """Say which rows have a value."""
    column = batch.column(name)
    if not column.null_count:
        return np.ones(len(column), np.bool_)
    bits = np.unpackbits(np.frombuffer(column.buffers()[0], np.uint8), bitorder="little")
    return bits[column.offset : column.offset + len(column)].astype(np.bool_)


def data_words(batch: pa.RecordBatch) -> tuple[Octets, Flags]:
    """Return each log's data as one word of 32 bytes, and which data are one; the word of others is rubbish."""
    column = batch.column("data")
    starts = np.frombuffer(column.buffers()[1], np.int32)[column.offset : column.offset + len(column) + 1]
    one_word = np.diff(starts) == 32
    cells = np.frombuffer(column.buffers()[2] or b"", np.uint8)
    if one_word.all():
        return cells[starts[0] : starts[-1]].reshape(-1, 32), one_word
    words = np.zeros((len(column), 32), np.uint8)
    words[one_word] = cells[starts[:-1][one_word, None] + np.arange(32)]
    return words, one_word


def as_fixed(rows: Octets) -> pa.Array:
    """Make an Arrow column of fixed-width bytes."""
    count, width = rows.shape
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(width), count, [None, pa.py_buffer(np.ascontiguousarray(rows))]
    )
