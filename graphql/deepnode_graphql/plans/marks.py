"""Marks: values that stand for what a request gives, so that a statement made of them once serves the next request.

Arguments of one *shape* (the same fields given, the same true and false, the same choices of an enum, lists of the same
length) make one statement. Only what differs within a shape is marked: texts, numbers and bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from typing_extensions import override

from deepnode_graphql.cursors import KnownCursor, Order
from deepnode_graphql.filters import NO_TEXT, VALUES_MAX

LEAVES_MAX: Final = 1_200
EXACT: Final = ("first", "last")
"""Arguments that are part of the shape as they are: the statement's LIMIT."""


class Unsupported(Exception):
    """The plan does not know how: the library's executor answers."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a value of a request comes from: the arguments' leaves, a cursor's key, or the moment's position."""

    source: str
    number: int = 0


class MarkedText(str):
    """A text of the arguments."""

    __slots__ = ("slot",)
    slot: Slot


class MarkedBytes(bytes):
    """Bytes of the arguments."""

    slot: Slot


class MarkedInt(int):
    """A number of the arguments, or the moment's position."""

    slot: Slot


@dataclass(frozen=True, slots=True)
class MarkedKey:
    """A value of a cursor's key, of any type: it goes into the statement as it is."""

    slot: Slot


class MarkedCursor(KnownCursor):
    """Stands for a cursor; the values of its key are marked."""

    __slots__ = ("source",)
    source: str

    @override
    def key(self, order: Order) -> list[Any]:
        """Mark each value of the key."""
        return [MarkedKey(Slot(self.source, number)) for number in range(len(order.key))]


def marked_cursor(source: str) -> MarkedCursor:
    """Make the mark of the cursor that an argument gives."""
    # Not empty: an empty cursor is none.
    mark = MarkedCursor("-")
    mark.source = source
    return mark


def take_apart(value: Any, leaves: list[Any]) -> Any:
    """Return the shape of coerced arguments, which has a hash, and put their leaves into a list, in order.

    Raises:
        Unsupported: a value of a type that is not known here, or more leaves than a statement should have.
    """
    of = type(value)
    if of is dict:
        return tuple([(name, take_apart(each, leaves)) for name, each in value.items()])
    if of is list:
        shapes = tuple([take_apart(each, leaves) for each in _padded(value)])
        if len(leaves) > LEAVES_MAX:
            raise Unsupported
        return ("[]", shapes)
    if of is str:
        if NO_TEXT.search(value):
            raise Unsupported
        leaves.append(value)
        return of
    if of is int or of is bytes:
        leaves.append(value)
        return of
    if value is None or of is bool or isinstance(value, Enum):
        return value
    raise Unsupported


def marked(value: Any, count: list[int]) -> Any:
    """Return arguments with their leaves marked, in the order in which ``take_apart`` meets them."""
    if isinstance(value, dict):
        return {name: marked(each, count) for name, each in value.items()}
    if isinstance(value, list):
        return [marked(each, count) for each in _padded(value)]
    made: Any
    if isinstance(value, str):
        made = MarkedText(value)
    elif isinstance(value, bytes):
        made = MarkedBytes(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        made = MarkedInt(value)
    else:
        return value
    made.slot = Slot("argument", count[0])
    count[0] += 1
    return made


def altered(value: Any) -> Any:
    """Return arguments of the same shape with other leaves, to see what of a statement depends on them."""
    if isinstance(value, Mapping):
        return {name: each if name in EXACT else altered(each) for name, each in value.items()}
    if isinstance(value, list):
        return [altered(each) for each in value]
    if isinstance(value, Enum | bool):
        return value
    if isinstance(value, str):
        return value + "~"
    if isinstance(value, bytes):
        return value[:-1] + bytes([value[-1] ^ 1]) if value else b"\x01"
    return value + 1 if isinstance(value, int) else value


def _padded(values: Sequence[Any]) -> Sequence[Any]:
    # Lists of almost the same length share a statement: to be in a list twice changes nothing.
    if not 2 < len(values) <= VALUES_MAX or not all(type(each) in (str, int, bytes) for each in values):
        return values
    room = min(1 << (len(values) - 1).bit_length(), VALUES_MAX)
    return [*values, *[values[-1]] * (room - len(values))]
