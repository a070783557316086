"""Over WebSocket a node is asked as over HTTP, whatever becomes of its connections, and tells of new heads."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from websockets.sync.server import ServerConnection, serve

from deepnode_indexer import websocket as websockets_of_ours
from deepnode_indexer.devnet.anvil import Anvil
from deepnode_indexer.failures import (
    AnswerTooLarge,
    BadAnswer,
    MethodMissing,
    NodeAway,
    NodeError,
    RateLimited,
    TimedOut,
)
from deepnode_indexer.patience import AT_ONCE
from deepnode_indexer.provider import Provider
from deepnode_indexer.rpc import JsonRpc
from deepnode_indexer.websocket import WebSocketRpc, heads, open_rpc
from deepnode_ledger.errors import BadInput
from deepnode_ledger.manifest import Manifest
from tests.indexer.fake_node import FakeChain

Speak = Callable[[ServerConnection], None]
CALLS: list[tuple[str, tuple[Any, ...]]] = [("eth_chainId", ()), ("eth_blockNumber", ())]


@contextmanager
def speaking(speak: Speak) -> Iterator[str]:
    """Serve WebSocket connections with ``speak``; gives the URL."""
    with serve(speak, "127.0.0.1", 0, max_size=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        finally:
            server.shutdown()
            thread.join()


def answering(connection: ServerConnection) -> None:
    """Answer every call with its method's name, last call first."""
    for message in connection:
        calls = json.loads(message)
        connection.send(json.dumps([{"id": call["id"], "result": call["method"]} for call in calls[::-1]]))


def ask(url: str) -> list[bytes]:
    with closing(WebSocketRpc(url, patience=AT_ONCE)) as rpc:
        return [bytes(raw) for raw in rpc.batch(CALLS)]


def test_results_come_in_the_order_of_the_calls() -> None:
    """Answers in reverse order, several times on one connection."""
    opened = []

    def speak(connection: ServerConnection) -> None:
        opened.append(connection)
        answering(connection)

    with speaking(speak) as url, closing(WebSocketRpc(url)) as rpc:
        for _ in range(5):
            assert [bytes(raw) for raw in rpc.batch(CALLS)] == [b'"eth_chainId"', b'"eth_blockNumber"']
        assert bytes(rpc.call("a")) == b'"a"'
        assert rpc.meter.requests == 6
    assert len(opened) == 1


