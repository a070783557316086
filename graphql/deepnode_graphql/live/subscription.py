"""The schema's subscriptions: what can be followed, and which feed has it."""

from collections.abc import AsyncGenerator, Iterable, Mapping
from inspect import Parameter, Signature
from typing import Annotated, Any, cast

import strawberry

from deepnode_graphql.filters import given
from deepnode_graphql.live.balances import LiveBalanceWhere, balances_feed
from deepnode_graphql.live.changes import BalancesChange, EntriesChange, LiveChange, ReorgsChange
from deepnode_graphql.live.distributions import KINDS, LiveDistributionWhere, Told, distributions_feed
from deepnode_graphql.live.entries import LiveEntryWhere, entries_feed
from deepnode_graphql.live.feed import Asked, Feed
from deepnode_graphql.live.place import LivePlace
from deepnode_graphql.live.reorgs import ReorgsFeed
from deepnode_graphql.nodes import Info
from deepnode_graphql.registers.register import registers_of
from deepnode_projections.registers.record import Record

From = Annotated[
    LivePlace | None,
    strawberry.argument(
        name="from", description="The place behind which to go on: that of the last message seen. Now, if left out."
    ),
]
Progress = Annotated[
    bool,
    strawberry.argument(description="Also tell the place at once, and when the books go on without rows for you."),
]


@strawberry.type
class Subscription:
    """What can be followed. Messages come in the order of the log; a reorg takes back before it brings."""

    @strawberry.subscription
    def entries(
        self,
        info: Info,
        from_: From = strawberry.UNSET,
        where: LiveEntryWhere | None = strawberry.UNSET,
        progress: Progress = False,
    ) -> AsyncGenerator[EntriesChange, None]:
        """What events do to the books, block by block."""
        return _asked(entries_feed(info.context, where), from_, progress)

    @strawberry.subscription
    def balances(
        self,
        info: Info,
        from_: From = strawberry.UNSET,
        where: LiveBalanceWhere | None = strawberry.UNSET,
        progress: Progress = False,
    ) -> AsyncGenerator[BalancesChange, None]:
        """What accounts hold, as each block changes it."""
        return _asked(balances_feed(info.context, where), from_, progress)

    @strawberry.subscription
    def reorgs(self, from_: From = strawberry.UNSET, progress: Progress = False) -> AsyncGenerator[ReorgsChange, None]:
        """The reorgs that the books follow."""
        return _asked(ReorgsFeed(), from_, progress)


def subscription_type(
    kinds: Iterable[type[Record]],
    taken_types: Iterable[str],
    taken_fields: Iterable[str],
    query_fields: Mapping[str, Any],
) -> type:
    """Make the type of subscriptions of a schema with these kinds of records.

    Args:
        kinds: the records' classes.
        taken_types: the names of the schema's other types, as the query's fields were made with.
        taken_fields: the names of the other root fields, in the same way.
        query_fields: the query's fields that find and list the records: the nodes here are of their types.
    """
    registers = {each.kind: each for each in registers_of(kinds, taken_types, taken_fields)}
    told = tuple(
        Told(registers[kind], query_fields[registers[kind].names.one].type.of_type)
        for kind in KINDS.values()
        if kind in registers
    )
    members: dict[str, Any] = {"__doc__": Subscription.__doc__}
    if told:
        members["distributions"] = _distributions(told)
    return strawberry.type(type(Subscription.__name__, (Subscription,), members))


def _distributions(told: tuple[Told, ...]) -> Any:
    annotations: dict[str, Any] = {each.register.names.many: list[each.node] for each in told}  # type: ignore[name-defined] # made here
    members: dict[str, Any] = {
        each.register.names.many: strawberry.field(
            name=each.register.names.many, description=f"Records of `{each.register.names.one}` that came."
        )
        for each in told
    }
    bases = {"__annotations__": annotations, "__module__": __name__, "__doc__": _CHANGE, **members}
    change: Any = strawberry.type(type("DistributionsChange", (LiveChange,), bases))

    def follow(
        self: Any, info: Any, from_: Any = strawberry.UNSET, where: Any = strawberry.UNSET, progress: Any = False
    ) -> Any:
        return _asked(distributions_feed(info.context, where, told, change), from_, progress)

    unset = strawberry.UNSET
    where_type = LiveDistributionWhere | None
    follow.__signature__ = Signature(  # type: ignore[attr-defined] # read by the library
        [
            Parameter("self", Parameter.POSITIONAL_OR_KEYWORD),
            Parameter("info", Parameter.POSITIONAL_OR_KEYWORD, annotation=strawberry.Info),
            Parameter("from_", Parameter.POSITIONAL_OR_KEYWORD, annotation=From, default=unset),
            Parameter("where", Parameter.POSITIONAL_OR_KEYWORD, annotation=where_type, default=unset),
            Parameter("progress", Parameter.POSITIONAL_OR_KEYWORD, annotation=Progress, default=False),
        ],
        return_annotation=AsyncGenerator[change, None],
    )
    follow.__doc__ = "How pools are divided, who is rewarded, which roots there are, and what is claimed of them."
    return strawberry.subscription(resolver=follow, name="distributions", description=follow.__doc__)


def _asked(feed: Feed, resume: Any, progress: bool) -> AsyncGenerator[Any, None]:
    return cast("AsyncGenerator[Any, None]", Asked(feed, given(resume), progress))


_CHANGE = """Records of distributions that came into the books, or that were taken back."""
