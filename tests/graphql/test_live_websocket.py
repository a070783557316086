"""graphql-transport-ws: which messages there are, in which order, and how what breaks the rules ends."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from deepnode_graphql.live import websocket
from deepnode_ledger.hexadecimal import to_hex
from tests.graphql.live_clients import Server, Socket, served
from tests.graphql.small_books import ALICE, BOB, NOBODY, Scribe, transfer

FOLLOW = "subscription ($from: Place) { entries(from: $from) { place entries { position } } }"


@pytest.fixture
def server(small_books: Scribe) -> Iterator[Server]:
    """The API over the small history."""
    with served(small_books) as made:
        yield made


def drain(socket: Socket) -> None:
    """Take what comes until nothing does."""
    while True:
        socket.take()


def closing(socket: Socket) -> tuple[int, str]:
    """The code and reason that a connection is closed with, whatever was sent before."""
    with pytest.raises(ConnectionClosed) as caught:
        drain(socket)
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code, caught.value.rcvd.reason


@pytest.mark.parametrize(
    ("messages", "code", "reason"),
    [
        (["nonsense"], 4400, "it is not JSON"),
        (["[1]"], 4400, "must be an object with a type"),
        (['{"type":1}'], 4400, "must be an object with a type"),
        (['{"type":"next"}'], 4400, "a client does not send 'next'"),
        ([b"{}"], 4400, "it must be text"),
        (['{"type":"ping","payload":[]}'], 4400, "the payload must be an object"),
        (['{"type":"connection_init"}'] * 2, 4429, "Too many initialisation requests"),
        (['{"id":"1","type":"subscribe","payload":{"query":"{ a }"}}'], 4401, "Unauthorized"),
        (['{"type":"connection_init"}', '{"type":"subscribe","payload":{"query":"{ a }"}}'], 4400, "the id must be"),
        (['{"type":"connection_init"}', '{"id":"1","type":"subscribe"}'], 4400, "payload.query must be"),
        (
            ['{"type":"connection_init"}', '{"id":"1","type":"subscribe","payload":{"query":"{a}","variables":1}}'],
            4400,
            "payload.variables is an object",
        ),
        (['{"type":"connection_init"}', '{"type":"complete"}'], 4400, "the id must be"),
    ],
)
def test_what_breaks_the_protocol_closes_with_its_code(
    server: Server, messages: list[str | bytes], code: int, reason: str
) -> None:
    """Sends messages that the protocol forbids; the connection ends with the code that the protocol names."""
    with Socket(server, initialised=False) as socket:
        for message in messages:
            socket.raw.send(message)
        closed, said = closing(socket)
        assert closed == code
        assert reason in said


def test_a_client_that_offers_another_subprotocol_is_closed(server: Server) -> None:
    """Offers the older subprotocol, and none."""
    for offered in ([Subprotocol("graphql-ws")], None):
        with Socket(server, initialised=False, subprotocols=offered) as socket:
            assert closing(socket) == (4406, "Subprotocol not acceptable")


def test_a_client_that_does_not_initialise_is_closed(server: Server) -> None:
    """Waits longer than a client may, which is made short."""
    server.app.state.sockets.init_seconds_max = 0.05
    with Socket(server, initialised=False) as socket:
        assert closing(socket) == (4408, "Connection initialisation timeout")


def test_an_id_can_be_used_again_but_not_twice_at_once(server: Server) -> None:
    """Completes a subscription and begins another of the same id; then begins a second one beside it."""
    with Socket(server) as socket:
        socket.subscribe(FOLLOW, **{"from": "14.1"})
        assert socket.follow() == {"place": "15.1", "entries": [{"position": 15}]}
        socket.send(id="1", type="complete")
        socket.subscribe(FOLLOW, **{"from": "13.1"})
        assert [socket.follow()["place"] for _ in range(2)] == ["14.1", "15.1"]
        socket.subscribe(FOLLOW)
        assert closing(socket) == (4409, "Subscriber for 1 already exists")


def test_pings_are_answered_with_their_payload_at_any_time(server: Server) -> None:
    """Pings before and after the initialisation."""
    with Socket(server, initialised=False) as socket:
        socket.send(type="ping")
        assert socket.take() == {"type": "pong"}
        socket.send(type="connection_init")
        assert socket.take() == {"type": "connection_ack"}
        socket.send(type="ping", payload={"a": 1})
        assert socket.take() == {"type": "pong", "payload": {"a": 1}}


def test_a_client_that_answers_no_ping_is_closed(server: Server) -> None:
    """Pings come often and may go unanswered for a short time, for the test: one client answers, the other does not."""
    server.app.state.sockets.ping_seconds, server.app.state.sockets.pong_seconds_max = 0.1, 0.25
    with Socket(server) as silent:
        assert closing(silent) == (4499, "Terminated: no answer to pings")
    with Socket(server) as socket:
        until = time.monotonic() + 0.8
        while time.monotonic() < until:
            assert socket.take() == {"type": "ping"}
            socket.send(type="pong")


@pytest.mark.parametrize(
    ("query", "variables", "code", "said"),
    [
        ("subscription {", {}, "GRAPHQL_PARSE_FAILED", "Syntax Error"),
        ("subscription { nothing { place } }", {}, "GRAPHQL_VALIDATION_FAILED", "Cannot query field"),
        ("subscription { entries { place } reorgs { place } }", {}, "GRAPHQL_VALIDATION_FAILED", "one"),
        (FOLLOW, {"from": "1.5.2"}, "BAD_INPUT", 'a place must be written "POSITION.REORG"'),
        (FOLLOW, {"from": 1.5}, "BAD_INPUT", "a place must be written"),
        (FOLLOW, {"from": "99"}, "BAD_INPUT", "position 99 is above the log's last position, 15"),
        (FOLLOW, {"from": "1.7"}, "BAD_INPUT", "reorg 7, which this log has not seen"),
        ('subscription { balances(where: { asset: "XYZ" }) { place } }', {}, "BAD_INPUT", "asset 'XYZ' is not in"),
        ("{ nothing }", {}, "GRAPHQL_VALIDATION_FAILED", "Cannot query field"),
    ],
)
def test_what_cannot_be_followed_is_answered_with_an_error(
    server: Server, query: str, variables: dict[str, Any], code: str, said: str
) -> None:
    """Asks what breaks a rule; the message names it, and the connection goes on."""
    with Socket(server) as socket:
        socket.subscribe(query, **variables)
        message = socket.take()
        assert (message["type"], message["id"]) == ("error", "1")
        [error, *_] = message["payload"]
        assert error["extensions"]["code"] == code
        assert said in error["message"]
        socket.subscribe("{ _meta { position } }")
        assert socket.take() == {"id": "1", "type": "next", "payload": {"data": {"_meta": {"position": 15}}}}
        assert socket.take() == {"id": "1", "type": "complete"}


def test_a_message_that_may_cost_too_much_is_refused(server: Server) -> None:
    """Asks for deep relations, of which a query with as many rows would be refused, too."""
    inner = "position"
    for _ in range(3):
        inner = f"account {{ balances {{ amount {inner} }} }}"
    inner = f"postings {{ {inner} }}"
    with Socket(server) as socket:
        socket.subscribe(f"subscription {{ entries {{ entries {{ {inner} }} }} }}")
        [error] = socket.take()["payload"]
        assert error["extensions"]["code"] == "LIMIT_EXCEEDED"
        assert "a message of the subscription may cost 2000" in error["message"]


def test_a_message_that_is_too_long_closes(server: Server) -> None:
    """Sends a query of more characters than a message may have."""
    with Socket(server) as socket:
        socket.subscribe("# " + "x" * 300_000)
        assert closing(socket)[0] == 4400


def test_a_client_that_floods_is_closed(server: Server) -> None:
    """Sends more pings at once than are allowed."""
    with Socket(server) as socket:
        for _ in range(websocket.MESSAGES_AT_ONCE + 5):
            socket.send(type="ping")
        assert closing(socket) == (1008, "more than 20 messages a second")


def test_the_selection_fragments_variables_and_aliases_are_honoured(server: Server) -> None:
    """Asks with all of them; the answer has exactly what was asked for."""
    query = (
        "subscription S($kind: String, $no: Boolean!) { told: entries(from: 3, where: { kind: $kind }) { ...part } } "
        "fragment part on EntriesChange { at: position block @skip(if: $no) { hash } entries { postings { leg } } }"
    )
    with Socket(server) as socket:
        socket.send(
            id="x",
            type="subscribe",
            payload={"query": query, "variables": {"kind": "Deposited", "no": True}, "operationName": "S"},
        )
        message = socket.take()
    data = {"told": {"at": 5, "entries": [{"postings": [{"leg": 0}, {"leg": 1}]}]}}
    assert message == {"id": "x", "type": "next", "payload": {"data": data}}


def test_progress_tells_the_place_at_once_and_when_nothing_is_for_the_reader(own_books: Scribe) -> None:
    """Follows Bob's balances with progress while a block is for Alice."""
    own_books.block(transfer(NOBODY, ALICE, 10))
    where = f'where: {{ holder: "{to_hex(BOB)}" }}'
    query = f"subscription {{ entries(progress: true, {where}) {{ place entries {{ kind }} }} }}"
    with served(own_books) as server, Socket(server) as socket:
        socket.subscribe(query)
        assert socket.follow() == {"place": "1.0", "entries": []}
        own_books.block(transfer(NOBODY, ALICE, 10))
        assert socket.follow() == {"place": "2.0", "entries": []}
        own_books.block(transfer(ALICE, BOB, 1))
        assert socket.follow() == {"place": "3.0", "entries": [{"kind": "Transfer"}]}


