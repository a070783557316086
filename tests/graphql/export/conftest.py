"""Books with rows in every table, for the tests beside this file."""

from collections.abc import Iterator

import pytest

from deepnode_graphql.service import Service
from tests.conftest import fresh_database
from tests.graphql.export.export_books import export_books, service_of
from tests.graphql.small_books import Scribe


@pytest.fixture(scope="session")
def full_books(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scribe]:
    """Books in which every table has rows, to be read only."""
    with fresh_database(postgres_url) as url, export_books(url, tmp_path_factory.mktemp("manifest")) as books:
        yield books


@pytest.fixture(scope="session")
def full_service(full_books: Scribe) -> Iterator[Service]:
    """A service over them."""
    with service_of(full_books) as service:
        yield service
