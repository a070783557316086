"""Cursors: where a page ended, as the key of its last row.

A key does not move when rows are added, so a walk from cursor to cursor meets every row that was there when it began
exactly once, however many blocks arrive meanwhile. The text is opaque to a client and checked when it comes back.
"""

import base64
import binascii
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    LargeBinary,
    Numeric,
    SmallInteger,
    Text,
    bindparam,
    tuple_,
)

from deepnode_graphql.filters import NO_TEXT
from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import from_hex, to_hex

CURSOR_CHARACTERS_MAX: Final = 2_048
INT64_MAX: Final = 2**63 - 1
NUMERIC_MAX: Final = 10**39

_BYTES: Final = re.compile(r"0x(?:[0-9a-f]{2})*")


class BadCursor(BadInput):
    """The text is no cursor of this list in this order."""


class KnownCursor(str):
    """A cursor of this program's own that stands for one which is read later. What a client sends is plain text."""

    __slots__ = ()

    def key(self, order: "Order") -> list[Any]:
        """Return what stands for the values of the key."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Order:
    """A total order of a list: ``key`` names the columns that decide it, the last of which makes it unique.

    ``name`` is in the cursor, so that a cursor of another list or another order is refused and not misread.
    """

    name: str
    key: tuple[ColumnElement[Any], ...]
    descending: bool = False

    def clauses(self) -> list[ColumnElement[Any]]:
        """Return what ORDER BY takes."""
        return [column.desc() if self.descending else column.asc() for column in self.key]

    def beyond(self, values: Sequence[Any]) -> ColumnElement[bool]:
        """Return the condition that a row stands behind the row with this key."""
        # A row comparison, which PostgreSQL answers with one index range; both sides have the same directions.
        bound = tuple_(
            *(
                bindparam(None, value, type_=column.type, unique=True)
                for column, value in zip(self.key, values, strict=True)
            )
        )
        return tuple_(*self.key) < bound if self.descending else tuple_(*self.key) > bound

    def encode(self, values: Sequence[Any]) -> str:
        """Write the cursor of a row with this key."""
        written = [to_hex(value) if isinstance(value, bytes) else value for value in values]
        text = json.dumps([self.name, *written], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def decode(self, cursor: str) -> list[Any]:
        """Read a cursor that ``encode`` wrote for this order.

        Raises:
            BadCursor: it is none, or one of another list or order.
        """
        if isinstance(cursor, KnownCursor):
            return cursor.key(self)
        if len(cursor) > CURSOR_CHARACTERS_MAX:
            raise BadCursor(f"a cursor has at most {CURSOR_CHARACTERS_MAX} characters, this one {len(cursor)}")
        try:
            padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
            parts = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        except (binascii.Error, ValueError, RecursionError) as error:
            raise BadCursor(f"{cursor!r:.80} is not a cursor: take one from pageInfo or an edge") from error
        if not isinstance(parts, list) or not parts or not isinstance(parts[0], str):
            raise BadCursor(f"{cursor!r:.80} is not a cursor: take one from pageInfo or an edge")
        if parts[0] != self.name:
            raise BadCursor(f"the cursor belongs to {parts[0]:.80}, this list is {self.name}")
        values = parts[1:]
        if len(values) != len(self.key) or not all(map(_fits, self.key, values)):
            raise BadCursor(f"the cursor {cursor!r:.80} does not hold a key of {self.name}")
        return [
            from_hex(value) if isinstance(column.type, LargeBinary) else value
            for column, value in zip(self.key, values, strict=True)
        ]


def _fits(column: ColumnElement[Any], value: Any) -> bool:
    match column.type:
        case BigInteger() | SmallInteger():
            return type(value) is int and abs(value) <= INT64_MAX
        case Numeric():
            return type(value) is int and abs(value) <= NUMERIC_MAX
        case Text():
            return isinstance(value, str) and NO_TEXT.search(value) is None
        case Boolean():
            return isinstance(value, bool)
        case LargeBinary():
            return isinstance(value, str) and _BYTES.fullmatch(value) is not None
    raise AssertionError(column.type)
