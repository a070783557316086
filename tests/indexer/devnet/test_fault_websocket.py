"""Over a WebSocket the faults are the same, and what a subscriber hears is spoilt too."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from deepnode_indexer.devnet.faults import AlterLogs, Cut, FailRequests, Fault, FaultProxy, HideLogs, NullBlocks
from tests.indexer.devnet.faulty_node import Json, Scene
from tests.indexer.fake_node import FakeChain, serving

SECONDS = 5


@contextmanager
def connected(scene: Scene) -> Iterator[ClientConnection]:
    with connect(scene.proxy.ws_url, proxy=None, max_size=None, max_queue=None) as socket:
        yield socket


def asked(socket: ClientConnection, method: str, *params: Json) -> Json:
    """The result of one call, which is answered before anything else is told."""
    socket.send(msgspec.json.encode({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}), text=True)
    return heard(socket)["result"]


def heard(socket: ClientConnection) -> Json:
    return msgspec.json.decode(socket.recv(timeout=SECONDS))


def played_logs(scene: Scene) -> list[Json]:
    """The logs of a block that is played now and has some."""
    while True:
        scene.economy.step()
        if logs := scene.direct.call("eth_getLogs", {}):
            return list(logs)


def test_questions_meet_the_same_faults(scene: Scene) -> None:
    """Asks for the newest block's logs over one connection, without faults, with one, and without again."""
    question = scene.questions()[1]
    true = scene.direct.batch([question])[0]
    with connected(scene) as socket:
        assert asked(socket, question[0], *question[1]) == true
        scene.proxy.set([HideLogs()])
        assert asked(socket, question[0], *question[1]) == []
        scene.proxy.set("honest")
        socket.ping()
        assert asked(socket, question[0], *question[1]) == true


def test_a_subscriber_is_lied_to(scene: Scene) -> None:
    """Subscribes to logs and plays a block: hidden logs are not told of, altered ones are not what happened."""
    with connected(scene) as socket:
        asked(socket, "eth_subscribe", "logs", {})
        scene.proxy.set([HideLogs()])
        hidden = played_logs(scene)
        deadline = time.monotonic() + SECONDS
        while scene.proxy.dealt["hide-logs"] < len(hidden):
            assert time.monotonic() < deadline, "notices do not come"
            time.sleep(0.01)
        scene.proxy.set([AlterLogs()])
        logs = played_logs(scene)
        # The hidden ones came first: had they been told, they would be heard now.
        told = [heard(socket)["params"]["result"] for _ in logs]
        assert [log["transactionHash"] for log in told] == [log["transactionHash"] for log in logs]
        assert not any(each["data"] == log["data"] for each, log in zip(told, logs, strict=True))


def test_a_new_head_may_be_kept_from_a_subscriber(scene: Scene) -> None:
    """Subscribes to new heads, mines a block under a fault, and another one without."""
    with connected(scene) as socket:
        asked(socket, "eth_subscribe", "newHeads")
        scene.proxy.set([NullBlocks(times=1)])
        scene.node.mine(2)
        head = scene.direct.call("eth_blockNumber")
        assert heard(socket)["params"]["result"]["number"] == head


@pytest.mark.parametrize("fault", [Cut(), Cut(at="before"), Cut(at="unanswered"), FailRequests()])
def test_a_broken_answer_is_a_broken_connection(scene: Scene, fault: Fault) -> None:
    """Asks under each fault that ends a request: the connection ends without a closing handshake."""
    with connected(scene) as socket:
        assert asked(socket, "eth_chainId")
        scene.proxy.set([fault])
        with pytest.raises(ConnectionClosed) as closed:
            asked(socket, "eth_chainId")
        assert closed.value.rcvd is None


def test_a_node_without_a_websocket_is_a_bad_gateway() -> None:
    """Connects through a proxy to a node that speaks HTTP only."""
    with serving(FakeChain().answer) as url, FaultProxy(url) as proxy:
        with pytest.raises(InvalidStatus) as refused:
            connect(proxy.ws_url, proxy=None)
        assert refused.value.response.status_code == 502
