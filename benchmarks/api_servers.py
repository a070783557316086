"""The three servers that the benchmark of the API asks, each a process of its own: ours, the peer and the bound.

- *ours*: the API as it is served, without its limits on requests.
- *strawberry*: a schema of the same shape over the same tables with the same SQL, as the library's documentation
  has it: types by annotation, resolvers on the query, its ASGI application with its defaults.
- *orjson*: one handler that runs the same SQL, puts the rows into dictionaries and writes them by orjson, without
  GraphQL: what this machine, this server and this database could do at most.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import psycopg
import strawberry
import uvicorn
from psycopg_pool import AsyncConnectionPool
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from strawberry.asgi import GraphQL
from typing_extensions import override

from deepnode_ledger.hexadecimal import from_hex, to_hex
from deepnode_ledger.manifest import load_manifest

CONNECTIONS = 8
SEARCH_PATH = "-c search_path=books"

TASKS = """SELECT task, domain, model, price, stage, difficulty_ppm, producer, position FROM task
    WHERE until IS NULL AND stage = %s ORDER BY position DESC, task DESC LIMIT %s"""
TASK = """SELECT task, domain, model, price, stage, difficulty_ppm, producer, position FROM task
    WHERE task = %s ORDER BY position DESC LIMIT 1"""
POSTINGS = """SELECT p.position, p.leg, p.amount, p.balance, e.kind, e.transaction_hash, a.name, s.symbol
    FROM posting p JOIN entry e USING (position) JOIN account a USING (account_id) JOIN asset s USING (asset_id)
    ORDER BY p.position DESC, p.leg DESC LIMIT %s"""


def main() -> None:
    """Serve one of the three: ``NAME PORT DATABASE_URL MANIFEST``."""
    name, port, url, manifest = sys.argv[1:]
    make: Callable[[str, Path], Any] = {"ours": ours, "strawberry": peer, "orjson": bound}[name]
    uvicorn.run(make(url, Path(manifest)), host="127.0.0.1", port=int(port), log_level="error", access_log=False)


def ours(url: str, manifest: Path) -> Any:
    """Make the API."""
    from deepnode_graphql.app import make_app

    return make_app(url, load_manifest(manifest))


@strawberry.type
class Task:
    """A task."""

    task: str
    domain: str
    model: str
    price: str
    stage: str
    difficulty_ppm: int
    producer: str
    position: int


@strawberry.type
class Account:
    """An account."""

    name: str


@strawberry.type
class Asset:
    """A token."""

    symbol: str


@strawberry.type
class Posting:
    """A line of the books."""

    position: int
    leg: int
    amount: str
    balance: str
    kind: str
    transaction_hash: str
    account: Account
    asset: Asset


@strawberry.type
class PageInfo:
    """Whether there are more."""

    has_next_page: bool
    end_cursor: str | None


@strawberry.type
class TaskEdge:
    """A place in the list."""

    node: Task


@strawberry.type
class TaskConnection:
    """A page."""

    edges: list[TaskEdge]
    page_info: PageInfo


@strawberry.type
class PostingEdge:
    """A place in the list."""

    node: Posting


@strawberry.type
class PostingConnection:
    """A page."""

    edges: list[PostingEdge]
    page_info: PageInfo


@strawberry.type
class Query:
    """What the benchmark asks."""

    @strawberry.field
    async def tasks(self, info: strawberry.Info, first: int, stage: str) -> TaskConnection:
        """The newest tasks of a stage."""
        rows = await _fetch(info.context["pool"], TASKS, (stage, first + 1))
        nodes = [_task(row) for row in rows[:first]]
        end = str(nodes[-1].position) if nodes else None
        page_info = PageInfo(has_next_page=len(rows) > first, end_cursor=end)
        return TaskConnection(edges=[TaskEdge(node=each) for each in nodes], page_info=page_info)

    @strawberry.field
    async def task(self, info: strawberry.Info, task: str) -> Task | None:
        """One task."""
        rows = await _fetch(info.context["pool"], TASK, (from_hex(task),))
        return _task(rows[0]) if rows else None

    @strawberry.field
    async def postings(self, info: strawberry.Info, first: int) -> PostingConnection:
        """The newest postings."""
        rows = await _fetch(info.context["pool"], POSTINGS, (first + 1,))
        nodes = [_posting(row) for row in rows[:first]]
        end = str(nodes[-1].position) if nodes else None
        page_info = PageInfo(has_next_page=len(rows) > first, end_cursor=end)
        return PostingConnection(edges=[PostingEdge(node=each) for each in nodes], page_info=page_info)


def peer(url: str, _manifest: Path) -> Any:
    """Make strawberry's ASGI application."""
    held: dict[str, Any] = {}

    class Application(GraphQL[Any, Any]):
        @override
        async def get_context(self, request: Any, response: Any) -> Any:
            if "pool" not in held:
                held["pool"] = await _pool(url)
            return {"request": request, "response": response, **held}

    return Starlette(routes=[Route("/graphql", Application(strawberry.Schema(Query)))])


