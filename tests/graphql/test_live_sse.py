"""Server-sent events: resumable by Last-Event-ID, retractions first, equal to what the query answers."""

import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from deepnode_graphql.app import make_app
from deepnode_ledger.hexadecimal import to_hex
from tests.graphql.live_books import branch
from tests.graphql.live_clients import Events, Server, Socket, served
from tests.graphql.small_books import ALICE, BOB, NOBODY, Scribe, transfer


@pytest.fixture
def server(small_books: Scribe) -> Iterator[Server]:
    """The API over the small history."""
    with served(small_books) as made:
        yield made


def nodes(server: Server, field: str, selection: str, order: str = "") -> list[Any]:
    """The nodes of a list."""
    data = server.ask(f"{{ {field}(first: 1000{order}) {{ edges {{ node {{ {selection} }} }} }} }}")
    return [edge["node"] for edge in data[field]["edges"]]


def test_events_have_the_querys_nodes(server: Server) -> None:
    """Reads all entries of the small history, and compares them with those of a query for the same fields."""
    told: list[Any] = []
    with Events(server, "/live/entries", **{"from": "0"}) as events:
        assert events.response.headers["content-type"].startswith("text/event-stream")
        assert events.take() == {"retry": "2000", "id": "0.0"}
        while not told or told[-1]["position"] < 15:
            name, place, data = events.data()
            assert (name, place) == ("message", data["place"])
            told += data["entries"]
    fields = (
        "position kind contract block { number hash time } transactionHash logIndex finality postings { leg "
        "account { name owner pocket holder } asset { symbol address decimals } amount amountFormatted balance "
        "balanceFormatted }"
    )
    assert told == nodes(server, "entries", fields)


def test_a_client_that_comes_again_is_told_of_the_reorg_first(own_books: Scribe) -> None:
    """Reads two blocks, goes away while a reorg takes the second back, and comes again with the last id."""
    own_books.block(transfer(NOBODY, ALICE, 10))
    own_books.block(transfer(NOBODY, ALICE, 11))
    with served(own_books) as server:
        with Events(server, "/live/balances", **{"from": "0"}) as events:
            places = [events.data()[1] for _ in range(2)]
        branch(own_books, 1, "b", [transfer(NOBODY, BOB, 12)])
        with Events(server, "/live/balances", last=places[-1], **{"from": "0"}) as events:
            name, place, data = events.data()
            assert (name, place, data["balances"]) == ("retraction", "1.1", [])
            assert data["retraction"] == {"keptPosition": 1, "fromPosition": 2, "reorg": 1}
            name, place, data = events.data()
        assert (name, place) == ("message", "2.1")
        held = {each["account"]["name"]: each["amount"] for each in data["balances"]}
        assert held == {"Mint": "-22", f"Wallet:{to_hex(BOB)}": "12"}


def test_filters_are_parameters(server: Server) -> None:
    """Follows Alice's DN from the beginning: only her balances come."""
    with Events(server, "/live/balances", **{"from": "0", "holder": to_hex(ALICE), "asset": "DN"}) as events:
        for _ in range(3):
            _, _, data = events.data()
            [balance] = data["balances"]
            assert balance["account"]["holder"] == to_hex(ALICE)
            assert balance["asset"]["symbol"] == "DN"


def test_distributions_and_reorgs_are_streams_too(server: Server) -> None:
    """Reads the small history's reorg, and the first sign of life of a stream in which nothing happened."""
    with Events(server, "/live/reorgs", **{"from": "0"}) as events:
        assert events.data()[2]["reorg"]["keptBlock"] == 7
    with Events(server, "/live/distributions", kinds="ALLOCATIONS,REWARDS", epoch="3", asset="DN") as events:
        assert events.take() == {"retry": "2000", "id": "15.1"}


