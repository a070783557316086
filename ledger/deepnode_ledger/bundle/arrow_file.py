"""Arrow files from outside, read within limits: what a file declares is checked before memory is given to it.

Arrow's own reader believes what a file says of the size of its compressed buffers, and a small file can say anything.
So the few numbers that say it are read here first: the footer's list of record batches, which must follow one another
without a gap, and of each batch its rows and the bytes that its buffers become. Only then Arrow unpacks it.

Source: Arrow's columnar format, "IPC File Format" and "Encapsulated message format"; FlatBuffers, "Internals".
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from deepnode_ledger.bundle.files import Span
from deepnode_ledger.errors import Damaged

MAGIC: Final = b"ARROW1"
BATCHES_MAX: Final = 65_536
METADATA_BYTES_MAX: Final = 64 * 1024
FOOTER_BYTES_MAX: Final = 2 * 1024 * 1024

_HEAD: Final = MAGIC + b"\0\0"
_CONTINUED: Final = 0xFFFFFFFF
_END: Final = struct.pack("<II", _CONTINUED, 0)
_BLOCK: Final = struct.Struct("<qi4xq")
_RECORD_BATCH: Final = 3


@dataclass(frozen=True, slots=True)
class _Block:
    """Where a record batch lies: its metadata at ``offset``, and its body right behind them."""

    offset: int
    metadata: int
    body: int

    @property
    def end(self) -> int:
        return self.offset + self.metadata + self.body


def read(span: Span, schema: pa.Schema, *, rows_max: int, bytes_max: int) -> Iterator[pa.RecordBatch]:
    """Yield the record batches of a file, each checked in full.

    Args:
        span: the file.
        schema: the columns that it must have.
        rows_max: rows of one record batch.
        bytes_max: bytes of one record batch when unpacked.

    Raises:
        Damaged: it is no Arrow file of these columns, or a record batch is larger than it may be.
    """
    try:
        for block in _blocks(span, schema):
            span.seek(block.offset)
            raw = span.read(block.metadata + block.body)
            _check_size(raw, block, rows_max, bytes_max)
            batch = pa.ipc.read_record_batch(pa.ipc.read_message(pa.py_buffer(raw)), schema)
            batch.validate(full=True)
            yield batch
    except (pa.ArrowException, struct.error, OSError, EOFError, UnicodeDecodeError, MemoryError) as error:
        raise Damaged(f"it cannot be read as an Arrow file: {error}") from error


def _blocks(span: Span, schema: pa.Schema) -> list[_Block]:
    """Find the record batches, and see that the file holds nothing else."""
    foot = span.length - len(MAGIC) - 4
    span.seek(max(0, foot))
    (length,) = struct.unpack("<i", span.read(4))
    if foot < len(_HEAD) or span.read() != MAGIC or not 0 < length <= min(foot, FOOTER_BYTES_MAX):
        raise Damaged("it does not end as an Arrow file does: cut off?")
    span.seek(0)
    head = span.read(len(_HEAD) + 8)
    _, metadata = struct.unpack_from("<II", head, len(_HEAD))
    if not head.startswith(_HEAD) or not 0 < metadata <= METADATA_BYTES_MAX:
        raise Damaged("it does not begin as an Arrow file does")
    found = pa.ipc.read_schema(pa.py_buffer(head[len(_HEAD) :] + span.read(metadata)))
    if not found.equals(schema, check_metadata=True):
        raise Damaged("it has other columns than it must have")
    span.seek(foot - length)
    footer = _Table.root(span.read(length))
    at, blocks = len(_HEAD) + 8 + metadata, []
    if footer.vector(2)[1]:
        raise Damaged("it has dictionaries")
    start, count = footer.vector(3)
    if count > BATCHES_MAX:
        raise Damaged(f"it has {count} record batches, of {BATCHES_MAX} at most")
    for number in range(count):
        block = _Block(*_BLOCK.unpack_from(footer.data, start + number * _BLOCK.size))
        if block.offset != at or not 8 < block.metadata <= METADATA_BYTES_MAX or block.body < 0:
            raise Damaged(f"record batch {number} does not lie behind the one before it")
        blocks.append(block)
        at = block.end
    span.seek(at)
    if at + len(_END) + length != foot or span.read(len(_END)) != _END:
        raise Damaged("there are bytes between its record batches and its end")
    return blocks


def _check_size(raw: bytes, block: _Block, rows_max: int, bytes_max: int) -> None:
    if len(raw) != block.metadata + block.body:
        raise Damaged("it ends within a record batch")
    message = _Table.root(raw[8 : block.metadata])
    if message.number(1, "<B") != _RECORD_BATCH or message.number(3, "<q") != block.body:
        raise Damaged("its footer and its record batches contradict each other")
    batch = message.table(2)
    rows = batch.number(0, "<q")
    if not 0 < rows <= rows_max:
        raise Damaged(f"a record batch has {rows} rows, of 1 to {rows_max}")
    compressed = batch.has(3)
    start, count = batch.vector(2)
    unpacked = 0
    for number in range(count):
        if unpacked > bytes_max:
            break
        offset, length = struct.unpack_from("<qq", batch.data, start + 16 * number)
        if not 0 <= offset <= offset + length <= block.body:
            raise Damaged("a column lies outside its record batch")
        if compressed and length:
            (claimed,) = struct.unpack_from("<q", raw, block.metadata + offset)
            unpacked += length if claimed == -1 else claimed
            if claimed < -1:
                raise Damaged(f"a column claims {claimed} bytes")
        else:
            unpacked += length
    if unpacked > bytes_max:
        raise Damaged(f"a record batch of {rows} rows claims more than {bytes_max} bytes")


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of a FlatBuffer: its fields by their numbers."""

    data: bytes
    at: int

    @classmethod
    def root(cls, data: bytes) -> "_Table":
        return cls(data, _unpack(data, 0, "<I"))

    def has(self, field: int) -> bool:
        return self._place(field) is not None

    def number(self, field: int, form: str) -> int:
        place = self._place(field)
        return 0 if place is None else _unpack(self.data, place, form)

    def table(self, field: int) -> "_Table":
        place = self._place(field)
        if place is None:
            raise Damaged("its metadata lack a part")
        return _Table(self.data, place + _unpack(self.data, place, "<I"))

    def vector(self, field: int) -> tuple[int, int]:
        """Where its first element lies, and how many there are."""
        place = self._place(field)
        if place is None:
            return 0, 0
        start = place + _unpack(self.data, place, "<I")
        return start + 4, _unpack(self.data, start, "<I")

    def _place(self, field: int) -> int | None:
        fields = self.at - _unpack(self.data, self.at, "<i")
        if 4 + 2 * field >= _unpack(self.data, fields, "<H"):
            return None
        offset = _unpack(self.data, fields + 4 + 2 * field, "<H")
        return self.at + offset if offset else None


def _unpack(data: bytes, at: int, form: str) -> int:
    if at < 0:
        raise Damaged("its metadata point before their beginning")
    (value,) = struct.unpack_from(form, data, at)
    assert isinstance(value, int)
    return value
