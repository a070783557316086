"""An Arrow file from a stranger: it is read within limits, or refused before it gets any memory."""

import io
import os
import random
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pytest

from deepnode_ledger.batch_versions import SCHEMA
from deepnode_ledger.bundle import arrow_file
from deepnode_ledger.bundle.files import Span
from deepnode_ledger.errors import Damaged
from tests.ledger.bundle.bundles import value_of

MEMORY_BYTES_MAX = 16 * 1024 * 1024
"""Python's own, while a hostile file is refused. Arrow's is looked at beside it."""


def arrow(rows: int, *, compression: str | None = "zstd", schema: pa.Schema = SCHEMA, batches: int = 1) -> bytes:
    """An Arrow file of log entries with much the same in them."""
    columns = []
    for field in schema:
        values: list[Any] = [None] * rows if field.nullable else [value_of(field.type)] * rows
        if field.name == "position":
            values = list(range(1, rows + 1))
        columns.append(pa.array(values, field.type))
    made = io.BytesIO()
    with pyarrow.ipc.new_file(made, schema, options=pyarrow.ipc.IpcWriteOptions(compression=compression)) as writer:
        for _ in range(batches):
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
    return made.getvalue()


def read(raw: bytes, folder: Path, *, rows_max: int = 1_000, bytes_max: int = 1024 * 1024) -> int:
    """Read an Arrow file within limits; return its rows."""
    path = folder / "one.arrow"
    path.write_bytes(raw)
    with Span(os.open(path, os.O_RDONLY), 0, len(raw)) as span:
        return sum(batch.num_rows for batch in arrow_file.read(span, SCHEMA, rows_max=rows_max, bytes_max=bytes_max))


def test_an_arrow_file_that_claims_too_much_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    """Claims a tebibyte in each compressed buffer; packs zeros that become large; asks Arrow how much it allocated."""
    good = arrow(500)
    assert read(good, tmp_path) == 500
    assert read(arrow(500, compression=None), tmp_path) == 500
    reader = pyarrow.ipc.open_file(pa.py_buffer(good))
    sizes = {len(buffer) for column in reader.get_batch(0).columns for buffer in column.buffers() if buffer}
    tried = 0
    before = pa.total_allocated_bytes()
    peak = pa.default_memory_pool().max_memory()
    tracemalloc.start()
    for at in range(8, len(good) - 8):
        (claimed,) = struct.unpack_from("<q", good, at)
        if claimed in sizes and good[at + 8 : at + 12] == b"\x28\xb5\x2f\xfd":
            for lie in (2**40, 2**62, -2, -(2**63)):
                tried += 1
                with pytest.raises(Damaged, match="claims"):
                    read(good[:at] + struct.pack("<q", lie) + good[at + 8 :], tmp_path)
    large = arrow(65_000)
    assert len(large) < 600_000
    with pytest.raises(Damaged, match="claims more than 1048576 bytes"):
        read(large, tmp_path, rows_max=65_536)
    assert tried >= 40
    assert tracemalloc.get_traced_memory()[1] < MEMORY_BYTES_MAX
    tracemalloc.stop()
    assert pa.total_allocated_bytes() - before < MEMORY_BYTES_MAX
    assert pa.default_memory_pool().max_memory() - peak < MEMORY_BYTES_MAX + 65_000 * 400


def test_an_arrow_file_of_another_form_is_refused(tmp_path: Path) -> None:
    """Other columns, too many rows, no rows, metadata of its own, a stream, bytes before, behind and between."""
    good = arrow(500)
    refused = {
        "other columns": arrow(5, schema=SCHEMA.remove(0)),
        "metadata": arrow(5, schema=SCHEMA.with_metadata({"a": "b"})),
        "no rows": arrow(0),
        "too many rows": arrow(1_001),
        "bytes before": b"\0" * 8 + good,
        "bytes behind": good + b"\0",
        "a byte less": good[:-1],
        "half of it": good[: len(good) // 2],
        "nothing": b"",
        "its end alone": good[-10:],
        "its two ends": good[:8] + good[-10:],
    }
    for what, raw in refused.items():
        with pytest.raises(Damaged):
            assert read(raw, tmp_path) < 0, what
    assert read(arrow(5, batches=3), tmp_path) == 15


def test_any_byte_of_an_arrow_file_can_be_wrong(tmp_path: Path) -> None:
    """Changes the metadata and the bodies at 800 places: it is read or refused, and nothing else happens."""
    good = arrow(40, batches=2)
    chance = random.Random(3)
    refused = 0
    for _ in range(800):
        raw = bytearray(good)
        for _ in range(chance.choice([1, 1, 4])):
            raw[chance.randrange(len(raw))] = chance.choice([0, 1, 127, 128, 255, chance.randrange(256)])
        try:
            read(bytes(raw), tmp_path)
        except Damaged:
            refused += 1
    assert refused > 400
