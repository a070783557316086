"""The pending entries as one Arrow file: the columns of a batch, page by page, for any tool that reads Arrow."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from psycopg import Connection

from deepnode_ledger import tail
from deepnode_ledger.batch_versions import SCHEMA
from deepnode_ledger.errors import Damaged


def write(path: Path, connection: Connection[Any], first: int, last: int) -> int:
    """Write the pending entries from position ``first`` to ``last``; return how many there were.

    Raises:
        Damaged: a row does not fit the columns.
    """
    entries = 0
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, SCHEMA) as writer:
        try:
            for page in tail.pages(connection, first, last):
                writer.write_batch(page)
                entries += page.num_rows
        except pa.ArrowException as error:
            raise Damaged(
                f"log.pending has a row behind position {first + entries - 1} that no entry has: {error}; "
                "run `deepnode log fsck`"
            ) from error
    return entries


def read(path: Path) -> Iterator[pa.RecordBatch]:
    """Yield the pages of a file whose bytes are those that its manifest names.

    Raises:
        Damaged: it is no such file.
    """
    try:
        with pa.OSFile(str(path), "rb") as file:
            reader = pa.ipc.open_file(file)
            if not reader.schema.equals(SCHEMA):
                raise Damaged(f"{path} has other columns than entries have")
            for number in range(reader.num_record_batches):
                page = reader.get_batch(number)
                page.validate(full=True)
                if page.num_rows:
                    yield page
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise Damaged(f"{path} is no Arrow file of entries: {error}") from error
