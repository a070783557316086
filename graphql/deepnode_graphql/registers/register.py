"""A register as the API sees it: a kind of record, its names in the schema, its fields and its table."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import MetaData, Table

from deepnode_graphql.registers.names import OWN_FIELDS, Names, field_name, names_of
from deepnode_graphql.scalars import BigInt, Hex, Long
from deepnode_projections.registers.record import Field, Record, fields_of
from deepnode_projections.registers.tables import table_of

POSITION = Field("position", int, is_amount=False, may_be_unknown=False)
"""Where a record came to be so: it can be filtered and sorted by, as the record's own fields."""


@dataclass(frozen=True, slots=True)
class Register:
    """A kind of record in the schema."""

    kind: type[Record]
    names: Names

    @property
    def fields(self) -> tuple[Field, ...]:
        """The record's fields in their order; those of its key come first."""
        return fields_of(self.kind)

    @property
    def key(self) -> tuple[Field, ...]:
        """The fields of its key."""
        return self.fields[: self.kind.KEY]

    @property
    def table(self) -> Table:
        """Its table."""
        return _table(self.kind)


def registers_of(
    kinds: Iterable[type[Record]], taken_types: Iterable[str], taken_fields: Iterable[str]
) -> list[Register]:
    """Name kinds of records, in the order of their tables, so that no two things of the schema have one name."""
    types, fields = set(taken_types), set(taken_fields)
    ordered = sorted(kinds, key=lambda each: each.TABLE)
    assert len({kind.TABLE for kind in ordered}) == len(ordered), "two kinds of records have one table"
    made = []
    for kind in ordered:
        own = [field_name(field) for field in fields_of(kind)]
        assert not set(own) & {*OWN_FIELDS, "at"}, (kind.TABLE, own)
        assert len(set(own)) == len(own), (kind.TABLE, own)
        names = names_of(kind, types, fields)
        types |= names.types
        fields |= {names.one, names.many}
        made.append(Register(kind, names))
    return made


def scalar_of(field: Field) -> Any:
    """Return the scalar of a field: Amount is BigInt, every other int Long, bytes Hex, text String, bool Boolean."""
    if field.is_amount:
        return BigInt
    return {bytes: Hex, str: str, bool: bool, int: Long}[field.type]


@cache
def _table(kind: type[Record]) -> Table:
    # Only to read by: the tables are made by the projections.
    return table_of(kind, MetaData())
