"""The state root: one hash over the whole state at a position.

It is made of what the state *is* (names, addresses, amounts) and of nothing that says how it came about (positions,
database ids, the order of arrival), so two histories that leave the same books have the same root, in any batch size,
live or rebuilt, and an auditor can make it from files alone.

The text that is hashed (SHA-256, UTF-8, each line ended by a line feed, sorted by bytes)::

    deepnode state 2
    balance <account name> <asset address> <base units>      for every balance other than zero
    record <table> <field> <field> …                         for every record, in the order of tables and of keys

A record's fields stand in the order of their declaration, without those that tell a position: bytes as ``0x`` and
digits, text as a JSON string, numbers in decimal digits, ``true`` and ``false``, and ``null`` for what is unknown.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import chain
from operator import itemgetter
from typing import Any, Final

import msgspec
from psycopg import Connection, sql
from psycopg.rows import tuple_row

from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.holdings_at import of_balances
from deepnode_projections.registers.record import Record, Value, fields_of
from deepnode_projections.registers.state import Lines
from deepnode_projections.rules.book import RECORDS

VERSION_LINE: Final = "deepnode state 2\n"

PAGE_ROWS: Final = 10_000

BYTES_AT_ONCE: Final = 1 << 17

BYTES_ALONE: Final = 1 << 12
"""As many lines as these or more are hashed where they are; fewer are gathered."""


def root_of(
    balances: Iterable[tuple[str, bytes, int]], records: Iterable[tuple[type[Record], Sequence[Value]]]
) -> bytes:
    """Hash a state given as (account name, asset, amount), and as kinds of records with the values of their fields.

    Balances are sorted by bytes, kinds by the names of their tables, and records by their keys (32 bytes).
    """
    return root_of_lines(chain(balance_lines(balances), (record_line(kind, values) for kind, values in records)))


def root_of_lines(lines: Iterable[Lines]) -> bytes:
    """Hash a state given as its lines, in their order, without the first one (32 bytes); a piece may hold several."""
    digest, some, length = hashlib.sha256(VERSION_LINE.encode()), list[bytes](), 0
    for piece in lines:
        is_short = len(piece) < BYTES_ALONE
        if is_short:
            some.append(bytes(piece))
            length += len(piece)
        if not is_short or length >= BYTES_AT_ONCE:
            digest.update(b"".join(some))
            some, length = [], 0
        if not is_short:
            digest.update(piece)
    digest.update(b"".join(some))
    return digest.digest()


def balance_lines(balances: Iterable[tuple[str, bytes, int]]) -> Iterator[bytes]:
    """Write the balances other than zero as lines."""
    for name, asset, amount in balances:
        if amount:
            yield f"balance {name} {to_hex(asset)} {int(amount)}\n".encode()


def record_line(kind: type[Record], values: Sequence[Value]) -> bytes:
    """Write a record, given as the values of its fields, as a line."""
    told = [_TEXTS.get(type(value), _whole)(value) for value in _told(kind)(values)]
    return f"record {kind.TABLE} {' '.join(told)}\n".encode()


def state_root(connection: Connection[Any], position: int) -> bytes:
    """Hash the books as they were at a position (32 bytes).

    The connection's ``search_path`` chooses the books. Memory is one page of rows.
    """
    return root_of(balances_at(connection, position), _records(connection, position))


def balances_at(connection: Connection[Any], position: int) -> Iterable[tuple[str, bytes, int]]:
    """Yield the balances other than zero as they were at a position: account, asset, base units, sorted by bytes."""
    return _stream(
        connection,
        of_balances("a.name, s.address, p.balance", "AND p.balance <> 0 ORDER BY a.name, s.address"),
        position,
    )


def _records(connection: Connection[Any], position: int) -> Iterable[tuple[type[Record], Sequence[Value]]]:
    for kind in _kinds_there_are(connection):
        names = [sql.Identifier(field.name) for field in fields_of(kind)]
        statement = sql.SQL(
            "SELECT {} FROM {} WHERE position <= %(at)s AND (until IS NULL OR until > %(at)s) ORDER BY {}"
        ).format(sql.SQL(", ").join(names), sql.Identifier(kind.TABLE), sql.SQL(", ").join(names[: kind.KEY]))
        for row in _stream(connection, statement, position):
            yield kind, row


def _kinds_there_are(connection: Connection[Any]) -> Iterable[type[Record]]:
    """Name the kinds that have any row, in one look."""
    looks = [sql.SQL("EXISTS (SELECT FROM {})").format(sql.Identifier(kind.TABLE)) for kind in RECORDS]
    with connection.cursor(row_factory=tuple_row) as cursor:
        row = cursor.execute(sql.SQL("SELECT {}").format(sql.SQL(", ").join(looks))).fetchone()
    assert row is not None
    return [kind for kind, there_is in zip(RECORDS, row, strict=True) if there_is]


@cache
def _told(kind: type[Record]) -> Callable[[Sequence[Value]], tuple[Value, ...]]:
    """Return what picks, of the values of a record's fields, those that are part of the state."""
    fields = fields_of(kind)
    places = [place for place, field in enumerate(fields) if place < kind.KEY or not field.is_place]

    def told(values: Sequence[Value]) -> tuple[Value, ...]:
        assert len(values) == len(fields), (kind, values)
        return picked(values)

    # Of one place, the library's reader gives the value itself.
    picked = itemgetter(*places) if len(places) > 1 else lambda values: (values[places[0]],)
    return told


_TEXTS: Final[dict[type, Callable[[Any], str]]] = {
    type(None): lambda _: "null",
    bool: lambda value: "true" if value else "false",
    bytes: to_hex,
    str: lambda value: msgspec.json.encode(value).decode(),
    int: str,
}


def _whole(value: Any) -> str:
    # NUMERIC without a fraction comes as a Decimal; int() of it is exact at any size.
    return str(int(value))


def _stream(connection: Connection[Any], statement: str | sql.Composed, position: int) -> Iterable[tuple[Any, ...]]:
    # A cursor of the server's, so that the state need not fit in memory; it needs a transaction around it.
    with connection.transaction(), connection.cursor(name="state_root", row_factory=tuple_row) as cursor:
        cursor.itersize = PAGE_ROWS
        cursor.execute(statement.encode() if isinstance(statement, str) else statement, {"at": position})
        yield from cursor
