"""Feeds: what a subscription is about, and how a run of positions of it is read.

A feed is read by pages. A page is the rows of some positions that follow a place, whole positions only, cut where the
blocks are: what one block brought comes in one message, so that no reader shows half of it. A block of very many rows
comes in several.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, NoReturn, TypeVar

from sqlalchemy import BigInteger, bindparam, column, func, select, true
from sqlalchemy.dialects.postgresql import ARRAY
from typing_extensions import override

from deepnode_graphql.live.changes import Head, LiveChange
from deepnode_graphql.live.place import Resume
from deepnode_graphql.moments import Moment
from deepnode_graphql.reading import Reading
from deepnode_ledger.record import BlockRef
from deepnode_projections.tables import block as block_table

ROWS_MAX: Final = 200
"""Rows in a page, beyond which it ends with the position that it is at."""

SCAN_POSITIONS: Final = 20_000
"""Positions that are looked through for one page: a filter that nothing meets costs no long statement."""

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of one block, up to ``position``; ``content`` is what the feed makes its message of."""

    position: int
    block: BlockRef | None
    content: Any


@dataclass(frozen=True, slots=True)
class Run:
    """What a feed has at the positions up to ``through`` (included)."""

    groups: Sequence[Group]
    through: int


class Feed(ABC):
    """What a subscription is about."""

    follows_positions = True
    """Whether rows stand at positions, so that a reorg takes them back."""

    @abstractmethod
    def read(self, reading: Reading, after: int, through: int) -> Run:
        """Return what stands behind ``after``, up to ``through`` or less far: at least one whole position."""

    @abstractmethod
    def message(self, head: Head, content: Any) -> LiveChange:
        """Make the message of a group's content; None makes one without rows."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client asks to follow: a feed, from where, and whether it wants to hear of progress without rows.

    It poses as the event stream that a subscription's resolver must return. Its pages are read by threads, where there
    is a reading, and so nobody iterates over it.
    """

    feed: Feed
    resume: Resume | None
    progress: bool

    def __aiter__(self) -> "Asked":
        """Satisfy the library, which asks whether this is a stream."""
        return self

    async def __anext__(self) -> NoReturn:
        """Refuse: pages are read instead."""
        raise AssertionError("a feed is read by pages")


@dataclass(frozen=True, slots=True)
class Cut:
    """Rows of whole positions, and the last position that they are complete for."""

    rows: Sequence[Any]
    through: int


def whole_positions(rows: Sequence[Any], through: int, read_one: Callable[[int], Sequence[Any]]) -> Cut:
    """Cut rows, of which one more than ``ROWS_MAX`` was asked for, behind the last position that is in them whole.

    Args:
        rows: sorted, each with its ``position``.
        through: the position up to which was asked for.
        read_one: reads all rows of a position; it is asked for one that has more than fit into a page.
    """
    if len(rows) <= ROWS_MAX:
        return Cut(rows, through)
    last = rows[-1].position
    whole = [row for row in rows if row.position < last]
    if whole:
        return Cut(whole, whole[-1].position)
    return Cut(read_one(last), last)


def by_block(reading: Reading, rows: Sequence[R], position_of: Callable[[R], int]) -> Iterator[tuple[Group, list[R]]]:
    """Group rows, which are sorted by position, by block; each group has no content yet."""
    blocks = blocks_at(reading, sorted({position_of(row) for row in rows}))
    for block, each in groupby(rows, key=lambda row: blocks[position_of(row)]):
        together = list(each)
        yield Group(position_of(together[-1]), block, None), together


def blocks_at(reading: Reading, positions: Sequence[int]) -> dict[int, BlockRef | None]:
    """Return the block that each position stands under, by one index lookup each."""
    if not positions:
        return {}
    asked = (
        func.unnest(bindparam("positions", list(positions), ARRAY(BigInteger())))
        .table_valued(column("position", BigInteger()))
        .render_derived(name="asked")
    )
    under = (
        select(block_table.c.number, block_table.c.hash, block_table.c.time)
        .where(block_table.c.last_position >= asked.c.position)
        .order_by(block_table.c.last_position)
        .limit(1)
        .lateral("under")
    )
    rows = reading.database.execute(
        select(asked.c.position, under.c.number, under.c.hash, under.c.time).select_from(asked.outerjoin(under, true()))
    )
    return {row.position: None if row.number is None else BlockRef(row.number, row.hash, row.time) for row in rows}


def moment_of(reading: Reading, group: Group) -> Moment:
    """Return the moment behind a group: what hangs on its rows is of the books as they were then."""
    checkpoint = reading.checkpoint
    return Moment(
        group.position,
        group.block,
        present=group.position == checkpoint.position,
        final=group.position <= checkpoint.sealed_position,
    )


class OfPositions(Feed):
    """A feed whose rows are found by position."""

    @override
    def read(self, reading: Reading, after: int, through: int) -> Run:
        cut = self.rows(reading, after, through)
        groups = [
            Group(group.position, group.block, self.content(reading, rows, moment_of(reading, group)))
            for group, rows in by_block(reading, cut.rows, lambda row: int(row.position))
        ]
        return Run(groups, cut.through)

    @abstractmethod
    def rows(self, reading: Reading, after: int, through: int) -> Cut:
        """Return the rows of whole positions behind ``after``."""

    @abstractmethod
    def content(self, reading: Reading, rows: Sequence[Any], moment: Moment) -> Any:
        """Make the content of a message of rows of one block."""
