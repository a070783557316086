"""Holdings: what every account held at a moment, as a source for other queries.

At the books' end this is the table of the present. Before it, the newest posting at or before the position is looked up
for each account and asset by the index that keeps them in that order: one index entry each, never a sum.
"""

from sqlalchemy import FromClause, select, true

from deepnode_graphql.moments import Moment
from deepnode_projections.tables import account, asset, balance, posting


def held_at(moment: Moment) -> FromClause:
    """Return rows of (account_id, asset_id, balance, position): the position is that of the last posting."""
    if moment.present:
        return select(balance).subquery("held")
    latest = (
        select(posting.c.balance, posting.c.position)
        .where(posting.c.account_id == account.c.account_id)
        .where(posting.c.asset_id == asset.c.asset_id)
        .where(posting.c.position <= moment.position)
        .order_by(posting.c.position.desc(), posting.c.leg.desc())
        .limit(1)
        .lateral("latest")
    )
    return (
        select(account.c.account_id, asset.c.asset_id, latest.c.balance, latest.c.position)
        .select_from(account.join(asset, true()).join(latest, true()))
        .where(account.c.first_position <= moment.position)
        .subquery("held")
    )