def test_many_threads_ask_at_once_and_each_gets_its_own_answer() -> None:
    """Asks from eight threads with four connections."""
    wrong: list[Any] = []

    def ask_often(rpc: WebSocketRpc, name: str) -> None:
        wrong.extend(raw for _ in range(20) if (raw := bytes(rpc.call(name))) != f'"{name}"'.encode())

    with speaking(answering) as url, closing(WebSocketRpc(url, connections=4)) as rpc:
        threads = [threading.Thread(target=ask_often, args=(rpc, f"method_{n}")) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_a_connection_that_was_closed_while_idle_is_made_anew() -> None:
    """Closes each connection behind its first answer."""

    def speak(connection: ServerConnection) -> None:
        calls = json.loads(connection.recv())
        connection.send(json.dumps([{"id": call["id"], "result": 1} for call in calls]))

    with speaking(speak) as url, closing(WebSocketRpc(url, patience=AT_ONCE)) as rpc:
        for _ in range(4):
            assert bytes(rpc.call("a")) == b"1"
            time.sleep(0.01)


def test_a_connection_that_breaks_before_the_answer_is_a_node_away() -> None:
    """Closes every connection when it is asked, and asks a port where nobody is."""

    def speak(connection: ServerConnection) -> None:
        connection.recv()

    with speaking(speak) as url, pytest.raises(NodeAway, match="closed the connection"):
        ask(url)
    with pytest.raises(NodeAway, match="cannot be reached"):
        ask(url)


def test_a_late_answer_is_never_taken_for_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers the first question only after we have given up on it, and the second at once."""
    monkeypatch.setattr(websockets_of_ours, "READ_SECONDS", 0.1)
    delays = iter([0.3, 0.0, 0.0])

    def speak(connection: ServerConnection) -> None:
        for message in connection:
            time.sleep(next(delays))
            connection.send(json.dumps([{"id": 0, "result": json.loads(message)[0]["method"]}]))

    with speaking(speak) as url, closing(WebSocketRpc(url, patience=AT_ONCE)) as rpc:
        with pytest.raises(TimedOut):
            rpc.call("first")
        assert bytes(rpc.call("second")) == b'"second"'


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        ("<html>", BadAnswer),
        ("[]", BadAnswer),
        ('[{"id":0,"result":1}]', BadAnswer),
        (b"\xff\xfe", BadAnswer),
        ('{"error":{"code":-32005,"message":"rate limited"}}', RateLimited),
        ('[{"id":0,"result":1},{"id":1,"error":{"code":-32601,"message":""}}]', MethodMissing),
        ('[{"id":0,"result":1},{"id":1,"error":{"code":-32000,"message":"header not found"}}]', NodeError),
    ],
)
def test_other_answers_fail_as_over_http(answer: str | bytes, failure: type[Exception]) -> None:
    """Answers other text, other JSON, errors, and a binary message."""

    def speak(connection: ServerConnection) -> None:
        connection.recv()
        connection.send(answer)
        connection.recv()

    with speaking(speak) as url, pytest.raises(failure):
        ask(url)


def test_a_larger_answer_than_is_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lowers the limit and gives a longer answer."""
    monkeypatch.setattr(websockets_of_ours, "RESPONSE_BYTES_MAX", 100)

    def speak(connection: ServerConnection) -> None:
        connection.recv()
        connection.send("x" * 101)

    with speaking(speak) as url, pytest.raises(AnswerTooLarge):
        ask(url)


def test_a_provider_asks_over_websocket_as_over_http(chain: FakeChain, manifest: Manifest) -> None:
    """Serves a chain over WebSocket and asks all that a provider asks."""
    chain.grow(10, logs=2)
    chain.finalized = 4

    def speak(connection: ServerConnection) -> None:
        for message in connection:
            connection.send(chain.answer(json.loads(message)).body)

    with speaking(speak) as url, closing(WebSocketRpc(url)) as rpc:
        provider = Provider(rpc, manifest)
        provider.check_chain()
        assert provider.tags().head == chain.blocks[10].header
        assert provider.blocks([chain.blocks[3].header]) == [chain.blocks[3]]
        assert provider.fetch(1, 10).logs.num_rows == 20


def test_the_url_says_which_way_to_speak() -> None:
    """Opens both kinds, and refuses each other's URLs and what is no URL."""
    assert isinstance(open_rpc("https://node.example/KEY123"), JsonRpc)
    assert isinstance(open_rpc("wss://node.example/KEY123"), WebSocketRpc)
    assert open_rpc("wss://alice:pa55word@node.example/KEY123").where == "wss://node.example"
    for wrong in ("ftp://node.example", "node.example"):
        with pytest.raises(BadInput):
            open_rpc(wrong)
    with pytest.raises(BadInput, match="WebSocket"):
        WebSocketRpc("http://node.example")
    with pytest.raises(BadInput, match="WebSocket"):
        next(heads("http://node.example", threading.Event()))


def test_new_heads_wake_up_and_subscriptions_are_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tells of two heads and breaks the connection, again and again; once it refuses to subscribe."""
    monkeypatch.setattr(websockets_of_ours, "PAUSE_SECONDS_MAX", 0.05)
    connections = []

    def speak(connection: ServerConnection) -> None:
        connections.append(json.loads(connection.recv()))
        if len(connections) == 2:
            connection.send('{"jsonrpc":"2.0","id":0,"error":{"code":-32601,"message":"no"}}')
            return
        connection.send('{"jsonrpc":"2.0","id":0,"result":"0x1"}')
        for _ in range(2):
            connection.send('{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0x1"}}')

    stop = threading.Event()
    with speaking(speak) as url:
        told = heads(url, stop)
        for _ in range(7):
            next(told)
        stop.set()
        assert list(told) == []
    assert len(connections) == 4
    assert connections[0] == {"jsonrpc": "2.0", "id": 0, "method": "eth_subscribe", "params": ["newHeads"]}


def test_a_real_node_tells_of_its_blocks() -> None:
    """Asks anvil over both ways, mines blocks and hears of each; asks for receipts and whole headers."""
    with Anvil.start() as node, closing(WebSocketRpc(node.url.replace("http", "ws", 1))) as rpc:
        stop = threading.Event()
        told = heads(node.url.replace("http", "ws", 1), stop)
        next(told)
        for number in range(1, 4):
            node.mine()
            next(told)
            assert int(json.loads(bytes(rpc.call("eth_blockNumber"))), 16) == number
        stop.set()
        http = JsonRpc(node.url)
        calls: list[tuple[str, tuple[Any, ...]]] = [("eth_getBlockByNumber", (hex(n), False)) for n in range(4)]
        assert [bytes(raw) for raw in rpc.batch(calls)] == [bytes(raw) for raw in http.batch(calls)]
        http.close()
