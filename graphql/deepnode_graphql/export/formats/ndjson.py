"""NDJSON: a JSON object a line. Amounts are strings of digits, because most readers of JSON would round them."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from deepnode_graphql.export.formats.format import Format
from deepnode_graphql.export.formats.texts import around, is_text, lines, of_text, written

_SPECIAL: Final = r'["\\\x00-\x1f\x7f]'


def ndjson(batches: Iterable[pa.RecordBatch], schema: pa.Schema, metadata: Mapping[str, str]) -> Iterator[bytes]:
    """Write batches as NDJSON."""
    begins = [f'{"," if place else "{"}"{name}":' for place, name in enumerate(schema.names)]
    names = [pa.scalar(begin, pa.large_string()) for begin in begins]
    for batch in batches:
        parts = [part for name, column in zip(names, batch.columns, strict=True) for part in (name, _values(column))]
        yield lines(parts, "", "}\n")


def _values(column: pa.Array) -> pa.Array:
    if is_text(column.type):
        values = of_text(column, _quoted)
    elif pa.types.is_decimal(column.type) or pa.types.is_timestamp(column.type):
        values = around('"', written(column), '"')
    else:
        values = written(column)
    return values if values.null_count == 0 else values.fill_null("null")


def _quoted(texts: pa.Array) -> pa.Array:
    special = pc.match_substring_regex(texts, _SPECIAL).fill_null(False)
    plain = around('"', texts, '"')
    if not pc.any(special).as_py():
        return plain
    escaped = [json.dumps(each, ensure_ascii=False) for each in texts.filter(special).to_pylist()]
    return pc.replace_with_mask(plain, special, pa.array(escaped, pa.large_string()))


NDJSON: Final = Format("NDJSON", "ndjson", "application/x-ndjson", 1, ndjson)