def bound(url: str, _manifest: Path) -> Any:
    """Make the handler without GraphQL: it knows by the operation's name what is asked."""
    held: dict[str, Any] = {}

    async def answer(request: Request) -> Response:
        asked = orjson.loads(await request.body())
        if "pool" not in held:
            held["pool"] = await _pool(url)
        variables = asked["variables"]
        data: dict[str, Any]
        match asked["operationName"]:
            case "tasks":
                first = variables["first"]
                rows = await _fetch(held["pool"], TASKS, (variables["stage"], first + 1))
                data = {"tasks": _page([_plain_task(row) for row in rows[:first]], len(rows) > first)}
            case "task":
                [row] = await _fetch(held["pool"], TASK, (from_hex(variables["task"]),))
                data = {"task": _plain_task(row)}
            case _:
                first = variables["first"]
                rows = await _fetch(held["pool"], POSTINGS, (first + 1,))
                data = {"postings": _page([_plain_posting(row) for row in rows[:first]], len(rows) > first)}
        return Response(orjson.dumps({"data": data}), media_type="application/json")

    return Starlette(routes=[Route("/graphql", answer, methods=["POST"])])


async def _pool(url: str) -> AsyncConnectionPool[Any]:
    pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
        url, min_size=CONNECTIONS, max_size=CONNECTIONS, open=False, kwargs={"options": SEARCH_PATH}
    )
    await pool.open()
    return pool


async def _fetch(pool: AsyncConnectionPool[Any], statement: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    async with pool.connection() as connection:
        cursor: psycopg.AsyncCursor[Any] = connection.cursor(binary=True)
        await cursor.execute(statement.encode(), values)
        return await cursor.fetchall()


def _task(row: tuple[Any, ...]) -> Task:
    task, domain, model, price, stage, difficulty, producer, position = row
    return Task(
        task=to_hex(task), domain=to_hex(domain), model=to_hex(model), price=str(price), stage=stage,
        difficulty_ppm=difficulty, producer=producer, position=position,
    )  # fmt: skip


def _posting(row: tuple[Any, ...]) -> Posting:
    position, leg, amount, balance, kind, transaction, name, symbol = row
    return Posting(
        position=position, leg=leg, amount=str(amount), balance=str(balance), kind=kind,
        transaction_hash=to_hex(transaction), account=Account(name=name), asset=Asset(symbol=symbol),
    )  # fmt: skip


def _plain_task(row: tuple[Any, ...]) -> dict[str, Any]:
    task, domain, model, price, stage, difficulty, producer, position = row
    return {
        "task": to_hex(task), "domain": to_hex(domain), "model": to_hex(model), "price": str(price), "stage": stage,
        "difficultyPpm": difficulty, "producer": producer, "position": position,
    }  # fmt: skip


def _plain_posting(row: tuple[Any, ...]) -> dict[str, Any]:
    position, leg, amount, balance, kind, transaction, name, symbol = row
    return {
        "position": position, "leg": leg, "amount": str(amount), "balance": str(balance), "kind": kind,
        "transactionHash": to_hex(transaction), "account": {"name": name}, "asset": {"symbol": symbol},
    }  # fmt: skip


def _page(nodes: list[dict[str, Any]], more: bool) -> dict[str, Any]:
    end = str(nodes[-1]["position"]) if nodes else None
    return {"edges": [{"node": each} for each in nodes], "pageInfo": {"hasNextPage": more, "endCursor": end}}


if __name__ == "__main__":
    main()
