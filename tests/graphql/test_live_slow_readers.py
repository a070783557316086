"""A subscriber that reads slowly, or leaves, harms nobody; a database that is away makes streams wait."""

import socket
import threading
import time
from collections.abc import Iterator

import psycopg
import pytest
from websockets.exceptions import ConnectionClosed

from tests.graphql.live_books import ENTRIES
from tests.graphql.live_clients import Events, Server, Socket, served
from tests.graphql.small_books import ALICE, BOB, NOBODY, Scribe, transfer

QUERY = f'subscription {{ entries(from: "0") {{ {ENTRIES} }} }}'
BLOCKS, EACH = 20, 250


@pytest.fixture
def server(own_books: Scribe) -> Iterator[Server]:
    """The API over a test's own books."""
    own_books.block(transfer(NOBODY, ALICE, 10**9))
    with served(own_books) as made:
        yield made


def narrow(server: Server) -> socket.socket:
    """A connected socket that takes little before it has to be read."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    host, _, port = server.address.partition(":")
    made.connect((host, int(port)))
    return made


def positions(subscriber: Socket, last: int) -> list[int]:
    """The positions of the entries that a subscriber is told of, up to the last."""
    found: list[int] = []
    while not found or found[-1] < last:
        found += [entry["position"] for entry in subscriber.follow()["entries"]]
    return found


def test_one_that_stops_reading_keeps_nobody_waiting_and_loses_nothing(own_books: Scribe, server: Server) -> None:
    """Lets 5000 entries come while one of two subscribers does not read: the other is told of each block as it comes,
    the server holds a page for the first and no more, and when it reads again it is told everything, in order."""
    last = 1 + BLOCKS * EACH
    # However slow the machine is, nobody is closed here for being slow.
    server.app.state.live.send_seconds_max = server.app.state.sockets.pong_seconds_max = 600
    with Socket(server, sock=narrow(server), max_queue=1, compression=None) as slow, Socket(server) as quick:
        slow.subscribe(QUERY)
        quick.subscribe(QUERY)
        quick.follow()
        waited: list[float] = []
        told = 1
        for number in range(BLOCKS):
            own_books.block(*(transfer(ALICE, BOB, 1 + number) for _ in range(EACH)))
            begun = time.monotonic()
            while told < 1 + (number + 1) * EACH:
                told += len(quick.follow()["entries"])
            waited.append(time.monotonic() - begun)
        # Many times what 250 entries take, and still less than if they waited for the one that does not read.
        assert sorted(waited)[BLOCKS // 2] < 5, waited
        # Quick was told of each block by one message or two; slow has what fits between it and the server.
        of_both = server.metric("deepnode_live_messages_total")
        assert of_both < BLOCKS * 3, of_both
        assert positions(slow, last) == list(range(1, last + 1))


def test_one_that_does_not_read_for_too_long_is_closed(own_books: Scribe, server: Server) -> None:
    """Makes the time short; a WebSocket and an event stream that are not read are ended, and counted."""
    server.app.state.live.send_seconds_max = 0.3
    own_books.block(*(transfer(ALICE, BOB, 1) for _ in range(600)))
    host, _, _ = server.address.partition(":")
    with narrow(server) as raw, Socket(server, sock=narrow(server), max_queue=1, compression=None) as silent:
        raw.sendall(f"GET /live/entries?from=0 HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        silent.subscribe(QUERY)
        wait_for(server, 'deepnode_live_ended_total{transport="websocket",reason="slow"}')
        wait_for(server, 'deepnode_live_ended_total{transport="sse",reason="slow"}')
        with pytest.raises(ConnectionClosed):
            positions(silent, 601)
    assert server.metric("deepnode_live_subscriptions") == 0


def wait_for(server: Server, name: str) -> None:
    """Wait until a figure of /metrics is 1."""
    until = time.monotonic() + 10
    while f"{name} 1" not in server.get("/metrics").text:
        assert time.monotonic() < until, name
        time.sleep(0.05)


def test_those_who_leave_in_the_middle_leave_nothing_behind(own_books: Scribe, server: Server) -> None:
    """Cuts twelve connections off while rows come, by socket and by event stream; afterwards nothing is followed, the
    tailer has ended, and the next one is served."""
    stop = threading.Event()

    def go_on() -> None:
        while not stop.is_set():
            own_books.block(*(transfer(ALICE, BOB, 1) for _ in range(5)))

    writer = threading.Thread(target=go_on)
    writer.start()
    try:
        for _ in range(6):
            with Socket(server) as leaving:
                leaving.subscribe(QUERY)
                leaving.follow()
                leaving.raw.socket.shutdown(socket.SHUT_RDWR)
            with Events(server, "/live/entries", **{"from": "0"}) as events:
                events.data()
    finally:
        stop.set()
        writer.join()
    until = time.monotonic() + 10
    while server.metric("deepnode_live_subscriptions") and time.monotonic() < until:
        time.sleep(0.05)
    live = server.app.state.live
    assert (live.figures.subscriptions, sum(live.figures.connections.values()), live.tailer._task) == (0, 0, None)
    last = server.ask("{ _meta { position } }")["_meta"]["position"]
    with Socket(server) as staying:
        staying.subscribe(QUERY)
        assert positions(staying, last) == list(range(1, last + 1))


def test_while_the_books_cannot_be_read_streams_wait_and_then_go_on(own_books: Scribe, server: Server) -> None:
    """Lets the books be of another manifest for a while, as in the middle of an operator's mistake, and ends the
    server's connections: nothing comes, and the stream does not end, but a new one is told to try again. Back again,
    the next block is told."""
    kill = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name LIKE 'deepnode-api%'"
    )
    with Socket(server) as staying, psycopg.connect(own_books.url, autocommit=True) as admin:
        staying.subscribe(QUERY)
        staying.follow()
        [before] = admin.execute("SELECT manifest_digest FROM books.checkpoint").fetchone() or ()
        admin.execute("UPDATE books.checkpoint SET manifest_digest = %s", (bytes(32),))
        admin.execute(kill)
        staying.subscribe(QUERY, "2")
        message = staying.take()
        assert (message["id"], message["type"]) == ("2", "error")
        assert message["payload"][0]["extensions"] == {"code": "TRY_AGAIN"}
        with pytest.raises(TimeoutError):
            staying.take(seconds=1.5)
        admin.execute("UPDATE books.checkpoint SET manifest_digest = %s", (before,))
        admin.execute(kill)
        own_books.block(transfer(ALICE, BOB, 1))
        assert [entry["position"] for entry in staying.follow()["entries"]] == [2]
