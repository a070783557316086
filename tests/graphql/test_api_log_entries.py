"""Looking into the log through the API: each condition means what it says, in both orders and any page size."""

from collections.abc import Callable
from typing import Any

import pytest

from deepnode_ledger.hexadecimal import to_hex
from tests.graphql.conftest import Api
from tests.graphql.small_books import ALICE, BOB, Scribe, address_of, transfer
from tests.graphql.test_api_pages import walk

FIELDS = "position kind transactionHash address event topics producer payload finality"


@pytest.fixture
def books(own_books: Scribe) -> Scribe:
    """Transfers and task events, half of them sealed in several batches."""
    for number in range(1, 9):
        own_books.block(transfer(bytes(20), ALICE, number), transfer(ALICE, BOB, number))
        own_books.say(2 * number, b'{"data":{"task":"task-%d"}}' % (number % 3))
        own_books.say(2 * number + 1, b'{"data":{}}')
        if number in (2, 3, 5):
            own_books.seal(number)
    return own_books


def conditions(books: Scribe, whole: list[Any]) -> dict[str, Callable[[Any], bool]]:
    """What a client may ask for, and the same asked of one entry."""
    transaction = whole[5]["transactionHash"] or whole[4]["transactionHash"]
    token, topic0 = to_hex(address_of("DNToken")), next(each["topics"][0] for each in whole if each["topics"])
    return {
        "kind: TASK_EVENT": lambda e: e["kind"] == "TASK_EVENT",
        f'transactionHash: "{transaction}"': lambda e: e["transactionHash"] == transaction,
        f'address: "{token.upper().replace("0X", "0x")}"': lambda e: e["address"] == token,
        f'address: "{to_hex(address_of("Models"))}"': lambda _: False,
        'event: "Transfer"': lambda e: e["event"] == "Transfer",
        'event: "TaskCreated"': lambda e: e["event"] == "TaskCreated",
        'event: "Nothing"': lambda _: False,
        f'topic0: "{topic0}"': lambda e: bool(e["topics"]) and e["topics"][0] == topic0,
        'producer: "urn:p"': lambda e: e["producer"] == "urn:p",
        'producer: "urn:q"': lambda _: False,
        'task: "task-1"': lambda e: bool(e["payload"]) and '"task-1"' in e["payload"],
        'task: "task-1", producer: "urn:p", kind: TASK_EVENT, position_gt: 8': (
            lambda e: bool(e["payload"]) and '"task-1"' in e["payload"] and e["position"] > 8
        ),
        'task: "task-1", event: "Transfer"': lambda _: False,
    }


def test_each_condition_finds_what_a_search_through_everything_finds(books: Scribe, own_api: Api) -> None:
    """Walks each condition in pages of 1, 3 and 50, oldest and newest first, and compares with the whole log."""
    whole = walk(own_api, "logEntries", FIELDS, 1000)
    assert {each["finality"] for each in whole} == {"SEALED", "PENDING"}
    for condition, meant in conditions(books, whole).items():
        expected = [each for each in whole if meant(each)]
        for first in (1, 3, 50):
            asked = f"logEntries(where: {{ {condition} }})"
            assert walk(own_api, asked, FIELDS, first) == expected, condition
            asked = f"logEntries(where: {{ {condition} }}, orderBy: POSITION_DESC)"
            assert walk(own_api, asked, FIELDS, first) == expected[::-1], condition


def test_the_newest_entries_come_first_when_asked_for_so(books: Scribe, own_api: Api) -> None:
    """Asks for three, then for those before a position."""
    asked = "{ logEntries(first: 3, orderBy: POSITION_DESC%s) { edges { node { position } } } }"
    for where, expected in (("", [32, 31, 30]), (", where: { position_lt: 12 }", [11, 10, 9])):
        edges = own_api.ask(asked % where)["logEntries"]["edges"]
        assert [edge["node"]["position"] for edge in edges] == expected


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ('transactionHash: "0x00"', "32 bytes, not 1"),
        ('topic0: "0x0011"', "32 bytes, not 2"),
        ('task: "a\\u0000b"', "must not hold the character 0"),
        ('producer: "\\u0000"', "must not hold the character 0"),
        ('event: "\\u0000"', "must not hold the character 0"),
    ],
)
def test_a_condition_that_nothing_can_meet_is_refused(api: Api, condition: str, told: str) -> None:
    """Asks with hashes of a wrong length and with the character that PostgreSQL's text cannot hold."""
    _, message = api.refusal(f"{{ logEntries(where: {{ {condition} }}) {{ edges {{ node {{ position }} }} }} }}")
    assert told in message


def test_a_cursor_of_one_order_is_refused_in_the_other(books: Scribe, own_api: Api) -> None:
    """Takes a cursor of the oldest-first order to the newest-first."""
    asked = "{ logEntries(first: 1%s) { pageInfo { endCursor } } }"
    cursor = own_api.ask(asked % "")["logEntries"]["pageInfo"]["endCursor"]
    code, _ = own_api.refusal(asked % f', orderBy: POSITION_DESC, after: "{cursor}"')
    assert code == "BAD_INPUT"
