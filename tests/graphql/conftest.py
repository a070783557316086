"""Books with a small history for the tests beside this file, and an API over them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from deepnode_graphql.app import make_app
from tests.conftest import fresh_database
from tests.graphql.small_books import Scribe, scribe, write_small_history


class Api:
    """A client of the API."""

    def __init__(self, http: TestClient) -> None:
        self.http = http

    def post(self, query: str, variables: dict[str, Any] | None = None, **headers: str) -> Any:
        """The HTTP response to a query."""
        accept = {"Accept": "application/graphql-response+json", **headers}
        return self.http.post("/graphql", json={"query": query, "variables": variables}, headers=accept)

    def ask(self, query: str, **variables: Any) -> Any:
        """The data of a query that must succeed."""
        answer = self.post(query, variables).json()
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def refusal(self, query: str, **variables: Any) -> tuple[str, str]:
        """The code and message of the first error of a query that must fail."""
        [error, *_] = self.post(query, variables).json()["errors"]
        return error["extensions"]["code"], error["message"]


@pytest.fixture(scope="session")
def small_books(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scribe]:
    """The small history, to be read only."""
    with fresh_database(postgres_url) as url, scribe(url, tmp_path_factory.mktemp("manifest")) as books:
        write_small_history(books)
        yield books


@pytest.fixture
def api(small_books: Scribe) -> Iterator[Api]:
    """An API over the small history."""
    with TestClient(make_app(small_books.url, small_books.manifest)) as http:
        yield Api(http)


@pytest.fixture
def own_books(database_url: str, tmp_path: Path) -> Iterator[Scribe]:
    """Empty books of one test's own, to write to."""
    with scribe(database_url, tmp_path) as books:
        yield books


@pytest.fixture
def own_api(own_books: Scribe) -> Iterator[Api]:
    """An API over a test's own books."""
    with TestClient(make_app(own_books.url, own_books.manifest)) as http:
        yield Api(http)
