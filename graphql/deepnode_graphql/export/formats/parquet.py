"""Parquet: zstd, row groups of equal length with statistics, so that a reader skips what it does not look for."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from deepnode_graphql.export.formats.format import Format, Sink

GROUP_ROWS: Final = 262_144
"""Rows of a row group: few enough to be held in memory, and enough to be read at one go."""

ZSTD_LEVEL: Final = 3


def parquet(batches: Iterable[pa.RecordBatch], schema: pa.Schema, metadata: Mapping[str, str]) -> Iterator[bytes]:
    """Write batches as one Parquet file, with ``metadata`` in its footer and its schema.

    It says that it is sorted by the columns that ``deepnode.sorted_by`` of the metadata names, if it does.
    """
    sink = Sink()
    described = schema.with_metadata(dict(metadata))
    order = [name for name in metadata.get("deepnode.sorted_by", "").split(",") if name]
    writer = pq.ParquetWriter(
        pa.PythonFile(sink, mode="w"),
        described,
        compression="zstd",
        compression_level=ZSTD_LEVEL,
        write_statistics=True,
        sorting_columns=[pq.SortingColumn(schema.names.index(name)) for name in order] or None,
        write_page_index=True,
    )
    with writer:
        for group in _groups(batches, described):
            if group is not None:
                writer.write_table(group, row_group_size=GROUP_ROWS)
            yield sink.take()
    yield sink.take()


def _groups(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table | None]:
    """Put batches together to row groups; None while one is not full."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        waiting.append(batch.replace_schema_metadata(schema.metadata))
        rows += batch.num_rows
        while rows >= GROUP_ROWS:
            together = pa.Table.from_batches(waiting, schema)
            yield _group(together.slice(0, GROUP_ROWS))
            rows -= GROUP_ROWS
            waiting = together.slice(GROUP_ROWS).to_batches()
        yield None
    if rows:
        yield _group(pa.Table.from_batches(waiting, schema))


def _group(rows: pa.Table) -> pa.Table:
    # One dictionary a column, or the writer gives up on the dictionary where the second one begins.
    return rows.unify_dictionaries().combine_chunks()


PARQUET: Final = Format("Parquet", "parquet", "application/vnd.apache.parquet", 1, parquet)
