"""The feed of accounting entries."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import strawberry
from sqlalchemy import ColumnElement, select
from typing_extensions import override

from deepnode_graphql.filters import given, text
from deepnode_graphql.live.changes import EntriesChange, Head
from deepnode_graphql.live.feed import ROWS_MAX, Cut, OfPositions
from deepnode_graphql.live.whose import Whose, whose_postings
from deepnode_graphql.moments import Moment
from deepnode_graphql.nodes import Entry
from deepnode_graphql.reading import Reading
from deepnode_graphql.reads.entries import entries_of
from deepnode_graphql.scalars import Address
from deepnode_projections.tables import block as block_table
from deepnode_projections.tables import entry as entry_table


@strawberry.input
class LiveEntryWhere:
    """Which accounting entries; all conditions that are given must hold.

    Attributes:
        kind: the name of the event.
        account: one of its postings is of the account of this name.
        holder: one of its postings is of an account that this address's token balance includes.
        asset: one of its postings is of this asset: a symbol, or the address of a token.
    """

    kind: str | None = strawberry.UNSET
    account: str | None = strawberry.UNSET
    holder: Address | None = strawberry.UNSET
    asset: str | None = strawberry.UNSET


@dataclass(frozen=True, slots=True)
class EntriesFeed(OfPositions):
    """Accounting entries of a kind, and with a posting of somebody; None is no condition."""

    kind: str | None
    whose: Whose

    @override
    def rows(self, reading: Reading, after: int, through: int) -> Cut:
        position = entry_table.c.position
        conditions: list[ColumnElement[bool]] = [position > after, position <= through]
        if self.kind is not None:
            conditions.append(entry_table.c.kind == self.kind)
        if self.whose:
            conditions.append(position.in_(whose_postings(self.whose, after, through)))
        rows = reading.database.execute(
            select(entry_table, block_table.c.hash.label("block_hash"))
            .join_from(entry_table, block_table, block_table.c.number == entry_table.c.block_number)
            .where(*conditions)
            .order_by(position)
            .limit(ROWS_MAX + 1)
        ).all()
        # One row a position, so every row is a whole position.
        return Cut(rows, through) if len(rows) <= ROWS_MAX else Cut(rows[:-1], rows[-2].position)

    @override
    def content(self, reading: Reading, rows: Sequence[Any], moment: Moment) -> list[Entry]:
        return entries_of(reading, rows, moment)

    @override
    def message(self, head: Head, content: Any) -> EntriesChange:
        return EntriesChange(**head.fields(), entries=content or [])


def entries_feed(reading: Reading, where: LiveEntryWhere | None) -> EntriesFeed:
    """Make the feed of what a client asks for.

    Raises:
        BadInput: a condition breaks a rule.
    """
    where = given(where) or LiveEntryWhere()
    kind = given(where.kind)
    return EntriesFeed(None if kind is None else text(kind, "kind"), Whose.of(reading, where))
