"""Scanning: the payloads of a batch read where they lie, by a compiled loop. The fast reader of ``bulk_statements``.

What the loop takes says ``scanner``; everything else is left, whether it could be read or not. Here are the tables that
it goes by, made of a layout, and the columns, made of what it puts down.
"""

from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from deepnode_ledger import scanner
from deepnode_ledger.bulk_statements import StatementColumns
from deepnode_ledger.column import Column, Fixed, Mask, Numbers, Wide
from deepnode_ledger.gathering import Rows
from deepnode_ledger.statement_layout import Amount, Choice, Layout, Member, Octets, Shape, Slots, Whole

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


def scan(layout: Layout, batch: pa.RecordBatch, rows: Rows) -> StatementColumns:
    """Read rows of a type; see ``bulk_statements.Reader``."""
    plan, count = _plan(layout), len(rows)
    data, producers, ids = (_texts(batch.column(name)) for name in ("data", "producer", "event_id"))
    sequences = _view(batch.column("sequence"), np.int64, batch.num_rows)
    log = scanner.Log(*data, *producers, *ids, sequences, rows)
    found = scanner.Found(
        np.zeros(plan.octets * count, np.uint8),
        np.zeros((plan.numbers, count), np.int64),
        np.zeros((plan.limbs, count, 4), np.uint64),
        np.zeros(count, np.int64),
    )
    scanner.scan_all(log, plan.tables, found)
    good: Mask = (found.there & plan.required) == plan.required
    columns = {member.name: _column(plan, found, member, good) for member in layout.members}
    optional = [*layout.objects, *(member.name for member in layout.members if member.may_be_left_out)]
    given = {name: (found.there >> plan.fields[name] & 1 == 1)[good] for name in optional}
    return StatementColumns(layout.type, rows[good], columns, given)


def _column(plan: "_Plan", found: scanner.Found, member: Member, good: Mask) -> Column:
    """Take what is good of a member's values."""
    place, count = plan.places[member.name], len(good)
    match member.shape:
        case Octets(size):
            return Fixed(found.octets[place * count : (place + size) * count].reshape(count, size)[good])
        case Amount():
            return Wide(found.limbs[place][good], signed=False)
        case Slots():
            return Numbers(found.numbers[place][good].view(np.uint64))
        case Whole() | Choice():
            return Numbers(found.numbers[place][good])


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


@dataclass(slots=True, eq=False)
class _Plan:
    """A layout as tables for the loop: ``fields`` and ``places`` are its members' by name.

    ``octets``, ``numbers`` and ``limbs`` say how many of each a statement needs; ``required`` has a bit for each field
    that must be there.
    """

    octets: int = 0
    numbers: int = 0
    limbs: int = 0
    required: int = 0
    fields: dict[str, int] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    _texts: list[str] = field(default_factory=list)
    _rows: list[tuple[int, ...]] = field(default_factory=list)
    _depths: list[tuple[int, int]] = field(default_factory=list)
    tables: scanner.Tables = field(init=False)

    def text(self, text: str) -> int:
        """Note text; return its number."""
        self._texts.append(f'"{text}"')
        return len(self._texts) - 1

    def add(self, name: str, kind: int, low: int = 0, high: int = 0, place: int = 0, *, optional: bool = False) -> None:
        """Add a field at the depth that is to end next."""
        self.fields[name] = len(self._rows)
        self.places[name] = place
        self.required |= 0 if optional else 1 << len(self._rows)
        self._rows.append((kind, self.text(name), low, high, place, int(optional)))

    def add_member(self, name: str, shape: Shape, *, optional: bool) -> None:
        """Add a member, and room for it."""
        match shape:
            case Octets(size):
                self.add(name, scanner.OCTETS, size, 0, self.octets, optional=optional)
                self.octets += size
            case Amount():
                self.add(name, scanner.AMOUNT, 0, 0, self.limbs, optional=optional)
                self.limbs += 1
            case Whole(low, high):
                self.add(name, scanner.WHOLE, low, high, self.numbers, optional=optional)
                self.numbers += 1
            case Slots():
                self.add(name, scanner.SLOTS, 0, 0, self.numbers, optional=optional)
                self.numbers += 1
            case Choice(no, yes):
                self.add(name, scanner.CHOICE, self.text(no), self.text(yes), self.numbers, optional=optional)
                self.numbers += 1

    def end_depth(self) -> None:
        """Let what is added next belong to the object that was added last."""
        self._depths.append((self._depths[-1][1] if self._depths else 0, len(self._rows)))

    def end(self) -> "_Plan":
        """Make the tables."""
        assert len(self._rows) < 63, "a bit of an int64 for each"
        self.tables = scanner.Tables(
            np.frombuffer("".join(self._texts).encode("ascii"), np.uint8),
            np.cumsum([0, *map(len, self._texts)], dtype=np.int64),
            np.array(self._rows, np.int64),
            np.array(self._depths, np.int64),
        )
        return self


@cache
def _plan(layout: Layout) -> _Plan:
    assert len(layout.objects) <= 1, layout
    plan = _Plan()
    for name, kind in _ENVELOPE:
        plan.add(name, kind, plan.text(layout.type) if kind == scanner.TYPE else 0)
    for within in (None, *layout.objects):
        plan.end_depth()
        for member in layout.members:
            if member.within == within:
                plan.add_member(member.name, member.shape, optional=member.may_be_left_out)
        if within is None:
            for name in layout.objects:
                plan.add(name, scanner.OBJECT, optional=True)
    plan.end_depth()
    return plan.end()
