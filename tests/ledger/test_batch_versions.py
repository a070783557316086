"""Every version of a stored batch that was ever written stays readable."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from deepnode_ledger import batch as batches
from deepnode_ledger.batch_versions import COLUMNS, SCHEMA, SCHEMAS

GOLDEN = Path(__file__).parents[1] / "golden"
TASK = "0x" + "ab" * 32


def told(value: Any) -> Any:
    if not isinstance(value, bytes):
        return value
    return value.hex() if len(value) <= 100 else f"sha256:{hashlib.sha256(value).hexdigest()}"


@pytest.mark.parametrize("topic", SCHEMAS)
def test_the_golden_batch_of_each_version_reads_as_what_it_was_made_of(topic: str) -> None:
    """Reads the stored file, written by the code of its day, and compares it with its text, column by column."""
    version = topic.rpartition("/")[2]
    batch = batches.decode(topic, (GOLDEN / f"log_batch_{version}.bin").read_bytes())
    assert batch.schema.equals(SCHEMA)
    expected = json.loads((GOLDEN / f"log_batch_{version}.json").read_text(encoding="utf-8"))
    rows = [{name: told(value) for name, value in row.items() if value is not None} for row in batch.to_pylist()]
    for row, written in zip(rows, expected, strict=True):
        # Version 1 had no such column: reading fills it.
        assert row.pop("task", None) == written.pop(
            "task", row.get("event_id") and TASK if written["position"] == 44 else None
        )
        assert row == written


def test_each_version_has_its_golden_file() -> None:
    """Looks at the folder: a version without a file could become unreadable unnoticed."""
    assert {path.name for path in GOLDEN.glob("log_batch_*.bin")} == {
        f"log_batch_{topic.rpartition('/')[2]}.bin" for topic in SCHEMAS
    }


def test_what_is_written_today_is_the_newest_golden_batch() -> None:
    """Encodes the newest golden batch's rows again: the same bytes."""
    topic = list(SCHEMAS)[-1]
    stored = (GOLDEN / f"log_batch_{topic.rpartition('/')[2]}.bin").read_bytes()
    rows = [tuple(row[name] for name in COLUMNS) for row in batches.decode(topic, stored).to_pylist()]
    assert batches.encode(batches.from_rows(rows)) == stored
