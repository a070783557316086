"""GraphQL over HTTP: methods, media types, statuses; and the routes beside it."""

import json
import re
from typing import Any

import pytest

from tests.graphql.conftest import Api
from tests.graphql.test_api_example import EXAMPLE

GRAPHQL_RESPONSE = "application/graphql-response+json"
JSON = "application/json"
META = "{ _meta { position } }"


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        (None, JSON),
        ("*/*", JSON),
        (JSON, JSON),
        (GRAPHQL_RESPONSE, GRAPHQL_RESPONSE),
        (f"{GRAPHQL_RESPONSE}, {JSON};q=0.9", GRAPHQL_RESPONSE),
        (f"{JSON};q=0.5, {GRAPHQL_RESPONSE};q=0.4", JSON),
        (f"text/html, {GRAPHQL_RESPONSE}; charset=utf-8", GRAPHQL_RESPONSE),
    ],
)
def test_the_answer_has_a_media_type_that_the_client_takes(api: Api, accept: str | None, media: str) -> None:
    """Sends the Accept headers of old and new clients."""
    headers = {} if accept is None else {"Accept": accept}
    if accept is None:
        del api.http.headers["accept"]
    answer = api.http.post("/graphql", json={"query": META}, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (200, f"{media}; charset=utf-8")
    assert answer.json() == {"data": {"_meta": {"position": 15}}}


def test_a_client_that_takes_neither_media_type_is_told_so(api: Api) -> None:
    """Accepts only HTML."""
    assert api.http.post("/graphql", json={"query": META}, headers={"Accept": "text/html"}).status_code == 406


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", JSON, 400),
        (b"[]", JSON, 400),
        (b"{}", JSON, 400),
        (b'{"query": 1}', JSON, 400),
        (b'{"query": ""}', JSON, 400),
        (b'{"query": "{ _meta { position } }", "variables": []}', JSON, 400),
        (b'{"query": "{ _meta { position } }", "operationName": 1}', JSON, 400),
        (b'{"query": "{ _meta { position } }", "extensions": "x"}', JSON, 400),
        (b'{"query": "\xff"}', JSON, 400),
        (META.encode(), "application/graphql", 415),
        (b'{"query": "{ _meta { position } }"}', "text/plain", 415),
        (b'{"query": "{ _meta { position } }"}', f"{JSON}; charset=latin-1", 415),
        (b" " * (1024 * 1024 + 1), JSON, 413),
    ],
)
def test_a_malformed_request_has_the_status_of_its_mistake(
    api: Api, body: bytes, content_type: str, status: int
) -> None:
    """Sends bodies that are no GraphQL request; also with the plain media type the status is an error's."""
    for accept in (JSON, GRAPHQL_RESPONSE):
        answer = api.http.post("/graphql", content=body, headers={"Content-Type": content_type, "Accept": accept})
        assert answer.status_code == status
        assert "data" not in answer.json()
        assert answer.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    "query",
    [
        "{",
        "{ nothing }",
        "query A { __typename } query B { __typename }",
        "query ($l: Long!) { entry(position: $l) { kind } }",
    ],
)
def test_what_is_not_executed_is_an_error_of_http_for_new_clients_alone(api: Api, query: str) -> None:
    """Sends documents that do not parse, do not validate, are ambiguous, or lack a variable."""
    for accept, status in ((JSON, 200), (GRAPHQL_RESPONSE, 400)):
        answer = api.http.post("/graphql", json={"query": query}, headers={"Accept": accept})
        assert answer.status_code == status
        assert "data" not in answer.json()


def test_a_query_may_be_asked_by_get_and_a_mutation_may_not(api: Api) -> None:
    """Asks by GET with variables and a name, then for a mutation."""
    parameters = {
        "query": "query A($p: Long!) { entry(position: $p) { kind } } query B { __typename }",
        "variables": json.dumps({"p": 1}),
        "operationName": "A",
    }
    assert api.http.get("/graphql", params=parameters).json() == {"data": {"entry": {"kind": "Transfer"}}}
    answer = api.http.get("/graphql", params={"query": "mutation { x }"})
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert api.http.get("/graphql", params={"query": META, "variables": "{"}).status_code == 400
    assert api.http.get("/graphql").status_code == 400
    answer = api.http.put("/graphql", json={"query": META})
    assert answer.status_code == 405
    assert set(answer.headers["allow"].replace(" ", "").split(",")) >= {"GET", "POST"}


def test_the_page_loads_nothing_from_elsewhere_and_its_query_is_answered(api: Api) -> None:
    """Reads the page: no other origin, no inline script or style, and its text area holds the README's example."""
    answer = api.http.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    text = answer.text
    assert not re.search(r"https?://|<style|<script(?! src=\"/)|\son\w+=|\sstyle=", text)
    for name in re.findall(r'(?:src|href)="(/[^"]*)"', text):
        if name != "/export/postings.arrow":
            assert api.http.get(name).status_code == 200, name
    [query] = re.findall(r'<textarea id="query"[^>]*>(.*?)</textarea>', text, re.DOTALL)
    assert query.split() == EXAMPLE.split()
    assert api.ask(query)["_meta"]["position"] == 15
    for control in re.findall(r"<textarea id=\"(\w+)\"", text):
        assert f'<label for="{control}">' in text


def test_the_metrics_count_requests_by_what_they_came_to(api: Api) -> None:
    """Asks well and badly and reads the counters and the books' figures."""
    api.ask(META)
    api.post("{")
    api.http.get("/export/postings.arrow")
    api.http.get("/export/postings.arrow?x=1")
    figures: dict[str, Any] = dict(
        line.rsplit(" ", 1) for line in api.http.get("/metrics").text.splitlines() if not line.startswith("#")
    )
    assert figures["deepnode_api_ready"] == "1"
    assert figures["deepnode_books_position"] == figures["deepnode_books_log_position"] == "15"
    assert (figures["deepnode_books_tip_block"], figures["deepnode_books_finalized_block"]) == ("9", "5")
    assert (figures["deepnode_books_sealed_position"], figures["deepnode_books_lag_positions"]) == ("9", "0")
    for route, outcome in (
        ("graphql", "answered"),
        ("graphql", "refused"),
        ("export", "answered"),
        ("export", "refused"),
    ):
        assert figures[f'deepnode_api_requests_total{{route="{route}",outcome="{outcome}"}}'] == "1"
