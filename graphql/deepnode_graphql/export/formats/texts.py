"""Columns as text, by whole arrays: what CSV and NDJSON are made of."""

from collections.abc import Callable, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

EMPTY: Final = pa.scalar("", pa.large_string())

TIME_FORMAT: Final = "%Y-%m-%dT%H:%M:%SZ"


def written(column: pa.Array) -> pa.Array:
    """Write what is no text: whole numbers and amounts by their digits, times as ISO 8601 in UTC, true and false."""
    if pa.types.is_timestamp(column.type):
        times = column.dictionary_encode()
        return pc.strftime(times.dictionary, format=TIME_FORMAT).take(times.indices).cast(pa.large_string())
    return column.cast(pa.string()).cast(pa.large_string())


def is_text(kind: pa.DataType) -> bool:
    """Say whether a column holds text, all different or by a dictionary."""
    return bool(pa.types.is_string(kind) or pa.types.is_dictionary(kind))


def of_text(column: pa.Array, made: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """Make something of each text; of what a dictionary holds only once."""
    if pa.types.is_dictionary(column.type):
        return made(column.dictionary.cast(pa.large_string())).take(column.indices)
    return made(column.cast(pa.large_string()))


def around(before: str, column: pa.Array, after: str) -> pa.Array:
    """Put something before and behind each text; null stays null."""
    kind = pa.large_string()
    return pc.binary_join_element_wise(pa.scalar(before, kind), column, pa.scalar(after, kind), EMPTY)


def lines(parts: Sequence[pa.Array | pa.Scalar], separator: str, end: str) -> bytes:
    """Join the parts of each row with a separator, and end each row.

    No part may be null.
    """
    joined = pc.binary_join_element_wise(*parts, pa.scalar(separator, pa.large_string()))
    ended = pc.binary_join_element_wise(joined, EMPTY, pa.scalar(end, pa.large_string()))
    assert ended.null_count == 0, "a part of a row is null"
    content = ended.buffers()[2]
    return b"" if content is None else content.to_pybytes()
