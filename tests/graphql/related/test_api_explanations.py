"""`explanation`: what `deepnode explain` tells, as typed data and as its text."""

from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from deepnode_graphql import limits
from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections import explaining
from deepnode_projections.registers.at import StateAt
from deepnode_projections.rules.pools import Reward
from tests.graphql.conftest import Api
from tests.graphql.registers.thing_books import ThingBooks
from tests.graphql.related.epoch_books import DN_TOKEN, MINERS
from tests.graphql.small_books import word

FIELDS = (
    "explanation { title position amount holds positionCount asset { symbol } log(first: 3) { position event }"
    " steps { title said formulas seeds holds positions ruleset { path value seed }"
    " table { head rows rowCount note } } text }"
)


def test_a_reward_line_is_explained_as_by_the_command(related: Api, related_books: ThingBooks) -> None:
    """Explains the miners' lines, and compares each with what the projections tell at the same position."""
    edges = related.ask(
        'query { rewards(first: 9, where: { role: { _eq: "miner" } })'
        f" {{ edges {{ node {{ amount subject {FIELDS} }} }} }} }}"
    )["rewards"]["edges"]
    assert len(edges) == 3
    dn = explaining.Asset(DN_TOKEN, "DN", 18)
    with psycopg.connect(related_books.books.url, options="-c search_path=books", row_factory=dict_row) as connection:
        past = StateAt(connection, len(related_books.held) - 1)
        lines = {to_hex(line.subject): line for line in past.every(Reward) if line.role == "miner"}
        for edge in edges:
            told = edge["node"]["explanation"]
            expected = explaining.line_of(past, dn, lines[edge["node"]["subject"]])
            data = explaining.as_data(expected)
            assert [told[name] for name in ("title", "position", "amount", "holds")] == [
                data[name] for name in ("title", "position", "amount", "holds")
            ]
            assert told["asset"]["symbol"] == data["asset"]["symbol"]
            assert told["positionCount"] == len(expected.positions)
            for step, by_hand in zip(told["steps"], data["steps"], strict=True):
                for name in ("title", "said", "formulas", "seeds", "holds", "positions"):
                    assert step[name] == by_hand[name]
                assert {each["path"]: each["value"] for each in step["ruleset"]} == {
                    path: str(each["value"]) for path, each in by_hand["ruleset"].items()
                }
                if by_hand["table"] is not None:
                    assert (step["table"]["head"], step["table"]["rowCount"]) == (
                        by_hand["table"]["head"], len(by_hand["table"]["rows"]),
                    )  # fmt: skip
            assert explaining.as_text(expected).rstrip() in told["text"]
            assert any(
                f"606 * {lines[edge['node']['subject']].amount // 101 * 11}" in f
                for s in told["steps"]
                for f in s["formulas"]
            )


def test_a_payment_is_explained_and_says_what_is_missing(related: Api) -> None:
    """Explains a payment of whose token no route is known."""
    receipts: Any = related.ask(f"{{ receipts(first: 2) {{ edges {{ node {{ receipt {FIELDS} }} }} }} }}")["receipts"]
    for edge in receipts["edges"]:
        told = edge["node"]["explanation"]
        assert edge["node"]["receipt"] in told["title"]
        assert not told["holds"]
        assert told["steps"][-1]["said"] == ["No route is known of this asset: the rules give no legs."]


def test_a_difference_is_explained_with_what_it_is_about(related: Api) -> None:
    """Explains a leg of a payment, with the payment's own steps, and a root that differs by its words."""
    differences = related.ask(
        f"{{ differences(first: 9) {{ edges {{ node {{ subject {FIELDS} }} }} }} }}"
    )["differences"]["edges"]  # fmt: skip
    told = {edge["node"]["subject"]: edge["node"]["explanation"] for edge in differences}
    leg = told["RevenueSplit"]
    assert leg["title"] == f"Difference in RevenueSplit: creator of {to_hex(word('receipt', 0))}"
    assert leg["steps"][0]["said"] == ["4 comparisons of this part of a RevenueSplit, of which 1 differed."]
    assert leg["steps"][1]["formulas"] == ["fact 7 - expected 5 = 2"]
    assert leg["steps"][-1]["said"] == ["No route is known of this asset: the rules give no legs."]
    assert [entry["position"] for entry in leg["log"]] == [13]
    assert told["EpochAllocated"]["steps"][1]["said"] == ["The reason: expected 0x01, reported 0x02."]


def test_an_explanation_is_of_the_moment_of_its_list(related: Api) -> None:
    """Explains a line by the books of the epoch's end: the position says so."""
    line = related.ask(
        "query ($s: Hex!) { rewards(first: 1, at: { epoch: 2 }, where: { subject: { _eq: $s } }) { edges { node {"
        " explanation { position holds } } } } }",
        s=to_hex(MINERS[1]),
    )["rewards"]["edges"][0]["node"]
    end = related.ask("{ _meta(at: { epoch: 2 }) { position } }")["_meta"]["position"]
    assert line["explanation"]["position"] == end


@pytest.mark.parametrize("first", [0, 1001])
def test_a_part_of_an_explanation_is_bounded(related: Api, first: int) -> None:
    """Asks for no row and for too many."""
    said = related.refusal(
        f"{{ rewards(first: 1) {{ edges {{ node {{ explanation {{ log(first: {first}) {{ position }} }} }} }} }} }}"
    )[1]
    assert f"first must be between 1 and 1000, not {first}" in said or f"{limits.COST_MAX} are allowed" in said


def test_many_explanations_at_once_are_refused(related: Api) -> None:
    """Asks for those of 50 lines."""
    code, _ = related.refusal("{ rewards(first: 50) { edges { node { explanation { title } } } } }")
    assert code == "LIMIT_EXCEEDED"
