"""Statements over HTTP and by the command: the same bytes, an ETag, and refusals that say why."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from deepnode_graphql.app import make_app
from deepnode_graphql.service import EXPORTS_AT_ONCE
from deepnode_graphql.statements import http
from deepnode_graphql.statements.formats import BY_SUFFIX, FORMATS
from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import to_hex
from tests.graphql.small_books import ALICE, BOB, address_of
from tests.graphql.statements.conftest import Run
from tests.graphql.statements.month_books import MonthScribe

WHO = to_hex(ALICE)
QUERY = "from=block:3&to=block:16&fiat=USD"


@pytest.fixture
def client(month_books: MonthScribe) -> Iterator[TestClient]:
    """A client of an API over the books of the month."""
    with TestClient(make_app(month_books.url, month_books.manifest)) as made:
        yield made


def test_http_answers_with_the_bytes_that_the_command_writes(client: TestClient, run: Run) -> None:
    """Asks for every format in both ways and compares bytes, names and types."""
    options = [each for name in FORMATS for each in ("--format", name)]
    run(WHO, "--from", "block:3", "--to", "block:16", "--fiat", "USD", *options)
    for suffix, writer in BY_SUFFIX.items():
        answer = client.get(f"/statement/{WHO}.{suffix}?{QUERY}")
        assert answer.status_code == 200, answer.text
        name = answer.headers["content-disposition"].split('"')[1]
        assert Path(name).read_bytes() == answer.content
        assert answer.headers["content-type"] == writer.media_type
        assert answer.headers["etag"] == f'"{hashlib.sha256(answer.content).hexdigest()}"'


def test_a_client_that_has_the_file_is_told_so(client: TestClient) -> None:
    """Asks again with the ETag, weak or among others; then for another period."""
    tag = client.get(f"/statement/{WHO}.csv?{QUERY}").headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}'):
        again = client.get(f"/statement/{WHO}.csv?{QUERY}", headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
    other = client.get(f"/statement/{WHO}.csv?from=block:3", headers={"If-None-Match": tag})
    assert other.status_code == 200
    assert client.head(f"/statement/{WHO}.csv?{QUERY}").headers["etag"] == tag


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (f"/statement/{WHO}.doc?{QUERY}", "no statement ends in 'doc'"),
        (f"/statement/{WHO}.csv", "from is missing"),
        (f"/statement/{WHO}.csv?from=x", "must be a UTC date"),
        (f"/statement/{WHO}.csv?{QUERY}&at=1", "unknown parameter 'at'"),
        (f"/statement/{WHO}.csv?{QUERY}&from=2023", "from is given twice"),
        (f"/statement/{WHO}.csv?from=2023&fiat=%00", "printable"),
        (f"/statement/0x12.csv?{QUERY}", "20 bytes"),
        (f"/statement/{to_hex(address_of('Staking'))}.csv?{QUERY}", "is the contract Staking"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_the_reason(client: TestClient, path: str, said: str) -> None:
    """Breaks each rule of the path and its parameters."""
    answer = client.get(path)
    assert answer.status_code == 400
    assert said in answer.json()["error"]["message"]


def test_http_has_a_limit_of_lines(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lowers the limit below the month's lines."""
    monkeypatch.setattr(http, "LINES_MAX", 5)
    answer = client.get(f"/statement/{WHO}.csv?{QUERY}")
    assert answer.status_code == 400
    assert "more than 5 movements" in answer.json()["error"]["message"]


def test_the_command_says_what_it_wrote_and_what_differs(run: Run, tmp_path: Path) -> None:
    """Makes the data file, then an amended workbook of it with values, which were not in the first."""
    told = json.loads(run(WHO, "--from", "block:3", "--to", "block:16", "--format", "json", "--json"))
    assert (told["finality"], told["differences"]) == ("final", 0)
    again = run(
        WHO, "--from", "block:3", "--to", "block:16", "--format", "zip", "--fiat", "USD", "--previous", told["file"]
    )
    assert f"differences from {told['digest']}" in again
    assert run(WHO, "--from", "block:3", "--format", "csv", "--output", "-").startswith("time,type,account")
    run(to_hex(BOB), "--from", "block:3", "--format", "csv", "--output", "mine.csv")
    assert (tmp_path / "mine.csv").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--format", "doc"], "no format of statements"),
        (["--previous", "nowhere.json"], "cannot be read"),
        (["--format", "csv", "--format", "pdf", "--output", "-"], "cannot go to one output"),
        (["--output", "no/such/place.pdf"], "cannot be written"),
    ],
)
def test_the_command_refuses_what_it_cannot_do(run: Run, more: list[str], said: str) -> None:
    """Names no format, no file and no place to write to."""
    with pytest.raises(BadInput, match=said):
        run(WHO, "--from", "block:3", *more)


def test_a_database_that_is_away_is_answered_with_503(month_books: MonthScribe) -> None:
    """Asks an API whose database does not listen, and one in which as many exports run as may."""
    with TestClient(make_app("postgresql://nobody@127.0.0.1:1/none", month_books.manifest)) as away:
        assert away.get(f"/statement/{WHO}.csv?{QUERY}").status_code == 503
    app = make_app(month_books.url, month_books.manifest)
    with TestClient(app) as busy:
        app.state.service.exports_running = EXPORTS_AT_ONCE
        answer = busy.get(f"/statement/{WHO}.csv?{QUERY}")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert answer.json()["error"]["code"] == "TRY_AGAIN"
