"""Sources: where the rows of an export come from, whatever format they are written in.

A source is a name, the columns of its rows, what it can be filtered by, and a way to read its rows as Arrow batches in
one order that is always the same. All formats, the HTTP routes and the command line are made from this.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from deepnode_graphql.moments import Moment
from deepnode_graphql.reading import Reading

AMOUNT: Final = pa.decimal128(38, 0)
"""Base units. The books refuse what does not fit (see ``deepnode_ledger.posting``)."""

NAME: Final = pa.dictionary(pa.int32(), pa.string())
"""Text of which there are few different ones in many rows. Bytes are text, too: 0x and lower-case digits."""

TEXT: Final = pa.string()
"""Text that differs from row to row, such as the hash of a transaction."""

TIME: Final = pa.timestamp("s", tz="UTC")
"""The time of a block."""

BATCH_ROWS: Final = 65_536
"""Rows of a batch; only the last one of an export has fewer. So a file depends upon its rows, and not upon how they
were read."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows: those from ``from_position`` (included) up to the moment for which all ``filters`` hold.

    ``filters`` are as they were given: each source checks its own.
    """

    moment: Moment
    from_position: int
    filters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Source:
    """Rows that can be exported.

    ``said`` is a sentence about it for people. ``filters`` names what ``Selection.filters`` may hold. ``batches``
    checks the filters at once (BadInput) and reads as its result is gone through, in the transaction of the reading, in
    the order of ``sorted_by`` (columns, ascending; rows that are equal in these keep an order of their own).
    """

    name: str
    said: str
    schema: pa.Schema
    filters: tuple[str, ...]
    batches: Callable[[Reading, Selection], Iterator[pa.RecordBatch]]
    sorted_by: tuple[str, ...] = ("position",)
