"""The books of a month, read by the tests beside this file, and statements of them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from deepnode_cli.commands import command_line
from deepnode_graphql.service import Service, make_service
from deepnode_graphql.statements.making import Request, make_statement
from deepnode_graphql.statements.statement import Statement
from deepnode_projections.tables import SCHEMA
from tests.conftest import fresh_database
from tests.graphql.small_books import ALICE
from tests.graphql.statements.month_books import MonthScribe, month_scribe, write_month, write_month_manifest

Make = Callable[..., Statement]
Run = Callable[..., str]

PERIOD = ("block:3", "block:16")
"""Behind the first two blocks: there is something to open with."""


@pytest.fixture(scope="session")
def month_books(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MonthScribe]:
    """The books of a month, to be read only."""
    with fresh_database(postgres_url) as url, month_scribe(url, tmp_path_factory.mktemp("month")) as books:
        write_month(books)
        yield books


@pytest.fixture(scope="session")
def month_service(month_books: MonthScribe) -> Iterator[Service]:
    """The API's way into the books of a month."""
    service = make_service(month_books.url, month_books.manifest, SCHEMA)
    yield service
    service.engine.dispose()


@pytest.fixture(scope="session")
def statement_of(month_service: Service) -> Make:
    """Makes statements of the month: of Alice for her period, unless told otherwise."""

    def make(address: bytes = ALICE, begins: str = PERIOD[0], ends: str | None = PERIOD[1], **more: Any) -> Statement:
        with month_service.reading() as reading:
            return make_statement(reading, Request(address, begins, ends, **more))

    return make


@pytest.fixture(scope="session")
def month(statement_of: Make) -> Statement:
    """Alice's statement, in dollars."""
    return statement_of(fiat="USD")


@pytest.fixture
def run(month_books: MonthScribe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command in a directory of its own, over the books of the month."""
    manifest = tmp_path / "manifest"
    manifest.mkdir()
    write_month_manifest(manifest)
    monkeypatch.setenv("DEEPNODE_DATABASE_URL", month_books.url)
    monkeypatch.setenv("DEEPNODE_MANIFEST", str(manifest / "manifest.toml"))
    monkeypatch.chdir(tmp_path)

    def runs(*arguments: str) -> str:
        done = CliRunner().invoke(command_line("statement"), ["statement", *arguments])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.stdout

    return runs
