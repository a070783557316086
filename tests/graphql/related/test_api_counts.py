"""totalCount: the length of a whole list, of every connection, only if it is asked for."""

import re
from typing import Any

import pytest
from graphql import GraphQLObjectType, get_named_type

from deepnode_graphql.schema import make_schema
from tests.graphql.conftest import Api

LISTS = ("accounts", "balances", "postings", "entries", "logEntries", "refusals", "quarantine", "reorgs")


@pytest.mark.parametrize("at", [None, {"position": 9}, {"position": 0}])
@pytest.mark.parametrize("name", [each for each in LISTS if each != "reorgs"])
def test_the_count_is_that_of_a_walk_over_the_whole_list(api: Api, name: str, at: dict[str, int] | None) -> None:
    """Counts the rows of one page of a thousand; a page of one row and one behind a cursor have the same count."""
    query = (
        f"query ($n: Int!, $a: String, $at: At) {{ {name}(first: $n, after: $a, at: $at)"
        " { totalCount edges { cursor } } }"
    )
    whole = api.ask(query, n=1000, at=at)[name]
    assert whole["totalCount"] == len(whole["edges"])
    assert api.ask(query, n=1, at=at)[name]["totalCount"] == len(whole["edges"])
    if whole["edges"]:
        behind = api.ask(query, n=1, a=whole["edges"][0]["cursor"], at=at)[name]
        assert behind["totalCount"] == len(whole["edges"])


@pytest.mark.parametrize(
    "of",
    [
        'postings(where: { account_in: ["Wallet:0xa1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1", "Mint"] }',
        'postings(where: { asset: "DN", kind: "Transfer" }',
        'balances(where: { asset: "DN", nonZero: true }',
        'accounts(where: { nameStartsWith: "Wallet:" }',
        'entries(where: { kind: "Transfer", block_gte: 4 }',
        'logEntries(where: { event: "Transfer" }',
        "logEntries(where: { position_gt: 3, position_lte: 9 }",
        "logEntries(where: { position_gt: 9, position_lte: 3 }",
    ],
)
def test_a_count_has_the_conditions_of_its_list(api: Api, of: str) -> None:
    """Counts lists with conditions and compares with the rows."""
    [found] = api.ask(f"{{ {of}, first: 1000) {{ totalCount edges {{ cursor }} }} }}").values()
    assert found["totalCount"] == len(found["edges"])


def test_reorgs_and_histories_are_counted(api: Api, related: Api) -> None:
    """Counts the one reorg, and what records were before, for a page of them."""
    assert api.ask("{ reorgs { totalCount edges { cursor } } }")["reorgs"]["totalCount"] == 1
    tasks: Any = related.ask(
        "{ tasks { totalCount edges { node { stage history(first: 1) { totalCount edges { cursor } } } } } }"
    )["tasks"]
    assert tasks["totalCount"] == 6
    for edge in tasks["edges"]:
        expected = {"credited": 1, "created": 0}[edge["node"]["stage"]]
        assert edge["node"]["history"]["totalCount"] == len(edge["node"]["history"]["edges"]) == expected


def test_every_connection_of_the_schema_can_be_counted() -> None:
    """Walks the types of the schema."""
    types = make_schema().core.type_map
    connections = [each for name, each in types.items() if re.search("Connection$", name)]
    assert len(connections) > 60
    for each in connections:
        assert isinstance(each, GraphQLObjectType)
        assert get_named_type(each.fields["totalCount"].type).name == "Long"
