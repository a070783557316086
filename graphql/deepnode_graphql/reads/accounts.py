"""Reading accounts, and what their holders hold in all."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import strawberry
from sqlalchemy import ColumnElement, Row, Select, func, select

from deepnode_graphql.connections import Connection, read_slice
from deepnode_graphql.cursors import Order
from deepnode_graphql.filters import at_most, given, text
from deepnode_graphql.moments import Moment
from deepnode_graphql.nodes import Account, Amount, Balance, finality
from deepnode_graphql.reading import Reading
from deepnode_graphql.reads.combined import check_size, combined, known, link, one_of
from deepnode_graphql.reads.holdings import held_at
from deepnode_graphql.scalars import Address, BigInt, Hex, Long
from deepnode_graphql.together import Together
from deepnode_projections.tables import account as account_table

BY_NAME: Final = Order("accounts", (account_table.c.name,))

ACCOUNT_COLUMNS: Final = (
    account_table.c.account_id,
    account_table.c.name,
    account_table.c.owner,
    account_table.c.pocket,
    account_table.c.key,
    account_table.c.holder,
    account_table.c.first_position,
)
"""What ``account_of`` needs of a row."""


@strawberry.input
class AccountWhere:
    """Which accounts; all conditions that are given must hold.

    Attributes:
        name: exactly this name.
        name_in: one of these names.
        name_starts_with: names that begin so, such as `Collateral:Free:`.
        owner: `Wallet`, `Mint`, `Burn`, or the name of a contract.
        owner_in: one of these.
        pocket: the contract's pocket.
        pocket_in: one of these pockets.
        holder: the address whose token balance includes the account.
        holder_in: one of these addresses.
        first_position_gte: its first posting stands here or behind.
        first_position_lte: its first posting stands here or before.
    """

    name: str | None = strawberry.UNSET
    name_in: list[str] | None = strawberry.UNSET
    name_starts_with: str | None = strawberry.UNSET
    owner: str | None = strawberry.UNSET
    owner_in: list[str] | None = strawberry.UNSET
    pocket: str | None = strawberry.UNSET
    pocket_in: list[str] | None = strawberry.UNSET
    holder: Address | None = strawberry.UNSET
    holder_in: list[Address] | None = strawberry.UNSET
    first_position_gte: Long | None = strawberry.UNSET
    first_position_lte: Long | None = strawberry.UNSET
    all_of: "list[AccountWhere] | None" = link("_and")
    any_of: "list[AccountWhere] | None" = link("_or")
    none_of: "AccountWhere | None" = link("_not")


def find_account(reading: Reading, name: str, moment: Moment) -> Account | None:
    """Return the account of that name, or None if it had no posting at that moment yet."""
    row = reading.database.execute(_accounts(moment).where(account_table.c.name == text(name, "name"))).one_or_none()
    return None if row is None else accounts_of(reading, [row], moment)[0]


def list_accounts(
    reading: Reading, where: AccountWhere | None, moment: Moment, first: int, after: str | None
) -> Connection[Account]:
    """Return a page of the accounts that had a posting at that moment, by name.

    Raises:
        BadInput: ``first``, ``after`` or a filter breaks a rule.
    """
    statement = _accounts(moment).where(*_conditions(where))
    page = read_slice(reading.database, statement, BY_NAME, first, after)
    return page.connect(accounts_of(reading, page.rows, moment))


def list_accounts_of_holder(
    reading: Reading, holder: bytes, moment: Moment, first: int, after: str | None
) -> Connection[Account]:
    """Return a page of the accounts whose sum is an address's token balance, by name."""
    return list_accounts(reading, AccountWhere(holder=Address(holder)), moment, first, after)


def holder_totals(reading: Reading, holder: bytes, moment: Moment) -> list[Amount]:
    """Return what an address holds of each asset that it ever held: the sum over its accounts, its ``balanceOf``."""
    held = held_at(moment)
    rows = reading.database.execute(
        select(held.c.asset_id, func.sum(held.c.balance).label("total"))
        .join(account_table, account_table.c.account_id == held.c.account_id)
        .where(account_table.c.holder == holder)
        .group_by(held.c.asset_id)
        .order_by(held.c.asset_id)
    )
    return [Amount(asset=reading.assets[row.asset_id], amount=BigInt(row.total)) for row in rows]


def accounts_of(reading: Reading, rows: Iterable[Row[Any]], moment: Moment) -> list[Account]:
    """Make accounts of rows with ``ACCOUNT_COLUMNS``; their balances, if asked for, are fetched together."""
    rows = list(rows)
    made: dict[int, Account] = {}

    def fetch(ids: Sequence[int]) -> dict[int, list[Balance]]:
        return _balances(reading, made, ids, moment)

    together = Together((row.account_id for row in rows), fetch)
    for row in rows:
        if row.account_id not in made:
            made[row.account_id] = _account(row, together)
    return [made[row.account_id] for row in rows]


def _accounts(moment: Moment) -> Select[Any]:
    return select(*ACCOUNT_COLUMNS).where(account_table.c.first_position <= moment.position)


def _conditions(where: AccountWhere | None) -> list[ColumnElement[bool]]:
    where = given(where)
    if where is None:
        return []
    check_size(where)
    return [combined(where, _own)]


def _own(where: AccountWhere) -> list[ColumnElement[bool]]:
    table = account_table.c
    conditions = [part for name in ("name", "owner", "pocket") for part in one_of(where, name, table[name])]
    if (holder := given(where.holder)) is not None:
        conditions.append(known(table.holder, table.holder == holder))
    if (holders := given(where.holder_in)) is not None:
        conditions.append(known(table.holder, table.holder.in_(at_most(holders, "holder_in"))))
    if (prefix := given(where.name_starts_with)) is not None:
        # Names sort by bytes, so all that begin so lie between the prefix and the prefix with the last character.
        text(prefix, "name_starts_with")
        conditions += [table.name >= prefix, table.name < prefix + chr(0x10FFFF)]
    if (gte := given(where.first_position_gte)) is not None:
        conditions.append(table.first_position >= gte)
    if (lte := given(where.first_position_lte)) is not None:
        conditions.append(table.first_position <= lte)
    return conditions


def _account(row: Row[Any], together: Together[int, list[Balance]]) -> Account:
    return Account(
        account_id=row.account_id,
        balances_together=together,
        name=row.name,
        owner=row.owner,
        pocket=row.pocket,
        key=Hex(row.key) if row.key else None,
        holder=None if row.holder is None else Address(row.holder),
        first_position=Long(row.first_position),
    )


def _balances(
    reading: Reading, accounts: dict[int, Account], ids: Sequence[int], moment: Moment
) -> dict[int, list[Balance]]:
    held = held_at(moment)
    rows = reading.database.execute(
        select(held).where(held.c.account_id.in_(ids)).order_by(held.c.account_id, held.c.asset_id)
    )
    found: dict[int, list[Balance]] = {}
    for row in rows:
        found.setdefault(row.account_id, []).append(
            Balance(
                account=accounts[row.account_id],
                asset=reading.assets[row.asset_id],
                amount=BigInt(row.balance),
                position=Long(row.position),
                finality=finality(sealed=reading.sealed(row.position)),
            )
        )
    return found
