"""Reading balances: of any account in any asset, at any moment."""

from enum import Enum
from typing import Any, Final

import strawberry
from sqlalchemy import ColumnElement, FromClause, select

from deepnode_graphql.connections import Connection, read_slice
from deepnode_graphql.cursors import Order
from deepnode_graphql.filters import at_most, given, text
from deepnode_graphql.moments import Moment
from deepnode_graphql.nodes import Balance, finality
from deepnode_graphql.reading import Reading
from deepnode_graphql.reads.accounts import ACCOUNT_COLUMNS, accounts_of
from deepnode_graphql.reads.combined import check_size, combined, compared, known, link
from deepnode_graphql.reads.holdings import held_at
from deepnode_graphql.scalars import Address, BigInt, Long
from deepnode_projections.tables import account as account_table


@strawberry.enum
class BalanceOrder(Enum):
    """How balances are sorted.

    Attributes:
        ACCOUNT_ASC: by the name of the account, then by asset.
        ACCOUNT_DESC: the other way round.
        BALANCE_ASC: the smallest amount of base units first.
        BALANCE_DESC: the largest amount of base units first.
    """

    ACCOUNT_ASC = "ACCOUNT_ASC"
    ACCOUNT_DESC = "ACCOUNT_DESC"
    BALANCE_ASC = "BALANCE_ASC"
    BALANCE_DESC = "BALANCE_DESC"


@strawberry.input
class BalanceWhere:
    """Which balances; all conditions that are given must hold.

    Attributes:
        account: the name of the account.
        account_in: one of these names.
        asset: a symbol, or the address of a token.
        asset_in: one of these.
        holder: the address whose token balance includes the account.
        holder_in: one of these addresses.
        amount_gt: more than this, in base units.
        amount_gte: this or more.
        amount_lt: less than this.
        amount_lte: this or less.
        position_gt: last changed behind this position.
        non_zero: true leaves out balances of nothing.
    """

    account: str | None = strawberry.UNSET
    account_in: list[str] | None = strawberry.UNSET
    asset: str | None = strawberry.UNSET
    asset_in: list[str] | None = strawberry.UNSET
    holder: Address | None = strawberry.UNSET
    holder_in: list[Address] | None = strawberry.UNSET
    amount_gt: BigInt | None = strawberry.UNSET
    amount_gte: BigInt | None = strawberry.UNSET
    amount_lt: BigInt | None = strawberry.UNSET
    amount_lte: BigInt | None = strawberry.UNSET
    position_gt: Long | None = strawberry.UNSET
    non_zero: bool | None = strawberry.UNSET
    all_of: "list[BalanceWhere] | None" = link("_and")
    any_of: "list[BalanceWhere] | None" = link("_or")
    none_of: "BalanceWhere | None" = link("_not")


def list_balances(
    reading: Reading,
    where: BalanceWhere | None,
    order: BalanceOrder,
    moment: Moment,
    first: int,
    after: str | None,
) -> Connection[Balance]:
    """Return a page of balances at a moment.

    Raises:
        BadInput: ``first``, ``after`` or a filter breaks a rule.
    """
    held = held_at(moment)
    statement = (
        select(*ACCOUNT_COLUMNS, held.c.asset_id, held.c.balance, held.c.position)
        .join_from(held, account_table, account_table.c.account_id == held.c.account_id)
        .where(*_conditions(reading, where, held))
    )
    page = read_slice(reading.database, statement, _order(order, held), first, after)
    accounts = accounts_of(reading, page.rows, moment)
    return page.connect(
        [
            Balance(
                account=account,
                asset=reading.assets[row.asset_id],
                amount=BigInt(row.balance),
                position=Long(row.position),
                finality=finality(sealed=reading.sealed(row.position)),
            )
            for row, account in zip(page.rows, accounts, strict=True)
        ]
    )


_DESCENDING: Final = frozenset({BalanceOrder.ACCOUNT_DESC, BalanceOrder.BALANCE_DESC})


def _order(order: BalanceOrder, held: FromClause) -> Order:
    key: tuple[ColumnElement[Any], ...] = (account_table.c.name, held.c.asset_id)
    if order in (BalanceOrder.BALANCE_ASC, BalanceOrder.BALANCE_DESC):
        key = (held.c.balance, *key)
    return Order(f"balances {order.value}", key, descending=order in _DESCENDING)


def _conditions(reading: Reading, where: BalanceWhere | None, held: FromClause) -> list[ColumnElement[bool]]:
    where = given(where)
    if where is None:
        return []
    check_size(where)
    return [combined(where, lambda each: _own(reading, each, held))]


def _own(reading: Reading, where: BalanceWhere, held: FromClause) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    holder_of = account_table.c.holder
    if (account := given(where.account)) is not None:
        conditions.append(account_table.c.name == text(account, "account"))
    if (accounts := given(where.account_in)) is not None:
        names = [text(name, "account_in") for name in at_most(accounts, "account_in")]
        conditions.append(account_table.c.name.in_(names))
    if (asset := given(where.asset)) is not None:
        conditions.append(held.c.asset_id == reading.asset_id(asset))
    if (assets := given(where.asset_in)) is not None:
        conditions.append(held.c.asset_id.in_([reading.asset_id(each) for each in at_most(assets, "asset_in")]))
    if (holder := given(where.holder)) is not None:
        conditions.append(known(holder_of, holder_of == holder))
    if (holders := given(where.holder_in)) is not None:
        conditions.append(known(holder_of, holder_of.in_(at_most(holders, "holder_in"))))
    conditions += compared(where, "amount", held.c.balance)
    if (behind := given(where.position_gt)) is not None:
        conditions.append(held.c.position > behind)
    if given(where.non_zero):
        conditions.append(held.c.balance != 0)
    return conditions
