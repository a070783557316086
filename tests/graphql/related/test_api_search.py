"""search: any id leads to the things that it names and to those who name it, and what it says to ask is answered."""

from typing import Any

import pytest

from deepnode_graphql.registers.register import registers_of
from deepnode_graphql.registers.searching import COUNT_MAX, ID_CHARACTERS_MAX, places_of
from deepnode_graphql.schema import KINDS, taken_names
from deepnode_ledger.hexadecimal import to_hex
from tests.graphql.conftest import Api
from tests.graphql.related.epoch_books import CASE, FIRST, MINERS, MODELS, PROPOSAL, TASKS, VALIDATOR
from tests.graphql.small_books import ALICE, BOB, address_of, word

QUERY = "query ($id: String!, $at: At) { search(id: $id, at: $at) { kind field count label position ask } }"


def hits(api: Api, id_: str, at: Any = None) -> dict[tuple[str, str], dict[str, Any]]:
    """What a search finds, by kind and field."""
    found = api.ask(QUERY, id=id_, at=at)["search"]
    made = {(hit["kind"], hit["field"]): hit for hit in found}
    assert len(made) == len(found)
    return made


@pytest.mark.parametrize(
    ("id_", "expected"),
    [
        (FIRST, {("Domain", "domain"): 1, ("Node", "domain"): 4, ("Model", "domain"): 2, ("Task", "domain"): 6}),
        (MINERS[0], {("Node", "node"): 1, ("Collateral", "node"): 1, ("TaskSlot", "node"): 2, ("Work", "node"): 1,
                     ("Reward", "subject"): 1, ("Trust", "subject"): 1, ("CollateralCase", "node"): 1}),
        (MODELS[0], {("Model", "model"): 1, ("Task", "model"): 3, ("Receipt", "model"): 4, ("Reward", "subject"): 1}),
        (TASKS[0], {("Task", "task"): 1, ("TaskSlot", "task"): 1, ("Validation", "task"): 1}),
        (VALIDATOR, {("Node", "node"): 1, ("Validation", "validator"): 1}),
        (CASE, {("CollateralCase", "case"): 1}),
        (PROPOSAL, {("Proposal", "proposal"): 1, ("Vote", "proposal"): 2}),
        (word("receipt", 2), {("Receipt", "receipt"): 1}),
        (ALICE, {("Node", "operator"): 2, ("Reward", "earner"): 3, ("Stake", "staker"): 1, ("Vote", "voter"): 1}),
    ],
    ids=["domain", "miner", "model", "task", "validator", "case", "proposal", "receipt", "address"],
)  # fmt: skip
def test_an_id_leads_to_its_thing_and_to_who_names_it(
    related: Api, id_: bytes, expected: dict[tuple[str, str], int]
) -> None:
    """Searches for ids of every sort, with and without 0x and in capitals; each hit's question has as many answers."""
    found = hits(related, to_hex(id_))
    assert {place: found[place]["count"] for place in expected} == expected
    assert found == hits(related, id_.hex().upper()) == hits(related, f" 0X{id_.hex()} ")
    for hit in found.values():
        below = "{ totalCount }" if "where" in hit["ask"] else "{ __typename }"
        answer = next(iter(related.ask(f"{{ {hit['ask']} {below} }}").values()))
        assert answer is not None
        if "where" in hit["ask"]:
            assert answer["totalCount"] == hit["count"]
        elif hit["ask"] != "assets":
            assert answer["__typename"] == hit["kind"]


def test_the_thing_comes_before_those_who_name_it(related: Api) -> None:
    """Searches for a domain, a node and a task."""
    for id_, kind in ((FIRST, "Domain"), (MINERS[1], "Node"), (TASKS[1], "Task")):
        assert related.ask(QUERY, id=to_hex(id_))["search"][0]["kind"] == kind


def test_a_block_a_transaction_a_holder_a_token_and_a_contract_are_found(api: Api) -> None:
    """Searches the small history for one of each."""
    entry = api.ask("{ entries(first: 1) { edges { node { position transactionHash } } } }")["entries"]["edges"][0][
        "node"
    ]
    [posting] = api.ask("{ postings(first: 1) { edges { node { block { number hash } } } } }")["postings"]["edges"]
    block = posting["node"]["block"]
    by_hash, by_number = hits(api, block["hash"]), hits(api, str(block["number"]))
    assert by_hash[("Block", "hash")]["position"] == by_number[("Block", "number")]["position"]
    found = hits(api, entry["transactionHash"])
    assert {place: hit["position"] for place, hit in found.items()} == {
        ("Entry", "transactionHash"): entry["position"], ("LogEntry", "transactionHash"): entry["position"],
    }  # fmt: skip
    assert hits(api, to_hex(BOB))[("Holder", "address")]["count"] == 1
    token = hits(api, to_hex(address_of("DNToken")))
    assert token[("Asset", "address")]["label"] == "the token DN"
    assert token[("LogEntry", "address")]["label"] == "the contract DNToken, whose logs are in the log"
    assert set(hits(api, "DN")) == {("Asset", "symbol")}
    for found in (hits(api, to_hex(BOB)), token):
        for hit in found.values():
            assert api.ask(f"{{ {hit['ask']} {{ __typename }} }}")


def test_a_number_is_a_position_a_block_and_an_epoch(related: Api) -> None:
    """Searches for 2, which is all of these here, and for a number that is none."""
    found = hits(related, "2")
    assert set(found) == {("LogEntry", "position"), ("Entry", "position"), ("Block", "number"), ("Epoch", "epoch")}
    assert found[("Epoch", "epoch")]["ask"] == "epoch(epoch: 2)"
    assert hits(related, "987654321") == hits(related, "9" * 17) == hits(related, "9" * 80) == {}


def test_a_name_is_an_accounts_or_a_records(related: Api) -> None:
    """Searches for an account and for a subject of comparisons."""
    name = f"Wallet:{to_hex(bytes([1]) * 20)}"
    assert hits(related, name)[("Account", "name")]["position"] == 1
    assert hits(related, "RevenueSplit")[("Difference", "subject")]["count"] == 1
    assert hits(related, 'with "quotes" and \\ and {braces}\n of mine') == {}


def test_a_search_is_of_its_moment(related: Api) -> None:
    """Searches for a node before it was registered, before it had worked, and before anything at all."""
    assert hits(related, to_hex(MINERS[0]), {"position": 2}) == {}
    assert set(hits(related, to_hex(MINERS[0]), {"position": 4})) == {("Node", "node")}
    assert hits(related, "1", {"position": 0}) == {}


@pytest.mark.parametrize("id_", ["", "   ", "x" * (ID_CHARACTERS_MAX + 1), "a\x00b"])
def test_what_can_be_no_id_is_refused(api: Api, id_: str) -> None:
    """Searches for nothing, for too much, and for what no text can hold."""
    assert api.refusal(QUERY, id=id_)[0] == "BAD_INPUT"


def test_a_search_goes_through_indexes_alone() -> None:
    """Looks at every field that is searched: the primary key or an index of its table begins with it."""
    places = list(places_of(registers_of(KINDS, *taken_names())))
    assert len(places) > 60
    for place in places:
        table = place.register.table
        begins = {next(iter(index.columns)).name for index in table.indexes}
        begins.add(next(iter(table.primary_key.columns)).name)
        assert place.field.name in begins, (table.name, place.field.name)


def test_a_search_counts_up_to_its_limit(related: Api) -> None:
    """Searches for who is in most records here."""
    assert 0 < max(hit["count"] for hit in hits(related, to_hex(ALICE)).values()) <= COUNT_MAX
