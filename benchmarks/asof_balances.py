"""What an account had at a position: how long the answer takes in books of five million postings.

One account holds a tenth of all postings; an index from account to position has the answer in one place all the same,
since each posting keeps the balance behind it. Asked are accounts as often as they have postings, at positions of the
whole history: by the statement that all of the books' own reads of the past are made of, by GraphQL within the process,
and by GraphQL over HTTP on one connection. Beside them, what is done where no balance is kept: the sum of the account's
amounts up to the position, by an index that has these amounts in it.
"""

import http.client
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson
import psycopg
from benchmarks import api_books
from benchmarks.api_servers import ours
from benchmarks.bench_api import serving
from benchmarks.ingest.tail import percentile
from benchmarks.result import Result, result

from deepnode_graphql.execution import GraphQLRequest
from deepnode_graphql.service import Service
from deepnode_ledger.database import open_datastore
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.log import Log
from deepnode_projections import copying
from deepnode_projections.bulk import ACCOUNT, POSTING
from deepnode_projections.checkpoint import NAME
from deepnode_projections.folds import limbs
from deepnode_projections.holdings_at import of_balances
from deepnode_projections.schema import create_books, create_indexes
from deepnode_projections.tables import SCHEMA

POSTINGS: Final = 5_000_000
WALLETS: Final = 200_000
QUESTIONS: Final = 2_000
WARM: Final = 200
BUSY_SHARE: Final = 0.1
"""The part of all postings that the busiest account has."""

IDLE_SECONDS: Final = 2.0
"""A connection of which nothing was heard for so long is opened anew: the server closes it at some time."""

TOKEN: Final = b"\xaa" * 20
BLOCK_ENTRIES: Final = 250
MINTED: Final = 10**13
SUMS: Final = "sum over postings"
HTTP: Final = "GraphQL over HTTP"
GOALS: Final = {"p50": "≤ 0.2 ms", "p99": "≤ 1 ms"}

_AT: Final = of_balances("p.balance", "AND a.name = %(account)s AND s.address = %(asset)s")

_SUM: Final = """SELECT sum(t.amount) FROM summed t JOIN account a USING (account_id) JOIN asset s USING (asset_id)
    WHERE a.name = %(account)s AND s.address = %(asset)s AND t.position <= %(at)s"""

_QUERY: Final = """query held($account: String!, $at: Long!) {
    balances(first: 1, where: {account: $account, asset: "DN"}, at: {position: $at}) { edges { node { amount } } } }"""

_SUMMED: Final = (
    "CREATE TABLE summed AS SELECT position, leg, account_id, asset_id, amount FROM posting",
    "CREATE INDEX ON summed (account_id, asset_id, position) INCLUDE (amount)",
)

_REST: Final = (
    "INSERT INTO asset VALUES (1, %(token)s, 'DN', 18)",
    """INSERT INTO block SELECT n, sha256(('block' || n)::bytea), 1700000000 + 2 * n, least(n * %(in_block)s, %(last)s)
       FROM generate_series(1, (%(last)s + %(in_block)s - 1) / %(in_block)s) AS n""",
    """INSERT INTO balance SELECT DISTINCT ON (account_id) account_id, 1, balance, position FROM posting
       ORDER BY account_id, position DESC, leg DESC""",
    """INSERT INTO checkpoint SELECT %(name)s, %(digest)s, %(chain)s, %(last)s, %(last)s, 0,
       number, hash, time, number, hash, time FROM block ORDER BY number DESC LIMIT 1""",
)

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Question:
    """What did an account have behind the entry at a position? ``balance`` in base units; None: it was not there."""

    account: str
    position: int
    balance: int | None


Way = Callable[[Question], int | None]
"""How the books are asked."""


