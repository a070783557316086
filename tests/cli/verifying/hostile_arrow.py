"""Arrow files that mean harm: what a file can claim of itself in few bytes.

They are written with pyarrow or by hand, and listed in ``bundle.json`` with their right hash: nothing but the reader
stands between them and the memory.
"""

import hashlib
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa

from deepnode_ledger.batch_versions import SCHEMA
from deepnode_ledger.bundle import FilePart, contents, open_bundle
from deepnode_ledger.bundle.log_file import BYTES_MAX
from tests.cli.verifying.forger import LOG

HUGE: Final = 1 << 40


def entries_of(path: Path) -> pa.RecordBatch:
    """The entries of a bundle as one batch."""
    with open_bundle(path) as bundle:
        return pa.concat_batches(list(bundle.batches()))


def written(batch: pa.RecordBatch, compression: str | None = "zstd", *, many: int = 1) -> bytes:
    """An Arrow file with the batch so many times."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_file(sink, batch.schema, options=options) as writer:
        for _ in range(many):
            writer.write_batch(batch)
    return bytes(sink.getvalue())


def zeros_that_inflate(entries: pa.RecordBatch) -> bytes:
    """One entry whose data are more zeros than a record batch may hold: some 10 kilobytes of zstd."""
    at = SCHEMA.get_field_index("data")
    one = entries.slice(0, 1).set_column(at, SCHEMA.field(at), pa.array([bytes(BYTES_MAX + 1)], pa.binary()))
    return written(one)


def a_claim_of_size(entries: pa.RecordBatch) -> bytes:
    """A compressed buffer that claims to become a terabyte."""
    data = bytearray(written(entries))
    # Each compressed buffer begins with its size when unpacked; the frame's magic follows.
    magic, place, done = b"\x28\xb5\x2f\xfd", 0, 0
    while (place := data.find(magic, place)) > 0:
        data[place - 8 : place] = struct.pack("<q", HUGE)
        place, done = place + 4, done + 1
    assert done > 5
    return bytes(data)


def a_claim_of_rows(entries: pa.RecordBatch) -> bytes:
    """A record batch that claims to have 2**40 rows."""
    data = written(entries, None)
    rows = struct.pack("<q", entries.num_rows)
    return data.replace(rows, struct.pack("<q", HUGE))


def a_dictionary(entries: pa.RecordBatch) -> bytes:
    """A column as a dictionary whose one value stands in every row."""
    at = SCHEMA.get_field_index("data")
    indices = pa.array([0] * entries.num_rows, pa.int32())
    column = pa.DictionaryArray.from_arrays(indices, pa.array([bytes(4_000_000)], pa.binary()))
    field = pa.field("data", column.type, nullable=False)
    return written(entries.set_column(at, field, column))


def many_batches(entries: pa.RecordBatch) -> bytes:
    """The same batch a hundred times over."""
    return written(entries, many=100)


def nested_columns(entries: pa.RecordBatch) -> bytes:
    """A schema of lists in lists, fifty deep."""
    kind: pa.DataType = pa.int8()
    for _ in range(50):
        kind = pa.list_(kind)
    return written(pa.RecordBatch.from_arrays([pa.nulls(5, kind)], names=["x"]))


def no_file(entries: pa.RecordBatch) -> bytes:
    """Magic at both ends and nothing between."""
    return b"ARROW1\0\0" + bytes(4) + b"ARROW1"


def a_long_footer(entries: pa.RecordBatch) -> bytes:
    """A footer that claims to be two gigabytes long."""
    data = written(entries)
    return data[:-10] + struct.pack("<i", 0x7FFFFFFF) + b"ARROW1"


Hostile = Callable[[pa.RecordBatch], bytes]

FILES: Final[tuple[Hostile, ...]] = (
    zeros_that_inflate,
    a_claim_of_size,
    a_claim_of_rows,
    a_dictionary,
    many_batches,
    nested_columns,
    no_file,
    a_long_footer,
)


def put(path: Path, data: bytes, name: str = LOG) -> None:
    """Write a file into a bundle and list it as it is."""
    (path / name).write_bytes(data)
    listed = contents.decode((path / "bundle.json").read_bytes())
    part = FilePart(name, len(data), hashlib.sha256(data).hexdigest())
    files = tuple(part if each.path == name else each for each in listed.files)
    (path / "bundle.json").write_bytes(contents.encode(msgspec.structs.replace(listed, files=files)))
