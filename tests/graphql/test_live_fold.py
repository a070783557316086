"""What a subscriber folds of its messages is what a query answers, whatever the chain takes back meanwhile."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deepnode_graphql.execution import GraphQLRequest
from deepnode_graphql.live import feed, pages
from deepnode_graphql.service import Service, make_service
from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.projector import Step
from tests.graphql.live_books import BALANCES, DISTRIBUTIONS, ENTRIES, Reader, Story, branch, live_books
from tests.graphql.small_books import ALICE, BOB, Scribe, transfer

LINES = "position kind postings { account { name } asset { symbol } amount balance }"


@pytest.fixture
def books(database_url: str, tmp_path: Path) -> Iterator[Scribe]:
    """Empty books of a manifest with emissions."""
    with live_books(database_url, tmp_path) as made:
        yield made


@pytest.fixture
def service(books: Scribe) -> Iterator[Service]:
    """What answers over them, without a server."""
    made = make_service(books.url, books.manifest, "books")
    yield made
    made.engine.dispose()


def ask(service: Service, query: str) -> list[Any]:
    """All nodes of a list, which has fewer than 1000."""
    body = service.executor.run(GraphQLRequest(query)).body
    assert "errors" not in body, body
    [connection] = body["data"].values()
    assert not connection["pageInfo"]["hasNextPage"]
    return [edge["node"] for edge in connection["edges"]]


def listed(service: Service, field: str, selection: str, arguments: str = "") -> list[Any]:
    """All nodes of a root field."""
    return ask(
        service,
        f"{{ {field}(first: 1000{arguments}) {{ pageInfo {{ hasNextPage }} edges {{ node {{ {selection} }} }} }} }}",
    )


def newest(reader: Reader, name: str, *key: str) -> dict[Any, Any]:
    """The newest row of each thing that a reader was told of."""
    found = {}
    for _, of, row in reader.rows:
        if of == name:
            found[tuple(str(row[each]) for each in key)] = row
    return found


def check(service: Service, readers: dict[str, Reader]) -> None:
    """Compare what readers that are at the end hold with what queries answer."""
    assert [row for *_, row in readers["entries"].rows] == listed(service, "entries", LINES)
    of_alice = [
        entry
        for entry in listed(service, "entries", LINES)
        if any(posting["account"]["name"] == f"Wallet:{to_hex(ALICE)}" for posting in entry["postings"])
    ]
    assert [row for *_, row in readers["alice"].rows] == of_alice
    assert [row for *_, row in readers["kind"].rows] == listed(
        service, "entries", LINES, ', where: { kind: "Claimed" }'
    )
    fields = "account { name } asset { symbol } amount position"
    balances = {(str(row["account"]), str(row["asset"])): row for row in listed(service, "balances", fields)}
    assert newest(readers["balances"], "balances", "account", "asset") == balances
    of_bob = f', where: {{ holder: "{to_hex(BOB)}", asset: "USDC" }}'
    of_account = {(str(row["account"]),): row for row in listed(service, "balances", fields, of_bob)}
    assert newest(readers["bob"], "balances", "account") == of_account
    for name, field, key, selection in (
        ("allocations", "allocations", ("epoch", "domain"), "epoch domain asset miners undistributed position"),
        ("rewardRoots", "rewardRoots", ("epoch",), "epoch asset root total disabledReason position"),
        ("claimedTotals", "claimedTotals", ("earner",), "earner asset amount position"),
    ):
        records = {tuple(str(row[each]) for each in key): row for row in listed(service, field, selection)}
        assert newest(readers["distributions"], name, *key) == records


@pytest.mark.parametrize("seed", [1, 3])
def test_the_fold_of_the_messages_is_the_querys_answer(
    books: Scribe, service: Service, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lets forty things happen, a quarter of them reorgs; readers with filters read at times of their own, and are cut
    off at random, also while the projections are in the middle of a block; pages hold three rows, so that all seams are
    met. Compares whenever all have come to the end."""
    for module, name, figure in ((feed, "ROWS_MAX", 3), (pages, "SCAN_POSITIONS", 5)):
        monkeypatch.setattr(module, name, figure)
    for name in ("entries", "balances", "distributions"):
        monkeypatch.setattr(f"deepnode_graphql.live.{name}.ROWS_MAX", 3)
    story = Story(books, seed)
    readers = {
        "entries": Reader(service, "entries", "", ENTRIES),
        "alice": Reader(service, "entries", f', where: {{ account: "Wallet:{to_hex(ALICE)}" }}', ENTRIES),
        "kind": Reader(service, "entries", ', where: { kind: "Claimed" }, progress: true', ENTRIES),
        "balances": Reader(service, "balances", "", BALANCES),
        "bob": Reader(service, "balances", f', where: {{ holder: "{to_hex(BOB)}", asset: "USDC" }}', BALANCES),
        "distributions": Reader(service, "distributions", "", DISTRIBUTIONS),
    }
    monkeypatch.setattr(books.projector, "_step_entries", 2)
    whole_step = books.projector.step

    def step_and_look() -> Step:
        done = whole_step()
        for reader in readers.values():
            if story.chance.random() < 0.3:
                reader.read()
        return done

    monkeypatch.setattr(books.projector, "step", step_and_look)
    for step in range(40):
        story.go_on()
        for reader in readers.values():
            if story.chance.random() < 0.2:
                reader.resume()
            for _ in range(story.chance.randint(0, 3)):
                reader.read()
        if step % 10 == 9:
            for reader in readers.values():
                reader.all()
            check(service, readers)
    told = {name for _, name, _ in readers["distributions"].rows}
    assert told == {"allocations", "rewardRoots", "claimedTotals"}
    assert all(any(each["retraction"] for each in reader.messages) for reader in readers.values())


def test_a_place_that_was_taken_back_begins_with_a_retraction(books: Scribe, service: Service) -> None:
    """A reader sees block 3, two reorgs take it back, and it comes again with its place: the first message says so."""
    for number in range(3):
        books.block(transfer(bytes(20), ALICE, 10 + number))
    reader = Reader(service, "entries", "", ENTRIES)
    reader.all()
    assert reader.written == "3.0"
    branch(books, 2, "b", [transfer(bytes(20), BOB, 1)])
    branch(books, 1, "c", [transfer(bytes(20), BOB, 2)], [transfer(bytes(20), BOB, 3)], [transfer(bytes(20), BOB, 4)])
    reader.resume()
    told = len(reader.messages)
    reader.all()
    first, *rest = reader.messages[told:]
    assert first["retraction"] == {"keptPosition": 1, "fromPosition": 3, "reorg": 2}
    assert (first["place"], first["block"], first["position"]) == ("1.2", {"number": 1}, 1)
    assert [each["place"] for each in rest] == ["2.2", "3.2", "4.2"]


def test_a_reader_who_had_seen_less_is_not_told_of_the_reorg(books: Scribe, service: Service) -> None:
    """A reorg takes back blocks that the reader has not come to: its next message brings rows."""
    for number in range(3):
        books.block(transfer(bytes(20), ALICE, 10 + number))
    reader = Reader(service, "entries", "", ENTRIES)
    reader.written = "1.0"
    branch(books, 1, "b", [transfer(bytes(20), BOB, 1)])
    reader.resume()
    reader.all()
    assert [(each["retraction"], each["place"]) for each in reader.messages] == [(None, "2.1")]
