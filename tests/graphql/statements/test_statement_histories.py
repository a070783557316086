"""Statements of random histories, in which transactions hold several events, against a model of plain sums."""

from collections import Counter
from pathlib import Path
from random import Random

import psycopg
import pytest

from deepnode_graphql.service import make_service
from deepnode_graphql.statements.making import Request, make_statement
from deepnode_graphql.statements.statement import LineType
from deepnode_projections.tables import SCHEMA
from tests.graphql.small_books import ALICE, BOB, CAROL, NOBODY, Event, transfer, word
from tests.graphql.statements.month_books import DOMAIN, MonthScribe, into, month_scribe, out_of

PEOPLE = (ALICE, BOB, CAROL)
NODES = {who: word("node of", who) for who in PEOPLE}
TARGETS = (word("target", 1), word("target", 2))
BLOCKS = 9


class Model:
    """What each has staked, has waiting to leave, and has behind its node, by plain sums; and who plays what next."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.staked: Counter[tuple[bytes, bytes]] = Counter()
        self.unbonding: Counter[tuple[bytes, bytes]] = Counter()
        self.free: Counter[bytes] = Counter()

    def transaction(self) -> list[Event]:
        """Some events of one transaction."""
        return [event for _ in range(self.random.randint(1, 4)) for event in self._events()]

    def _events(self) -> list[Event]:
        who, other = self.random.sample(PEOPLE, 2)
        target, to = self.random.sample(TARGETS, 2)
        amount, choice = self.random.randint(1, 9), self.random.randint(0, 6)
        staker = {"staker": who, "targetType": 1, "target": target, "amount": amount}
        if choice == 0:
            self.free[other] += amount
            told = Event("Collateral", "Deposited", domain=DOMAIN, node=NODES[other], payer=who, amount=amount)
            return into("Collateral", who, amount, told)
        if choice == 1 and self.free[who] >= amount:
            self.free[who] -= amount
            told = Event("Collateral", "Withdrawn", domain=DOMAIN, node=NODES[who], to=other, amount=amount)
            return out_of("Collateral", other, amount, told)
        if choice == 2:
            self.staked[who, target] += amount
            return into("Staking", who, amount, Event("Staking", "Staked", **staker, shares=amount))
        if choice == 3 and self.staked[who, target] >= amount:
            self.staked[who, target] -= amount
            self.unbonding[who, target] += amount
            return [Event("Staking", "UnstakeRequested", **staker, shares=amount, unlockAt=1)]
        if choice == 4 and self.unbonding[who, target] >= amount:
            self.unbonding[who, target] -= amount
            return out_of("Staking", who, amount, Event("Staking", "Unstaked", **staker))
        if choice == 5 and self.staked[who, target] >= amount:
            self.staked[who, target] -= amount
            self.staked[who, to] += amount
            ends = {"from": target, "to": to, "fromType": 1, "toType": 1}
            return [Event("Staking", "Redelegated", staker=who, **ends, amount=amount, shares=amount)]
        return [transfer(who, other, amount)]


def _write(books: MonthScribe, model: Model) -> None:
    for who in PEOPLE:
        told = Event("Nodes", "Registered", domain=DOMAIN, node=NODES[who], operator=who, role=1, fee=3, feeBurned=1)
        books.play([transfer(NOBODY, who, 10_000)], [told, transfer(who, NOBODY, 1), transfer(who, word("t")[:20], 2)])
    for _ in range(BLOCKS - len(PEOPLE)):
        books.play(*(model.transaction() for _ in range(6)))


@pytest.mark.parametrize("seed", [1, 2])
def test_any_history_adds_up(database_url: str, tmp_path: Path, seed: int) -> None:
    """Plays a random history and cuts it at every block.

    The pieces' lines are those of the whole, each piece opens with what the one before closed with, own movements add
    up to zero, real accounts are what SQL has, and stakes, unbonding and collateral what the model has.
    """
    model = Model(seed)
    with month_scribe(database_url, tmp_path) as books:
        _write(books, model)
        service = make_service(books.url, books.manifest, SCHEMA)
        with service.reading() as reading:
            made = {
                who: [make_statement(reading, Request(who, f"block:{n}")) for n in range(1, BLOCKS + 1)]
                for who in PEOPLE
            }
            wholes = {who: make_statement(reading, Request(who, "block:0", f"block:{BLOCKS}")) for who in PEOPLE}
        service.engine.dispose()
        with psycopg.connect(books.url, options="-c search_path=books") as connection:
            rows = connection.execute("SELECT name, balance FROM balance JOIN account USING (account_id)").fetchall()
    held = {name: int(balance) for name, balance in rows}
    for who, whole in wholes.items():
        pieces = made[who]
        assert tuple(line for piece in pieces for line in piece.lines) == whole.lines
        closing: dict[str, int] = {}
        for piece in pieces:
            assert closing == {each.account: each.opening for each in piece.balances if each.used_before}
            closing = {each.account: each.closing for each in piece.balances}
        own: Counter[bytes] = Counter()
        for line in whole.lines:
            own[line.transaction_hash] += line.amount * line.own
        assert not any(own.values())
        assert {name: closing[name] for name in closing if name in held} == {
            name: held[name] for name in closing if not name.startswith("Stake:")
        }
        sums = {kind: sum(v for name, v in closing.items() if name.startswith(kind)) for kind in ("Stake:", "Staking:")}
        assert sums["Stake:"] == sum(amount for (staker, _), amount in model.staked.items() if staker == who)
        assert sums["Staking:"] == sum(amount for (staker, _), amount in model.unbonding.items() if staker == who)
        assert sum(v for name, v in closing.items() if name.startswith("Collateral:")) == model.free[who]
        assert sum(line.amount for line in whole.lines if line.type is LineType.FEE) == -3
        assert not any("Unattributed" in line.counterparty for line in whole.lines)
