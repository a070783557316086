"""A log file: 65 536 entries as an Arrow file, in one form, whatever the batches are that they were sealed in.

Arrow leaves room for choice that no reader sees: what stands in the place of an absent value, how long a buffer is
beyond its values, where its offsets begin, into how many record batches rows are cut. Two logs with the same entries
must have the same bytes, so all of it is laid down here. Buffers are compressed with zstd; any tool that reads Arrow
reads the file as it is.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from deepnode_ledger import batch as batches
from deepnode_ledger.batch_versions import SCHEMA
from deepnode_ledger.bundle import arrow_file
from deepnode_ledger.bundle.files import Span
from deepnode_ledger.bundle.layout import LOG_FILE_ENTRIES
from deepnode_ledger.errors import Damaged

ZSTD_LEVEL: Final = 1
"""As the sealed batches: what is large are hashes, which no level makes smaller."""

BYTES_MAX: Final = batches.BYTES_MAX
"""Of a record batch when unpacked."""


def cut(entries: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Cut the entries of one log file, in any pieces, into the record batches that it has, in their one form.

    A record batch ends where its data would pass ``batch.RUN_BYTES``, or with the file. Memory is one of them and one
    piece more.
    """
    waiting: list[pa.RecordBatch] = []
    weight = 0
    for piece in entries:
        waiting.append(piece)
        weight += _data_bytes(piece)
        if weight > batches.RUN_BYTES:
            *whole, rest = batches.runs(pa.concat_batches(waiting))
            yield from map(canonical, whole)
            waiting, weight = [rest], _data_bytes(rest)
    if waiting:
        yield from map(canonical, batches.runs(pa.concat_batches(waiting)))


def write(path: Path, made: Iterable[pa.RecordBatch]) -> None:
    """Write record batches that ``cut`` made as a file; it is not durable yet."""
    options = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", compression_level=ZSTD_LEVEL))
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, SCHEMA, options=options) as writer:
        for batch in made:
            writer.write_batch(batch)


def read(span: Span, first: int, last: int) -> Iterator[pa.RecordBatch]:
    """Yield the record batches of the file that holds positions ``first`` to ``last``.

    Raises:
        Damaged: it is no Arrow file of entries, claims too much, or holds other positions.
    """
    expected = first
    for batch in arrow_file.read(span, SCHEMA, rows_max=LOG_FILE_ENTRIES, bytes_max=BYTES_MAX):
        positions = batch.column("position").to_numpy()
        rows = batch.num_rows
        if expected + rows - 1 > last or not np.array_equal(positions, np.arange(expected, expected + rows)):
            raise Damaged(f"it does not hold the positions {first} to {last} in their order behind {expected - 1}")
        expected += rows
        yield batch
    if expected != last + 1:
        raise Damaged(f"it ends at position {expected - 1}, not {last}")


def canonical(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Give a batch's columns the one form that their values can have."""
    columns = [_column(column) for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def _column(column: pa.Array) -> pa.Array:
    rows, kind = len(column), column.type
    valid = None if column.null_count == 0 else column.is_valid().to_numpy(zero_copy_only=False)
    bitmap = None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little").tobytes())
    if pa.types.is_binary(kind) or pa.types.is_string(kind):
        offsets, data = _texts(column, valid)
        return pa.Array.from_buffers(kind, rows, [bitmap, offsets, data], column.null_count)
    width = kind.bit_width // 8
    cells = np.frombuffer(column.buffers()[1] or b"", np.uint8)
    cells = cells[column.offset * width : (column.offset + rows) * width].reshape(rows, width)
    if valid is not None:
        cells = np.where(valid[:, None], cells, np.uint8(0))
    return pa.Array.from_buffers(kind, rows, [bitmap, pa.py_buffer(cells.tobytes())], column.null_count)


def _texts(column: pa.Array, valid: npt.NDArray[Any] | None) -> tuple[pa.Buffer, pa.Buffer]:
    if valid is not None:
        # What stands in the place of an absent value may have a length.
        column = column.fill_null(b"" if pa.types.is_binary(column.type) else "")
    rows = len(column)
    starts = np.frombuffer(column.buffers()[1], np.int32)[column.offset : column.offset + rows + 1]
    data = column.buffers()[2]
    held = b"" if data is None else memoryview(data)[int(starts[0]) : int(starts[-1])]
    return pa.py_buffer((starts - starts[0]).astype(np.int32).tobytes()), pa.py_buffer(bytes(held))


def _data_bytes(batch: pa.RecordBatch) -> int:
    column = batch.column("data")
    starts = np.frombuffer(column.buffers()[1], np.int32)
    return int(starts[column.offset + batch.num_rows]) - int(starts[column.offset])
