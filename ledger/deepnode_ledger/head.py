"""The head: where the log stands."""

from dataclasses import dataclass
from typing import Any

from psycopg import Cursor


@dataclass(frozen=True, slots=True)
class Head:
    """The log's last position, the last sealed one, and the number of sealed batches (all 0 in an empty log)."""

    last_position: int
    sealed_position: int
    batches: int


def load_head(cursor: Cursor[dict[str, Any]]) -> Head:
    """Read where the log stands."""
    cursor.execute("SELECT last_position, sealed_position, batches FROM log.head")
    row = cursor.fetchone()
    assert row is not None, "the log's tables exist without their head"
    return Head(row["last_position"], row["sealed_position"], row["batches"])
