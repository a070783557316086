"""The proxy's own HTTP server: it sends answers as they are to be met, cut short where a fault says so.

It listens on 127.0.0.1 only.
"""

import contextlib
import socket
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from typing import Any, Final, Protocol

import msgspec
from typing_extensions import override

from deepnode_indexer.devnet.faults.answering import Answer
from deepnode_ledger.errors import DeepNodeError

HOST: Final = "127.0.0.1"
CONTROL: Final = "/faults"
BODY_BYTES_MAX: Final = 64 * 1024 * 1024


class Served(Protocol):
    """What stands behind the server."""

    def answer(self, body: bytes) -> Answer:
        """Return what a client gets for a question."""

    def join(self, client: socket.socket, head: bytes) -> None:
        """Serve a client that asks for a WebSocket by this head, until it or the node ends it."""

    def state(self) -> dict[str, Any]:
        """Return what ``GET /faults`` tells."""

    def control(self, body: bytes, kind: str) -> None:
        """Do what ``POST /faults`` asks for by a body of this content type; refuse it by an error of ours."""


class Server(socketserver.ThreadingTCPServer):
    """Serves every connection from a thread of its own; knows the open ones, so that they can be closed."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, port: int, served: Served) -> None:
        self.served = served
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__((HOST, port), _Handler)

    @override
    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    @override
    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that goes away amid its answer is no fault of the proxy's.
        pass

    def close_connections(self) -> None:
        """Close every connection; their threads end by that."""
        with self._lock:
            for each in self._open:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        served = self.server.served
        if self.headers.get("upgrade", "").lower() == "websocket":
            self.close_connection = True
            served.join(self.connection, self._head())
        elif self.path == CONTROL:
            self._send(_json(served.state()))
        else:
            self._send(Answer(b"POST a question for the node, or GET /faults\n", 405))

    def do_POST(self) -> None:
        body = self._body()
        if body is None:
            self.close_connection = True
            self._send(Answer(b"the body needs a length of at most 64 MiB\n", 411))
        elif self.path == CONTROL:
            self._send(self._controlled(body))
        else:
            self._send(self.server.served.answer(body))

    def _controlled(self, body: bytes) -> Answer:
        try:
            self.server.served.control(body, self.headers.get("content-type", ""))
        except DeepNodeError as error:
            return _json({"error": str(error)}, 400)
        return _json(self.server.served.state())

    def _body(self) -> bytes | None:
        length = self.headers.get("content-length", "")
        if not length.isdigit() or int(length) > BODY_BYTES_MAX:
            return None
        return self.rfile.read(int(length))

    def _head(self) -> bytes:
        lines = [self.requestline, *(f"{name}: {value}" for name, value in self.headers.items())]
        return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1", "replace")

    def _send(self, answer: Answer) -> None:
        headers = {**answer.headers, "content-length": str(len(answer.body))}
        lines = [f"HTTP/1.1 {answer.status} {self.responses.get(answer.status, ('Status',))[0]}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode()
        length = {"head": len(head) // 2, "body": len(head) + len(answer.body) // 2}
        if answer.cut is None:
            # One write: a head that goes ahead of its body would wait for the client's acknowledgement.
            self.wfile.write(head + answer.body)
        else:
            self.wfile.write((head + answer.body)[: length.get(answer.cut, 0)])
            self.close_connection = True

    @override
    def log_message(self, *_: object) -> None:
        pass


def _json(value: Any, status: int = 200) -> Answer:
    return Answer(msgspec.json.encode(value), status, {"content-type": "application/json"})
