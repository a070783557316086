"""Memory does not grow with the rows, in any format."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
from decimal import Decimal
import pyarrow as pa
from deepnode_graphql.export.formats import FORMATS, parquet
from deepnode_graphql.export.source import AMOUNT, NAME, TEXT, TIME

suffix, rows = sys.argv[1], int(sys.argv[2])
parquet.GROUP_ROWS = 2 * rows
fields = {"position": pa.int64(), "hash": TEXT, "account": NAME, "amount": AMOUNT, "time": TIME}
schema = pa.schema([pa.field(name, kind) for name, kind in fields.items()])

def batches(number):
    for turn in range(number):
        yield pa.RecordBatch.from_arrays([
            pa.array(range(turn * rows, turn * rows + rows), pa.int64()),
            pa.array([f"0x{place * 7919 + turn:064x}" for place in range(rows)], TEXT),
            pa.array([f"Wallet:{place % 100 + turn}" for place in range(rows)]).dictionary_encode(),
            pa.array([Decimal(10**30 + place) for place in range(rows)], AMOUNT),
            pa.array(range(rows), pa.int64()).cast(TIME),
        ], schema=schema)

def most():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) // 1024

for number in (8, 80):
    octets = sum(len(chunk) for chunk in FORMATS[suffix].write(batches(number), schema, {}))
    print(octets, most())
"""

GROWTH_MEGABYTES_MAX = 24


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read as Linux tells it")
@pytest.mark.parametrize(
    ("suffix", "rows"), [("arrow", 4096), ("parquet", 4096), ("csv", 4096), ("ndjson", 4096), ("xlsx", 256)]
)
def test_ten_times_the_rows_take_the_same_memory(suffix: str, rows: int) -> None:
    """Writes 8 batches and then 80 in a process of its own, and reads the most that it ever had after each."""
    command = [sys.executable, "-c", PROGRAM, suffix, str(rows)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    (few, before), (many, after) = (map(int, line.split()) for line in done.stdout.splitlines())
    assert many > 8 * few
    assert after - before < GROWTH_MEGABYTES_MAX
