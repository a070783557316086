"""What the books say is what the token contracts say, address by address and pocket by pocket."""

from contextlib import closing
from random import Random
from typing import Any

from psycopg import Connection

from deepnode_projections.projector import connect
from tests.e2e.real_parts import Devnet, Ledger

HELD = """
SELECT a.holder, coalesce(sum(p.balance), 0) AS amount
FROM account a JOIN asset s ON s.address = %s
CROSS JOIN LATERAL (
    SELECT balance FROM posting WHERE account_id = a.account_id AND asset_id = s.asset_id AND position <= %s
    ORDER BY position DESC, leg DESC LIMIT 1
) p
WHERE a.holder IS NOT NULL GROUP BY a.holder
"""

SUPPLY = """
SELECT -sum(p.balance) AS amount FROM account a JOIN asset s ON s.address = %s
CROSS JOIN LATERAL (
    SELECT balance FROM posting WHERE account_id = a.account_id AND asset_id = s.asset_id AND position <= %s
    ORDER BY position DESC, leg DESC LIMIT 1
) p
WHERE a.owner IN ('Mint', 'Burn')
"""


def test_every_balance_equals_balance_of_at_the_head_and_at_twenty_past_blocks(devnet: Devnet, ledger: Ledger) -> None:
    """The books' sum for a holder equals the token's ``balanceOf``, for every address, now and at past blocks."""
    for _ in range(10):
        ledger.take_in(devnet.play(15))
        ledger.sync()
    head = devnet.economy.block_number
    with closing(connect(ledger.url, "books")) as connection:
        holders = [
            bytes(row["holder"]) for row in connection.execute("SELECT DISTINCT holder FROM account WHERE holder <> ''")
        ]
        assert len(holders) > 35, "the economy has people in it"
        compared = nonzero = 0
        for block in [head, *Random(20).sample(range(1, head), 20)]:
            position = last_position(connection, block)
            for token in devnet.manifest.tokens:
                books = {
                    bytes(r["holder"]): int(r["amount"]) for r in connection.execute(HELD, (token.address, position))
                }
                chain = devnet.balances_of(token.address, holders, block)
                assert {h: books.get(h, 0) for h in holders} == dict(zip(holders, chain, strict=True)), (
                    block,
                    token.name,
                )
                supply = connection.execute(SUPPLY, (token.address, position)).fetchone()
                assert supply is not None
                assert int(supply["amount"] or 0) == devnet.total_supply(token.address, block), (block, token.name)
                compared += len(holders)
                nonzero += sum(amount > 0 for amount in chain)
    assert compared >= 21 * 2 * 35
    assert nonzero > compared // 4, "most of what was compared must not be nothing"


def test_a_contracts_pockets_sum_to_its_token_balance(devnet: Devnet, ledger: Ledger) -> None:
    """Collateral, router and suspense pockets sum to the contracts' own balances, and no named pocket is negative."""
    ledger.live(devnet, 120)
    head = devnet.economy.block_number
    with closing(connect(ledger.url, "books")) as connection:
        for contract in devnet.manifest.contracts.values():
            for token in devnet.manifest.tokens:
                pockets = pockets_of(connection, contract.address, token.address)
                assert sum(pockets.values()) == devnet.balances_of(token.address, [contract.address], head)[0], (
                    contract.name
                )
                assert all(amount >= 0 for amount in pockets.values()), (contract.name, token.name, pockets)
                if contract.kind == "RevenueRouter":
                    assert {"Escrow", "Suspense", "Creator", "Emission"} <= set(pockets), pockets
        refused = connection.execute("SELECT count(*) AS n FROM refusal").fetchone()
    assert refused == {"n": 0}, "the reference contracts do nothing that the rules do not know"


def test_postings_sum_to_zero_in_every_asset(devnet: Devnet, ledger: Ledger) -> None:
    """All balances of an asset sum to zero: what one account has, others gave."""
    ledger.take_in(devnet.play(60))
    ledger.sync()
    with closing(connect(ledger.url, "books")) as connection:
        sums = connection.execute("SELECT asset_id, sum(balance) AS total FROM balance GROUP BY asset_id").fetchall()
        entries = connection.execute(
            "SELECT position FROM posting GROUP BY position, asset_id HAVING sum(amount) <> 0"
        ).fetchall()
    assert [row["total"] for row in sums] == [0, 0]
    assert entries == []


def last_position(connection: Connection[Any], block: int) -> int:
    """The last position at or below a block."""
    row = connection.execute(
        "SELECT last_position FROM block WHERE number <= %s ORDER BY number DESC LIMIT 1", (block,)
    ).fetchone()
    return 0 if row is None else int(row["last_position"])


def pockets_of(connection: Connection[Any], holder: bytes, token: bytes) -> dict[str, int]:
    """A contract's money by pocket."""
    rows = connection.execute(
        "SELECT a.pocket, sum(b.balance) AS amount FROM balance b JOIN account a USING (account_id)"
        " JOIN asset s USING (asset_id) WHERE a.holder = %s AND s.address = %s GROUP BY a.pocket",
        (holder, token),
    )
    return {row["pocket"]: int(row["amount"]) for row in rows}
