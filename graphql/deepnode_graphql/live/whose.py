"""Whose postings: the conditions that the feeds of the books have in common."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, select

from deepnode_graphql.filters import given, text
from deepnode_graphql.reading import Reading
from deepnode_projections.tables import account as account_table
from deepnode_projections.tables import posting as posting_table


@dataclass(frozen=True, slots=True)
class Whose:
    """Postings of an account, of a holder's accounts, in an asset; None is no condition."""

    account: str | None
    holder: bytes | None
    asset_id: int | None

    @classmethod
    def of(cls, reading: Reading, where: Any) -> "Whose":
        """Read the conditions ``account``, ``holder`` and ``asset`` of a filter.

        Raises:
            BadInput: the asset is none of the books, or a name cannot be one.
        """
        account, asset = given(where.account), given(where.asset)
        return cls(
            None if account is None else text(account, "account"),
            given(where.holder),
            None if asset is None else reading.asset_id(text(asset, "asset")),
        )

    def __bool__(self) -> bool:
        """Say whether there is any condition."""
        return any(each is not None for each in (self.account, self.holder, self.asset_id))

    def conditions(self) -> list[ColumnElement[bool]]:
        """Write the conditions on postings."""
        conditions: list[ColumnElement[bool]] = []
        accounts = select(account_table.c.account_id)
        if self.account is not None:
            accounts = accounts.where(account_table.c.name == self.account)
        if self.holder is not None:
            accounts = accounts.where(account_table.c.holder == self.holder)
        if self.account is not None or self.holder is not None:
            conditions.append(posting_table.c.account_id.in_(accounts))
        if self.asset_id is not None:
            conditions.append(posting_table.c.asset_id == self.asset_id)
        return conditions


def whose_postings(whose: Whose, after: int, through: int) -> Select[Any]:
    """Write the query for the positions of somebody's postings."""
    position = posting_table.c.position
    return select(position).where(position > after, position <= through, *whose.conditions())
