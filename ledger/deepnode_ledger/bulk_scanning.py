"""Scanning: the payloads of a batch read where they lie, by a compiled loop. The fast reader of ``bulk_statements``.

What the loop takes says ``scanner``; everything else is left, whether it could be read or not. Here are the tables that
it goes by, made of a layout, and the columns, made of what it puts down.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from deepnode_ledger import scanner
from deepnode_ledger.bulk_statements import StatementColumns, Which
from deepnode_ledger.column import Column, Fixed, Mask, Numbers, Wide
from deepnode_ledger.gathering import Rows
from deepnode_ledger.statement_layout import Amount, Choice, Layout, Member, Octets, Slots, Whole, layout_of

Cells = npt.NDArray[Any]

_ENVELOPE: Final = (
    ("type", scanner.TYPE),
    ("source", scanner.SOURCE),
    ("id", scanner.ID),
    ("time", scanner.TIME),
    ("sequence", scanner.SEQUENCE),
    ("data", scanner.OBJECT),
)
"""The members of an event, in the order in which producers mostly write them."""


def scan(types: tuple[str, ...], batch: pa.RecordBatch, which: Which) -> list[StatementColumns]:
    """Read rows; see ``bulk_statements.Reader``."""
    plan = _plan(types)
    assert len(types) < 255, len(types)
    # The number of a type has few bits, by which rows are sorted quickly; those that are not to be read come first.
    order = np.argsort((which + 1).astype(np.uint8), kind="stable")
    counts = np.bincount(which + 1, minlength=len(types) + 1)
    rows = np.split(order, np.cumsum(counts[:-1]))[1:]
    rooms = plan.rooms([len(each) for each in rows])
    data, producers, ids = (_texts(batch.column(name)) for name in ("data", "producer", "event_id"))
    sequences = _view(batch.column("sequence"), np.int64, batch.num_rows)
    found = scanner.Found(
        np.zeros(rooms[-1, 0], np.uint8),
        np.zeros(rooms[-1, 1], np.int64),
        np.zeros((rooms[-1, 2], 4), np.uint64),
        rooms,
        np.zeros(batch.num_rows, np.int64),
    )
    scanner.scan_all(scanner.Log(*data, *producers, *ids, sequences, which), plan.tables, found, plan.written())
    return [
        _columns(own, found, rooms[number], each)
        for number, (own, each) in enumerate(zip(plan.of_types, rows, strict=True))
        if len(each)
    ]


def _columns(plan: "_TypePlan", found: scanner.Found, room: Cells, rows: Rows) -> StatementColumns:
    """Take what is good of a type's statements."""
    there, count = found.there[rows], len(rows)
    is_good: Mask = (there & plan.required) == plan.required
    good = slice(None) if is_good.all() else is_good
    columns: dict[str, Column] = {}
    for member in plan.layout.members:
        octets, numbers, limbs = room[:3] + plan.places[member.name] * count
        match member.shape:
            case Octets(size):
                cells = found.octets[octets : octets + size * count].reshape(count, size)
                columns[member.name] = Fixed(cells[good])
            case Amount():
                columns[member.name] = Wide(found.limbs[limbs : limbs + count][good], signed=False)
            case Slots():
                columns[member.name] = Numbers(found.numbers[numbers : numbers + count][good].view(np.uint64))
            case Whole() | Choice():
                columns[member.name] = Numbers(found.numbers[numbers : numbers + count][good])
    given = {name: (there[good] & bit) != 0 for name, bit in plan.optional.items()}
    return StatementColumns(plan.layout.type, rows[good], columns, given)


def _texts(column: pa.Array) -> tuple[Cells, Cells]:
    """View a column of text or bytes: all of its bytes, and where each text begins and the last one ends."""
    octets = np.frombuffer(column.buffers()[2] or b"", np.uint8)
    octets.setflags(write=False)
    return octets, _view(column, np.int32, len(column) + 1)


def _view(column: pa.Array, kind: type[np.int32] | type[np.int64], count: int) -> Cells:
    cells = np.frombuffer(column.buffers()[1], kind, count, column.offset * np.dtype(kind).itemsize)
    # Functions are compiled for each type of arrays, to which belongs whether they may be written to.
    cells.setflags(write=False)
    return cells


