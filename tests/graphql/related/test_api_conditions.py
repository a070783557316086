"""Conditions put together by _and, _or and _not: random ones against the same question put to every row in Python."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from deepnode_graphql.reads.combined import CONDITIONS_MAX
from deepnode_ledger.hexadecimal import to_hex
from tests.graphql.conftest import Api
from tests.graphql.small_books import ALICE, BOB, CAROL, DN, NODE, address_of

Node = dict[str, Any]
Atom = tuple[dict[str, Any], Callable[[Node], bool]]

PLACE = "account { name owner pocket holder firstPosition } asset { symbol }"
LISTS: dict[str, tuple[str, str, list[Any]]] = {
    "postings": (
        f"position leg {PLACE} amount kind contract block {{ number }} transactionHash",
        "PostingWhere",
        ["POSITION_ASC", "POSITION_DESC"],
    ),
    "balances": (f"{PLACE} amount position", "BalanceWhere", ["ACCOUNT_ASC", "BALANCE_DESC"]),
    "accounts": ("name owner pocket holder firstPosition", "AccountWhere", [None]),
    "entries": ("position kind contract block { number } transactionHash", "EntryWhere", ["POSITION_ASC"]),
    "logEntries": (
        "position kind event contract transactionHash address topics producer block { number }",
        "LogEntryWhere",
        ["POSITION_ASC", "POSITION_DESC"],
    ),
}
HOLDERS = [to_hex(each) for each in (ALICE, BOB, CAROL, address_of("Collateral"), bytes(20))]
ACCOUNTS = ["Mint", "Burn", *(f"Wallet:{each}" for each in HOLDERS), f"Collateral:Free:{to_hex(NODE)}"]


def atom(name: str, chance: random.Random) -> Atom:
    """One condition of a list, and what it means."""
    account: Callable[[Node], Any] = (lambda node: node) if name == "accounts" else (lambda node: node.get("account"))
    place = chance.randrange(17)
    positions: list[Atom] = [
        ({"position_gt": place}, lambda node: node["position"] > place),
        ({"position_gte": place}, lambda node: node["position"] >= place),
        ({"position_lt": place}, lambda node: node["position"] < place),
        ({"position_lte": place}, lambda node: node["position"] <= place),
    ]
    holder, some = chance.choice(HOLDERS), chance.sample(HOLDERS, 2)
    named, several = chance.choice(ACCOUNTS), chance.sample(ACCOUNTS, 3)
    amount = str(chance.choice([0, 1, -1, 3 * DN, 10**38 - 1, -(10**50), 10**50]))
    whose: list[Atom] = [
        ({"holder": holder}, lambda node: account(node)["holder"] == holder),
        ({"holder_in": some}, lambda node: account(node)["holder"] in some),
    ]
    accounts: list[Atom] = [
        ({"account": named}, lambda node: account(node)["name"] == named),
        ({"account_in": several}, lambda node: account(node)["name"] in several),
        *whose,
    ]
    assets: list[Atom] = [
        ({"asset": "DN"}, lambda node: node["asset"]["symbol"] == "DN"),
        ({"asset_in": ["USDC", "DN"]}, lambda node: True),
    ]
    amounts: list[Atom] = [
        ({"amount_gt": amount}, lambda node: int(node["amount"]) > int(amount)),
        ({"amount_gte": amount}, lambda node: int(node["amount"]) >= int(amount)),
        ({"amount_lt": amount}, lambda node: int(node["amount"]) < int(amount)),
        ({"amount_lte": amount}, lambda node: int(node["amount"]) <= int(amount)),
    ]
    events: list[Atom] = [
        ({"kind": "Transfer"}, lambda node: node["kind"] == "Transfer"),
        ({"kind_in": ["Deposited", "ReviewOpened"]}, lambda node: node["kind"] in ("Deposited", "ReviewOpened")),
        ({"contract": "DNToken"}, lambda node: node["contract"] == "DNToken"),
        (
            {"contract_in": ["Collateral", "USDCStandIn"]},
            lambda node: node["contract"] in ("Collateral", "USDCStandIn"),
        ),
        ({"block_gte": place // 2}, lambda node: node["block"]["number"] >= place // 2),
        ({"block_lte": place // 2}, lambda node: node["block"]["number"] <= place // 2),
    ]
    of: dict[str, list[Atom]] = {
        "postings": [*positions, *accounts, *assets, *amounts, *events],
        "balances": [
            positions[0], *accounts, *assets, *amounts, ({"nonZero": True}, lambda node: node["amount"] != "0"),
        ],
        "accounts": [
            *whose,
            ({"name": named}, lambda node: node["name"] == named),
            ({"name_in": several}, lambda node: node["name"] in several),
            ({"nameStartsWith": "Wallet:0x"}, lambda node: node["name"].startswith("Wallet:0x")),
            ({"owner_in": ["Mint", "Collateral"]}, lambda node: node["owner"] in ("Mint", "Collateral")),
            ({"pocket_in": ["Free"]}, lambda node: node["pocket"] == "Free"),
            ({"firstPosition_gte": place}, lambda node: node["firstPosition"] >= place),
            ({"firstPosition_lte": place}, lambda node: node["firstPosition"] <= place),
        ],
        "entries": [*positions, *events],
        "logEntries": [
            *positions,
            ({"event": "Transfer"}, lambda node: node["event"] == "Transfer"),
            ({"event_in": ["Deposited", "TaskCreated"]}, lambda node: node["event"] in ("Deposited", "TaskCreated")),
            ({"event_in": []}, lambda node: False),
            ({"producer": "urn:p"}, lambda node: node["producer"] == "urn:p"),
            ({"kind": "CHAIN_LOG"}, lambda node: node["kind"] == "CHAIN_LOG"),
            ({"address": to_hex(address_of("DNToken"))}, lambda node: node["address"] == to_hex(address_of("DNToken"))),
        ],
    }  # fmt: skip
    return chance.choice(of[name])


def conditions(name: str, chance: random.Random, depth: int = 0) -> Atom:
    """Some conditions put together, and what they mean."""
    where: dict[str, Any] = {}
    tests: list[Callable[[Node], bool]] = []
    for _ in range(chance.randrange(3)):
        added, test = atom(name, chance)
        if not set(added) & set(where):
            where |= added
            tests.append(test)
    if depth < 2 and chance.random() < 0.6:
        link = chance.choice(["_and", "_or", "_not"])
        parts = [conditions(name, chance, depth + 1) for _ in range(1 if link == "_not" else chance.randrange(4))]
        inner = [test for _, test in parts]
        where[link] = parts[0][0] if link == "_not" else [each for each, _ in parts]
        of = {
            "_and": lambda node: all(test(node) for test in inner),
            "_or": lambda node: any(test(node) for test in inner),
            "_not": lambda node: not inner[0](node),
        }
        tests.append(of[link])
    return where, lambda node: all(test(node) for test in tests)


@pytest.mark.parametrize("name", LISTS)
def test_conditions_put_together_mean_what_they_say_of_every_row(api: Api, name: str) -> None:
    """Asks 60 random questions of a list, now and in the past, and filters the whole list in Python."""
    fields, where_type, orders = LISTS[name]
    chance = random.Random(name)
    wholes: dict[tuple[int | None, str | None], list[Node]] = {}
    answered = 0
    for _ in range(60):
        where, test = conditions(name, chance)
        order, position = chance.choice(orders), chance.choice([None, 11])
        by = f", orderBy: {order}" if order else ""
        query = (
            f"query ($w: {where_type}, $at: At) {{ {name}(first: 500, where: $w, at: $at{by})"
            f" {{ totalCount edges {{ node {{ {fields} }} }} }} }}"
        )
        at = None if position is None else {"position": position}
        if (position, order) not in wholes:
            edges = api.ask(query, w=None, at=at)[name]["edges"]
            wholes[(position, order)] = [edge["node"] for edge in edges]
        answer = api.post(query, {"w": where, "at": at}).json()
        if name == "logEntries" and "errors" in answer:
            assert "needs a condition that an index serves" in answer["errors"][0]["message"]
            continue
        assert "errors" not in answer, (where, answer["errors"])
        found = answer["data"][name]
        expected = [node for node in wholes[(position, order)] if test(node)]
        assert [edge["node"] for edge in found["edges"]] == expected, where
        assert found["totalCount"] == len(expected)
        answered += 0 < len(expected) < len(wholes[(position, order)])
    assert answered > 5


def test_a_page_of_a_choice_of_accounts_goes_on_at_its_cursor(api: Api) -> None:
    """Walks the postings of one account or another in pages of two, and compares with one page."""
    where = {"_or": [{"account": ACCOUNTS[2]}, {"_and": [{"holder": HOLDERS[1]}, {"asset": "DN"}]}]}
    query = (
        "query ($w: PostingWhere, $n: Int!, $a: String) {"
        " postings(first: $n, after: $a, where: $w, orderBy: POSITION_DESC)"
        " { pageInfo { hasNextPage endCursor } edges { node { position leg } } } }"
    )
    whole = api.ask(query, w=where, n=100)["postings"]["edges"]
    assert len(whole) > 5
    walked: list[Any] = []
    page: Any = {"pageInfo": {"hasNextPage": True, "endCursor": None}}
    while page["pageInfo"]["hasNextPage"]:
        page = api.ask(query, w=where, n=2, a=page["pageInfo"]["endCursor"])["postings"]
        walked += page["edges"]
    assert walked == whole


def test_what_no_index_of_the_log_serves_is_refused(api: Api) -> None:
    """Asks the log for what is not something, and for one position or anything of an event."""
    where: dict[str, Any]
    for where in ({"_not": {"event": "Transfer"}}, {"_or": [{"event": "Transfer"}, {"position_gt": 3}]}):
        query = "query ($w: LogEntryWhere) { logEntries(where: $w) { edges { cursor } } }"
        code, said = api.refusal(query, w=where)
        assert code == "BAD_INPUT"
        assert "needs a condition that an index serves" in said


def test_the_number_of_objects_of_conditions_is_limited(api: Api) -> None:
    """Gives one more than a hundred."""
    for name in ("postings", "balances", "accounts", "entries", "logEntries"):
        where: Any = {"_or": [{} for _ in range(CONDITIONS_MAX)]}
        query = f"query ($w: {LISTS[name][1]}) {{ {name}(where: $w) {{ edges {{ cursor }} }} }}"
        assert "at most 100 objects" in api.refusal(query, w=where)[1]
