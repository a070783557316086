"""Walking through lists: every row once, whatever arrives meanwhile; and filters that say what they mean."""

from collections.abc import Callable
from typing import Any

import pytest

from deepnode_ledger.hexadecimal import to_hex
from tests.graphql.conftest import Api
from tests.graphql.small_books import ALICE, AMOUNT_MAX, BOB, CAROL, DN, Scribe, address_of, transfer

LISTS = {
    "accounts": "name",
    "balances": "account { name } asset { symbol }",
    "balances(orderBy: ACCOUNT_DESC)": "account { name } asset { symbol }",
    "balances(orderBy: BALANCE_DESC)": "amount account { name } asset { symbol }",
    "balances(orderBy: BALANCE_ASC)": "amount account { name } asset { symbol }",
    "postings": "position leg",
    "postings(orderBy: POSITION_DESC)": "position leg",
    'postings(where: { asset: "DN" })': "position leg",
    "entries": "position",
    "entries(orderBy: POSITION_DESC)": "position",
    "logEntries": "position",
    "logEntries(orderBy: POSITION_DESC)": "position",
    "logEntries(where: { kind: CHAIN_LOG })": "position",
    'logEntries(orderBy: POSITION_DESC, where: { event: "Transfer" })': "position",
    "logEntries(where: { kind: TASK_EVENT })": "position",
    "refusals": "position",
    "quarantine": "position",
    "reorgs": "number",
}


def walk(
    api: Api, listed: str, fields: str, first: int, between: Callable[[], object] = lambda: None, at: str = ""
) -> list[Any]:
    """All nodes of a list, page by page; ``between`` runs after each page."""
    name, _, arguments = listed.partition("(")
    nodes: list[Any] = []
    after = ""
    for _ in range(1000):
        given = f"({arguments.removesuffix(')')} first: {first} {after} {at})"
        page = api.ask(
            f"{{ {name}{given} {{ edges {{ node {{ {fields} }} }} pageInfo {{ hasNextPage endCursor }} }} }}"
        )
        nodes += [edge["node"] for edge in page[name]["edges"]]
        if not page[name]["pageInfo"]["hasNextPage"]:
            return nodes
        after = f'after: "{page[name]["pageInfo"]["endCursor"]}"'
        between()
    raise AssertionError("the walk does not end")


@pytest.mark.parametrize("listed", LISTS)
def test_a_walk_meets_every_row_once_in_any_page_size(api: Api, listed: str) -> None:
    """Walks each list in pages of 1, 2, 3 and 7 rows and compares with one page of all."""
    whole = walk(api, listed, LISTS[listed], 1000)
    assert whole
    assert len({str(node) for node in whole}) == len(whole)
    for first in (1, 2, 3, 7):
        assert walk(api, listed, LISTS[listed], first) == whole


@pytest.mark.parametrize(
    "listed", ["accounts", "postings", "postings(orderBy: POSITION_DESC)", "entries", "logEntries"]
)
def test_blocks_that_arrive_do_not_disturb_a_walk(own_books: Scribe, own_api: Api, listed: str) -> None:
    """Adds a block with a new account between any two pages; rows that were there at the start come exactly once."""
    people = iter(bytes([n]) * 20 for n in range(1, 200))
    for _ in range(5):
        own_books.block(transfer(bytes(20), next(people), 1))
    there = walk(own_api, listed, LISTS[listed], 1000)
    budget = iter(range(12))

    def add() -> None:
        if next(budget, None) is not None:
            own_books.block(transfer(bytes(20), next(people), 1))

    met = walk(own_api, listed, LISTS[listed], 3, add)
    assert [node for node in met if node in there] == there
    assert len({str(node) for node in met}) == len(met)


def test_a_walk_at_a_moment_sees_that_moment_to_its_end(own_books: Scribe, own_api: Api) -> None:
    """Walks balances by amount at a position while transfers turn the order upside down."""
    for number in range(1, 7):
        own_books.block(transfer(bytes(20), bytes([number]) * 20, number))
    fields = LISTS["balances(orderBy: BALANCE_DESC)"]
    before = walk(own_api, "balances(orderBy: BALANCE_DESC)", fields, 1000)
    rich = iter(range(10, 20))

    def turn() -> None:
        own_books.block(transfer(bytes(20), bytes([1]) * 20, next(rich)))

    assert walk(own_api, "balances(orderBy: BALANCE_DESC)", fields, 2, turn, at="at: { position: 6 }") == before


def test_a_holders_accounts_sum_to_its_balance(api: Api) -> None:
    """The collateral contract holds two pockets; their sum is what its transfers left there."""
    data = api.ask(
        "query ($a: Address!) { holder(address: $a) { balances { asset { symbol } amount amountFormatted }"
        " accounts { edges { node { name balances { amount } } } } } }",
        a=to_hex(address_of("Collateral")).upper().replace("0X", "0x"),
    )["holder"]
    assert data["balances"] == [{"asset": {"symbol": "DN"}, "amount": str(3 * DN), "amountFormatted": "3 DN"}]
    held = {
        edge["node"]["name"].split(":")[1]: int(edge["node"]["balances"][0]["amount"])
        for edge in data["accounts"]["edges"]
    }
    assert held == {"Free": DN, "Frozen": 2 * DN, "Unattributed": 0}