def test_reorgs_are_followed(own_books: Scribe) -> None:
    """Lets two reorgs happen, of which the reader was there for the second; from the beginning it hears of both."""
    query = "subscription ($from: Place) { reorgs(from: $from) { place reorg { number keptPosition keptBlock } } }"
    for number in range(3):
        own_books.block(transfer(NOBODY, ALICE, 10 + number))
    own_books.reorg(2, [transfer(NOBODY, BOB, 1)])
    with served(own_books) as server, Socket(server) as socket:
        socket.subscribe(query)
        socket.subscribe(query, "all", **{"from": "0"})
        first = {"number": 1, "keptPosition": 2, "keptBlock": 2}
        assert socket.follow("all") == {"place": "0.1", "reorg": first}
        own_books.reorg(1, [transfer(NOBODY, BOB, 1)])
        second = {"number": 2, "keptPosition": 1, "keptBlock": 1}
        messages = sorted((socket.take() for _ in range(2)), key=lambda each: str(each["id"]))
        assert [each["payload"]["data"]["reorgs"]["reorg"] for each in messages] == [second, second]


def test_there_are_limits_for_connections_and_subscriptions(server: Server) -> None:
    """Makes the limits small, and comes once more than allowed: the handshake is refused with 503, or the message."""
    live = server.app.state.live
    live.connections_per_client_max = 1
    with Socket(server) as socket:
        with pytest.raises(InvalidStatus) as caught, Socket(server):
            pass
        assert caught.value.response.status_code == 503
        assert b"a client may have 1 connections" in (caught.value.response.body or b"")
        live.subscriptions_max = 1
        socket.subscribe(FOLLOW, "1", **{"from": "14.1"})
        socket.follow("1")
        socket.subscribe(FOLLOW, "2")
        assert "1 subscriptions are followed" in socket.take()["payload"][0]["message"]
        live.subscriptions_max = 100
        for number in range(2, 21):
            socket.subscribe(FOLLOW, str(number))
        socket.subscribe(FOLLOW, "too many")
        [error] = socket.take()["payload"]
        assert error["message"] == "a connection may have 20 subscriptions"
    text = server.get("/metrics").text
    assert 'deepnode_live_ended_total{transport="websocket",reason="refused"} 1' in text


