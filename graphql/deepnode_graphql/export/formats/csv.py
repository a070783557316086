"""CSV as RFC 4180 has it: a line of names, CRLF, and quotes where a text needs them.

A spreadsheet takes a text that begins with one of = + - @, a tab or a carriage return for a formula, and there is text
here that anybody can have written. Such a text gets an apostrophe in front, and so does one that begins with an
apostrophe: whoever takes one away from every text that begins with it has what was exported. Numbers are no texts and
stay as they are, also below zero. Null is nothing at all, and an empty text two quotes.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from deepnode_graphql.export.formats.format import Format
from deepnode_graphql.export.formats.texts import around, is_text, lines, of_text, written

END: Final = "\r\n"

_GUARDED: Final = r"^[=+\-@\t\r']"
_SPECIAL: Final = '^$|[,"\r\n]'


def csv(batches: Iterable[pa.RecordBatch], schema: pa.Schema, metadata: Mapping[str, str]) -> Iterator[bytes]:
    """Write batches as CSV."""
    yield (",".join(schema.names) + END).encode()
    for batch in batches:
        yield lines([_cells(column) for column in batch.columns], ",", END)


def _cells(column: pa.Array) -> pa.Array:
    cells = of_text(column, _guarded) if is_text(column.type) else written(column)
    return cells if cells.null_count == 0 else cells.fill_null("")


def _guarded(texts: pa.Array) -> pa.Array:
    guarded = pc.match_substring_regex(texts, _GUARDED)
    if pc.any(guarded).as_py():
        texts = pc.if_else(guarded, around("'", texts, ""), texts)
    special = pc.match_substring_regex(texts, _SPECIAL)
    if pc.any(special).as_py():
        texts = pc.if_else(special, around('"', pc.replace_substring(texts, '"', '""'), '"'), texts)
    return texts


CSV: Final = Format("CSV", "csv", "text/csv; charset=utf-8; header=present", 1, csv)
