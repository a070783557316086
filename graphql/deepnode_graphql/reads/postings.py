"""Reading postings: the books line by line, of one account or of all."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from enum import Enum
from functools import partial
from typing import Any, Final

import strawberry
from sqlalchemy import ColumnElement, FromClause, Select, and_, or_, select, true

from deepnode_graphql import moments
from deepnode_graphql.connections import Connection, check_first, count_of, slice_of
from deepnode_graphql.cursors import Order
from deepnode_graphql.filters import at_most, given, word
from deepnode_graphql.moments import Moment
from deepnode_graphql.nodes import Block, Posting, finality
from deepnode_graphql.reading import Reading
from deepnode_graphql.reads.accounts import ACCOUNT_COLUMNS, accounts_of
from deepnode_graphql.reads.combined import check_size, combined, compared, known, link, one_of, parts
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
        holder_in: one of these addresses.
        asset: a symbol, or the address of a token.
        asset_in: one of these.
        kind: the name of the event.
        kind_in: one of these.
        contract: the name of the contract.
        contract_in: one of these.
        amount_gt: more came in than this, in base units; what left is below 0.
        amount_gte: this or more.
        amount_lt: less than this.
        amount_lte: this or less.
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
    holder_in: list[Address] | None = strawberry.UNSET
    asset: str | None = strawberry.UNSET
    asset_in: list[str] | None = strawberry.UNSET
    kind: str | None = strawberry.UNSET
    kind_in: list[str] | None = strawberry.UNSET
    contract: str | None = strawberry.UNSET
    contract_in: list[str] | None = strawberry.UNSET
    amount_gt: BigInt | None = strawberry.UNSET
    amount_gte: BigInt | None = strawberry.UNSET
    amount_lt: BigInt | None = strawberry.UNSET
    amount_lte: BigInt | None = strawberry.UNSET
    transaction_hash: Hex | None = strawberry.UNSET
    position_gt: Long | None = strawberry.UNSET
    position_gte: Long | None = strawberry.UNSET
    position_lt: Long | None = strawberry.UNSET
    position_lte: Long | None = strawberry.UNSET
    block_gte: Long | None = strawberry.UNSET
    block_lte: Long | None = strawberry.UNSET
    all_of: "list[PostingWhere] | None" = link("_and")
    any_of: "list[PostingWhere] | None" = link("_or")
    none_of: "PostingWhere | None" = link("_not")


def list_postings(
    reading: Reading, where: PostingWhere | None, order: PostingOrder, moment: Moment, first: int, after: str | None
) -> Connection[Posting]:
    """Return a page of the postings up to a moment.

    Raises:
        BadInput: ``first``, ``after`` or a filter breaks a rule.
    """
    check_first(first)
    where = given(where) or PostingWhere()
    check_size(where)
    key = (posting_table.c.position, posting_table.c.leg)
    by = Order(f"postings {order.value}", key, descending=order is PostingOrder.POSITION_DESC)
    lines = select(*POSTING_COLUMNS).join_from(
        posting_table, entry_table, entry_table.c.position == posting_table.c.position
    )
    whole = lines.where(_exactly(reading, where, moment))
    named = _necessary(where, account_table) is not None
    # Where just the accounts of the conditions are gone through, no line need be held against them again.
    lines = whole if not named or not _is_single(where) else lines.where(*_of_lines(reading, where, moment))
    if after is not None:
        lines = lines.where(by.beyond(by.decode(after)))
    lines = lines.order_by(*by.clauses()).limit(first + 1)
    if named:
        lines = _of_accounts(lines, where, by, first)
    found = lines.subquery("line")
    statement = (
        select(found, block_table.c.hash.label("block_hash"), *_account_columns())
        .join_from(found, account_table, account_table.c.account_id == found.c.account_id)
        .join(block_table, block_table.c.number == found.c.block_number)
    )
    outer = Order(by.name, (found.c.position, found.c.leg), by.descending)
    page = slice_of(reading.database.execute(statement.order_by(*outer.clauses())).all(), outer, first, after)
    return replace(page, counted=partial(count_of, reading.database, whole)).connect(
        postings_of(reading, page.rows, moment)
    )


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


def _exactly(reading: Reading, where: PostingWhere, moment: Moment) -> ColumnElement[bool]:
    def own(each: PostingWhere) -> list[ColumnElement[bool]]:
        conditions = _of_lines(reading, each, moment)
        if whose := _whose(each, account_table):
            ids = select(account_table.c.account_id).where(*whose)
            conditions.append(posting_table.c.account_id.in_(ids))
        return conditions

    return combined(where, own)


def _of_lines(reading: Reading, where: PostingWhere, moment: Moment) -> list[ColumnElement[bool]]:
    conditions = list(position_range(reading, where, posting_table.c.position, moment))
    if (asset := given(where.asset)) is not None:
        conditions.append(posting_table.c.asset_id == reading.asset_id(asset))
    if (assets := given(where.asset_in)) is not None:
        ids = [reading.asset_id(each) for each in at_most(assets, "asset_in")]
        conditions.append(posting_table.c.asset_id.in_(ids))
    conditions += one_of(where, "kind", entry_table.c.kind)
    conditions += one_of(where, "contract", entry_table.c.contract)
    conditions += compared(where, "amount", posting_table.c.amount)
    if (transaction := given(where.transaction_hash)) is not None:
        conditions.append(entry_table.c.transaction_hash == word(transaction, "transactionHash"))
    return conditions


def _whose(where: PostingWhere, whose: FromClause) -> list[ColumnElement[bool]]:
    conditions = list(one_of(where, "account", whose.c.name))
    if (holder := given(where.holder)) is not None:
        conditions.append(known(whose.c.holder, whose.c.holder == holder))
    if (holders := given(where.holder_in)) is not None:
        conditions.append(known(whose.c.holder, whose.c.holder.in_(at_most(holders, "holder_in"))))
    return conditions


def _is_single(where: PostingWhere) -> bool:
    of = parts(where)
    return not of.all_of and of.any_of is None and of.none_of is None


def _necessary(where: PostingWhere, whose: FromClause) -> ColumnElement[bool] | None:
    # What must be true of the account of every line that is meant, whatever else the conditions say; None if nothing.
    of = parts(where)
    found = _whose(where, whose)
    found += [each for part in of.all_of if (each := _necessary(part, whose)) is not None]
    if of.any_of:
        branches = [each for part in of.any_of if (each := _necessary(part, whose)) is not None]
        if len(branches) == len(of.any_of):
            found.append(or_(*branches))
    return and_(*found) if found else None


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
    necessary = _necessary(where, account)
    assert necessary is not None, where
    return (
        select(history)
        .select_from(account.join(asset, true()).join(history, true()))
        .where(necessary)
        .order_by(*Order(by.name, key, by.descending).clauses())
        .limit(first + 1)
    )


def _account_columns() -> list[ColumnElement[Any]]:
    # The postings' rows have an account_id already.
    return [column for column in ACCOUNT_COLUMNS if column is not account_table.c.account_id]
