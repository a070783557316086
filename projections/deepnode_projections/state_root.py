"""The state root: one hash over the whole state at a position.

It is made of what the state *is* (names, addresses, amounts) and of nothing that says how it came about (positions,
database ids, the order of arrival), so two histories that leave the same books have the same root, in any batch size,
live or rebuilt, and an auditor can make it from files alone.

The text that is hashed (SHA-256, UTF-8, each line ended by a line feed, sorted by bytes)::

    deepnode state 1
    balance <account name> <asset address> <base units>      for every balance other than zero
    fact <sort> <key> <value>                                 for every fact
"""

import hashlib
from collections.abc import Iterable
from typing import Any, Final

from psycopg import Connection
from psycopg.rows import tuple_row

from deepnode_ledger.hexadecimal import to_hex

VERSION_LINE: Final = "deepnode state 1\n"

PAGE_ROWS: Final = 10_000


def root_of(balances: Iterable[tuple[str, bytes, int]], facts: Iterable[tuple[str, bytes, bytes]]) -> bytes:
    """Hash a state given as (account name, asset, amount) and (sort, key, value), each sorted by bytes (32 bytes)."""
    digest = hashlib.sha256(VERSION_LINE.encode())
    for name, asset, amount in balances:
        if amount:
            digest.update(f"balance {name} {to_hex(asset)} {int(amount)}\n".encode())
    for sort, key, value in facts:
        digest.update(f"fact {sort} {to_hex(key)} {to_hex(value)}\n".encode())
    return digest.digest()


def state_root(connection: Connection[Any], position: int) -> bytes:
    """Hash the books as they were at a position (32 bytes).

    The connection's ``search_path`` chooses the books. Memory is one page of rows.
    """
    return root_of(
        _stream(
            connection,
            "SELECT a.name, s.address, p.balance FROM account a CROSS JOIN asset s"
            " CROSS JOIN LATERAL (SELECT balance FROM posting WHERE account_id = a.account_id"
            "   AND asset_id = s.asset_id AND position <= %s ORDER BY position DESC, leg DESC LIMIT 1) p"
            " WHERE a.first_position <= %s AND p.balance <> 0 ORDER BY a.name, s.address",
            (position, position),
        ),
        _stream(
            connection,
            "SELECT DISTINCT ON (sort, key) sort, key, value FROM fact WHERE position <= %s"
            " ORDER BY sort, key, position DESC",
            (position,),
        ),
    )


def _stream(connection: Connection[Any], statement: str, parameters: tuple[int, ...]) -> Iterable[tuple[Any, ...]]:
    # A cursor of the server's, so that the state need not fit in memory; it needs a transaction around it.
    with connection.transaction(), connection.cursor(name="state_root", row_factory=tuple_row) as cursor:
        cursor.itersize = PAGE_ROWS
        cursor.execute(statement.encode(), parameters)
        yield from cursor
