"""Live: what all subscribers of the process share.

Each subscriber reads its pages by itself, from where it stands, and reads the next one when the last has gone out. So
one that stops reading holds a page in memory and nothing else, and keeps nobody waiting. Those that ask the same thing
and stand at the same place share the page. While the database is away nothing is told.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

import anyio
from anyio import to_thread
from graphql import OperationType
from starlette.types import Scope

from deepnode_graphql.answers import Answer, failed, refused
from deepnode_graphql.client_rates import UNKNOWN, TooFast
from deepnode_graphql.database import TookTooLong
from deepnode_graphql.execution import GraphQLRequest
from deepnode_graphql.live.operation import Message, Operation, Page, Refused, begin_operation, operation_of
from deepnode_graphql.live.tailer import Tailer
from deepnode_graphql.service import LIVE_READS_AT_ONCE, Service
from deepnode_ledger.errors import TryAgain
from deepnode_ledger.subscription import Place

CONNECTIONS_MAX: Final = 1_000
CONNECTIONS_PER_CLIENT_MAX: Final = 50
SUBSCRIPTIONS_PER_CONNECTION_MAX: Final = 20
SUBSCRIPTIONS_MAX: Final = 1_000

BEAT_SECONDS: Final = 15.0
"""How long a subscriber hears nothing at most."""

AGAIN_SECONDS: Final = 1.0
"""How long is waited before a database that was away is asked again."""

SEND_SECONDS_MAX: Final = 30.0
"""How long a message may wait for a subscriber to read."""

PAGES_SHARED: Final = 64
SHARED_BYTES_MAX: Final = 256 * 1024
"""Larger pages are read by each one who wants them, so that what is kept stays small."""

T = TypeVar("T")


_Key = tuple[bytes, Place, int, bool]


@dataclass(frozen=True, slots=True)
class Beat:
    """Nothing came for a while; the subscriber still stands at ``place``."""

    place: Place


class TooMany(Exception):
    """There is no room for another connection or subscription; the message says whose limit it is."""


class Live:
    """The subscribers of one process, and what they read by. It is used on the event loop alone."""

    def __init__(self, service: Service, database_url: str, schema: str) -> None:
        """Wire it; nothing connects and nothing runs before the first subscriber comes."""
        self.service = service
        self.figures = service.live
        self.tailer = Tailer(database_url, schema)
        self.beat_seconds = BEAT_SECONDS
        self.send_seconds_max = SEND_SECONDS_MAX
        self.connections_max = CONNECTIONS_MAX
        self.connections_per_client_max = CONNECTIONS_PER_CLIENT_MAX
        self.subscriptions_max = SUBSCRIPTIONS_MAX
        # So few that many subscribers leave room for queries.
        self._reads = anyio.CapacityLimiter(LIVE_READS_AT_ONCE)
        self._ending = False
        self._clients: Counter[str] = Counter()
        self._shared: OrderedDict[_Key, asyncio.Task[Page]] = OrderedDict()

    @contextmanager
    def connection(self, transport: str, client: str) -> Iterator[None]:
        """Count a connection while it lasts.

        Raises:
            TooMany: the process or the client has as many as it may.
        """
        if sum(self.figures.connections.values()) >= self.connections_max:
            raise TooMany(f"{self.connections_max} connections are followed: try again later")
        if self._clients[client] >= self.connections_per_client_max:
            raise TooMany(f"a client may have {self.connections_per_client_max} connections")
        self.figures.connections[transport] += 1
        self._clients[client] += 1
        try:
            yield
        finally:
            self.figures.connections[transport] -= 1
            self._clients[client] -= 1
            if not self._clients[client]:
                del self._clients[client]

    async def begin(self, request: GraphQLRequest, *, is_bare: bool = False) -> Operation:
        """Check a subscription and find out where it begins.

        Raises:
            Refused: it breaks a rule, or the database is away.
        """
        if self.figures.subscriptions >= self.subscriptions_max:
            raise Refused(refused(f"{self.subscriptions_max} subscriptions are followed: try later", "LIMIT_EXCEEDED"))
        schema, reading = self.service.executor.schema, self.service.reading
        return await to_thread.run_sync(
            lambda: begin_operation(schema, reading, request, is_bare=is_bare), limiter=self._reads
        )

    async def is_subscription(self, request: GraphQLRequest) -> bool:
        """Say whether a request is a subscription."""
        # Most requests can be told without being parsed, which is work for a thread.
        if OperationType.SUBSCRIPTION.value not in request.query:
            return False
        kind = await to_thread.run_sync(lambda: operation_of(request), limiter=self._reads)
        return kind is OperationType.SUBSCRIPTION

    async def run(self, request: GraphQLRequest, client: str, *, queries_only: bool = False) -> Answer:
        """Answer a request that is no subscription."""
        service = self.service
        try:
            answer = await service.in_thread(lambda: service.executor.run(request, queries_only=queries_only))
        except Exception as error:  # noqa: BLE001 - whatever it is, the client is told of it, by an id
            answer = failed(error)
        service.answered["graphql", answer.outcome.value] += 1
        service.rates.charge(client, answer.cost)
        return answer

    async def follow(self, operation: Operation, client: str) -> AsyncGenerator[Message | Beat, None]:
        """Yield the messages of a subscription until the server stops, and a beat whenever nothing came for a while.

        What is told as it comes is free. Pages that were there before count as a client's other requests do: who reads
        them faster than its rate allows is kept waiting.

        Raises:
            Refused: the operation asks for too much at once.
        """
        place, first, behind = operation.start, True, False
        self.tailer.hold()
        self.figures.subscriptions += 1
        try:
            while not self._ending:
                version = self.tailer.version
                try:
                    if behind:
                        self.service.rates.let_in(client)
                    page = await self._page(operation, place, version, first=first)
                except TooFast as error:
                    yield Beat(place)
                    await asyncio.sleep(error.retry_seconds)
                    continue
                except TryAgain:
                    yield Beat(place)
                    await asyncio.sleep(AGAIN_SECONDS)
                    continue
                behind = not page.at_end
                if behind:
                    self.service.rates.charge(client, operation.cost if page.messages else 0)
                for message in page.messages:
                    yield message
                place, first = page.place, False
                while page.at_end and not await self.tailer.behind(version, self.beat_seconds):
                    yield Beat(place)
        finally:
            self.figures.subscriptions -= 1
            self.tailer.release()

    def end(self) -> None:
        """Let every stream end, since the server stops; a client that comes again finds another server."""
        self._ending = True
        self.tailer.wake()

    def sent(self, message: Message) -> None:
        """Count a message that went out."""
        self.figures.messages += 1
        self.figures.retractions += message.is_retraction

    async def _page(self, operation: Operation, place: Place, version: int, *, first: bool) -> Page:
        key = (operation.key, place, version, first)
        task = self._shared.get(key)
        if task is None:
            task = self._shared[key] = asyncio.ensure_future(self._read(operation, place, first=first))
            while len(self._shared) > PAGES_SHARED:
                self._shared.popitem(last=False)
            task.add_done_callback(lambda done: self._drop(key, done))
        # One that leaves must not end the read of those who share it.
        return await asyncio.shield(task)

    def _drop(self, key: _Key, done: "asyncio.Task[Page]") -> None:
        # A page that failed is read again by the next one that asks.
        failed = done.cancelled() or done.exception() is not None
        large = not failed and sum(len(each.payload) for each in done.result().messages) > SHARED_BYTES_MAX
        if (failed or large) and self._shared.get(key) is done:
            del self._shared[key]

    async def _read(self, operation: Operation, place: Place, *, first: bool) -> Page:
        def read() -> Page:
            with self.service.reading() as reading:
                return operation.read(reading, place, first=first)

        try:
            return await to_thread.run_sync(read, limiter=self._reads)
        except TookTooLong as error:
            raise Refused(refused(str(error), "LIMIT_EXCEEDED")) from error


def client_of(scope: Scope) -> str:
    """Return the name by which a connection's client is counted."""
    client = scope.get("client")
    return str(client[0]) if client else UNKNOWN
