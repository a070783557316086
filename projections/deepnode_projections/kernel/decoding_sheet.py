"""A sheet: what is put together, many rows at once, until it is a decoded batch's arrays."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from deepnode_ledger.column import Mask
from deepnode_ledger.compiled import Integer, compiled
from deepnode_ledger.gathering import Rows
from deepnode_ledger.hexadecimal import WORD_BYTES
from deepnode_projections.kernel import ops
from deepnode_projections.kernel.decoded import Cells, Octets
from deepnode_projections.kernel.op_cells import CELLS, WIDTHS
from deepnode_projections.kernel.words import Words

_NO_WORDS: Final = np.zeros((0, WORD_BYTES), np.uint8)

Chosen = Rows | slice
"""Those of some rows that are meant; if it is all of them, no copy is made."""


def chosen(which: Mask) -> Chosen:
    """Return the rows of which something is so."""
    return slice(None) if which.all() else np.flatnonzero(which)


class Sheet:
    """The operations of some rows and their cells. A row to which nothing is put is left to the rules."""

    def __init__(self, rows: int) -> None:
        self.ops = np.full(rows, ops.RULES, np.int8)
        self._parts: list[tuple[Rows, Sequence[Cells]]] = []
        self._words = Words(rows // 2)
        self._hashes: list[Octets] = [_NO_WORDS]
        self._hash_count = 0
        self._names: dict[str, int] = {}
        self._events: list[Octets] = [np.zeros(0, np.uint8)]
        self._lengths: list[Cells] = [np.zeros(1, np.int64)]
        self._event_count = 0

    def put(self, op: int, rows: Rows, columns: Sequence[Cells] = ()) -> None:
        """Let rows be an operation, whose cells are given column by column; nothing was put to them before."""
        assert len(columns) == WIDTHS[op], (op, len(columns))
        assert bool(np.all(self.ops[rows] == ops.RULES)), op
        self.ops[rows] = op
        if columns:
            self._parts.append((rows, columns))

    def id(self, word: bytes) -> int:
        """Return the number of a word among the ids; an address has zeros behind it."""
        return self._words.number(word)

    def numbered(self, octets: Octets) -> Cells:
        """Return the numbers of words of 20 or 32 bytes among the ids."""
        if octets.shape[1] < WORD_BYTES:
            short, octets = octets, np.zeros((len(octets), WORD_BYTES), np.uint8)
            octets[:, : short.shape[1]] = short
        return self._words.numbers(octets)

    def entered(self, hashes: Octets) -> Cells:
        """Enter words of 32 bytes among the hashes, as they come, and return their numbers."""
        self._hashes.append(hashes)
        self._hash_count += len(hashes)
        return np.arange(self._hash_count - len(hashes), self._hash_count)

    def named(self, names: pa.Array) -> Cells:
        """Return the numbers of texts among the names."""
        encoded = names.dictionary_encode()
        numbers = [self._names.setdefault(name, len(self._names)) for name in encoded.dictionary.to_pylist()]
        found: Cells = np.array(numbers, np.int64)[encoded.indices.to_numpy()]
        return found

    def told(self, events: pa.Array) -> Cells:
        """Enter texts among the events, as they come, and return their numbers."""
        ends = np.frombuffer(events.buffers()[1], np.int32, len(events) + 1, 4 * events.offset).astype(np.int64)
        self._events.append(np.frombuffer(events.buffers()[2], np.uint8)[ends[0] : ends[-1]])
        self._lengths.append(np.diff(ends))
        self._event_count += len(events)
        return np.arange(self._event_count - len(events), self._event_count)

    def filled(self) -> tuple[Cells, Cells]:
        """Return where each row's cells start, with the end behind the last, and all cells."""
        starts = starts_of(self.ops)
        cells = np.empty(int(starts[-1]), np.int64)
        for rows, columns in self._parts:
            for number, column in enumerate(columns):
                put_column(cells, starts, np.ascontiguousarray(rows), number, np.ascontiguousarray(column))
        return starts, cells

    @property
    def ids(self) -> Octets:
        """All ids so far."""
        return self._words.octets()

    @property
    def hashes(self) -> Octets:
        """All hashes so far."""
        return np.concatenate(self._hashes)

    @property
    def names(self) -> Sequence[str]:
        """All names so far."""
        return tuple(self._names)

    @property
    def events(self) -> tuple[Octets, Cells]:
        """All events so far, one behind the other, and where each ends, beginning with 0."""
        return np.concatenate(self._events), np.cumsum(np.concatenate(self._lengths))


@compiled
def put_column(cells: Cells, starts: Cells, rows: Cells, number: Integer, column: Cells) -> None:
    """Put a column down as the cell of that number of some rows."""
    for index in range(np.uint64(len(rows))):
        cells[starts[rows[index]] + number] = column[index]


def starts_of(operations: npt.NDArray[np.int8]) -> Cells:
    """Return where each row's cells start by the operations, with the end behind the last."""
    starts = np.zeros(len(operations) + 1, np.int64)
    np.cumsum(_WIDTHS[operations], out=starts[1:])
    return starts


_WIDTHS: Final = np.array([WIDTHS.get(op, 0) for op in range(128)], np.int64)
assert all(op < len(_WIDTHS) for op in CELLS), "an operation is an int8"
