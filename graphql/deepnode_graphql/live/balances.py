"""The feed of balances: what blocks changed, as it is behind them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import strawberry
from sqlalchemy import ColumnElement, select
from typing_extensions import override

from deepnode_graphql.filters import given
from deepnode_graphql.live.changes import BalancesChange, Head
from deepnode_graphql.live.feed import ROWS_MAX, Cut, OfPositions, whole_positions
from deepnode_graphql.live.whose import Whose
from deepnode_graphql.moments import Moment
from deepnode_graphql.nodes import Balance, finality
from deepnode_graphql.reading import Reading
from deepnode_graphql.reads.accounts import ACCOUNT_COLUMNS, accounts_of
from deepnode_graphql.scalars import Address, BigInt, Long
from deepnode_projections.tables import account as account_table
from deepnode_projections.tables import posting as posting_table


@strawberry.input
class LiveBalanceWhere:
    """Which balances; all conditions that are given must hold.

    Attributes:
        account: of the account of this name.
        holder: of the accounts that this address's token balance includes.
        asset: in this asset: a symbol, or the address of a token.
    """

    account: str | None = strawberry.UNSET
    holder: Address | None = strawberry.UNSET
    asset: str | None = strawberry.UNSET


@dataclass(frozen=True, slots=True)
class BalancesFeed(OfPositions):
    """Balances of somebody. The rows are postings, of which each has the balance behind it."""

    whose: Whose

    @override
    def rows(self, reading: Reading, after: int, through: int) -> Cut:
        position = posting_table.c.position
        rows = self._postings(reading, [position > after, position <= through], ROWS_MAX + 1)
        return whole_positions(rows, through, lambda one: self._postings(reading, [position == one], None))

    @override
    def content(self, reading: Reading, rows: Sequence[Any], moment: Moment) -> list[Balance]:
        last: dict[tuple[int, int], Any] = {}
        for row in rows:
            key = (row.account_id, row.asset_id)
            last.pop(key, None)
            last[key] = row
        changed = list(last.values())
        return [
            Balance(
                account=account,
                asset=reading.assets[row.asset_id],
                amount=BigInt(row.balance),
                position=Long(row.position),
                finality=finality(sealed=reading.sealed(row.position)),
            )
            for row, account in zip(changed, accounts_of(reading, changed, moment), strict=True)
        ]

    @override
    def message(self, head: Head, content: Any) -> BalancesChange:
        return BalancesChange(**head.fields(), balances=content or [])

    def _postings(self, reading: Reading, where: list[ColumnElement[bool]], limit: int | None) -> Sequence[Any]:
        return reading.database.execute(
            select(*ACCOUNT_COLUMNS, posting_table.c.position, posting_table.c.asset_id, posting_table.c.balance)
            .join_from(posting_table, account_table, account_table.c.account_id == posting_table.c.account_id)
            .where(*where, *self.whose.conditions())
            .order_by(posting_table.c.position, posting_table.c.leg)
            .limit(limit)
        ).all()


def balances_feed(reading: Reading, where: LiveBalanceWhere | None) -> BalancesFeed:
    """Make the feed of what a client asks for.

    Raises:
        BadInput: a condition breaks a rule.
    """
    return BalancesFeed(Whose.of(reading, given(where) or LiveBalanceWhere()))
