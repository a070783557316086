"""Closed epochs: those that are over, and whose rows no reorg can change any more.

An epoch is the log entries from the one that opened it up to the one before that which opened the next. Epoch 0 is what
stands before the first that was opened. One is closed when the entry that opened the next is sealed: then its end is
as final as all that is in it.
"""

from dataclasses import dataclass
from itertools import pairwise

from sqlalchemy import MetaData, select

from deepnode_graphql.reading import Reading
from deepnode_projections.registers.tables import table_of
from deepnode_projections.rules.epochs import Epoch

_epoch_table = table_of(Epoch, MetaData())


@dataclass(frozen=True, slots=True)
class ClosedEpoch:
    """An epoch and its log positions, both included. Epoch 0 may have none: then the last is 0."""

    epoch: int
    first_position: int
    last_position: int


def closed_epochs(reading: Reading) -> list[ClosedEpoch]:
    """Return the closed epochs of the books, from epoch 0 on."""
    table, checkpoint = _epoch_table.c, reading.checkpoint
    sealed = min(checkpoint.position, checkpoint.sealed_position)
    rows = reading.database.execute(
        select(table.epoch, table.opened_position)
        .where(table.position <= sealed, table.opened_position <= sealed)
        .order_by(table.epoch)
    )
    opened = [(0, 1), *((int(row.epoch), int(row.opened_position)) for row in rows)]
    assert [epoch for epoch, _ in opened] == list(range(len(opened))), "epochs count up by one"
    return [ClosedEpoch(epoch, first, following - 1) for (epoch, first), (_, following) in pairwise(opened)]
