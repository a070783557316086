"""Two executors over the same books: one with plans, and the library's alone."""

from collections.abc import Iterator
from dataclasses import dataclass

import orjson
import pytest

from deepnode_graphql.answers import Answer
from deepnode_graphql.execution import Executor, GraphQLRequest
from deepnode_graphql.plans.planner import Planner, Way
from deepnode_graphql.schema import KINDS
from deepnode_graphql.service import Service, make_service
from deepnode_projections.tables import SCHEMA
from tests.conftest import fresh_database
from tests.graphql.registers.thing_books import KINDS as THINGS
from tests.graphql.registers.thing_books import thing_books, write_things
from tests.graphql.small_books import Scribe, scribe


@dataclass
class Pair:
    """An executor with plans, which plans from the first request on, and one without."""

    service: Service
    planned: Executor
    stock: Executor

    @property
    def planner(self) -> Planner:
        """The planner of the first."""
        assert self.planned.planner is not None
        return self.planned.planner

    def ask(self, request: GraphQLRequest) -> tuple[Answer, Answer]:
        """Both answers."""
        return self.planned.run(request), self.stock.run(request)

    def same(self, query: str, **variables: object) -> bytes:
        """The answer of both, which must be the same bytes."""
        request = GraphQLRequest(query, variables)
        planned, stock = self.ask(request)
        assert orjson.dumps(planned.body) == orjson.dumps(stock.body)
        return orjson.dumps(planned.body)


def pair_over(books: Scribe) -> Pair:
    """Two executors over some books, whose schema has things beside the books' own records."""
    service = make_service(books.url, books.manifest, SCHEMA)
    kinds = (*KINDS, *THINGS)
    planned = Executor(service.reading, kinds, Way(service.engine.raw_connection, books.manifest))
    assert planned.planner is not None
    planned.planner.patience = 0
    return Pair(service, planned, Executor(service.reading, kinds))


@pytest.fixture(scope="session")
def thing_pair(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Executors over books with things that were put again and again."""
    with (
        fresh_database(postgres_url) as url,
        scribe(url, tmp_path_factory.mktemp("manifest")) as books,
        thing_books(books) as made,
    ):
        write_things(made)
        pair = pair_over(books)
        yield pair
        pair.service.engine.dispose()


@pytest.fixture
def pair(small_books: Scribe) -> Iterator[Pair]:
    """Executors over the small history."""
    made = pair_over(small_books)
    yield made
    made.service.engine.dispose()
