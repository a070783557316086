"""Time travel: a position, a block or a time names the same books, at any depth of the past."""

from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from deepnode_ledger.hexadecimal import to_hex
from tests.graphql.conftest import Api
from tests.graphql.small_books import ALICE, DN, Scribe, transfer, word

BALANCES = (
    "query ($at: At) { balances(first: 1000, at: $at) { edges { node { account { name } asset { symbol } amount } } } }"
)
META = "query ($at: At) { _meta(at: $at) { position finality block { number } stateRoot } }"


def held(data: Any) -> dict[tuple[str, str], int]:
    """The balances of an answer."""
    nodes = [edge["node"] for edge in data["balances"]["edges"]]
    return {(node["account"]["name"], node["asset"]["symbol"]): int(node["amount"]) for node in nodes}


def summed(books: Scribe, position: int) -> dict[tuple[str, str], int]:
    """The same by plain SQL: the sum of all postings up to a position."""
    with psycopg.connect(books.url, row_factory=dict_row) as connection:
        cursor = connection.execute(
            "SELECT a.name, s.symbol, sum(p.amount) AS total FROM books.posting p"
            " JOIN books.account a USING (account_id) JOIN books.asset s USING (asset_id)"
            " WHERE p.position <= %s GROUP BY a.name, s.symbol",
            (position,),
        )
        return {(row["name"], row["symbol"]): int(row["total"]) for row in cursor.fetchall()}


def test_balances_equal_the_sum_of_the_postings_at_every_position(api: Api, small_books: Scribe) -> None:
    """Asks for the balances at each position and compares them with SUM over the postings."""
    last = api.ask("{ _meta { position } }")["_meta"]["position"]
    assert last == 15
    for position in range(last + 1):
        assert held(api.ask(BALANCES, at={"position": position})) == summed(small_books, position)
    assert held(api.ask(BALANCES)) == summed(small_books, last)


def test_a_block_names_the_last_position_at_or_below_it(api: Api) -> None:
    """Asks for each block of the small history; the second holds no log and stands where the first ends."""
    positions = [api.ask(META, at={"block": number})["_meta"]["position"] for number in range(10)]
    assert positions == [0, 2, 2, 3, 5, 9, 11, 13, 14, 15]


def test_a_time_names_the_last_block_up_to_it(api: Api) -> None:
    """Asks for the time of block 4, one second before and one second after it."""
    time = 1_700_000_000 + 2 * 4
    assert [api.ask(META, at={"time": time + shift})["_meta"]["position"] for shift in (-1, 0, 1)] == [3, 5, 5]
    first = api.ask(META, at={"time": 1})["_meta"]
    assert first == api.ask(META, at={"block": 0})["_meta"]
    assert (first["position"], first["finality"], first["block"]) == (0, "SEALED", None)


def test_the_three_names_of_a_moment_give_one_answer(api: Api) -> None:
    """Asks for the state behind block 7 by block, position and time; also the state roots are equal."""
    answers = [api.ask(META, at=at) for at in ({"block": 7}, {"position": 13}, {"time": 1_700_000_014})]
    assert answers[0] == answers[1] == answers[2]
    assert answers[0]["_meta"]["block"] == {"number": 7}


@pytest.mark.parametrize(
    ("at", "message"),
    [
        ({"block": 10}, "at.block 10 is above the last block that the books cover, 9"),
        ({"position": 16}, "at.position 16 is above the books' last position, 15"),
        ({"time": 1_700_000_019}, "at.time 1700000019 is later than the last block that the books cover, 9"),
        ({"block": -1}, "at.block must be 0 or more, not -1"),
        ({}, "exactly one"),
        ({"block": 1, "position": 1}, "exactly one"),
    ],
)
def test_a_moment_that_the_books_do_not_know_is_refused(api: Api, at: dict[str, int], message: str) -> None:
    """Names moments above the end, below the beginning, and none or two at once; the message names both sides."""
    code, said = api.refusal(META, at=at)
    assert code == "BAD_INPUT"
    assert message in said


def test_finality_is_that_of_the_moment_and_of_each_row(api: Api) -> None:
    """Blocks up to 5 are final in the small history; asks for moments around it and for the rows."""
    assert [api.ask(META, at={"block": number})["_meta"]["finality"] for number in (4, 5, 6)] == [
        "SEALED", "SEALED", "PENDING",
    ]  # fmt: skip
    rows = api.ask("{ postings(first: 1000) { edges { node { finality block { number } } } } }")["postings"]["edges"]
    assert {(edge["node"]["block"]["number"] <= 5, edge["node"]["finality"]) for edge in rows} == {
        (True, "SEALED"), (False, "PENDING"),
    }  # fmt: skip


def test_an_account_appears_with_its_first_posting(api: Api) -> None:
    """Looks for the collateral pocket before and behind the deposit."""
    query = 'query ($at: At) { account(name: "%s", at: $at) { pocket firstPosition balances { amountFormatted } } }'
    free = "Collateral:Free:" + to_hex(bytes([2]) * 32)
    assert api.ask(query % free, at={"position": 4})["account"] is None
    assert api.ask(query % free, at={"position": 5})["account"] == {
        "pocket": "Free", "firstPosition": 5, "balances": [{"amountFormatted": "3 DN"}],
    }  # fmt: skip
    assert api.ask(query % free)["account"]["balances"] == [{"amountFormatted": "1 DN"}]


def test_what_a_reorg_took_back_is_in_no_answer(api: Api) -> None:
    """Blocks 8 and 9 of the small history were replaced; looks for the lost hash and amount."""
    lost = to_hex(word("block", 8, "a"))
    data = api.ask(
        "{ reorgs { edges { node { number keptPosition keptBlock oldTipNumber newTipNumber } } }"
        " entries(where: { block_gte: 8 }) { edges { node { block { hash } postings { amount account { name } } } } } }"
    )
    assert [edge["node"] for edge in data["reorgs"]["edges"]] == [
        {"number": 1, "keptPosition": 13, "keptBlock": 7, "oldTipNumber": 9, "newTipNumber": 9}
    ]
    assert lost not in str(data)
    amounts = [p["amount"] for e in data["entries"]["edges"] for p in e["node"]["postings"]]
    assert amounts == [str(-2 * DN), str(2 * DN), "-2", "2"]


def test_one_response_is_of_one_state(own_books: Scribe, own_api: Api) -> None:
    """Asks for several lists in one request, after each of some blocks: all agree with the position in _meta."""
    for number in range(1, 6):
        own_books.block(transfer(bytes(20), ALICE, number))
        data = own_api.ask(
            "{ _meta { position } postings(first: 1, orderBy: POSITION_DESC) { edges { node { position } } }"
            " assets { symbol totalSupply } }"
        )
        assert data["postings"]["edges"][0]["node"]["position"] == data["_meta"]["position"] == number
        assert data["assets"][0] == {"symbol": "DN", "totalSupply": str(number * (number + 1) // 2)}


def test_empty_books_are_empty_and_no_error(own_api: Api) -> None:
    """Asks before the first block: position 0, no block, no rows."""
    data = own_api.ask("{ _meta { position block { number } finality stateRoot } balances { edges { cursor } } }")
    assert data["_meta"]["position"] == 0
    assert data["_meta"]["block"] is None
    assert data["balances"]["edges"] == []
