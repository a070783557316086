"""Sources that are one query with conditions on its columns."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import pyarrow as pa

from deepnode_graphql.export.rows import Query, read
from deepnode_graphql.export.source import Selection, Source
from deepnode_graphql.reading import Reading

Filter = tuple[str, Callable[[str, str], Any]]
"""What a column must be equal to: its SQL, and what makes the value of the text (see ``export.filters``)."""

ASSET_FILTER = "asset"
"""The filter that is given a token's symbol or address, and compared as its address."""


def plain_source(
    name: str, said: str, query: Query, filters: Mapping[str, Filter], where: Sequence[str], *, sorted_by: str
) -> Source:
    """Make a source of a query.

    Args:
        name: of the source.
        said: about it.
        query: its rows.
        filters: by name.
        where: what always holds, with ``%(from)s`` and ``%(at)s`` for the first and the last position.
        sorted_by: the column that the query's order begins with.
    """
    return Source(name, said, query.schema, tuple(filters), partial(batches, query, filters, where), (sorted_by,))


def batches(
    query: Query, by: Mapping[str, Filter], where: Sequence[str], reading: Reading, selection: Selection
) -> Iterator[pa.RecordBatch]:
    """Check the filters and read the rows.

    Raises:
        BadInput: a filter breaks a rule.
    """
    conditions = list(where)
    parameters: dict[str, Any] = {"from": selection.from_position, "at": selection.moment.position}
    for name, value in selection.filters.items():
        sql, made = by[name]
        conditions.append(f"{sql} = %(by_{name})s")
        of_asset = name == ASSET_FILTER
        parameters[f"by_{name}"] = (
            bytes(reading.assets[reading.asset_id(value)].address) if of_asset else made(name, value)
        )
    return read(reading, query, conditions, parameters)
