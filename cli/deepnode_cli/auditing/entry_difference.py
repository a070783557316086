"""What is different between two runs of entries that begin with the first difference of two logs.

An entry's position is a part of what the tree commits to, so behind an entry that one log has and the other has not
everything differs. Here entries are compared without their positions, and a little ahead: then it shows whether
entries were left out or put in, changed, or stand in another order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

WINDOW_ENTRIES: Final = 64
"""How far is looked ahead."""

AGREEING_MIN: Final = 8
"""So many entries in a row must agree (or all that are left), to say that two logs go on together."""

Fields = Mapping[str, Any]
"""An entry by the names of the log's columns."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A field that differs, and what it is in each log."""

    field: str
    one: Any
    other: Any


@dataclass(frozen=True, slots=True)
class EntryDifference:
    """How two logs differ from ``position`` on.

    ``kind`` is ``changed`` (the entry is another one), ``missing`` (the first log has ``entries`` more there, which the
    second has not), ``added`` (the second has more), ``order`` (both have the same ``entries``, in another order),
    ``encoding`` (the entries are the same, but the tree says otherwise) or ``unlike`` (nothing is alike within what was
    looked at). ``doubled`` says that what is more repeats what stands before it. ``fields`` are those of the entry that
    differ, with both values.
    """

    kind: str
    position: int
    entries: int
    fields: Sequence[Changed]
    doubled: bool = False


def entry_difference(
    position: int, one: Sequence[Fields], other: Sequence[Fields], before: Sequence[Fields] = ()
) -> EntryDifference:
    """Say how two runs differ.

    Args:
        position: that of their first entries.
        one: entries of the first log from there on, ``WINDOW_ENTRIES`` or as many as it has.
        other: and of the second.
        before: the entries before them, which are the same in both.
    """
    ours, theirs = [_content(each) for each in one], [_content(each) for each in other]
    changed = _fields(one[0], other[0]) if one and other else ()
    if ours and theirs and ours[0] == theirs[0]:
        return EntryDifference("encoding", position, 1, changed)
    for count in range(1, max(len(ours), len(theirs))):
        if _go_on_together(ours[count:], theirs):
            return EntryDifference("missing", position, count, changed, _repeats(before, ours[:count]))
        if _go_on_together(ours, theirs[count:]):
            return EntryDifference("added", position, count, changed, _repeats(before, theirs[:count]))
        if _go_on_together(ours[count:], theirs[count:]):
            return _replaced(position, ours[:count], theirs[:count], changed)
    if len(ours) == len(theirs) < WINDOW_ENTRIES:
        # Both logs end within the window, and differ up to there.
        return _replaced(position, ours, theirs, changed)
    return EntryDifference("unlike", position, max(len(ours), len(theirs)), changed)


def _replaced(
    position: int, ours: Sequence[Fields], theirs: Sequence[Fields], changed: Sequence[Changed]
) -> EntryDifference:
    """Say what became of entries behind which the logs go on together."""
    is_order = len(ours) > 1 and sorted(map(repr, ours)) == sorted(map(repr, theirs))
    return EntryDifference("order" if is_order else "changed", position, len(ours), changed)


def _go_on_together(ours: Sequence[Fields], theirs: Sequence[Fields]) -> bool:
    shared = min(len(ours), len(theirs))
    # One run may end earlier than the other: both were cut at the same place, or a log ends there.
    return shared >= min(AGREEING_MIN, max(len(ours), len(theirs))) > 0 and ours[:shared] == theirs[:shared]


def _repeats(before: Sequence[Fields], more: Sequence[Fields]) -> bool:
    last = [_content(each) for each in before[-len(more) :]]
    return len(last) == len(more) and last == list(more)


def _content(entry: Fields) -> Fields:
    return {name: value for name, value in entry.items() if name != "position"}


def _fields(one: Fields, other: Fields) -> Sequence[Changed]:
    return tuple(Changed(name, one[name], other.get(name)) for name in one if one[name] != other.get(name))
