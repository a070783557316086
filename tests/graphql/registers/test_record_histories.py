"""What a record was before: its earlier versions, newest first, and fetched for a whole page at once."""

from typing import Any

import pytest
from sqlalchemy import event

from tests.graphql.conftest import Api
from tests.graphql.registers.test_records_over_graphql import own
from tests.graphql.registers.thing_books import FIELDS, POSITIONS, Thing, ThingBooks, shown

KEY = "group name number"


def versions_before(things: ThingBooks, thing: Thing, position: int) -> list[tuple[int, Thing]]:
    """The earlier versions of a thing, newest first, with their positions."""
    key = (thing.group, thing.name, thing.number)
    found = [
        (each, version)
        for each, version in things.versions
        if (version.group, version.name, version.number) == key and each < position
    ]
    return sorted(found, key=lambda pair: -pair[0])


def statements_of(api: Api, query: str) -> tuple[Any, int]:
    """The answer to a query, and how many statements on things it took."""
    made: list[str] = []
    http: Any = api.http
    engine = http.app.state.service.engine

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        made.extend([statement] if "odd_thing" in statement else [])

    event.listen(engine, "before_cursor_execute", note)
    try:
        return api.ask(query), len(made)
    finally:
        event.remove(engine, "before_cursor_execute", note)


@pytest.mark.parametrize("moment", [POSITIONS, 15, 4, 0])
def test_a_history_holds_the_earlier_versions_newest_first(asked: Api, things: ThingBooks, moment: int) -> None:
    """Asks for all things of a moment with their histories; each version ends where the next one begins."""
    query = (
        f"{{ oddThings(first: 100, at: {{ position: {moment} }})"
        f" {{ edges {{ node {{ position history {{ edges {{ node {{ {FIELDS} position until }} }} }} }} }} }} }}"
    )
    data, statements = statements_of(asked, query)
    edges = data["oddThings"]["edges"]
    assert statements <= 2
    for thing, edge in zip(things.held[moment], edges, strict=True):
        history = [each["node"] for each in edge["node"]["history"]["edges"]]
        expected = versions_before(things, thing, edge["node"]["position"])
        assert [(node["position"], own(node)) for node in history] == [(at, shown(each)) for at, each in expected]
        ends = [edge["node"]["position"], *(node["position"] for node in history)]
        assert [node["until"] for node in history] == ends[: len(history)]


def test_a_history_is_walked_page_by_page(asked: Api, things: ThingBooks) -> None:
    """Walks the longest history in pages of one and two, and compares with one page of all."""
    longest = max(things.held[-1], key=lambda thing: len(versions_before(things, thing, POSITIONS + 1)))
    key = shown(longest)
    found = (
        "query ($g: Hex!, $n: String!, $i: Long!, $first: Int, $after: String)"
        " { oddThing(group: $g, name: $n, number: $i) { history(first: $first, after: $after)"
        " { edges { node { position } } pageInfo { hasNextPage hasPreviousPage endCursor } } } }"
    )

    def walk(first: int) -> list[int]:
        positions: list[int] = []
        after = None
        while True:
            page = asked.ask(found, g=key["group"], n=key["name"], i=key["number"], first=first, after=after)
            page = page["oddThing"]["history"]
            positions += [edge["node"]["position"] for edge in page["edges"]]
            assert page["pageInfo"]["hasPreviousPage"] == (after is not None)
            if not page["pageInfo"]["hasNextPage"]:
                return positions
            after = page["pageInfo"]["endCursor"]

    whole = walk(1000)
    assert len(whole) > 3
    assert walk(1) == walk(2) == whole


def test_histories_of_histories_take_one_statement_a_level(asked: Api) -> None:
    """Asks three levels deep for a whole page: each earlier version's history begins behind it."""
    below = "history(first: 3) { edges { node { position %s } } }"
    data, statements = statements_of(
        asked,
        "{ oddThings(first: 100) { edges { node { position " + below % (below % (below % "")) + " } } } }",
    )
    assert statements == 4

    def positions(node: dict[str, Any]) -> list[int]:
        return [edge["node"]["position"] for edge in node["history"]["edges"]]

    nodes = [edge["node"] for edge in data["oddThings"]["edges"]]
    assert any(len(positions(node)) == 3 for node in nodes)
    for node in nodes:
        whole = positions(node)
        for number, edge in enumerate(node["history"]["edges"], 1):
            assert positions(edge["node"])[: len(whole) - number] == whole[number:]


def test_one_page_may_ask_for_several_pages_of_its_histories(asked: Api) -> None:
    """Asks under two names for one and for two versions."""
    data = asked.ask(
        "{ oddThings { edges { node { one: history(first: 1) { edges { cursor } }"
        " two: history(first: 2) { edges { cursor } } } } } }"
    )
    for edge in data["oddThings"]["edges"]:
        assert edge["node"]["one"]["edges"] == edge["node"]["two"]["edges"][:1]
