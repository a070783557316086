"""The lane: small planned requests are answered on the event loop, in the bytes of a thread's answer."""

import asyncio
from collections.abc import Iterator

import orjson
import psycopg
import pytest

from deepnode_graphql.answers import Answer
from deepnode_graphql.database import TookTooLong
from deepnode_graphql.execution import GraphQLRequest
from deepnode_graphql.plans import lane, wire
from deepnode_graphql.plans.wire import Ask
from deepnode_graphql.service import Service, make_service
from deepnode_projections.tables import SCHEMA
from tests.graphql.small_books import Scribe

HELD = "query($at: Long!) { balances(first: 5, at: {position: $at}) { edges { node { amount account { name } } } } }"
POSTINGS = "query($first: Int!) { postings(first: $first) { edges { node { position amount account { name } } } } }"
DOCUMENTS = (
    GraphQLRequest(POSTINGS, {"first": 3}),
    GraphQLRequest("{ _meta { position } balances(first: 5) { edges { cursor node { amount } } } }"),
    GraphQLRequest(HELD, {"at": 5}),
    GraphQLRequest("{ entry(position: 1) { kind } nothing: entry(position: 900000) { kind } }"),
)
NAP = Ask(b"SELECT pg_sleep(5)")


@pytest.fixture
def service(small_books: Scribe) -> Iterator[Service]:
    """A service over the small history that has planned what is asked here."""
    made = make_service(small_books.url, small_books.manifest, SCHEMA)
    for request in DOCUMENTS * 3:
        made.executor.run(request)
    yield made
    made.close()


async def by_lane(service: Service, request: GraphQLRequest) -> Answer:
    """The lane's answer, as soon as it has a connection."""
    for _ in range(200):
        answer = await service.quickly(request)
        if answer is not None:
            return answer
        await asyncio.sleep(0.02)
    raise AssertionError("the lane never answers")


def test_the_lane_answers_in_the_bytes_of_a_thread(service: Service) -> None:
    """Lists, counts, single rows and one that is not there: both ways are compared, with their costs."""

    async def story() -> None:
        for request in DOCUMENTS:
            quick, slow = await by_lane(service, request), service.executor.run(request)
            assert orjson.dumps(quick.body) == orjson.dumps(slow.body)
            assert (quick.outcome, quick.cost) == (slow.outcome, slow.cost)
        assert service.lane.taken == len(DOCUMENTS)

    asyncio.run(story())


def test_what_is_new_large_or_wrong_is_left_to_a_thread(service: Service) -> None:
    """A document that nobody asked before, one with a large answer, and variables that do not fit it."""

    async def story() -> None:
        await by_lane(service, DOCUMENTS[0])
        assert await service.quickly(GraphQLRequest("{ postings { edges { node { leg } } } }")) is None
        assert await service.quickly(GraphQLRequest(POSTINGS, {"first": lane.COST_MAX})) is None
        assert await service.quickly(GraphQLRequest(POSTINGS, {"first": "three"})) is None
        assert await service.quickly(GraphQLRequest(POSTINGS, {"first": 10**6})) is None

    asyncio.run(story())


def test_a_moment_that_needs_a_look_at_the_books_is_left_to_a_thread(service: Service) -> None:
    """A position behind the books' end and one below 0, which are errors; a block; and the head of a past state."""
    by_block = HELD.replace("Long!", "At!").replace("{position: $at}", "$at")
    of_the_past = GraphQLRequest("{ _meta(at: {position: 5}) { position } }")
    requests = [
        *(GraphQLRequest(HELD, {"at": at}) for at in (10**9, -1)),
        GraphQLRequest(by_block, {"at": {"block": 2}}),
    ]
    quick = GraphQLRequest(by_block, {"at": {"position": 5}})
    for request in [*requests, of_the_past, quick] * 3:
        service.executor.run(request)

    async def story() -> None:
        await by_lane(service, quick)
        for request in [*requests, of_the_past]:
            assert await service.quickly(request) is None

    asyncio.run(story())


def test_a_crowd_is_answered_over_few_connections(service: Service) -> None:
    """Two hundred requests at once: each is answered rightly or left to a thread, over eight connections at most."""

    async def story() -> None:
        expected = orjson.dumps((await by_lane(service, DOCUMENTS[0])).body)
        for _ in range(10):
            answers = await asyncio.gather(*(service.quickly(DOCUMENTS[0]) for _ in range(20)))
            assert {orjson.dumps(each.body) for each in answers if each is not None} == {expected}
        # The crowd may be answered before the connections are there that it has made the lane open.
        await asyncio.gather(*service.lane._opening)
        assert 1 < len(service.lane._idle) <= lane.CONNECTIONS

    asyncio.run(story())


def test_who_hangs_up_costs_a_connection_and_nothing_else(service: Service) -> None:
    """A question is given up while the database is at it: its connection is not used again, others answer."""

    async def story() -> None:
        right = await by_lane(service, DOCUMENTS[0])
        task = asyncio.create_task(service.lane.ask([wire.BEGIN, NAP, wire.ROLLBACK]))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        for _ in range(5):
            assert (await by_lane(service, DOCUMENTS[0])).body == right.body

    asyncio.run(story())


def test_a_statement_that_takes_too_long_says_so(service: Service) -> None:
    """The database ends a statement at its limit: the client hears that, and the next request is answered."""

    async def story() -> None:
        await by_lane(service, DOCUMENTS[0])
        with pytest.raises(TookTooLong):
            await service.lane.ask([wire.BEGIN, Ask(b"SET LOCAL statement_timeout = 50"), NAP, wire.ROLLBACK])
        await by_lane(service, DOCUMENTS[0])

    asyncio.run(story())


def test_connections_that_the_database_has_closed_are_replaced(service: Service, small_books: Scribe) -> None:
    """All of the API's sessions are ended, idle ones and one at work: nobody sees an error, and answers go on."""

    async def story() -> None:
        right = await by_lane(service, DOCUMENTS[0])
        for _ in range(3):
            nap = asyncio.create_task(service.lane.ask([wire.BEGIN, NAP, wire.ROLLBACK]))
            await asyncio.sleep(0.1)
            with psycopg.connect(small_books.url, autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'deepnode-api' AND datname = current_database()"
                )
            assert await nap is None
            assert (await by_lane(service, DOCUMENTS[0])).body == right.body

    asyncio.run(story())


def test_a_connection_goes_back_to_the_pool_in_time(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """With no time to be held, each question finds none idle, and the pool has all of its connections again."""
    monkeypatch.setattr(lane, "HELD_SECONDS_MAX", -1)

    async def story() -> None:
        for _ in range(20):
            assert await service.quickly(DOCUMENTS[0]) is None
            await asyncio.sleep(0.01)
        service.lane.close()

    asyncio.run(story())
    service.threads.shutdown(wait=True)
    assert service.engine.pool.status().endswith("Current Checked out connections: 0")
