"""Trays: memory is used again when nobody looks at it any more, and never before."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from deepnode_ledger.trays import Octets, Trays

SIZE = 1_000

LOOKS: dict[str, Callable[[Octets], Any]] = {
    "the array": lambda lent: lent,
    "a part": lambda lent: lent[10:20],
    "a part of a part": lambda lent: lent[10:][:5],
    "numbers": lambda lent: lent[:800].view(np.int64)[3:],
    "a memoryview": lambda lent: lent.data[:4],
    "an Arrow buffer": pa.py_buffer,
    "an array of an Arrow buffer": lambda lent: np.frombuffer(pa.py_buffer(lent[8:]), np.uint8)[1:],
}


def place_of(lent: Octets) -> int:
    """Where in memory it begins."""
    return int(lent.ctypes.data)


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS.keys())
def test_a_room_is_not_used_again_while_anybody_looks_at_it(look: Callable[[Octets], Any]) -> None:
    """Keeps nothing but a look at what was lent, and then not even that."""
    trays = Trays()
    lent = trays.lend(SIZE)
    first, seen = place_of(lent), look(lent)
    del lent
    other = trays.lend(SIZE)
    assert abs(place_of(other) - first) >= SIZE
    del seen
    assert place_of(trays.lend(SIZE)) == first
    assert len(trays) == 2


def test_there_are_as_many_rooms_as_are_looked_at_at_once() -> None:
    """Borrows a hundred times, two at a time, of sizes that grow and shrink."""
    trays = Trays()
    for number in range(100):
        one, other = trays.lend(SIZE + number), trays.lend(2 * SIZE - number)
        one[:], other[:] = 1, 2
        assert (len(one), len(other)) == (SIZE + number, 2 * SIZE - number)
        assert one.all()
        assert one.flags.writeable
        del one, other
    assert len(trays) == 2


def test_a_batch_of_nothing_has_a_room_too() -> None:
    """Borrows no bytes."""
    assert len(Trays().lend(0)) == 0