def test_a_stream_shows_that_it_lives_and_where_it_is(own_books: Scribe) -> None:
    """Makes the beats short; the id goes on with blocks that are not for the client, though no event is shown."""
    own_books.block(transfer(NOBODY, ALICE, 10))
    with served(own_books) as server:
        server.app.state.live.beat_seconds = 0.05
        with Events(server, "/live/entries", kind="Deposited") as events:
            assert events.take() == {"retry": "2000", "id": "1.0"}
            assert events.take() == {"id": "1.0"}
            own_books.block(transfer(NOBODY, ALICE, 10))
            ids = {events.take()["id"] for _ in range(20)}
        assert ids in ({"1.0", "2.0"}, {"2.0"})


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/live/nothing", 404, "there is no stream 'nothing'; these are: entries, balances"),
        ("/live/entries?colour=red", 400, "/live/entries has no parameter 'colour'"),
        ("/live/entries?from=1.5.2", 400, "a place must be written"),
        ("/live/entries?from=99", 400, "position 99 is above the log's last position, 15"),
        ("/live/entries?asset=XYZ", 400, "asset 'XYZ' is not in the books"),
        ("/live/entries?holder=0x12", 400, "an Address"),
        ("/live/distributions?epoch=one", 400, "epoch must be a whole number"),
        ("/live/distributions?kinds=BOOKS", 400, "does not exist in 'DistributionKind'"),
    ],
)
def test_a_request_that_breaks_a_rule_is_refused(server: Server, path: str, status: int, said: str) -> None:
    """Asks for it; the status and the message say what is wrong."""
    answer = server.get(path)
    assert answer.status_code == status
    [error] = answer.json()["errors"]
    assert said in error["message"]


def test_a_database_that_is_away_is_answered_with_503(own_books: Scribe) -> None:
    """Asks for a stream of a schema that holds no books."""
    server = Server(make_app(own_books.url, own_books.manifest, schema="not_there"))
    server.start()
    try:
        answer = server.get("/live/entries")
        assert (answer.status_code, answer.json()["errors"][0]["extensions"]) == (503, {"code": "TRY_AGAIN"})
        assert answer.headers["retry-after"]
    finally:
        server.stop()


def test_a_subscription_by_post_comes_as_events(server: Server) -> None:
    """Posts a subscription, a query and a mistake, and accepts an event stream, as graphql-sse does."""
    url, headers = f"http://{server.address}/graphql", {"Accept": "text/event-stream"}
    query = 'subscription { entries(from: "14.1") { place } }'
    with httpx.stream("POST", url, json={"query": query}, headers=headers, timeout=10) as answer:
        lines = answer.iter_lines()
        assert answer.headers["content-type"].startswith("text/event-stream")
        found = [line for line in (next(lines) for _ in range(6)) if line and line[0] in "ed"]
    assert found == ["event: next", 'data: {"data":{"entries":{"place":"15.1"}}}']
    done = httpx.post(url, json={"query": "{ _meta { position } }"}, headers=headers)
    assert done.text == 'event: next\ndata: {"data":{"_meta":{"position":15}}}\n\nevent: complete\ndata:\n\n'
    refused = httpx.post(url, json={"query": "subscription { nothing }"}, headers=headers)
    assert (refused.status_code, refused.json()["errors"][0]["extensions"]) == (
        400,
        {"code": "GRAPHQL_VALIDATION_FAILED"},
    )


def test_a_client_has_so_many_streams(server: Server) -> None:
    """Allows one; the second is answered with 503, and when the first has left there is room again."""
    server.app.state.live.connections_per_client_max = 1
    with Events(server, "/live/entries") as events:
        events.take()
        answer = server.get("/live/entries")
        assert answer.status_code == 503
        assert answer.json()["errors"][0]["message"] == "a client may have 1 connections"
    for _ in range(100):
        if server.metric('deepnode_live_connections{transport="sse"}') == 0:
            break
    with Events(server, "/live/entries") as events:
        assert events.take()["id"] == "15.1"


def test_head_is_not_followed(server: Server) -> None:
    """Asks for the headers alone: the answer comes and the connection is not held."""
    host, _, port = server.address.partition(":")
    with socket.create_connection((host, int(port)), timeout=5) as raw:
        raw.sendall(b"HEAD /live/entries HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        head = b""
        while chunk := raw.recv(4096):
            head += chunk
    assert head.startswith(b"HTTP/1.1 200")
    assert b"text/event-stream" in head


def test_a_server_that_stops_ends_its_streams(small_books: Scribe) -> None:
    """Stops the server while two are followed: the responses end properly, and the server need not wait for them."""
    begun = time.monotonic()
    with served(small_books) as server, Events(server, "/live/entries") as events, Socket(server) as websocket:
        websocket.subscribe("subscription { reorgs { place } }")
        events.take()
        server.stop()
        with pytest.raises(AssertionError, match="the stream has ended"):
            events.data()
        with pytest.raises(ConnectionClosed):
            websocket.take()
    assert time.monotonic() - begun < 4
