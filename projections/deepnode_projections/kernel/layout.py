"""Layouts: how a record of a kind is a row of 64-bit cells.

A field is one cell, and an amount two (its lower and its upper 64 bits, two's complement). Bytes are the number of a
word, text that of a text; ``NONE`` is what is unknown. Behind the fields stand ``SINCE``, the position from which on
the row says what it says, and ``SAME``, the row before it with the same first field of the key, or -1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, TypeVar

from deepnode_ledger.hexadecimal import ADDRESS_BYTES, WORD_BYTES
from deepnode_projections.kernel.texts import Texts
from deepnode_projections.kernel.wide import amount_of_cells, cells_of_amount
from deepnode_projections.kernel.words import Words
from deepnode_projections.registers.record import Record, Value, fields_of

R = TypeVar("R", bound=Record)

NONE: Final = -(2**63)
"""The cell of what is unknown; of an amount, its upper cell."""

WORD: Final = 0
ADDRESS: Final = 1
TEXT: Final = 2
BOOL: Final = 3
INT: Final = 4
AMOUNT: Final = 5
"""What a field's cells are: a word of 32 bytes, one of 20, a text, a truth value, a number, an amount."""

_ADDRESSES: Final = frozenset({"asset", "payer", "contract", "operator", "creator", "processor"})
"""Fields of 20 bytes; all others of the hot kinds have 32."""

_RAW: Final = frozenset(
    [
        *("consumer_hash", "input_hash", "output_hash", "report_hash", "meta_hash", "comment_hash", "reference_hash"),
        *("evidence_hash", "event_id", "vwu_event", "said_at"),
    ]
)
"""Fields that nothing is looked for by, unless they are part of a key: their words and texts are not looked up, but
entered as they come."""


@dataclass(frozen=True, slots=True)
class Place:
    """A field's first cell ``at``, what is in it, and whether its words and texts are entered without a look."""

    name: str
    at: int
    what: int
    is_raw: bool
    is_told: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """The places of a kind's fields; ``width`` cells a row, with ``since`` and ``same`` the last two.

    ``firsts`` says in short of each place what is in it, and where.
    """

    kind: type[Record]
    places: tuple[Place, ...]
    firsts: tuple[tuple[int, int], ...]
    key: int
    since: int
    same: int
    width: int

    def at(self, name: str) -> int:
        """Return the first cell of a field."""
        return next(each.at for each in self.places if each.name == name)


@cache
def layout_of(kind: type[Record]) -> Layout:
    """Lay a kind out. ``Place.is_told`` says which fields are part of the state root."""
    places, at = list[Place](), 0
    for number, field in enumerate(fields_of(kind)):
        what = {bytes: WORD, str: TEXT, bool: BOOL, int: INT}[field.type]
        if field.is_amount:
            what = AMOUNT
        elif what == WORD and field.name in _ADDRESSES:
            what = ADDRESS
        is_told = number < kind.KEY or not field.is_place
        is_raw = number >= kind.KEY and field.name in _RAW
        places.append(Place(field.name, at, what, is_raw, is_told))
        at += 2 if what == AMOUNT else 1
    firsts = tuple((place.what, place.at) for place in places)
    return Layout(kind, tuple(places), firsts, kind.KEY, at, at + 1, at + 2)


def cells_of(
    layout: Layout, values: Sequence[Value], words: Words, texts: Texts, held: Sequence[int] | None = None
) -> list[int]:
    """Write the values of a record's fields as cells, without the two behind them.

    ``held`` are the cells of the row that the record replaces: what did not change keeps its words and texts.
    """
    cells: list[int] = []
    for place, value in zip(layout.places, values, strict=True):
        if value is None:
            cells += [0, NONE] if place.what == AMOUNT else [NONE]
        elif isinstance(value, bytes):
            assert len(value) == (ADDRESS_BYTES if place.what == ADDRESS else WORD_BYTES), (layout.kind, place, value)
            if place.is_raw and held is not None and held[place.at] != NONE and words[held[place.at]] == value:
                cells.append(held[place.at])
            else:
                cells.append(words.enter(value) if place.is_raw else words.number(value))
        elif isinstance(value, str):
            if place.is_raw and held is not None and held[place.at] != NONE and texts[held[place.at]] == value:
                cells.append(held[place.at])
            else:
                cells.append(texts.enter(value) if place.is_raw else texts.number(value))
        elif place.what == AMOUNT:
            cells += cells_of_amount(value)
        else:
            cells.append(int(value))
    return cells


def values_of_cells(layout: Layout, cells: Sequence[int], words: Words, texts: Texts) -> list[Value]:
    """Read the values of a record's fields from its cells."""
    values: list[Value] = []
    for what, at in layout.firsts:
        cell = cells[at]
        if what == AMOUNT:
            high = cells[at + 1]
            values.append(None if high == NONE else amount_of_cells(cell, high))
        elif cell == NONE:
            values.append(None)
        elif what == WORD:
            values.append(words[cell])
        elif what == ADDRESS:
            values.append(words[cell][:ADDRESS_BYTES])
        elif what == TEXT:
            values.append(texts[cell])
        else:
            values.append(bool(cell) if what == BOOL else cell)
    return values
