"""The service: what all routes share, and how work that waits for the database is kept off the event loop."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, TypeVar

from sqlalchemy import Engine

from deepnode_graphql.answers import Answer, refused
from deepnode_graphql.client_rates import ClientRates
from deepnode_graphql.database import TookTooLong, make_engine, reading_transaction
from deepnode_graphql.execution import Executor, GraphQLRequest
from deepnode_graphql.live.figures import LiveFigures
from deepnode_graphql.persisted import Documents, load_documents
from deepnode_graphql.plans.lane import CONNECTIONS, COST_MAX, Lane
from deepnode_graphql.plans.planner import Way
from deepnode_graphql.reading import Reading, StateRoots, begin_reading
from deepnode_graphql.rosters import Rosters
from deepnode_graphql.terms import NO_TERMS, Terms
from deepnode_ledger.manifest import Manifest

REQUESTS_AT_ONCE: Final = 8
EXPORTS_AT_ONCE: Final = 4
LIVE_READS_AT_ONCE: Final = 2

T = TypeVar("T")


@dataclass
class Service:
    """One API over one set of books. ``answered`` counts requests by (route, outcome) for the metrics.

    Its figures are changed on the event loop alone.
    """

    engine: Engine
    manifest: Manifest
    roots: StateRoots = field(default_factory=StateRoots)
    answered: Counter[tuple[str, str]] = field(default_factory=Counter)
    threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(REQUESTS_AT_ONCE, "request"))
    exports_running: int = 0
    live: LiveFigures = field(default_factory=LiveFigures)
    terms: Terms = NO_TERMS
    executor: Executor = field(init=False)
    rosters: Rosters = field(init=False)
    lane: Lane = field(init=False)

    def __post_init__(self) -> None:
        self.rosters = Rosters(self.manifest)
        self.executor = Executor(self.reading, way=Way(self.engine.raw_connection, self.manifest))
        self.lane = Lane(self.engine.raw_connection, self.threads)

    @contextmanager
    def reading(self) -> Iterator[Reading]:
        """Open one consistent view of the books.

        Raises:
            TryAgain: the database is away, or it holds no books of this manifest.
        """
        with reading_transaction(self.engine) as database:
            yield begin_reading(database, self.manifest, self.roots, self.rosters)

    @cached_property
    def documents(self) -> Documents:
        """The documents that can be asked by their id.

        Raises:
            BadInput: they cannot be read, or one of them cannot be asked.
        """
        return load_documents(self.terms, self.executor.mistakes)

    @cached_property
    def rates(self) -> ClientRates:
        """How much each client has asked for."""
        return ClientRates(self.terms)

    async def quickly(self, request: GraphQLRequest) -> Answer | None:
        """Answer a small request without a thread, if it was planned before; None if a thread has to."""
        shortcut = self.executor.shortcut(request, COST_MAX)
        if shortcut is None:
            return None
        try:
            rows = await self.lane.ask(shortcut.errand.asks)
        except TookTooLong as error:
            return refused(str(error), "LIMIT_EXCEEDED")
        return None if rows is None else self.executor.at_the_end(shortcut, rows)

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Run what waits for the database in a worker thread, as many at once as there are connections.

        It has the interpreter's own threads, whose way there and back costs half of anyio's.
        """
        return await asyncio.get_running_loop().run_in_executor(self.threads, work)

    def close(self) -> None:
        """Let go of the database, and of the threads once what they do is done."""
        self.lane.close()
        self.threads.shutdown(wait=False)
        self.engine.dispose()


def make_service(database_url: str, manifest: Manifest, schema: str, terms: Terms = NO_TERMS) -> Service:
    """Wire the service; nothing connects yet.

    Raises:
        BadInput: ``database_url`` is not a connection string.
    """
    connections = REQUESTS_AT_ONCE + EXPORTS_AT_ONCE + LIVE_READS_AT_ONCE + CONNECTIONS
    service = Service(make_engine(database_url, schema, connections=connections), manifest, terms=terms)
    # Read now, so that a mistake in them is told before anything is served.
    assert service.documents is not None
    return service
