"""Statements of everybody who took part in a real economy, held against the chain and against SQL."""

from collections import Counter

import psycopg
from beancount import loader

from deepnode_graphql.service import make_service
from deepnode_graphql.statements import beancount
from deepnode_graphql.statements.making import Request, make_statement
from deepnode_graphql.statements.statement import LineType, Statement
from deepnode_projections.tables import SCHEMA
from tests.e2e.real_parts import Devnet, Ledger

BLOCKS = 90
"""Enough for two epochs, their roots, and claims of both."""


def test_everybodys_statement_is_what_the_chain_says(devnet: Devnet, ledger: Ledger) -> None:
    """Plays an economy and makes everybody's statement of all of it, and of two halves.

    Wallets are compared with balanceOf, stakes and rewards with the records by SQL, and the journals go to Beancount.
    """
    ledger.live(devnet, BLOCKS)
    head = devnet.economy.block_number
    with psycopg.connect(ledger.url, options="-c search_path=books", autocommit=True) as connection:
        people = [bytes(row[0]) for row in connection.execute("SELECT holder FROM account WHERE owner = 'Wallet'")]
        staked, earned, claimed = (
            {bytes(row[0]): int(row[1]) for row in connection.execute(query)}
            for query in (
                "SELECT staker, sum(amount) FROM stake WHERE until IS NULL GROUP BY 1",
                "SELECT earner, sum(amount) FROM earned WHERE until IS NULL GROUP BY 1",
                "SELECT earner, sum(amount) FROM claimed_total WHERE until IS NULL GROUP BY 1",
            )
        )
        [[due]] = connection.execute(
            "SELECT sum(balance) FROM balance JOIN account USING (account_id)"
            " WHERE owner = 'RevenueRouter' AND pocket IN ('Creator', 'Domain')"
        )
    service = make_service(ledger.url, devnet.manifest, SCHEMA)
    tokens = {each.symbol: each.address for each in devnet.manifest.tokens}
    balances = {symbol: dict(zip(people, devnet.balances_of(address, people, head), strict=True))
                for symbol, address in tokens.items()}  # fmt: skip
    seen: Counter[LineType] = Counter()
    waited = 0
    with service.reading() as reading:
        for who in people:
            whole, first, second = (
                make_statement(reading, Request(who, begins, ends, fiat="USD"))
                for begins, ends in (
                    ("block:0", f"block:{head}"),
                    ("block:0", "block:60"),
                    ("block:61", f"block:{head}"),
                )
            )
            _adds_up(whole)
            assert (*first.lines, *second.lines) == tuple(whole.lines)
            for symbol, held in balances.items():
                wallet = [
                    each for each in whole.balances if each.account.startswith("Wallet") and each.token.symbol == symbol
                ]
                assert sum(each.closing for each in wallet) == held[who]
            assert _closing(whole, "Stake:") == staked.get(who, 0)
            parts = whole.rewards
            assert sum(each.amount for each in parts if each.epoch is not None) == earned.get(who, 0)
            assert sum(each.amount for each in parts if each.claim_position is not None) == claimed.get(who, 0)
            assert sum(each.amount for each in whole.accruals) == earned.get(who, 0)
            paid = sum(line.amount for line in whole.lines if line.type is LineType.REWARD)
            assert paid == claimed.get(who, 0)
            for part in parts:
                dates = part.dates
                told = [each for each in (dates.accrued, dates.claimable, dates.received) if each is not None]
                assert told == sorted(told)
                assert part.claim_position is None or part.epoch is None or len(told) == 3
            _, errors, _ = loader.load_string(beancount.write(whole).decode())
            assert errors == []
            waited += sum(each.closing for each in whole.waiting)
            seen.update(line.type for line in whole.lines)
    service.engine.dispose()
    wanted = {
        *(LineType.REWARD, LineType.REVENUE, LineType.FUNDING, LineType.PAYMENT, LineType.FEE, LineType.SLASHING),
        *(LineType.COMPENSATION, LineType.COLLATERAL_OUT, LineType.STAKE, LineType.UNBOND, LineType.BACKING),
    }
    assert waited == due
    assert wanted <= set(seen)
    assert LineType.OTHER not in seen


def _adds_up(made: Statement) -> None:
    """Check that lines lead from opening to closing, and that own movements add up to zero."""
    held = {(each.account, each.token): each.opening for each in made.balances}
    own: Counter[tuple[bytes, str]] = Counter()
    for line in made.lines:
        held[line.account, line.token] += line.amount
        if line.own:
            own[line.transaction_hash, line.token.symbol] += line.amount
    assert held == {(each.account, each.token): each.closing for each in made.balances}
    assert not any(own.values())


def _closing(made: Statement, prefix: str) -> int:
    return sum(each.closing for each in made.balances if each.account.startswith(prefix))
