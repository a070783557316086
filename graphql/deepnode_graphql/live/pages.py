"""Pages: what a subscriber is told next, out of one transaction.

A subscriber that carries out each message and resumes from the place of the last one holds, at every message, exactly
what the books have of its feed up to that place: nothing twice, nothing left out, nothing that a reorg took back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from deepnode_graphql.live.changes import Head, Retraction
from deepnode_graphql.live.feed import SCAN_POSITIONS, Feed, blocks_at
from deepnode_graphql.live.place import Resume, format_place
from deepnode_graphql.live.reorgs import followed, reorg_node
from deepnode_graphql.nodes import block_of, finality
from deepnode_graphql.reading import Reading
from deepnode_graphql.scalars import Long
from deepnode_ledger.errors import BadInput
from deepnode_ledger.record import BlockRef
from deepnode_ledger.subscription import START, Place


@dataclass(frozen=True, slots=True)
class Change:
    """A message before it is one: what all have in common, and the feed's content (None if it has no rows)."""

    head: Head
    content: Any


@dataclass(frozen=True, slots=True)
class Changes:
    """What comes next: ``place`` is behind it, and ``at_end`` says that it is all there is now."""

    changes: Sequence[Change]
    place: Place
    at_end: bool


def begin(reading: Reading, resume: Resume | None) -> Place:
    """Return where a stream starts: at the books' end, or where the client was.

    Raises:
        BadInput: the log was never where the client says it was; what it says and what is so are named.
    """
    checkpoint = reading.checkpoint
    if resume is None:
        return Place(checkpoint.position, checkpoint.reorg_number)
    end = reading.snapshot.head.last_position
    if resume.reorg is None:
        if resume.position > end:
            raise BadInput(f"from: position {resume.position} is above the log's last position, {end}")
        return START if resume.position == 0 else Place(resume.position, checkpoint.reorg_number)
    reorgs = reading.snapshot.reorgs(after=max(0, resume.reorg - 1))
    if resume.reorg and (not reorgs or reorgs[0].number != resume.reorg):
        raise BadInput(
            f"from: {format_place(resume)} is of reorg {resume.reorg}, which this log has not seen: it is another one "
            "or an older copy"
        )
    kept = min([resume.position, *(each.kept_position for each in reorgs if each.number > resume.reorg)])
    if kept > end:
        raise BadInput(
            f"from: {format_place(resume)} stands behind the log, which ends at {end}: it is another one or an older "
            "copy"
        )
    return Place(resume.position, resume.reorg)


def read_changes(reading: Reading, feed: Feed, place: Place, *, progress: bool = False, first: bool = False) -> Changes:
    """Return what comes behind a place: a retraction if there must be one, and then at most a page of rows.

    Args:
        reading: of the transaction.
        feed: what it is about.
        place: where the subscriber stands.
        progress: add a message without rows if the books are further than the last message says.
        first: whether the subscriber has only just come, so that with ``progress`` it is told where it stands.
    """
    end = reading.checkpoint
    if place.reorg > end.reorg_number:
        # These books are behind those that the subscriber saw, as those of another server may be: it waits.
        return Changes([], place, at_end=True)
    reorgs = list(followed(reading, place.reorg))
    kept = min([place.position, *(each.kept_position for each in reorgs)])
    here = Place(kept, end.reorg_number)
    changes: list[Change] = []
    if not feed.follows_positions:
        for each in reorgs:
            head = _head(reading, Place(min(place.position, each.kept_position), each.number), _block(reading, kept))
            changes.append(Change(head, reorg_node(each)))
        here = Place(max(kept, end.position), end.reorg_number)
    elif kept < place.position:
        retraction = Retraction(
            kept_position=Long(kept), from_position=Long(place.position), reorg=Long(end.reorg_number)
        )
        changes.append(Change(_head(reading, here, _block(reading, kept), retraction), None))
    if kept > end.position:
        return Changes(changes, here, at_end=True)
    if feed.follows_positions and kept < end.position:
        run = feed.read(reading, kept, min(end.position, kept + SCAN_POSITIONS))
        assert kept < run.through <= end.position, (kept, run.through, end.position)
        for group in run.groups:
            assert group.position <= run.through, (group.position, run.through)
            at = Place(group.position, end.reorg_number)
            changes.append(Change(_head(reading, at, group.block), group.content))
        here = Place(run.through, end.reorg_number)
    told = changes[-1].head.place if changes else None
    if progress and here != (told or (None if first else place)):
        changes.append(Change(_head(reading, here, _block(reading, here.position)), None))
    return Changes(changes, here, at_end=here.position >= end.position)


def _head(reading: Reading, place: Place, block: BlockRef | None, retraction: Retraction | None = None) -> Head:
    sealed = reading.sealed(place.position)
    return Head(place, block_of(block), finality(sealed=sealed), reading.checkpoint.sealed_position, retraction)


def _block(reading: Reading, position: int) -> BlockRef | None:
    return blocks_at(reading, [position])[position] if position else None
