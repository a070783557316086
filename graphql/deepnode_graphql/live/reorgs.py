"""The feed of reorgs. A reorg is never taken back: its row stays when the next one comes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from typing_extensions import override

from deepnode_graphql.live.changes import Head, ReorgsChange
from deepnode_graphql.live.feed import Feed, Run
from deepnode_graphql.reading import Reading
from deepnode_graphql.reads.without_effect import Reorg
from deepnode_graphql.scalars import Hex, Long
from deepnode_ledger.snapshot import Reorg as ReorgRecord


@dataclass(frozen=True, slots=True)
class ReorgsFeed(Feed):
    """Every reorg that the books have followed."""

    follows_positions = False

    @override
    def read(self, reading: Reading, after: int, through: int) -> Run:
        return Run([], through)

    @override
    def message(self, head: Head, content: Any) -> ReorgsChange:
        return ReorgsChange(**head.fields(), reorg=content)


def followed(reading: Reading, after: int) -> Iterator[ReorgRecord]:
    """Return the reorgs numbered above ``after`` that the books have followed, oldest first."""
    for each in reading.snapshot.reorgs(after=after):
        # The log may have one more, which the next step of the projections follows.
        if each.number <= reading.checkpoint.reorg_number:
            yield each


def reorg_node(record: ReorgRecord) -> Reorg:
    """Return the node of a reorg."""
    return Reorg(
        number=Long(record.number),
        kept_position=Long(record.kept_position),
        kept_block=Long(record.kept_block),
        old_tip_number=Long(record.old_tip[0]),
        old_tip_hash=Hex(record.old_tip[1]),
        new_tip_number=Long(record.new_tip[0]),
        new_tip_hash=Hex(record.new_tip[1]),
    )
