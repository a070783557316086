"""What must hold within the books whatever the chain says: value is only moved, never made and never lost.

Each function looks for what breaks one law up to a position, and yields nothing where all is well. All of it is read
from the rows themselves. The connection's ``search_path`` chooses the books.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from psycopg import Connection
from psycopg.rows import tuple_row

from deepnode_projections.holdings_at import of_balances

ENTRIES: Final = """
    SELECT p.position::text, s.symbol, sum(p.amount), 0 FROM posting p JOIN asset s USING (asset_id)
    WHERE p.position <= %(at)s GROUP BY p.position, asset_id, s.symbol HAVING sum(p.amount) <> 0
    ORDER BY p.position, s.symbol"""

EPOCHS: Final = """
    WITH opened AS (
        SELECT epoch, opened_position AS first, lead(opened_position) OVER (ORDER BY epoch) AS behind
        FROM epoch WHERE position <= %(at)s AND (until IS NULL OR until > %(at)s)
    ), every AS (
        SELECT * FROM opened UNION ALL SELECT 0, 0, (SELECT min(first) FROM opened)
    )
    SELECT e.epoch::text, s.symbol, sum(p.amount), 0 FROM every e
    JOIN posting p ON p.position >= e.first AND (e.behind IS NULL OR p.position < e.behind) AND p.position <= %(at)s
    JOIN asset s USING (asset_id) GROUP BY e.epoch, asset_id, s.symbol HAVING sum(p.amount) <> 0
    ORDER BY e.epoch, s.symbol"""

ASSETS: Final = of_balances(
    "'all accounts', s.symbol, sum(p.balance), 0",
    "GROUP BY s.asset_id, s.symbol HAVING sum(p.balance) <> 0 ORDER BY s.symbol",
)

RUNNING: Final = """
    SELECT a.name || ' at ' || p.position, s.symbol, p.balance, p.before + p.amount FROM (
        SELECT *, coalesce(lag(balance) OVER (PARTITION BY account_id, asset_id ORDER BY position, leg), 0) AS before
        FROM posting WHERE position <= %(at)s
    ) p JOIN account a USING (account_id) JOIN asset s USING (asset_id)
    WHERE p.balance <> p.before + p.amount ORDER BY p.position, p.leg"""

PRESENT: Final = """
    SELECT a.name, s.symbol, coalesce(b.balance, 0), coalesce(p.balance, 0)
    FROM (SELECT DISTINCT ON (account_id, asset_id) account_id, asset_id, balance FROM posting
          ORDER BY account_id, asset_id, position DESC, leg DESC) p
    FULL JOIN balance b USING (account_id, asset_id) JOIN account a USING (account_id) JOIN asset s USING (asset_id)
    WHERE b.balance IS DISTINCT FROM p.balance ORDER BY a.name, s.symbol"""

NEGATIVE: Final = of_balances(
    "a.name, s.symbol, p.balance, 0",
    "AND p.balance < 0 AND a.name <> 'Mint' AND a.pocket <> 'Payable' ORDER BY a.name, s.symbol",
)

LAWS: Final = {
    "entries sum to zero": (ENTRIES, "SELECT count(*) FROM entry WHERE position <= %(at)s"),
    "epochs sum to zero": (
        EPOCHS,
        "SELECT count(*) + 1 FROM epoch WHERE position <= %(at)s AND (until IS NULL OR until > %(at)s)",
    ),
    "assets sum to zero": (ASSETS, "SELECT count(*) FROM asset"),
    "running balances add up": (RUNNING, "SELECT count(*) FROM posting WHERE position <= %(at)s"),
    "nothing is below zero": (NEGATIVE, "SELECT count(*) FROM account WHERE first_position <= %(at)s"),
    "the present is the last posting's": (PRESENT, "SELECT count(*) FROM balance"),
}
"""Each law's name, what finds its breaches, and what counts the things that it is asked of.

Below zero may be what was ever minted (``Mint``), and what is payable of rewards, where claims by a root that was
disabled passed the one that stands. The last law is of the books' end, whatever the position.
"""

_TRANSACTIONS: Final = """
    SELECT e.transaction_hash, sum(p.amount), min(p.position), bool_and(e.kind = 'Transfer' AND p.amount > 0),
        (array_agg(other.name ORDER BY p.position))[1]
    FROM posting p JOIN account a USING (account_id) JOIN asset s USING (asset_id) JOIN entry e USING (position)
    LEFT JOIN LATERAL (
        SELECT f.name FROM posting o JOIN account f USING (account_id)
        WHERE o.position = p.position AND o.account_id <> p.account_id ORDER BY o.leg LIMIT 1
    ) other ON true
    WHERE a.name = %(account)s AND s.address = %(asset)s AND p.position <= %(at)s
    GROUP BY e.chain_id, e.transaction_hash HAVING sum(p.amount) <> 0 ORDER BY 3"""


@dataclass(frozen=True, slots=True)
class Breach:
    """Where a law does not hold: what the books have there, and what they would have (base units)."""

    where: str
    symbol: str
    found: int
    wanted: int


@dataclass(frozen=True, slots=True)
class Unasked:
    """What a transaction (32 bytes) left in a contract without a word of the contract what for (base units).

    ``is_gift``: nothing but transfers to it did so; ``other`` is the account that the first of them came from.
    """

    transaction_hash: bytes
    amount: int
    is_gift: bool
    other: str


def breaches(connection: Connection[Any], law: str, position: int) -> tuple[int, list[Breach]]:
    """Look for breaches of one of ``LAWS`` up to a position; return how many things were looked at, and them."""
    found, counted = LAWS[law]
    with connection.cursor(row_factory=tuple_row) as cursor:
        row = cursor.execute(counted.encode(), {"at": position}).fetchone()
        assert row is not None, "a count has one row"
        cursor.execute(found.encode(), {"at": position})
        # NUMERIC without a fraction comes as a Decimal; int() of it is exact at any size.
        return row[0], [Breach(where, symbol, int(has), int(wanted)) for where, symbol, has, wanted in cursor]


def unasked(connection: Connection[Any], account: str, asset: bytes, position: int) -> Iterator[Unasked]:
    """Yield the transactions that left something in an account, or took it out, in the order of the log."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        cursor.execute(_TRANSACTIONS.encode(), {"account": account, "asset": asset, "at": position})
        for transaction_hash, amount, _, is_gift, other in cursor:
            yield Unasked(bytes(transaction_hash), int(amount), bool(is_gift), other or "")
