"""Books whose records hang together, and an API over them."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from deepnode_graphql.app import make_app
from tests.conftest import fresh_database
from tests.graphql.conftest import Api
from tests.graphql.registers.thing_books import ThingBooks
from tests.graphql.related.epoch_books import epoch_books
from tests.graphql.small_books import scribe


@pytest.fixture(scope="session")
def related_books(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThingBooks]:
    """Records of every mechanism that hang together, over three epochs, to be read only."""
    with (
        fresh_database(postgres_url) as url,
        scribe(url, tmp_path_factory.mktemp("manifest")) as books,
        epoch_books(books) as made,
    ):
        yield made


@pytest.fixture(scope="session")
def related(related_books: ThingBooks) -> Iterator[Api]:
    """An API over the records that hang together."""
    with TestClient(make_app(related_books.books.url, related_books.books.manifest)) as http:
        yield Api(http)
