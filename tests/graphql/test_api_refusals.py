"""What the API refuses, and what it says then."""

import time
from typing import Any

import pytest
from starlette.testclient import TestClient

from deepnode_graphql import limits
from deepnode_graphql.app import make_app
from deepnode_ledger.errors import BadInput
from tests.graphql.conftest import Api
from tests.graphql.small_books import Scribe, write_manifest


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("{ postings(first: 0) { edges { cursor } } }", "first must be between 1 and 1000, not 0"),
        ("{ postings(first: 1001) { edges { cursor } } }", "first must be between 1 and 1000, not 1001"),
        ('{ postings(after: "nonsense!") { edges { cursor } } }', "is not a cursor"),
        ('{ postings(after: "W10") { edges { cursor } } }', "is not a cursor"),
        ('{ postings(after: "é") { edges { cursor } } }', "is not a cursor"),
        (
            '{ balances(where: { asset: "XYZ" }) { edges { cursor } } }',
            "asset 'XYZ' is not in the books; these are: DN, USDC",
        ),
        ('{ balances(where: { asset: "0x12" }) { edges { cursor } } }', "asset must have 20 bytes, not 1"),
        (
            '{ postings(where: { transactionHash: "0x12" }) { edges { cursor } } }',
            "transactionHash must have 32 bytes, not 1",
        ),
        ('{ account(name: "a\\u0000b") { name } }', "name must not hold the character 0"),
        ('{ holder(address: "0x12") { address } }', "an Address must have 20 bytes, not 1"),
        ("{ entry(position: 9007199254740992) { kind } }", "a Long must be between"),
        ("{ entry(position: 1.5) { kind } }", "a Long must be a whole JSON number"),
    ],
)
def test_a_malformed_input_is_named_with_its_rule(api: Api, query: str, message: str) -> None:
    """Sends one mistake at a time; the message holds the value and the rule."""
    code, said = api.refusal(query)
    assert message in said
    assert code in ("BAD_INPUT", "GRAPHQL_VALIDATION_FAILED")


def test_a_cursor_of_another_list_or_order_is_refused(api: Api) -> None:
    """Gives a cursor of the newest postings to the oldest postings."""
    page = api.ask("{ postings(first: 1, orderBy: POSITION_DESC) { pageInfo { endCursor } } }")
    cursor = page["postings"]["pageInfo"]["endCursor"]
    code, said = api.refusal(f'{{ postings(after: "{cursor}") {{ edges {{ cursor }} }} }}')
    assert (code, said) == (
        "BAD_INPUT", "the cursor belongs to postings POSITION_DESC, this list is postings POSITION_ASC",
    )  # fmt: skip


def chain_of_fragments(count: int, *, spreads: int = 2, body: str = "") -> str:
    """Fragments that each spread the next one several times: the answer grows exponentially."""
    parts = [f"fragment f{n} on Query {{ {body} {f'...f{n + 1} ' * spreads} }}" for n in range(count)]
    return "{ ...f0 } " + " ".join(parts) + f" fragment f{count} on Query {{ _meta {{ position }} }}"


BOMBS: dict[str, str] = {
    "fragments": chain_of_fragments(18),
    "more fragments": chain_of_fragments(100),
    "wide fragments": chain_of_fragments(18, spreads=20),
    "one field many times": "{ " + "__typename " * 1_900 + "}",
    "one field as often as allowed": "{ " + "assets { symbol address decimals } " * limits.SELECTIONS_MAX + "}",
    "deep": "{ " + "a { " * 300 + "b" + " }" * 301,
    "inline fragments": "{ " + "... { " * 150 + "__typename" + " }" * 151,
    "brackets": "{ accounts(where: { name_in: " + "[" * 900 + "]" * 900 + " }) { edges { cursor } } }",
    "tokens": "{ " + "assets { symbol } " * 1_000 + "}",
    "comments": "# \n" * 20_000 + "{ __typename }",
    "a long string": '{ account(name: "' + "x" * 200_000 + '") { name } }',
    "introspection": "{ __schema { types " + "{ fields { type " * 6 + "{ name }" + "} }" * 6 + " } }",
    "rows": "{ entries(first: 1000) { edges { node { postings { account { name owner pocket balances {"
    " account { name owner pocket } asset { symbol address } amount position finality } } amount balance } } } } }",
}  # fmt: skip


ROWS_BY_VARIABLE = "query ($n: Int) { entries(first: $n) { edges { node { postings { amount balance } } } } }"
ALIASES = "{ assets { " + " ".join(f"a{n}: symbol" for n in range(31)) + " } " + (
    "x: assets { symbol } " + " ".join(f"b{n}: __typename" for n in range(30)) + " }"
)  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_query_that_asks_for_too_much_is_refused_before_it_costs_anything(api: Api, bomb: str) -> None:
    """Sends documents that are small and ask for much. What grows exponentially would take years, not a second."""
    took_seconds = []
    for _ in range(3):
        started_seconds = time.perf_counter()
        answer = api.post(BOMBS[bomb])
        took_seconds.append(time.perf_counter() - started_seconds)
        if bomb != "one field as often as allowed":
            assert answer.status_code == 400
            assert answer.json()["errors"][0]["message"]
    assert min(took_seconds) < 1


