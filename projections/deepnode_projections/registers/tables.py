"""The records' tables: each a history keyed by what it is of and by position.

A row holds from ``position`` (included) until ``until`` (not included), or until further notice if that is null. So the
state at any position P is ``position <= P AND (until IS NULL OR until > P)``, a reorg deletes what is above P and
reopens what was closed above it, and the present is what is still open.
"""

from functools import cache
from typing import Any, Final

from sqlalchemy import BigInteger, Boolean, Column, Index, LargeBinary, MetaData, PrimaryKeyConstraint, Table, Text
from sqlalchemy.types import TypeEngine

from deepnode_projections.registers.record import Field, Record, fields_of
from deepnode_projections.tables import AMOUNT, AT_ONCE

_TYPES: Final[dict[type, type[TypeEngine[Any]]]] = {bytes: LargeBinary, bool: Boolean, int: BigInteger}


@cache
def table_of(kind: type[Record], metadata: MetaData) -> Table:
    """Make the table of a kind of record: its key, ``position``, ``until``, and the rest of its fields."""
    columns = [Column(field.name, _type_of(field), nullable=field.may_be_unknown) for field in fields_of(kind)]
    key = [column.name for column in columns[: kind.KEY]]
    table = Table(
        kind.TABLE,
        metadata,
        *columns[: kind.KEY],
        Column("position", BigInteger, nullable=False),
        Column("until", BigInteger),
        *columns[kind.KEY :],
        PrimaryKeyConstraint(*key, "position"),
    )
    now = [table.c[name] for name in key]
    # The projector looks for what is open from its first step on.
    Index(f"{kind.TABLE}_now", *now, unique=True, postgresql_where=table.c.until.is_(None), info=AT_ONCE)
    Index(f"{kind.TABLE}_position", table.c.position)
    Index(f"{kind.TABLE}_until", table.c.until, postgresql_where=table.c.until.is_not(None))
    for name in getattr(kind, "FOUND_BY", ()):
        # Of all rows, so that it serves the past as well; with the key, so that the first of many are found in order.
        Index(f"{kind.TABLE}_{name}", table.c[name], *now)
    return table


def _type_of(field: Field) -> TypeEngine[Any]:
    if field.is_amount:
        return AMOUNT
    if field.type is str:
        # Ordered by its bytes, whatever the database's language.
        return Text(collation="C")
    return _TYPES[field.type]()
