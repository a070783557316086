"""Reading postings: the books line by line, of one account or of all."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from enum import Enum
from functools import partial
from typing import Any, Final

import strawberry
from sqlalchemy import ColumnElement, FromClause, Select, select, true

from deepnode_graphql import moments
from deepnode_graphql.connections import Connection, check_first, count_of, slice_of
from deepnode_graphql.cursors import Order
from deepnode_graphql.filters import at_most, given, text, word
from deepnode_graphql.moments import Moment
from deepnode_graphql.nodes import Block, Posting, finality
from deepnode_graphql.reading import Reading
from deepnode_graphql.reads.accounts import ACCOUNT_COLUMNS, accounts_of
from deepnode_graphql.scalars import Address, BigInt, Hex, Long
from deepnode_projections.tables import account as account_table
from deepnode_projections.tables import asset as asset_table
from deepnode_projections.tables import block as block_table
from deepnode_projections.tables import entry as entry_table
from deepnode_projections.tables import posting as posting_table

POSTING_COLUMNS: Final = (
    posting_table.c.position,
    posting_table.c.leg,
    posting_table.c.account_id,
    posting_table.c.asset_id,
    posting_table.c.amount,
    posting_table.c.balance,
    entry_table.c.kind,
    entry_table.c.contract,
    entry_table.c.block_number,
    entry_table.c.block_time,
    entry_table.c.transaction_hash,
    entry_table.c.log_index,
)


@strawberry.enum
class PostingOrder(Enum):
    """How postings are sorted.

    Attributes:
        POSITION_ASC: the oldest first.
        POSITION_DESC: the newest first.
    """

    POSITION_ASC = "POSITION_ASC"
    POSITION_DESC = "POSITION_DESC"


@strawberry.input
class PostingWhere:
    """Which postings; all conditions that are given must hold.

    Attributes:
        account: the name of the account.
        account_in: one of these names.
        holder: the address whose token balance includes the account.
        asset: a symbol, or the address of a token.
        kind: the name of the event.
        transaction_hash: the transaction of the event (32 bytes).
        position_gt: behind this position.
        position_gte: at or behind this position.
        position_lt: before this position.
        position_lte: at or before this position.
        block_gte: in this block or a later one.
        block_lte: in this block or an earlier one.
    """

    account: str | None = strawberry.UNSET
    account_in: list[str] | None = strawberry.UNSET
    holder: Address | None = strawberry.UNSET
    asset: str | None = strawberry.UNSET
    kind: str | None = strawberry.UNSET
    transaction_hash: Hex | None = strawberry.UNSET
    position_gt: Long | None = strawberry.UNSET
    position_gte: Long | None = strawberry.UNSET
    position_lt: Long | None = strawberry.UNSET
    position_lte: Long | None = strawberry.UNSET
    block_gte: Long | None = strawberry.UNSET
    block_lte: Long | None = strawberry.UNSET


def list_postings(
    reading: Reading, where: PostingWhere | None, order: PostingOrder, moment: Moment, first: int, after: str | None
) -> Connection[Posting]:
    """Return a page of the postings up to a moment.

    Raises:
        BadInput: ``first``, ``after`` or a filter breaks a rule.
    """
    check_first(first)
    where = given(where) or PostingWhere()
    key = (posting_table.c.position, posting_table.c.leg)
    by = Order(f"postings {order.value}", key, descending=order is PostingOrder.POSITION_DESC)
    lines = (
        select(*POSTING_COLUMNS)
        .join_from(posting_table, entry_table, entry_table.c.position == posting_table.c.position)
        .where(*_conditions(reading, where, moment))
    )
    counted = _counted(reading, lines, where)
    if after is not None:
        lines = lines.where(by.beyond(by.decode(after)))
    lines = lines.order_by(*by.clauses()).limit(first + 1)
    if _names_accounts(where):
        lines = _of_accounts(lines, where, by, first)
    found = lines.subquery("line")
    statement = (
        select(found, block_table.c.hash.label("block_hash"), *_account_columns())
        .join_from(found, account_table, account_table.c.account_id == found.c.account_id)
        .join(block_table, block_table.c.number == found.c.block_number)
    )
    outer = Order(by.name, (found.c.position, found.c.leg), by.descending)
    page = slice_of(reading.database.execute(statement.order_by(*outer.clauses())).all(), outer, first, after)
    return replace(page, counted=counted).connect(postings_of(reading, page.rows, moment))


def _counted(reading: Reading, lines: Select[Any], where: PostingWhere) -> Callable[[], int]:
    whole = lines
    if _names_accounts(where):
        whose = select(account_table.c.account_id).where(*_whose(where, account_table))
        whole = lines.where(posting_table.c.account_id.in_(whose))
    return partial(count_of, reading.database, whole)


def postings_at(reading: Reading, positions: Sequence[int], moment: Moment) -> dict[int, list[Posting]]:
    """Return the postings of several accounting entries with one query, by position."""
    statement = (
        select(*POSTING_COLUMNS, block_table.c.hash.label("block_hash"), *_account_columns())
        .join_from(posting_table, entry_table, entry_table.c.position == posting_table.c.position)
        .join(account_table, account_table.c.account_id == posting_table.c.account_id)
        .join(block_table, block_table.c.number == entry_table.c.block_number)
        .where(posting_table.c.position.in_(positions))
        .order_by(posting_table.c.position, posting_table.c.leg)
    )
    found: dict[int, list[Posting]] = {}
    for posting in postings_of(reading, reading.database.execute(statement).all(), moment):
        found.setdefault(posting.position, []).append(posting)
    return found


def postings_of(reading: Reading, rows: Iterable[Any], moment: Moment) -> list[Posting]:
    """Make postings of rows; what their accounts hold is of the moment."""
    rows = list(rows)
    accounts = accounts_of(reading, rows, moment)
    return [
        Posting(
            position=Long(row.position),
            leg=row.leg,
            account=account,
            asset=reading.assets[row.asset_id],
            amount=BigInt(row.amount),
            balance=BigInt(row.balance),
            kind=row.kind,
            contract=row.contract,
            block=Block(number=Long(row.block_number), hash=Hex(row.block_hash), time=Long(row.block_time)),
            transaction_hash=Hex(row.transaction_hash),
            log_index=row.log_index,
            finality=finality(sealed=reading.sealed(row.position)),
        )
        for row, account in zip(rows, accounts, strict=True)
    ]


def position_range(
    reading: Reading, where: Any, column: ColumnElement[int], moment: Moment
) -> Iterable[ColumnElement[bool]]:
    """Turn a filter's bounds on positions and blocks into bounds on one column, which one index range answers."""
    yield column <= moment.position
    if (gt := given(where.position_gt)) is not None:
        yield column > gt
    if (gte := given(where.position_gte)) is not None:
        yield column >= gte
    if (lt := given(where.position_lt)) is not None:
        yield column < lt
    if (lte := given(where.position_lte)) is not None:
        yield column <= lte
    if (block_gte := given(where.block_gte)) is not None:
        yield column > moments.last_position_at(reading.database, block_gte - 1)
    if (block_lte := given(where.block_lte)) is not None:
        yield column <= moments.last_position_at(reading.database, block_lte)