@pytest.mark.parametrize(
    ("query", "variables", "message"),
    [
        (BOMBS["fragments"], {}, "100000 are allowed: ask for fewer rows with `first`"),
        (BOMBS["rows"], {}, "100000 are allowed: ask for fewer rows with `first`"),
        (ROWS_BY_VARIABLE, {"n": 1_000_000}, "ask for fewer rows"),
        (ALIASES, {}, "the query has 62 aliases, 60 are allowed"),
        ("{ " + "__typename " * 61 + "}", {}, "61 selections stand side by side, 60 are allowed"),
        ("{ " + "assets { symbol } " * 600 + "}", {}, "2000 tokens"),
    ],
)
def test_a_limit_names_the_figure_and_the_rule(api: Api, query: str, variables: dict[str, Any], message: str) -> None:
    """Steps over each limit by a little."""
    code, said = api.refusal(query, **variables)
    assert code == "LIMIT_EXCEEDED"
    assert message in said


def test_the_usual_introspection_is_within_the_limits(api: Api) -> None:
    """Asks graphql-core's own introspection query, which is what tools send."""
    from graphql import build_client_schema, get_introspection_query, print_schema

    data = api.ask(get_introspection_query(descriptions=True, input_value_deprecation=True))
    assert "type Query" in print_schema(build_client_schema(data))


def test_a_fault_of_ours_is_shown_by_an_id_alone(small_books: Scribe, caplog: pytest.LogCaptureFixture) -> None:
    """Breaks the executor's reading on purpose: the client sees an id, the log has the rest under it."""
    app = make_app(small_books.url, small_books.manifest)
    with TestClient(app) as http:
        from deepnode_graphql.reading import StateRoots

        broken = StateRoots.at
        try:
            StateRoots.at = lambda *_: 1 // 0  # type: ignore[assignment,method-assign] # a fault on purpose
            answer = http.post("/graphql", json={"query": "{ _meta { position stateRoot } }"}).json()
        finally:
            StateRoots.at = broken  # type: ignore[method-assign] # and its end
    [error] = answer["errors"]
    assert error["extensions"]["code"] == "INTERNAL"
    assert "ZeroDivision" not in str(answer)
    incident = error["message"].split()[2].rstrip(":")
    assert any(incident in record.getMessage() and record.exc_info for record in caplog.records)


def test_a_database_that_is_away_is_said_to_be_so_and_can_come_back(small_books: Scribe) -> None:
    """Names a port that nobody listens on: 503, a code to try again by, and not ready."""
    with TestClient(make_app("postgresql://nobody@127.0.0.1:1/none", small_books.manifest)) as http:
        answer = http.post("/graphql", json={"query": "{ _meta { position } }"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert answer.json() == {"errors": [{"message": "the database is away", "extensions": {"code": "TRY_AGAIN"}}]}
        assert http.get("/export/postings.arrow").status_code == 503
        assert http.get("/ready").json() == {"ready": False, "reason": "the database is away"}
        assert http.get("/health").json() == {"status": "up"}
        assert "deepnode_api_ready 0" in http.get("/metrics").text


def test_a_database_without_books_is_not_ready(database_url: str, small_books: Scribe) -> None:
    """Names an empty database: the projections have not made their tables yet."""
    with TestClient(make_app(database_url, small_books.manifest)) as http:
        answer = http.post("/graphql", json={"query": "{ _meta { position } }"})
        assert answer.status_code == 503
        assert "the books are not there yet" in answer.json()["errors"][0]["message"]
        assert http.get("/ready").status_code == 503


def test_books_of_another_manifest_are_not_served(small_books: Scribe, tmp_path: Any) -> None:
    """Gives the API a manifest with another token than that of the books."""
    manifest = write_manifest(tmp_path)
    path = tmp_path / "manifest.toml"
    path.write_text(path.read_text("utf-8").replace('symbol = "DN"', 'symbol = "ND"'), "utf-8")
    from deepnode_ledger.manifest import load_manifest

    other = load_manifest(path)
    assert other.digest != manifest.digest
    with TestClient(make_app(small_books.url, other)) as http:
        ready = http.get("/ready")
    assert ready.status_code == 503
    assert "the books were made with the manifest" in ready.json()["reason"]


def test_a_url_that_is_none_is_refused_when_the_api_is_wired(small_books: Scribe) -> None:
    """Wires the API with nonsense; nothing has connected by then."""
    with pytest.raises(BadInput, match="the database URL must be like"):
        make_app("what is this", small_books.manifest)
