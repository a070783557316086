"""The network at a moment, in a few figures. Each is read only if it is asked for, from records and never a history."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

import strawberry
from sqlalchemy import MetaData, func, select

from deepnode_graphql.moments import At, Moment
from deepnode_graphql.nodes import Asset, Info
from deepnode_graphql.reading import Reading
from deepnode_graphql.reads.holdings import held_at
from deepnode_graphql.registers.names import names_of
from deepnode_graphql.registers.register import Register
from deepnode_graphql.registers.states import state_at
from deepnode_graphql.scalars import BigInt, Long
from deepnode_ledger.account import BURN, MINT
from deepnode_projections.registers.record import Record
from deepnode_projections.registers.tables import table_of
from deepnode_projections.rules.epochs import CurrentEpoch
from deepnode_projections.rules.governance import VotingPower
from deepnode_projections.rules.registry import Model, Node
from deepnode_projections.rules.staking import StakeTotal
from deepnode_projections.tables import account as account_table

_EPOCHS = table_of(CurrentEpoch, MetaData())

NETWORK: Final[tuple[type[Record], ...]] = (CurrentEpoch, Model, Node, StakeTotal, VotingPower)
"""The kinds that the figures are made of."""


@strawberry.type
class NetworkSupply:
    """What there is of a token.

    Attributes:
        asset: which token.
        minted: everything that was ever minted, in base units.
        burned: everything that was ever burned.
        supply: minted and not burned.
    """

    asset: Asset
    minted: BigInt
    burned: BigInt
    supply: BigInt


@strawberry.type
class NodeCount:
    """How many nodes there are of a sort.

    Attributes:
        role: 1 for miners, 2 for validators.
        active: whether they are there, or have left.
        count: how many.
    """

    role: int
    active: bool
    count: Long


@strawberry.type
class ModelCount:
    """How many models there are of a status.

    Attributes:
        status: 1 registered, 2 active, 3 paused, 4 retired.
        count: how many.
    """

    status: int
    count: Long


@strawberry.type
class StakedAmount:
    """What is staked on a sort of targets.

    Attributes:
        target_type: 1 for validators, 2 for miners, 3 for models, 4 for domains.
        targets: how many of them something is staked on.
        amount: all of it, in base units of DN.
    """

    target_type: int
    targets: Long
    amount: BigInt


@strawberry.type
class Network:
    """The network at a moment. For sums of revenue, work, rewards and burns see the fields `sumsOf…`.

    Attributes:
        position: the log entry behind which it was so.
    """

    moment: strawberry.Private[Moment]
    reading: strawberry.Private[Reading]
    position: Long

    @strawberry.field
    def open_epoch(self) -> Long | None:
        """The epoch that is open; null before the first."""
        return _open_epoch(self.reading, self.moment)

    @strawberry.field
    def supplies(self) -> list[NetworkSupply]:
        """What there is of each token: two accounts of each are read."""
        return _supplies(self.reading, self.moment)

    @strawberry.field
    def nodes(self) -> list[NodeCount]:
        """How many nodes there are, by role and whether they are active: the newest record of each node is read."""
        rows = _counted(self.reading, self.moment, Node, ("role", "active"))
        return [NodeCount(role=row.role, active=row.active, count=Long(row.rows)) for row in rows]

    @strawberry.field
    def models(self) -> list[ModelCount]:
        """How many models there are, by status: the newest record of each model is read."""
        rows = _counted(self.reading, self.moment, Model, ("status",))
        return [ModelCount(status=row.status, count=Long(row.rows)) for row in rows]

    @strawberry.field
    def stakers(self) -> Long:
        """How many addresses have something staked: the newest sum of each staker is read."""
        state = state_at(_register(VotingPower), self.moment, by_key=True)
        statement = select(func.count()).select_from(state).where(state.c.amount > 0)
        return Long(self.reading.database.execute(statement).scalar_one())

    @strawberry.field
    def staked(self) -> list[StakedAmount]:
        """What is staked, by the sort of target: the newest sum of each target is read."""
        state = state_at(_register(StakeTotal), self.moment, by_key=True)
        statement = (
            select(state.c.target_type, func.count().label("targets"), func.sum(state.c.amount).label("total"))
            .where(state.c.amount > 0)
            .group_by(state.c.target_type)
            .order_by(state.c.target_type)
        )
        return [
            StakedAmount(target_type=row.target_type, targets=Long(row.targets), amount=BigInt(row.total))
            for row in self.reading.database.execute(statement)
        ]


def network_field() -> Any:
    """Make the root field."""

    def network(
        info: Info,
        at: Annotated[At | None, strawberry.argument(description="The moment; the books' end if left out.")] = (
            strawberry.UNSET
        ),
    ) -> Network:
        moment = info.context.moment(at)
        return Network(moment=moment, reading=info.context, position=Long(moment.position))

    return strawberry.field(resolver=network, description="The network at a moment, in a few figures.")


def _open_epoch(reading: Reading, moment: Moment) -> Long | None:
    statement = (
        select(_EPOCHS.c.epoch)
        .where(_EPOCHS.c.of == "emission", _EPOCHS.c.position <= moment.position)
        .order_by(_EPOCHS.c.position.desc())
        .limit(1)
    )
    found = reading.database.execute(statement).scalar()
    return None if found is None else Long(found)


def _supplies(reading: Reading, moment: Moment) -> list[NetworkSupply]:
    held = held_at(moment)
    statement = (
        select(account_table.c.name, held.c.asset_id, held.c.balance)
        .join(account_table, account_table.c.account_id == held.c.account_id)
        .where(account_table.c.name.in_([MINT.name, BURN.name]))
    )
    found = {(row.name, row.asset_id): row.balance for row in reading.database.execute(statement)}
    made = []
    for asset_id, asset in reading.assets.items():
        minted, burned = -found.get((MINT.name, asset_id), 0), found.get((BURN.name, asset_id), 0)
        made.append(
            NetworkSupply(asset=asset, minted=BigInt(minted), burned=BigInt(burned), supply=BigInt(minted - burned))
        )
    return made


def _counted(reading: Reading, moment: Moment, kind: type[Record], by: Sequence[str]) -> Sequence[Any]:
    state = state_at(_register(kind), moment, by_key=True)
    of = [state.c[name] for name in by]
    return reading.database.execute(select(*of, func.count().label("rows")).group_by(*of).order_by(*of)).all()


def _register(kind: type[Record]) -> Register:
    return Register(kind, names_of(kind, set(), set()))
