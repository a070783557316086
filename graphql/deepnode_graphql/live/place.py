"""Places: where a subscriber stands, and from where it goes on after a pause.

A place is a position and the number of the last reorg that the subscriber knows of, written ``1234.5``. The number
belongs to it because a reorg can put other entries at positions that were told already. A position alone is taken, too:
it is believed to be one of the books as they are now, and says nothing of a reorg that the subscriber has missed.
"""

import re
from dataclasses import dataclass
from typing import Any, Final, NewType

import strawberry

from deepnode_graphql.scalars import LONG_MAX
from deepnode_ledger.errors import BadInput
from deepnode_ledger.subscription import Place

_WRITTEN: Final = re.compile(r"(?P<position>[0-9]{1,16})(?:\.(?P<reorg>[0-9]{1,16}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Resume:
    """What a client gave as its place; ``reorg`` is None if it gave a position alone."""

    position: int
    reorg: int | None = None


LivePlace = NewType("LivePlace", Resume)
"""A place in the schema, where it is called Place."""


def parse_place(value: Any) -> Resume:
    """Read a place: a text such as ``1234.5`` or ``1234``, or a whole number.

    Raises:
        BadInput: neither. A number with a fraction is none, because 1234.10 and 1234.1 would be the same.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    found = _WRITTEN.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise BadInput(f'a place must be written "POSITION.REORG" or be a position, not {value!r:.80}')
    position, reorg = int(found["position"]), found["reorg"]
    if max(position, int(reorg or 0)) > LONG_MAX:
        raise BadInput(f"a place must have numbers up to {LONG_MAX}, not {value!r}")
    return Resume(position, None if reorg is None else int(reorg))


def format_place(place: Place | Resume) -> str:
    """Write a place."""
    return f"{place.position}" if place.reorg is None else f"{place.position}.{place.reorg}"


PLACE_SCALAR: Final = strawberry.scalar(
    name="Place",
    description=(
        'A place in a stream: a position and the number of the last reorg that is known there, as in "1234.5". '
        "A position alone is accepted."
    ),
    serialize=format_place,
    parse_value=parse_place,
)
