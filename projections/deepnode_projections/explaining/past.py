"""What an explanation reads: the state at a position, and the entries of the log that made it so."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from deepnode_projections.registers.record import Record, Value
from deepnode_projections.registers.state import State
from deepnode_projections.rules.epochs import Epoch

R = TypeVar("R", bound=Record)


class Past(State, Protocol):
    """A state at a position, which can be read alone. ``registers.at.StateAt`` is one."""

    @property
    def position(self) -> int:
        """The log's entry behind which this was so."""

    def at(self, position: int) -> "Past":
        """Return the state at another position."""

    def since(self, kind: type[R], *key: Value) -> int | None:
        """Return the position of the entry that made the newest record of a thing, or None if there was none."""

    def found(self, kind: type[R], field: str, value: Value) -> Sequence[tuple[int, R]]:
        """Return the newest records in which a field holds a value, with the positions that made them."""

    def changes(self, kind: type[R], *prefix: Value) -> Sequence[tuple[int, R]]:
        """Return all records that ever were of the things whose key begins so, by the position that made each."""


def span_of(past: Past, epoch: int) -> range:
    """Return the positions of the entries that belong to an epoch: those behind its opening, up to the next one.

    The entry that opens the next epoch is not among them. An epoch that is open still goes up to ``past``'s position.
    """
    opened, following = past.get(Epoch, epoch), past.get(Epoch, epoch + 1)
    first = 0 if opened is None else opened.opened_position + 1
    return range(first, past.position + 1 if following is None else following.opened_position)
