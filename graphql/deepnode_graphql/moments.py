"""Moments: the place in history that a read is about.

Whatever way a client names it (a position, a block, a time, an epoch), a read is of the rows up to one position. What
lies above the books' end is refused, and an epoch that is not over: its state is not known, and an answer would be a
guess.
"""

from dataclasses import dataclass
from typing import Any

import strawberry
from sqlalchemy import Connection, MetaData, Row, select

from deepnode_graphql.scalars import Long
from deepnode_ledger.errors import BadInput
from deepnode_ledger.record import BlockRef
from deepnode_projections.checkpoint import Checkpoint
from deepnode_projections.registers.tables import table_of
from deepnode_projections.rules.epochs import Epoch
from deepnode_projections.tables import block as block_table

_epoch_table = table_of(Epoch, MetaData())


@strawberry.input(one_of=True)
class At:
    """A moment of the books: give exactly one.

    Attributes:
        block: the state at the end of the block with this number.
        position: the state behind the log entry at this position; 0 is before the first.
        time: the state at the end of the last block whose time is this or earlier (seconds since 1970).
        epoch: the state just before the entry that opened the next epoch; this one must be over. 0 is before the first.
    """

    block: Long | None = strawberry.UNSET
    position: Long | None = strawberry.UNSET
    time: Long | None = strawberry.UNSET
    epoch: Long | None = strawberry.UNSET


@dataclass(frozen=True, slots=True)
class Moment:
    """The state behind ``position``.

    ``block`` is the newest known block of that state; ``present`` if the state is that of the books' end; ``final`` if
    no reorg can change it any more.
    """

    position: int
    block: BlockRef | None
    present: bool
    final: bool


def present(checkpoint: Checkpoint) -> Moment:
    """Return the moment of the books' end."""
    tip, finalized = checkpoint.tip, checkpoint.finalized
    covered = tip is not None and finalized is not None and tip.number <= finalized.number
    final = covered and checkpoint.position <= checkpoint.sealed_position
    return Moment(checkpoint.position, tip, present=True, final=final)


def at_position(database: Connection, checkpoint: Checkpoint, position: int) -> Moment:
    """Return the moment behind a log entry.

    Raises:
        BadInput: below 0, or above the books' last position (both named).
    """
    if position < 0:
        raise BadInput(f"at.position must be 0 or more, not {position}")
    if position > checkpoint.position:
        raise BadInput(f"at.position {position} is above the books' last position, {checkpoint.position}")
    row = database.execute(
        select(block_table.c.number, block_table.c.hash, block_table.c.time)
        .where(block_table.c.last_position >= position)
        .order_by(block_table.c.last_position)
        .limit(1)
    ).one_or_none()
    block = BlockRef(*row) if row is not None and position > 0 else None
    final = position <= checkpoint.sealed_position
    return Moment(position, block, present=position == checkpoint.position, final=final)


def at_block(database: Connection, checkpoint: Checkpoint, number: int) -> Moment:
    """Return the moment at the end of a block; before the first block the books are empty.

    Raises:
        BadInput: below 0, or above the last block that the books cover (both named).
    """
    if number < 0:
        raise BadInput(f"at.block must be 0 or more, not {number}")
    if checkpoint.tip is None:
        raise BadInput(f"at.block {number} is above the books, which cover no block yet")
    if number > checkpoint.tip.number:
        raise BadInput(f"at.block {number} is above the last block that the books cover, {checkpoint.tip.number}")
    # What producers say stands behind the tip until there is a newer one: so the tip's end is not known, final or not.
    final = (
        checkpoint.finalized is not None and number <= checkpoint.finalized.number and number < checkpoint.tip.number
    )
    newest = checkpoint.tip if number == checkpoint.tip.number else None
    return _behind_last_block(database, checkpoint, number, newest, final=final)


def at_time(database: Connection, checkpoint: Checkpoint, time: int) -> Moment:
    """Return the moment at the end of the last block up to a time (seconds since 1970).

    Raises:
        BadInput: below 0, or later than the last block that the books cover (both named).
    """
    if time < 0:
        raise BadInput(f"at.time must be 0 or more, not {time}")
    if checkpoint.tip is None:
        raise BadInput(f"at.time {time} is later than the books, which cover no block yet")
    if time > checkpoint.tip.time:
        raise BadInput(
            f"at.time {time} is later than the last block that the books cover, {checkpoint.tip.number} of time "
            f"{checkpoint.tip.time}: blocks up to that time may still come"
        )
    # A block's time is later than its parent's, so the finalized block's time settles all before it.
    final = checkpoint.finalized is not None and time <= checkpoint.finalized.time and time < checkpoint.tip.time
    if time == checkpoint.tip.time:
        return _behind_last_block(database, checkpoint, checkpoint.tip.number, checkpoint.tip, final=final)
    row = database.execute(
        select(block_table.c.number)
        .where(block_table.c.time <= time)
        .order_by(block_table.c.time.desc(), block_table.c.number.desc())
        .limit(1)
    ).one_or_none()
    return _behind_last_block(database, checkpoint, -1 if row is None else row.number, None, final=final)


def at_epoch(database: Connection, checkpoint: Checkpoint, epoch: int) -> Moment:
    """Return the moment at the end of an epoch: behind the last log entry before the one that opened the next epoch.

    Raises:
        BadInput: below 0, or the epoch is not over (it and the one that is open are named).
    """
    if epoch < 0:
        raise BadInput(f"at.epoch must be 0 or more, not {epoch}")
    table = _epoch_table.c
    row = database.execute(
        select(table.opened_position).where(table.epoch == epoch + 1, table.position <= checkpoint.position)
    ).one_or_none()
    if row is None:
        opened = select(table.epoch).where(table.position <= checkpoint.position).order_by(table.epoch.desc()).limit(1)
        current = database.execute(opened).scalar() or 0
        now = f"epoch {current} is open" if current else "none was opened yet"
        raise BadInput(f"at.epoch {epoch} is not over: {now}")
    return at_position(database, checkpoint, row.opened_position - 1)


def last_position_at(database: Connection, number: int) -> int:
    """Return the last position at or below a block's height in the books; 0 if nothing stands there."""
    row = _last_block(database, number)
    return 0 if row is None else int(row.last_position)


def _behind_last_block(
    database: Connection, checkpoint: Checkpoint, number: int, newest: BlockRef | None, *, final: bool
) -> Moment:
    # Only blocks that hold log entries have a row; the tip is known even without.
    row = _last_block(database, number)
    position = 0 if row is None else int(row.last_position)
    block = newest if row is None or newest is not None else BlockRef(row.number, row.hash, row.time)
    final = final and position <= checkpoint.sealed_position
    return Moment(position, block, present=position == checkpoint.position, final=final)


def _last_block(database: Connection, number: int) -> Row[Any] | None:
    return database.execute(
        select(block_table).where(block_table.c.number <= number).order_by(block_table.c.number.desc()).limit(1)
    ).one_or_none()