class _TypePlan:
    """What the tables have of a type: its members' ``places`` among their likes, and its fields' bits.

    ``sizes`` are how many octets, numbers and limbs a statement needs; ``required`` has the bits of all fields that
    must be there, ``optional`` those of others by name.
    """

    def __init__(self, layout: Layout, fields: list[Cells], texts: list[str]) -> None:
        assert len(layout.objects) <= 1, layout
        self.layout = layout
        self.places: dict[str, int] = {}
        self.sizes = [0, 0, 0]
        self.required = 0
        self.optional: dict[str, int] = {}
        self.depths: list[tuple[int, int]] = []
        self._first, self._fields, self._texts = len(fields), fields, texts
        for name, what in _ENVELOPE:
            self._add(name, what, self._text(layout.type) if what == scanner.TYPE else 0)
        self._end_depth()
        for member in layout.members:
            if member.within is None:
                self._add_member(member)
        for name in layout.objects:
            self._add(name, scanner.OBJECT, optional=True)
        self._end_depth()
        for member in layout.members:
            if member.within is not None:
                self._add_member(member)
        self._end_depth()

    def _end_depth(self) -> None:
        self.depths.append((self.depths[-1][1] if self.depths else self._first, len(self._fields)))

    def _add_member(self, member: Member) -> None:
        optional = member.may_be_left_out
        match member.shape:
            case Octets(size):
                assert size % 4 == 0, member
                self._add(member.name, scanner.OCTETS, size, 0, of=0, size=size, optional=optional)
            case Amount():
                self._add(member.name, scanner.AMOUNT, of=2, optional=optional)
            case Whole(low, high):
                self._add(member.name, scanner.WHOLE, low, high, of=1, optional=optional)
            case Slots():
                self._add(member.name, scanner.SLOTS, of=1, optional=optional)
            case Choice(no, yes):
                self._add(member.name, scanner.CHOICE, self._text(no), self._text(yes), of=1, optional=optional)

    def _add(
        self,
        name: str,
        what: int,
        low: int = 0,
        high: int = 0,
        *,
        of: int | None = None,
        size: int = 1,
        optional: bool = False,
    ) -> None:
        """Add a field, of which a statement needs ``size`` of the octets (0), numbers (1) or limbs (2)."""
        bit = 1 << (len(self._fields) - self._first)
        if optional:
            self.optional[name] = bit
        else:
            self.required |= bit
        place = 0
        if of is not None:
            place = self.places[name] = self.sizes[of]
            self.sizes[of] += size
        self._fields.append(np.array([what, self._text(name), low, high, place, optional], np.int64))

    def _text(self, text: str) -> int:
        self._texts.append(f'"{text}"')
        return len(self._texts) - 1


@dataclass(frozen=True, slots=True)
class _Plan:
    """Types as the tables that the loop goes by."""

    of_types: list[_TypePlan]
    tables: scanner.Tables

    def written(self) -> scanner.Written:
        """Make room for how statements of each type are written: a part for each field, and one for the end."""
        parts = np.zeros((2, len(self.of_types), len(self.tables.fields) + 1, 3), np.int64)
        return scanner.Written(parts, *np.zeros((3, len(self.of_types)), np.int64))

    def rooms(self, counts: list[int]) -> Cells:
        """Return each type's row of ``Found.rooms`` for so many statements, and one that says where all rooms end."""
        rooms = np.zeros((len(counts) + 1, 5), np.int64)
        needed = [[size * count for size in each.sizes] for each, count in zip(self.of_types, counts, strict=True)]
        np.cumsum(np.array(needed, np.int64).reshape(-1, 3), axis=0, out=rooms[1:, :3])
        rooms[:-1, 3] = counts
        return rooms


@cache
def _plan(types: tuple[str, ...]) -> _Plan:
    fields: list[Cells] = []
    texts: list[str] = []
    plans = [_TypePlan(layout_of(each), fields, texts) for each in types]
    tables = scanner.Tables(
        np.frombuffer("".join(texts).encode("ascii"), np.uint8),
        np.cumsum([0, *map(len, texts)], dtype=np.int64),
        np.array(fields, np.int64).reshape(-1, 6),
        np.array([each.depths for each in plans], np.int64).reshape(-1, 3, 2),
    )
    return _Plan(plans, tables)