def _conditions(reading: Reading, where: PostingWhere, moment: Moment) -> list[ColumnElement[bool]]:
    conditions = list(position_range(reading, where, posting_table.c.position, moment))
    if (asset := given(where.asset)) is not None:
        conditions.append(posting_table.c.asset_id == reading.asset_id(asset))
    if (kind := given(where.kind)) is not None:
        conditions.append(entry_table.c.kind == text(kind, "kind"))
    if (transaction := given(where.transaction_hash)) is not None:
        conditions.append(entry_table.c.transaction_hash == word(transaction, "transactionHash"))
    return conditions


def _names_accounts(where: PostingWhere) -> bool:
    return any(given(each) is not None for each in (where.account, where.account_in, where.holder))


def _whose(where: PostingWhere, whose: FromClause) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if (account := given(where.account)) is not None:
        conditions.append(whose.c.name == text(account, "account"))
    if (accounts := given(where.account_in)) is not None:
        names = [text(name, "account_in") for name in at_most(accounts, "account_in")]
        conditions.append(whose.c.name.in_(names))
    if (holder := given(where.holder)) is not None:
        conditions.append(whose.c.holder == holder)
    return conditions


def _of_accounts(lines: Select[Any], where: PostingWhere, by: Order, first: int) -> Select[Any]:
    # Each account and asset has its history in an index of its own order: the page's rows are among the first rows of
    # each. Filtering the whole list instead would read past all other accounts' postings.
    account, asset = account_table.alias("whose"), asset_table.alias("what")
    history = (
        lines.where(posting_table.c.account_id == account.c.account_id)
        .where(posting_table.c.asset_id == asset.c.asset_id)
        .correlate(account, asset)
        .lateral("history")
    )
    key = (history.c.position, history.c.leg)
    return (
        select(history)
        .select_from(account.join(asset, true()).join(history, true()))
        .where(*_whose(where, account))
        .order_by(*Order(by.name, key, by.descending).clauses())
        .limit(first + 1)
    )


def _account_columns() -> list[ColumnElement[Any]]:
    # The postings' rows have an account_id already.
    return [column for column in ACCOUNT_COLUMNS if column is not account_table.c.account_id]
