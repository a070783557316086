"""A client's WebSocket: questions are answered with faults as over HTTP, subscriptions are the node's own, spoilt.

The node's WebSocket is asked for subscriptions alone. Its notices of logs and of new heads go through the same lies as
answers do: a hidden log is never told of.
"""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Final

import msgspec
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.frames import Frame, Opcode
from websockets.http11 import Request as Handshake
from websockets.server import ServerProtocol
from websockets.sync.client import ClientConnection, connect

from deepnode_indexer.devnet.faults.answering import Answer, Answering
from deepnode_indexer.devnet.faults.exchange import read_request

CONNECT_SECONDS: Final = 5.0
MESSAGE_BYTES_MAX: Final = 64 * 1024 * 1024
PIECE_BYTES: Final = 65_536
SUBSCRIPTIONS: Final = frozenset({"eth_subscribe", "eth_unsubscribe"})


class Broken(Exception):
    """The connection ended, or a fault ended it."""


class ClientSocket:
    """The server's side of one WebSocket. ``send`` may be called by several threads at once."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client
        self._protocol = ServerProtocol(max_size=MESSAGE_BYTES_MAX)
        self._lock = threading.Lock()

    def shake_hands(self, head: bytes, refusal: str | None) -> bool:
        """Answer the handshake, of which ``head`` is the client's part; says whether messages may follow."""
        self._protocol.receive_data(head)
        for event in self._protocol.events_received():
            if isinstance(event, Handshake):
                accepted = self._protocol.accept(event) if refusal is None else self._protocol.reject(502, refusal)
                self._protocol.send_response(accepted)
                self._flush()
                return accepted.status_code == 101
        self._flush()
        return False

    def messages(self) -> Iterator[bytes]:
        """Give the client's messages until it closes; pings are answered on the way."""
        parts: list[bytes] = []
        while piece := self._client.recv(PIECE_BYTES):
            with self._lock:
                self._protocol.receive_data(piece)
                events = self._protocol.events_received()
                self._flush()
                closed = self._protocol.close_expected()
            for frame in events:
                if isinstance(frame, Frame) and frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                    parts.append(bytes(frame.data))
                    if frame.fin:
                        yield b"".join(parts)
                        parts = []
            if closed:
                # Both have said so; the client waits for the server to close the line.
                return

    def send(self, message: bytes) -> None:
        """Send one message."""
        with self._lock:
            self._protocol.send_text(message)
            self._flush()

    def send_half(self, message: bytes) -> None:
        """Send the first half of a message's bytes, as if the line broke."""
        with self._lock:
            self._protocol.send_text(message)
            whole = b"".join(self._protocol.data_to_send())
            self._client.sendall(whole[: len(whole) // 2])

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._client.sendall(data)


def join(client: socket.socket, target: str, head: bytes, answering: Callable[[], Answering]) -> None:
    """Serve a client that has asked for a WebSocket by ``head``, until one of the ends closes or a fault cuts it.

    ``answering`` gives what deals the faults, which may change from one message to the next.
    """
    ours = ClientSocket(client)
    try:
        node = connect(
            "ws" + target.removeprefix("http"),
            legacy=True,
            open_timeout=CONNECT_SECONDS,
            close_timeout=1.0,
            max_size=None,
            compression=None,
            # As over HTTP: straight to the node, whatever proxy the environment names.
            proxy=None,
        )
    except (OSError, WebSocketException) as error:
        ours.shake_hands(head, f"the node has no WebSocket: {type(error).__name__}")
        return
    notices = threading.Thread(target=_pass_notices, args=(node, ours, client, answering), name="notices", daemon=True)
    with contextlib.suppress(Broken, OSError, WebSocketException):
        if ours.shake_hands(head, None):
            notices.start()
            for message in ours.messages():
                if _is_subscription(message):
                    node.send(message, text=True)
                else:
                    _tell(ours, answering().answer(message)[0])
    _shut(client)
    node.close()
    if notices.ident is not None:
        notices.join()


def _is_subscription(message: bytes) -> bool:
    request = read_request(message)
    return request is not None and any(call.method in SUBSCRIPTIONS for call in request.calls)


def _tell(ours: ClientSocket, answer: Answer) -> None:
    """Send an answer, as far as its faults have a counterpart here: there is no head to cut, and no status."""
    if answer.cut == "body":
        ours.send_half(answer.body)
    if answer.cut is not None or not answer.body.lstrip().startswith((b"{", b"[")):
        raise Broken
    ours.send(answer.body)


def _pass_notices(
    node: ClientConnection, ours: ClientSocket, client: socket.socket, answering: Callable[[], Answering]
) -> None:
    with contextlib.suppress(ConnectionClosed, OSError, WebSocketException):
        while True:
            message = node.recv(decode=False)
            assert isinstance(message, bytes), type(message)
            for told in _noticed(message, answering()):
                ours.send(told)
    # The node closed: the client must not wait for notices that cannot come.
    _shut(client)


def _noticed(message: bytes, answering: Answering) -> list[bytes]:
    try:
        notice = msgspec.json.decode(message)
        told = notice["params"]["result"]
    except (msgspec.MsgspecError, KeyError, TypeError):
        # The answer to eth_subscribe, or something that only the client understands.
        return [message]
    if not isinstance(told, dict):
        return [message]
    return [
        message if each == told else msgspec.json.encode(notice | {"params": notice["params"] | {"result": each}})
        for each in answering.noticed(told)
    ]


def _shut(client: socket.socket) -> None:
    with contextlib.suppress(OSError):
        client.shutdown(socket.SHUT_RDWR)
