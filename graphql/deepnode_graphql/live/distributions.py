"""The feed of distributions: records of who gets what of an epoch, and of what was claimed of it, as they come.

The messages are made of the records' declarations, as the root fields of the query are: one list for each kind, of the
same nodes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any, Final

import strawberry
from sqlalchemy import ColumnElement, select
from typing_extensions import override

from deepnode_graphql.filters import given
from deepnode_graphql.live.changes import Head, LiveChange
from deepnode_graphql.live.feed import ROWS_MAX, Feed, Group, Run, by_block, moment_of, whole_positions
from deepnode_graphql.moments import Moment
from deepnode_graphql.reading import Reading
from deepnode_graphql.registers.reads import Records
from deepnode_graphql.registers.register import Register
from deepnode_graphql.scalars import Address, Hex, Long
from deepnode_projections.registers.record import Record
from deepnode_projections.rules.emission import Allocation, ClaimedTotal, Root
from deepnode_projections.rules.pools import Reward

KINDS: Final[Mapping[str, type[Record]]] = {
    "ALLOCATIONS": Allocation,
    "REWARDS": Reward,
    "REWARD_ROOTS": Root,
    "CLAIMED_TOTALS": ClaimedTotal,
}
"""What is told of, by the names of ``DistributionKind``."""


@strawberry.enum
class DistributionKind(Enum):
    """What a stream of distributions tells of.

    Attributes:
        ALLOCATIONS: how pools were divided.
        REWARDS: the lines of rewards.
        REWARD_ROOTS: the roots that earners claim by.
        CLAIMED_TOTALS: what earners have claimed.
    """

    ALLOCATIONS = "ALLOCATIONS"
    REWARDS = "REWARDS"
    REWARD_ROOTS = "REWARD_ROOTS"
    CLAIMED_TOTALS = "CLAIMED_TOTALS"


@strawberry.input
class LiveDistributionWhere:
    """Which distributions; all conditions that are given must hold. A kind that has no such field is left out.

    Attributes:
        kinds: only of these kinds.
        epoch: of this epoch.
        domain: of this domain (32 bytes).
        asset: of this asset: a symbol, or the address of a token.
        earner: of this earner.
    """

    kinds: list[DistributionKind] | None = strawberry.UNSET
    epoch: Long | None = strawberry.UNSET
    domain: Hex | None = strawberry.UNSET
    asset: str | None = strawberry.UNSET
    earner: Address | None = strawberry.UNSET


@dataclass(frozen=True, slots=True)
class Told:
    """A kind of record that is told of: its register, and the type of its nodes in the schema."""

    register: Register
    node: type


@dataclass(frozen=True, slots=True)
class _Row:
    position: int
    told: Told
    values: Any


@dataclass(frozen=True, slots=True)
class DistributionsFeed(Feed):
    """Records of some kinds whose fields have these values; ``change`` is the type of the messages."""

    told: tuple[Told, ...]
    values: Mapping[str, Any]
    change: type[LiveChange]
    every: tuple[Told, ...]

    @override
    def read(self, reading: Reading, after: int, through: int) -> Run:
        found: list[_Row] = []
        for each in self.told:
            position = each.register.table.c.position
            rows = self._rows(reading, each, [position > after, position <= through], ROWS_MAX + 1)
            cut = whole_positions(rows, through, partial(self._at, reading, each))
            found += [_Row(row.position, each, row) for row in cut.rows]
            # What the other kinds have behind this comes with the next page.
            through = cut.through
        found = sorted((row for row in found if row.position <= through), key=lambda row: row.position)
        groups = [
            Group(group.position, group.block, self._nodes(reading, rows, moment_of(reading, group)))
            for group, rows in by_block(reading, found, lambda row: row.position)
        ]
        return Run(groups, through)

    @override
    def message(self, head: Head, content: Any) -> LiveChange:
        lists: dict[str, list[Any]] = {each.register.names.many: [] for each in self.every}
        fields: dict[str, Any] = {**head.fields(), **lists, **(content or {})}
        return self.change(**fields)

    def _rows(self, reading: Reading, told: Told, where: list[ColumnElement[bool]], limit: int | None) -> Sequence[Any]:
        table = told.register.table
        fields = [table.c[each.name] for each in told.register.fields]
        key = [table.c[each.name] for each in told.register.key]
        conditions = [*where, *(table.c[name] == value for name, value in self.values.items())]
        statement = select(*fields, table.c.position).where(*conditions).order_by(table.c.position, *key)
        return reading.database.execute(statement.limit(limit)).all()

    def _at(self, reading: Reading, told: Told, position: int) -> Sequence[Any]:
        return self._rows(reading, told, [told.register.table.c.position == position], None)

    def _nodes(self, reading: Reading, rows: Sequence[_Row], moment: Moment) -> dict[str, list[Any]]:
        lists: dict[str, list[Any]] = {}
        for each in self.told:
            own = [row.values for row in rows if row.told is each]
            if own:
                lists[each.register.names.many] = Records(reading, each.register, each.node, own, moment).nodes
        return lists


def distributions_feed(
    reading: Reading, where: LiveDistributionWhere | None, told: tuple[Told, ...], change: type[LiveChange]
) -> DistributionsFeed:
    """Make the feed of what a client asks for.

    Raises:
        BadInput: a condition breaks a rule.
    """
    where = given(where) or LiveDistributionWhere()
    values = {
        name: value for name in ("epoch", "domain", "earner") if (value := given(getattr(where, name))) is not None
    }
    if (asset := given(where.asset)) is not None:
        values["asset"] = reading.assets[reading.asset_id(asset)].address
    kinds = given(where.kinds)
    wanted = None if kinds is None else {KINDS[each.value] for each in kinds}
    chosen = tuple(
        each
        for each in told
        if (wanted is None or each.register.kind in wanted)
        and set(values) <= {field.name for field in each.register.fields}
    )
    return DistributionsFeed(chosen, values, change, told)
