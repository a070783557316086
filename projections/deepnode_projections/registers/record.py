"""Records: what is known of one thing from a position on, until a newer record of the same key takes its place.

A kind of record is a frozen dataclass. ``TABLE`` names its table, and its first ``KEY`` fields say which thing it is
of. Fields are ``bytes``, ``str``, ``bool``, ``int`` (below 2**63 in either direction) or ``Amount``; one that may be
unknown is ``… | None`` and is no part of the key. Nothing is ever removed: what is over says so in a field.

``FOUND_BY``, where a kind has it, names fields outside the key that it is often looked for by: they get an index.

A field whose name ends in ``position`` tells where something came about and not what it is: it is no part of the state
root, unless it is part of the key.
"""

import dataclasses
import types
from collections.abc import Callable, Sequence
from functools import cache
from operator import attrgetter
from typing import Annotated, Any, ClassVar, Final, Protocol, TypeVar, Union, get_args, get_origin, get_type_hints

AMOUNT_TAG: Final = "amount"

Amount = Annotated[int, AMOUNT_TAG]
"""Base units, or any whole number that may be large: below 10**38 in either direction."""

COLUMN_TYPES: Final = {bytes: "bytea", str: "text", bool: "boolean", int: "bigint"}
"""Fields that are no amounts, as PostgreSQL calls them."""

Value = bytes | str | bool | int | None
"""What a field may hold."""

Key = tuple[Value, ...]
"""The first ``KEY`` fields of a record."""


R = TypeVar("R", bound="Record")


class Record(Protocol):
    """A frozen dataclass with these two, and fields as the module says."""

    TABLE: ClassVar[str]
    KEY: ClassVar[int]
    __dataclass_fields__: ClassVar[dict[str, Any]]


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """A field: ``type`` is bytes, str, bool or int; ``is_amount`` tells the large ints."""

    name: str
    type: type
    is_amount: bool
    may_be_unknown: bool

    @property
    def is_place(self) -> bool:
        """Whether it says where in the log something came about."""
        return self.name.endswith("position")


@cache
def fields_of(kind: type[Record]) -> tuple[Field, ...]:
    """Return the fields of a kind of record, in their order; those of its key come first."""
    hints = get_type_hints(kind, include_extras=True)
    found = tuple(_field(each.name, hints[each.name]) for each in dataclasses.fields(kind))
    assert 0 < kind.KEY <= len(found), kind
    assert not {"position", "until"} & {field.name for field in found}, f"{kind}: every record's table has these itself"
    assert not any(field.may_be_unknown or field.is_amount for field in found[: kind.KEY]), kind
    return found


@cache
def key_names(kind: type[Record]) -> tuple[str, ...]:
    """Return the names of the fields of a kind's key, in their order."""
    return tuple(each.name for each in fields_of(kind)[: kind.KEY])


def key_of(record: Record) -> Key:
    """Return what tells a record from the others of its kind."""
    return _reader(type(record), record.KEY)(record)


def values_of(record: Record) -> tuple[Value, ...]:
    """Return what a record's fields hold, in their order."""
    kind = type(record)
    return _reader(kind, len(fields_of(kind)))(record)


def of_row(kind: type[R], row: Sequence[Any]) -> R:
    """Make a record of the values of its fields, in their order, as the database gives them."""
    # NUMERIC without a fraction comes as a Decimal; int() of it is exact at any size.
    values = [
        int(value) if each.type is int and value is not None else value
        for each, value in zip(fields_of(kind), row, strict=True)
    ]
    return kind(*values)


@cache
def _reader(kind: type[Record], length: int) -> Callable[[Record], tuple[Value, ...]]:
    names = [field.name for field in fields_of(kind)[:length]]
    get: Callable[[Record], Any] = attrgetter(*names)
    if len(names) > 1:
        return get

    # Of one name, the library's reader gives the value itself.
    def one(record: Record) -> tuple[Value, ...]:
        return (get(record),)

    return one


def _field(name: str, hint: Any) -> Field:
    # ``Amount | None`` is a typing.Union, ``str | None`` is not.
    parts = get_args(hint) if get_origin(hint) in (types.UnionType, Union) else (hint,)
    known = [part for part in parts if part is not type(None)]
    assert len(known) == 1, (name, hint)
    is_amount = get_origin(known[0]) is Annotated
    own = get_args(known[0])[0] if is_amount else known[0]
    assert own in (bytes, str, bool, int), (name, hint)
    return Field(name, own, is_amount, len(known) < len(parts))