def test_amounts_just_below_the_limit_are_exact(api: Api) -> None:
    """Carol was given 10^38 - 1 base units of USDC and passed on all but one."""
    query = "query ($h: Address!) { holder(address: $h) { balances { asset { symbol } amount amountFormatted } } }"
    usdc = {name: api.ask(query, h=to_hex(who))["holder"]["balances"] for name, who in (("bob", BOB), ("carol", CAROL))}
    bob = next(each for each in usdc["bob"] if each["asset"]["symbol"] == "USDC")
    carol = next(each for each in usdc["carol"] if each["asset"]["symbol"] == "USDC")
    assert (int(bob["amount"]), int(carol["amount"])) == (AMOUNT_MAX - 1, 1)
    assert bob["amountFormatted"] == "99999999999999999999999999999999.999998 USDC"
    assert carol["amountFormatted"] == "0.000001 USDC"
    supply = api.ask("{ assets { symbol totalSupply totalSupplyFormatted } }")["assets"]
    assert supply[1]["totalSupply"] == str(AMOUNT_MAX)
    assert supply[0]["totalSupplyFormatted"] == "16.999999999999999994 DN"


def test_filters_keep_what_they_name(api: Api) -> None:
    """Filters postings by account, holder, asset, kind, transaction, position and block, alone and together."""
    query = "query ($w: PostingWhere) { postings(where: $w, first: 1000) { edges { node { position leg } } } }"

    def positions(**where: Any) -> list[int]:
        return sorted({edge["node"]["position"] for edge in api.ask(query, w=where)["postings"]["edges"]})

    assert positions(account="Wallet:" + to_hex(ALICE)) == [1, 3, 4, 13, 14, 15]
    assert positions(holder=to_hex(CAROL), asset="USDC") == [10, 12]
    assert positions(account_in=["Mint", "Burn"]) == [1, 2, 10, 13]
    assert positions(kind="ReviewOpened") == [7]
    assert positions(position_gt=3, position_lte=7) == [4, 5, 7]
    assert positions(position_gte=3, position_lt=7) == [3, 4, 5]
    assert positions(block_gte=3, block_lte=4, asset=to_hex(address_of("DNToken"))) == [3, 4, 5]
    assert positions(block_gte=100) == []
    found = api.ask("{ entry(position: 5) { transactionHash } }")["entry"]["transactionHash"]
    assert positions(transactionHash=found) == [5]
    names = api.ask('{ accounts(where: { nameStartsWith: "Collateral:F" }) { edges { node { pocket } } } }')
    assert [edge["node"]["pocket"] for edge in names["accounts"]["edges"]] == ["Free", "Frozen"]


def test_an_entrys_postings_sum_to_zero(api: Api) -> None:
    """Asks for all accounting entries with their postings."""
    edges = api.ask("{ entries(first: 1000) { edges { node { position postings { amount leg } } } } }")["entries"][
        "edges"
    ]
    assert edges
    for edge in edges:
        assert [posting["leg"] for posting in edge["node"]["postings"]] == list(range(len(edge["node"]["postings"])))
        assert sum(int(posting["amount"]) for posting in edge["node"]["postings"]) == 0


def test_the_log_is_shown_as_it_came_in_and_as_it_is_read(api: Api) -> None:
    """Reads a transfer, a log that no ABI knows, and a task event."""
    query = (
        "query ($p: Long!) { logEntry(position: $p) { kind finality address topics data event args undecoded contract"
        " producer eventId sequence payload signature } }"
    )
    mint = api.ask(query, p=1)["logEntry"]
    assert mint["args"] == {"from": "0x" + "00" * 20, "to": to_hex(ALICE), "value": str(12 * DN + 1)}
    assert (mint["event"], mint["contract"], mint["finality"], len(mint["topics"])) == (
        "Transfer",
        "DNToken",
        "SEALED",
        3,
    )
    assert int(mint["data"], 16) == 12 * DN + 1
    unknown = api.ask(query, p=11)["logEntry"]
    assert (unknown["event"], unknown["args"], unknown["data"]) == (None, None, "0x0102")
    assert "no event with this first topic" in unknown["undecoded"]
    task = api.ask(query, p=9)["logEntry"]
    assert (task["kind"], task["producer"], task["eventId"], task["sequence"]) == ("TASK_EVENT", "urn:p", "e1", 1)
    assert task["args"] == {"task": "0x01", "price": "123456789012345678901", "tries": "9007199254740993"}
    assert task["payload"].startswith('{"specversion"')
    assert task["signature"] == "0x" + "05" * 65
    assert api.ask(query, p=16)["logEntry"] is None


def test_what_moved_nothing_is_listed_with_its_reason(api: Api) -> None:
    """The small history has one refusal by contracts, one log in quarantine, and task events of no known type."""
    data = api.ask(
        "{ refusals { edges { node { position kind contract reason } } }"
        " quarantine { edges { node { position address reason } } } }"
    )
    [refusal] = [each for each in data["refusals"]["edges"] if each["node"]["kind"] != "TaskCreated"]
    assert refusal["node"]["position"] == 8
    assert "never flagged" in refusal["node"]["reason"]
    [quarantined] = data["quarantine"]["edges"]
    assert (quarantined["node"]["position"], quarantined["node"]["address"]) == (11, to_hex(address_of("DNToken")))
