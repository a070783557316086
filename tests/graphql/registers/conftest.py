"""Books with records for the tests beside this file, and an API over them."""

from collections.abc import Iterator

import pytest

from tests.conftest import fresh_database
from tests.graphql.conftest import Api
from tests.graphql.registers.thing_books import ThingBooks, thing_api, thing_books, write_things
from tests.graphql.small_books import Scribe, scribe


@pytest.fixture(scope="session")
def things(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThingBooks]:
    """Things that were put again and again, to be read only."""
    with (
        fresh_database(postgres_url) as url,
        scribe(url, tmp_path_factory.mktemp("manifest")) as books,
        thing_books(books) as made,
    ):
        write_things(made)
        yield made


@pytest.fixture(scope="session")
def asked(things: ThingBooks) -> Iterator[Api]:
    """An API over the things."""
    with thing_api(things.books) as api:
        yield api


@pytest.fixture
def own_things(own_books: Scribe) -> Iterator[ThingBooks]:
    """Books without records, of one test's own, to write to."""
    with thing_books(own_books) as made:
        yield made
