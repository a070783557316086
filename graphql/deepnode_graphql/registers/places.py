"""Where a record comes from: the entry of the log at its position, and what that entry did to the accounts."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from deepnode_graphql.nodes import Entry
from deepnode_graphql.reads.entries import entries_at
from deepnode_graphql.reads.log_entries import LogEntry, log_entries_at
from deepnode_graphql.registers.arguments import field
from deepnode_graphql.registers.links import Link
from deepnode_graphql.registers.reads import Records
from deepnode_projections.registers.record import Key


def places_of(taken: Iterable[str]) -> Sequence[Link]:
    """Return the two fields that lead from a record to where it comes from; ``taken`` are its own fields' names."""
    names = {*taken}
    log_entry, entry = (name if name not in names else f"{name}Record" for name in ("logEntry", "entry"))
    said = "The entry of the log at `position`, by which it came to be so."
    moved = "What the entry at `position` did to the accounts. Null if it moved nothing."
    return [
        Link(log_entry, field(_log_entry, [], LogEntry | None, log_entry, said, of_root=False), LogEntry, many=False),
        Link(entry, field(_entry, [], Entry | None, entry, moved, of_root=False), Entry, many=False),
    ]


def _log_entry(root: Any) -> LogEntry | None:
    page: Records = root.records_

    def fetch(keys: Sequence[Key]) -> Mapping[Key, LogEntry]:
        found = log_entries_at(page.reading, [int(position) for [position] in keys], page.moment)  # type: ignore[arg-type] # a number
        return {(position,): entry for position, entry in found.items()}

    return page.together("logEntry", lambda: _positions(page), fetch).get((root.position,), None)


def _entry(root: Any) -> Entry | None:
    page: Records = root.records_

    def fetch(keys: Sequence[Key]) -> Mapping[Key, Entry]:
        found = entries_at(page.reading, [int(position) for [position] in keys], page.moment)  # type: ignore[arg-type] # a number
        return {(position,): entry for position, entry in found.items()}

    return page.together("entry", lambda: _positions(page), fetch).get((root.position,), None)


def _positions(page: Records) -> Iterable[Key]:
    return [(node.position,) for node in page.nodes]
