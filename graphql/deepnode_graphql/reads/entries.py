"""Reading accounting entries: what each event did to the books, with its postings."""

from collections.abc import Sequence
from enum import Enum
from typing import Any

import strawberry
from sqlalchemy import ColumnElement, Row, Select, select

from deepnode_graphql.connections import Connection, read_slice
from deepnode_graphql.cursors import Order
from deepnode_graphql.filters import given, word
from deepnode_graphql.moments import Moment
from deepnode_graphql.nodes import Block, Entry, Posting, finality
from deepnode_graphql.reading import Reading
from deepnode_graphql.reads.combined import check_size, combined, link, one_of
from deepnode_graphql.reads.postings import position_range, postings_at
from deepnode_graphql.scalars import Hex, Long
from deepnode_graphql.together import Together
from deepnode_projections.tables import block as block_table
from deepnode_projections.tables import entry as entry_table


@strawberry.enum
class EntryOrder(Enum):
    """How accounting entries are sorted.

    Attributes:
        POSITION_ASC: the oldest first.
        POSITION_DESC: the newest first.
    """

    POSITION_ASC = "POSITION_ASC"
    POSITION_DESC = "POSITION_DESC"


@strawberry.input
class EntryWhere:
    """Which accounting entries; all conditions that are given must hold.

    Attributes:
        kind: the name of the event.
        kind_in: one of these.
        contract: the name of the contract.
        contract_in: one of these.
        transaction_hash: the transaction of the event (32 bytes).
        position_gt: behind this position.
        position_gte: at or behind this position.
        position_lt: before this position.
        position_lte: at or before this position.
        block_gte: in this block or a later one.
        block_lte: in this block or an earlier one.
    """

    kind: str | None = strawberry.UNSET
    kind_in: list[str] | None = strawberry.UNSET
    contract: str | None = strawberry.UNSET
    contract_in: list[str] | None = strawberry.UNSET
    transaction_hash: Hex | None = strawberry.UNSET
    position_gt: Long | None = strawberry.UNSET
    position_gte: Long | None = strawberry.UNSET
    position_lt: Long | None = strawberry.UNSET
    position_lte: Long | None = strawberry.UNSET
    block_gte: Long | None = strawberry.UNSET
    block_lte: Long | None = strawberry.UNSET
    all_of: "list[EntryWhere] | None" = link("_and")
    any_of: "list[EntryWhere] | None" = link("_or")
    none_of: "EntryWhere | None" = link("_not")


def find_entry(reading: Reading, position: int, moment: Moment) -> Entry | None:
    """Return the accounting entry of a log entry, or None if that moved nothing or came later than the moment."""
    statement = _entries().where(entry_table.c.position == position, entry_table.c.position <= moment.position)
    row = reading.database.execute(statement).one_or_none()
    return None if row is None else entries_of(reading, [row], moment)[0]


def list_entries(
    reading: Reading, where: EntryWhere | None, order: EntryOrder, moment: Moment, first: int, after: str | None
) -> Connection[Entry]:
    """Return a page of the accounting entries up to a moment.

    Raises:
        BadInput: ``first``, ``after`` or a filter breaks a rule.
    """
    by = Order(f"entries {order.value}", (entry_table.c.position,), descending=order is EntryOrder.POSITION_DESC)
    statement = _entries().where(*_conditions(reading, given(where) or EntryWhere(), moment))
    page = read_slice(reading.database, statement, by, first, after)
    return page.connect(entries_of(reading, page.rows, moment))


def entries_at(reading: Reading, positions: Sequence[int], moment: Moment) -> dict[int, Entry]:
    """Return the accounting entries at some positions with one query; a position that moved nothing has none."""
    statement = _entries().where(entry_table.c.position.in_(positions), entry_table.c.position <= moment.position)
    found = entries_of(reading, reading.database.execute(statement).all(), moment)
    return {entry.position: entry for entry in found}


def _entries() -> Select[Any]:
    return select(entry_table, block_table.c.hash.label("block_hash")).join_from(
        entry_table, block_table, block_table.c.number == entry_table.c.block_number
    )


def _conditions(reading: Reading, where: EntryWhere, moment: Moment) -> list[ColumnElement[bool]]:
    check_size(where)
    return [combined(where, lambda each: _own(reading, each, moment))]


def _own(reading: Reading, where: EntryWhere, moment: Moment) -> list[ColumnElement[bool]]:
    conditions = list(position_range(reading, where, entry_table.c.position, moment))
    conditions += one_of(where, "kind", entry_table.c.kind)
    conditions += one_of(where, "contract", entry_table.c.contract)
    if (transaction := given(where.transaction_hash)) is not None:
        conditions.append(entry_table.c.transaction_hash == word(transaction, "transactionHash"))
    return conditions


def entries_of(reading: Reading, rows: Sequence[Row[Any]], moment: Moment) -> list[Entry]:
    """Make entries of rows; their postings are fetched together, and what accounts hold is of the moment."""

    def fetch(positions: Sequence[int]) -> dict[int, list[Posting]]:
        return postings_at(reading, positions, moment)

    together = Together((row.position for row in rows), fetch)
    return [
        Entry(
            postings_together=together,
            position=Long(row.position),
            kind=row.kind,
            contract=row.contract,
            block=Block(number=Long(row.block_number), hash=Hex(row.block_hash), time=Long(row.block_time)),
            transaction_hash=Hex(row.transaction_hash),
            log_index=row.log_index,
            finality=finality(sealed=reading.sealed(row.position)),
        )
        for row in rows
    ]
