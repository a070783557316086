"""Thousands of random queries: whatever is asked, the answer is an answer or a reason, and never a fault of ours."""

import asyncio
import json
from collections import Counter
from typing import Any

import pytest
from starlette.types import ASGIApp

from deepnode_graphql.app import make_app
from tests.graphql.random_queries import ASKED, QueryWriter
from tests.graphql.small_books import Scribe

QUERIES = 5_040
AT_ONCE = 4
CODES = {"BAD_INPUT", "GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED", "LIMIT_EXCEEDED"}
LEAKS = ("psycopg", "sqlalchemy", "Traceback", "SELECT ", "postgresql://", ".py", "object at 0x")
"""What stands in messages of libraries and in nothing that a client should read."""


def test_no_random_query_is_a_fault_of_ours(small_books: Scribe) -> None:
    """Asks more than 5 000 queries of fixed seeds through the application, some by GET, and looks at every answer."""
    outcomes = asyncio.run(ask_many(make_app(small_books.url, small_books.manifest), range(AT_ONCE), QUERIES))
    assert sum(outcomes.values()) == QUERIES
    # Most of what is written says something: else it would be a test of the parser alone.
    assert outcomes[200] > QUERIES // 3, outcomes
    assert outcomes[400] > QUERIES // 20, outcomes


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 110))
def test_no_random_query_of_very_many_is_a_fault_of_ours(small_books: Scribe, seed: int) -> None:
    """Asks 19 200 queries of each seed."""
    app = make_app(small_books.url, small_books.manifest)
    outcomes = asyncio.run(ask_many(app, range(seed * 10, seed * 10 + AT_ONCE), 19_200))
    assert sum(outcomes.values()) == 19_200


async def ask_many(app: Any, seeds: range, queries: int) -> Counter[int]:
    """Ask so many queries, several at once, each by its own writer; the answers' statuses are counted."""
    outcomes: Counter[int] = Counter()
    schema = app.state.service.executor.schema.core

    async def ask_some(seed: int) -> None:
        writer = QueryWriter(schema, seed)
        for number in range(queries // len(seeds) // ASKED):
            for request in writer.requests():
                status, said = await ask(app, json.dumps(request).encode())
                text = said.decode()
                check(request, status, text)
                outcomes[status] += 1
                if number % 4 == 0:
                    writer.saw(text)

    try:
        await asyncio.gather(*(ask_some(seed) for seed in seeds))
    finally:
        app.state.service.engine.dispose()
    return outcomes


def check(request: dict[str, Any], status: int, text: str) -> None:
    """Look at one answer: a status of the client's, known codes, and no word of what is inside."""
    assert status in (200, 400), (request, status, text[:2_000])
    answer = json.loads(text)
    for error in answer.get("errors", ()):
        assert error["extensions"]["code"] in CODES, (request, error)
        said = error["message"]
        # What a message repeats of the request is no leak.
        assert not any(leak in said and leak not in request["query"] for leak in LEAKS), (request, error)


async def ask(app: ASGIApp, body: bytes) -> tuple[int, bytes]:
    """Post a request to the application itself; gives the status and the body."""
    sent: list[Any] = []
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        return waiting.pop() if waiting else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json"), (b"accept", b"application/graphql-response+json")]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/graphql",
        "raw_path": b"/graphql",
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("fuzzer", 1),
        "server": ("api", 80),
    }
    await app(scope, receive, send)
    return sent[0]["status"], b"".join(each.get("body", b"") for each in sent[1:])
