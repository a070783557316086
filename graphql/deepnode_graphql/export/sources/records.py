"""Records of every kind, made from their declarations: the state at a moment, or its whole history.

A kind that is declared tomorrow is exported tomorrow. Each field that is no amount can be filtered by.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, Final

import pyarrow as pa

from deepnode_graphql.export import filters
from deepnode_graphql.export.rows import ASSET, Cell, Query, read
from deepnode_graphql.export.source import AMOUNT, NAME, TEXT, TIME, Selection, Source
from deepnode_graphql.export.wire import Wire
from deepnode_graphql.reading import Reading
from deepnode_graphql.registers.names import plural, summary
from deepnode_projections.registers.record import Field, Record, fields_of

HISTORY: Final = "history"
"""The filter that asks for all that ever was, and not only for what is so at the moment."""

UNTIL: Final = "until"

_NAMES: Final = {"trust": "trust", "work": "work", "validator_work": "validator_work"}
"""Tables whose plural is no English."""

_OF_MANY: Final = ("hash", "root", "uri", "path", "ref", "event_id")
"""Ends of the names of fields that are different in each row."""


def record_source(kind: type[Record]) -> Source:
    """Make the source of a kind."""
    fields = fields_of(kind)
    cells = [
        Cell(UNTIL, f'CASE WHEN t."{UNTIL}" <= %(at)s THEN t."{UNTIL}" END', Wire.WHOLE, pa.int64(), nullable=True),
        *(_cell(kind, each) for each in fields),
    ]
    key = [column_name(each) for each in fields[: kind.KEY]]
    query = Query(cells, f'"{kind.TABLE}" t', 't."position"', ("position", *key))
    by = {column_name(each): each for each in fields if not each.is_amount}
    assert not set(by) & {HISTORY, "from_position", "at_block", "at_position", "at_time", "at_epoch"}, kind
    return Source(
        name=_NAMES.get(kind.TABLE) or plural(kind),
        said=summary(kind),
        schema=query.schema,
        filters=(*by, HISTORY),
        batches=partial(_batches, query, by),
    )


def record_sources(kinds: Iterable[type[Record]]) -> Iterator[Source]:
    """Make the sources of all kinds."""
    return map(record_source, kinds)


def column_name(field: Field) -> str:
    """Return the name of a field without the underscore that tells ``yield_`` from Python's own."""
    return field.name.rstrip("_")


def is_asset(field: Field) -> bool:
    """Say whether it holds the address of a token."""
    return field.type is bytes and field.name in ("asset", "asset_in")


def _cell(kind: type[Record], field: Field) -> Cell:
    name, sql, nullable = column_name(field), f't."{field.name}"', field.may_be_unknown
    if field.is_amount:
        return Cell(name, sql, Wire.AMOUNT, AMOUNT, nullable)
    if field.type is bool:
        return Cell(name, f"{sql}::integer", Wire.WHOLE, pa.bool_(), nullable)
    if field.type is int:
        return Cell(name, sql, Wire.WHOLE, TIME if name.endswith("_time") else pa.int64(), nullable)
    if is_asset(field):
        return Cell(name, sql, Wire.BYTES, ASSET, nullable)
    differs = name.endswith(_OF_MANY) or (kind.KEY == 1 and field is fields_of(kind)[0])
    return Cell(name, sql, Wire.BYTES if field.type is bytes else Wire.TEXT, TEXT if differs else NAME, nullable)


def _batches(query: Query, by: dict[str, Field], reading: Reading, selection: Selection) -> Iterator[pa.RecordBatch]:
    given = dict(selection.filters)
    where = ["t.position BETWEEN %(from)s AND %(at)s"]
    if not filters.truth(HISTORY, given.pop(HISTORY, "false")):
        where.append('(t."until" IS NULL OR t."until" > %(at)s)')
    parameters: dict[str, Any] = {"from": selection.from_position, "at": selection.moment.position}
    for name, value in given.items():
        where.append(f't."{by[name].name}" = %(by_{name})s')
        parameters[f"by_{name}"] = _value(reading, by[name], value)
    return read(reading, query, where, parameters)


def _value(reading: Reading, field: Field, value: str) -> Any:
    name = column_name(field)
    if is_asset(field):
        return bytes(reading.assets[reading.asset_id(value)].address)
    if field.type is bytes:
        return filters.octets(name, value)
    if field.type is bool:
        return filters.truth(name, value)
    return filters.whole(name, value) if field.type is int else filters.text(name, value)