def test_the_metrics_count_who_follows_and_why_they_left(server: Server) -> None:
    """Follows, is cut off in the middle, and breaks a rule; reads the figures meanwhile and afterwards."""
    with Socket(server) as socket:
        socket.subscribe(FOLLOW, **{"from": "0"})
        for _ in range(8):
            socket.follow()
        assert server.metric("deepnode_live_subscriptions") == 1
        assert server.metric('deepnode_live_connections{transport="websocket"}') == 1
        assert server.metric("deepnode_live_messages_total") == 8
        socket.raw.socket.close()
    with Socket(server, initialised=False) as socket:
        socket.raw.send("nonsense")
        closing(socket)
    until = time.monotonic() + 5
    while server.metric('deepnode_live_connections{transport="websocket"}') and time.monotonic() < until:
        time.sleep(0.02)
    text = server.get("/metrics").text
    assert 'deepnode_live_ended_total{transport="websocket",reason="client"} 1' in text
    assert 'deepnode_live_ended_total{transport="websocket",reason="protocol"} 1' in text
    assert "deepnode_live_subscriptions 0" in text


def test_a_subscription_by_plain_http_is_told_where_to_go(server: Server) -> None:
    """Posts a subscription as a query."""
    body = json.dumps({"query": FOLLOW})
    answer = httpx.post(f"http://{server.address}/graphql", content=body, headers={"Content-Type": "application/json"})
    [error] = answer.json()["errors"]
    assert "graphql-transport-ws" in error["message"]
