"""Changes: the messages of subscriptions, each with the place behind it.

A message either brings rows of one block, or takes back: then ``retraction`` is set, there are no rows, and everything
that was told behind ``position`` is so no more. What is there instead comes next.
"""

from dataclasses import dataclass
from typing import Any

import strawberry

from deepnode_graphql.live.place import LivePlace, Resume
from deepnode_graphql.nodes import Balance, Block, Entry, Finality
from deepnode_graphql.reads.without_effect import Reorg
from deepnode_graphql.scalars import Long
from deepnode_ledger.subscription import Place


@strawberry.type
class Retraction:
    """The chain replaced blocks: what was told behind a position is taken back.

    Attributes:
        kept_position: everything behind this position is taken back; what stands at or before it stays.
        from_position: how far the subscriber had come.
        reorg: the number of the last reorg that this is of, as in `reorgs`.
    """

    kept_position: Long
    from_position: Long
    reorg: Long


@strawberry.type
class LiveChange:
    """What all messages have."""

    place: LivePlace = strawberry.field(
        description="Where the subscriber stands behind this message: what to give as `from` to go on from here."
    )
    position: Long = strawberry.field(description="All log entries up to this position are told of.")
    block: Block | None = strawberry.field(
        description="The block that it is of; the last one that stays, in a retraction."
    )
    finality: Finality = strawberry.field(description="Whether what the message brings can still be taken back.")
    sealed_position: Long = strawberry.field(
        description="Nothing up to this log entry is ever taken back, whatever was told of its finality before."
    )
    retraction: Retraction | None = strawberry.field(
        description="If set, everything that was told behind `position` is taken back, and the message has no rows."
    )


@strawberry.type
class EntriesChange(LiveChange):
    """Accounting entries that came into the books, or that were taken back.

    Attributes:
        entries: what events of the block did to the books, in the order of the log.
    """

    entries: list[Entry]


@strawberry.type
class BalancesChange(LiveChange):
    """Balances that a block changed, or that were taken back.

    Attributes:
        balances: what accounts hold behind this message, of each asset that moved; in the order of the last changes.
    """

    balances: list[Balance]


@strawberry.type
class ReorgsChange(LiveChange):
    """A reorg that the books have followed.

    Attributes:
        reorg: the reorg; null in a message that only tells how far the books are.
    """

    reorg: Reorg | None


@dataclass(frozen=True, slots=True)
class Head:
    """What all kinds of messages have in common."""

    place: Place
    block: Block | None
    finality: Finality
    sealed_position: int
    retraction: Retraction | None = None

    def fields(self) -> dict[str, Any]:
        """Return the fields of a message's type."""
        return {
            "place": LivePlace(Resume(self.place.position, self.place.reorg)),
            "position": Long(self.place.position),
            "block": self.block,
            "finality": self.finality,
            "sealed_position": Long(self.sealed_position),
            "retraction": self.retraction,
        }