def rates(url: str, folder: Path, postings: int, runs: int) -> list[Result]:
    """Measure in an empty database, each way in turn, ``runs`` times round."""
    questions = write_books(url, folder, postings)
    taken: dict[str, list[float]] = {}
    with ExitStack() as stack:
        all_ways = {**ways(url, folder, stack), HTTP: _over_http(url, folder, stack)}
        for name, ask in all_ways.items():
            for question in questions[:WARM]:
                ask(question)
            taken[name] = []
        for _ in range(runs):
            for name, ask in all_ways.items():
                taken[name] += list(_timed(ask, questions))
    found = []
    for share, name in ((0.5, "p50"), (0.99, "p99")):
        sums = percentile(taken[SUMS], share)
        for way, goal in (("SQL", GOALS[name]), ("GraphQL, in process", GOALS[name]), (HTTP, "")):
            case = f"balance at a position, {postings:,} postings, {way}: {name}"
            found.append(
                result(case, "ms", percentile(taken[way], share), SUMS, sums, bound=None, goal=goal, runs=runs)
            )
    return found


def write_books(url: str, folder: Path, postings: int) -> list[Question]:
    """Write the books into an empty database, and return what to ask, in an order that is none."""
    manifest = api_books.small_manifest(folder)
    with closing(open_datastore(url)) as datastore:
        Log(datastore, api_books.CHAIN_ID).create(manifest.genesis_hash, api_books.FIRST_BLOCK)
    create_books(url, SCHEMA)
    addresses = np.random.default_rng(0).integers(0, 256, (WALLETS, 20), np.uint8)
    legs, amounts = _movements(postings // 2)
    account, amount = legs.reshape(-1), np.stack([-amounts, amounts], axis=1).reshape(-1)
    position = np.repeat(np.arange(1, len(legs) + 1), 2)
    values = _limbs(amount)
    groups = limbs.grouped(account)
    after = limbs.running(groups, np.zeros((limbs.LIMBS, len(groups.ends)), np.int64), values)
    firsts = np.full(WALLETS + 2, len(legs) + 1)
    np.minimum.at(firsts, account, position)
    sizes = {
        "token": TOKEN, "last": len(legs), "in_block": BLOCK_ENTRIES, "name": NAME, "digest": manifest.digest,
        "chain": api_books.CHAIN_ID,
    }  # fmt: skip
    with psycopg.connect(url, options=f"-c search_path={SCHEMA}") as connection, connection.cursor() as cursor:
        names = np.array([list(_name(each).encode()) for each in addresses], np.uint8)
        numbers = np.arange(1, WALLETS + 1)
        columns: list[copying.Column] = [numbers, names, b"Wallet", b"", addresses, addresses, firsts[1:-1]]
        copying.copy(cursor, ACCOUNT, WALLETS, columns)
        cursor.execute("INSERT INTO account VALUES (%s, 'Mint', 'Mint', '', '', NULL, 1)", (WALLETS + 1,))
        leg, asset = np.tile(np.array([0, 1], np.int16), len(legs)), np.ones(len(account), np.int16)
        money = copying.Numeric(limbs.normal(values)), copying.Numeric(after)
        copying.copy(cursor, POSTING, len(account), [position, leg, account, asset, *money])
        for statement in _REST:
            cursor.execute(statement, sizes)
        for summed in _SUMMED:
            cursor.execute(summed)
    create_indexes(url, SCHEMA)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")
    return _questions(account, position, amount, addresses)


def _movements(count: int) -> tuple[Integers, Integers]:
    """Make who gave and who got in each entry, and how much: wallets count from 1, Mint is behind the last."""
    chance = np.random.default_rng(1)
    legs = chance.integers(2, WALLETS + 1, (count, 2))
    legs[:, 1] = np.where(legs[:, 1] == legs[:, 0], legs[:, 0] % (WALLETS - 1) + 2, legs[:, 1])
    busy = chance.random(count) < 2 * BUSY_SHARE
    side = chance.integers(0, 2, count)
    legs[busy, side[busy]] = 1
    amounts = chance.integers(1, 10**9, count)
    # At first everybody is given something; of the busiest there is more than one can spend.
    given = min(WALLETS, count // 10)
    legs[:given, 0], legs[:given, 1], amounts[:given] = WALLETS + 1, np.arange(1, given + 1), MINTED
    amounts[0] = MINTED * 100
    return legs, amounts


def _questions(
    account: Integers, position: Integers, amount: Integers, addresses: npt.NDArray[np.uint8]
) -> list[Question]:
    chance = np.random.default_rng(2)
    who = account[chance.choice(len(account), 4 * QUESTIONS)]
    who = who[who <= WALLETS][:QUESTIONS]
    when = chance.integers(1, int(position[-1]) + 1, QUESTIONS)
    order = np.argsort(account, kind="stable")
    begins = np.searchsorted(account[order], np.arange(WALLETS + 2))
    found = []
    for one, at in zip(who.tolist(), when.tolist(), strict=True):
        own = order[begins[one] : begins[one + 1]]
        there = own[position[own] <= at]
        balance = int(amount[there].sum()) if len(there) else None
        found.append(Question(_name(addresses[one - 1]), at, balance))
    return found


def ways(url: str, folder: Path, stack: ExitStack) -> dict[str, Way]:
    """Return the ways to ask within this process, by their names; each opens what it needs now."""
    connection = stack.enter_context(psycopg.connect(url, autocommit=True, options=f"-c search_path={SCHEMA}"))
    connection.prepare_threshold = 1
    app = ours(url, folder / "manifest.toml")
    service: Service = app.state.service
    stack.callback(service.close)

    def by(statement: str) -> Way:
        cursor = connection.cursor(binary=True)

        def ask(question: Question) -> int | None:
            asked = {"account": question.account, "asset": TOKEN, "at": question.position}
            row = cursor.execute(statement.encode(), asked).fetchone()
            return None if row is None or row[0] is None else int(row[0])

        return ask

    def in_process(question: Question) -> int | None:
        return _held(service.executor.run(GraphQLRequest(_QUERY, _variables(question))).body)

    return {"SQL": by(_AT), "GraphQL, in process": in_process, SUMS: by(_SUM)}


def _over_http(url: str, folder: Path, stack: ExitStack) -> Way:
    """Start an API as a process of its own, and return how it is asked."""
    running = stack.enter_context(serving("ours", url, folder / "manifest.toml"))
    line, asked_at = stack.enter_context(closing(http.client.HTTPConnection("127.0.0.1", running.port))), 0.0

    def ask(question: Question) -> int | None:
        nonlocal asked_at
        now = time.monotonic()
        if now - asked_at > IDLE_SECONDS:
            line.close()
        asked_at = now
        body = orjson.dumps({"query": _QUERY, "variables": _variables(question)})
        line.request("POST", "/graphql", body, {"Content-Type": "application/json"})
        return _held(orjson.loads(line.getresponse().read()))

    return ask


def _timed(ask: Way, questions: list[Question]) -> Iterator[float]:
    for question in questions:
        begin = time.perf_counter()
        answer = ask(question)
        yield 1_000 * (time.perf_counter() - begin)
        assert answer == question.balance, (question, answer)


def _variables(question: Question) -> dict[str, Any]:
    return {"account": question.account, "at": question.position}


def _held(answer: dict[str, Any]) -> int | None:
    assert "errors" not in answer, answer
    edges = answer["data"]["balances"]["edges"]
    return int(edges[0]["node"]["amount"]) if edges else None


def _name(address: npt.NDArray[np.uint8]) -> str:
    return f"Wallet:{to_hex(address.tobytes())}"


def _limbs(amounts: Integers) -> limbs.Numbers:
    made = np.zeros((limbs.LIMBS, len(amounts)), np.int64)
    made[0], made[1] = amounts & 0xFFFFFFFF, amounts >> 32
    return made
