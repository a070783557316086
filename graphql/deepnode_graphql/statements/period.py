"""Periods: from when until when a statement is, as people write it, and what that is in the books.

Days are those of UTC. A year, a month or a day stands for all of it: from its first second for the beginning, to its
last for the end. A moment (``2026-10-01T12:00:00Z``) is exact, and as an end does not belong to the period itself.
``block:N`` and ``epoch:N`` belong to the period as a whole.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from deepnode_graphql import moments
from deepnode_graphql.reading import Reading, driver_connection
from deepnode_ledger.errors import BadInput
from deepnode_projections.registers.at import StateAt
from deepnode_projections.rules.epochs import Epoch

_DATE: Final = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2})(?:T(\d{2}):(\d{2}):(\d{2})Z)?)?)?", re.ASCII)
_NUMBERED: Final = re.compile(r"(block|epoch):(\d{1,15})", re.ASCII)
_RULE: Final = "a UTC date (2026, 2026-10, 2026-10-31 or 2026-10-31T12:00:00Z), block:N or epoch:N"


@dataclass(frozen=True, slots=True)
class Period:
    """The entries behind ``opening_position`` up to ``position``, and the times that they are of.

    ``to_time`` does not belong to it. ``over`` says that all of it is in the books, ``final`` that no reorg can change
    it any more.
    """

    from_time: int
    to_time: int
    opening_position: int
    position: int
    over: bool
    final: bool


@dataclass(frozen=True, slots=True)
class _Edge:
    """A place where a period begins or ends: in time, and behind which position."""

    time: int
    position: int
    over: bool = True
    final: bool = True


def read_period(reading: Reading, begins: str, ends: str | None = None) -> Period:
    """Find a period in the books.

    Args:
        reading: the books.
        begins: how somebody wrote the beginning.
        ends: and the end; the end of what the beginning names, if left out.

    Raises:
        BadInput: it is written otherwise, is empty, or begins behind the books' end.
    """
    first = _edge(reading, begins, "the beginning", ending=False)
    last = _edge(reading, begins if ends is None else ends, "the end", ending=True)
    if not first.over:
        raise BadInput(f"the period begins with {begins:.40}, which is behind the books' end")
    if first.time >= last.time or first.position > last.position:
        raise BadInput(f"a period from {begins:.40} to {ends or begins:.40} is empty")
    return Period(first.time, last.time, first.position, last.position, last.over, last.final)


def read_known(reading: Reading, written: str) -> int:
    """Find the position up to which something was known.

    Args:
        reading: the books.
        written: a position in digits, or a month, day, moment, block or epoch as in a period, of which the end is
            meant. A year by itself would be a position.

    Raises:
        BadInput: it is written otherwise, or is behind the books' end.
    """
    if written.isascii() and written.isdigit() and len(written) <= 16:
        return int(written)
    if not (_DATE.fullmatch(written) or _NUMBERED.fullmatch(written)):
        raise BadInput(f"corrections count up to a log position, 'latest', or the end of {_RULE}, not {written!r:.60}")
    edge = _edge(reading, written, "what is known", ending=True)
    if not edge.over:
        raise BadInput(f"{written:.40} is behind the books' end: what is known then is not known yet")
    return edge.position


def _edge(reading: Reading, written: str, what: str, *, ending: bool) -> _Edge:
    numbered = _NUMBERED.fullmatch(written)
    if numbered is not None:
        of = _of_block if numbered[1] == "block" else _of_epoch
        return of(reading, int(numbered[2]), ending=ending)
    return _of_time(reading, _second(written, what, ending=ending))


def _second(written: str, what: str, *, ending: bool) -> int:
    """Return the second at which a date begins, or the one behind its last."""
    found = _DATE.fullmatch(written)
    if found is None:
        raise BadInput(f"{what} of the period must be {_RULE}, not {written!r:.60}")
    year, month, day, hour, minute, second = (None if each is None else int(each) for each in found.groups())
    try:
        begins = datetime(year or 0, month or 1, day or 1, hour or 0, minute or 0, second or 0, tzinfo=UTC)
        if not ending or hour is not None:
            return int(begins.timestamp())
        if day is not None:
            return int(begins.timestamp()) + 24 * 3600
        later = (begins.year + 1, 1) if month is None or month == 12 else (begins.year, month + 1)
        return int(datetime(*later, 1, tzinfo=UTC).timestamp())
    except ValueError as error:
        raise BadInput(f"{what} of the period is no date: {written!r:.60}") from error


def _of_time(reading: Reading, time: int) -> _Edge:
    tip = reading.checkpoint.tip
    if time <= 0:
        return _Edge(time, 0)
    if tip is None or time - 1 > tip.time:
        return _Edge(time, reading.checkpoint.position, over=False, final=False)
    moment = moments.at_time(reading.database, reading.checkpoint, time - 1)
    # Task events that are still to come stand under the newest block, and so would belong to the period.
    return _Edge(time, moment.position, final=moment.final and time - 1 < tip.time)


def _of_block(reading: Reading, number: int, *, ending: bool) -> _Edge:
    tip = reading.checkpoint.tip
    if tip is None or number > tip.number:
        raise BadInput(f"block {number} is behind the last one of the books, {'none' if tip is None else tip.number}")
    moment = moments.at_block(reading.database, reading.checkpoint, number if ending else max(0, number - 1))
    position = moment.position if ending or number else 0
    # A block without entries is not in the books: its time is that of the nearest one that is.
    connection = driver_connection(reading.database)
    if ending:
        row = connection.execute("SELECT max(time) + 1 FROM block WHERE number <= %s", (number,)).fetchone()
    else:
        row = connection.execute("SELECT min(time) FROM block WHERE number >= %s", (number,)).fetchone()
    found = None if row is None else row[0]
    return _Edge(int(found) if found is not None else tip.time, position, final=moment.final and number < tip.number)


def _of_epoch(reading: Reading, number: int, *, ending: bool) -> _Edge:
    checkpoint = reading.checkpoint
    state = StateAt(driver_connection(reading.database), checkpoint.position)
    wanted = number + 1 if ending else number
    if number == 0 and not ending:
        return _Edge(0, 0)
    found = state.get(Epoch, wanted) if wanted < 2**62 else None
    if found is not None:
        before = found.opened_position - 1
        return _Edge(found.opened_time, before, final=found.opened_position <= checkpoint.sealed_position)
    if ending and (number == 0 or state.get(Epoch, number) is not None):
        tip = checkpoint.tip
        return _Edge(1 if tip is None else tip.time + 1, checkpoint.position, over=False, final=False)
    raise BadInput(f"epoch {number} has not begun by the books")
