"""Who held what at a position, as the books have it: by holder, by pocket, and how much of a token there was.

The connection's ``search_path`` chooses the books. A block is told apart from its position here, too: the books are as
they were at a block's end if every log entry of it is in them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from psycopg import Connection
from psycopg.rows import tuple_row

from deepnode_ledger.record import BlockRef


def of_balances(selected: str, rest: str) -> str:
    """Write a query of balances at the position ``%(at)s``.

    It is from accounts ``a`` and assets ``s``, and ``p.balance`` is that of one in the other (base units). An account
    that had no posting of the asset by then is left out.
    """
    return f"""SELECT {selected} FROM account a CROSS JOIN asset s CROSS JOIN LATERAL (
        SELECT balance FROM posting WHERE account_id = a.account_id AND asset_id = s.asset_id AND position <= %(at)s
        ORDER BY position DESC, leg DESC LIMIT 1
    ) p WHERE a.first_position <= %(at)s {rest}"""  # noqa: S608 - both parts are the program's own


_HELD: Final = of_balances(
    "a.holder, sum(p.balance)",
    "AND s.address = %(asset)s AND a.holder IS NOT NULL GROUP BY a.holder ORDER BY a.holder",
)

_SUPPLY: Final = of_balances("-coalesce(sum(p.balance), 0)", "AND s.address = %(asset)s AND a.holder IS NULL")

_POCKETS: Final = of_balances(
    "a.name, a.owner, a.pocket, a.key, a.holder, s.address, p.balance",
    "AND a.owner NOT IN ('Wallet', 'Mint', 'Burn') ORDER BY a.name, s.address",
)


@dataclass(frozen=True, slots=True)
class Pocket:
    """What is in a pocket of a contract: ``amount`` in base units of the token ``asset`` (20 bytes).

    ``account`` is its name, ``contract`` the manifest's name of the contract at ``holder`` (20 bytes), ``pocket`` what
    it is kept as, and ``key`` whom or what it is kept for (empty: the contract as a whole).
    """

    account: str
    contract: str
    pocket: str
    key: bytes
    holder: bytes
    asset: bytes
    amount: int


def block_at(connection: Connection[Any], block_number: int) -> tuple[BlockRef, int] | None:
    """Return the last block up to a number (included) that has log entries, and the last position in it.

    None: the log of that block and of all before it has no entry. Only blocks that the books have whole are meant.
    """
    row = _one(
        connection,
        "SELECT number, hash, time, last_position FROM block WHERE number <= %(at)s ORDER BY number DESC LIMIT 1",
        {"at": block_number},
    )
    return None if row is None else (BlockRef(row[0], bytes(row[1]), row[2]), row[3])


def held_at(connection: Connection[Any], asset: bytes, position: int) -> dict[bytes, int]:
    """Return what each address that ever had some of a token held (base units), with those that have nothing left."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        cursor.execute(_HELD.encode(), {"asset": asset, "at": position})
        # NUMERIC without a fraction comes as a Decimal; int() of it is exact at any size.
        return {bytes(holder): int(amount) for holder, amount in cursor}


def supply_at(connection: Connection[Any], asset: bytes, position: int) -> int:
    """Return what was minted of a token less what was burned (base units)."""
    row = _one(connection, _SUPPLY, {"asset": asset, "at": position})
    assert row is not None, "a sum without groups has one row"
    return int(row[0])


def pockets_at(connection: Connection[Any], position: int) -> Iterator[Pocket]:
    """Yield every pocket of a contract that was ever used, by account and token, with those that are empty."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        cursor.execute(_POCKETS.encode(), {"at": position})
        for account, contract, pocket, key, holder, asset, amount in cursor:
            yield Pocket(account, contract, pocket, bytes(key), bytes(holder), bytes(asset), int(amount))


def _one(connection: Connection[Any], statement: str, parameters: dict[str, Any]) -> tuple[Any, ...] | None:
    with connection.cursor(row_factory=tuple_row) as cursor:
        return cursor.execute(statement.encode(), parameters).fetchone()
