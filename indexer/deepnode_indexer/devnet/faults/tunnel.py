"""Joining a client's WebSocket to the node's: bytes both ways, from the handshake on, unread."""

import contextlib
import socket
import ssl
import threading
from typing import Final
from urllib.parse import urlsplit

CONNECT_SECONDS: Final = 5.0
PIECE_BYTES: Final = 65_536


def join(client: socket.socket, target: str, head: bytes, stopped: threading.Event) -> None:
    """Pass bytes between the client and the node at the URL, beginning with the client's handshake of these headers.

    Returns when either end is closed, or ``stopped`` is set and the client's socket was shut down.
    """
    parts = urlsplit(target)
    host, tls = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if tls else 80)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        node: socket.socket = socket.create_connection((host, port), CONNECT_SECONDS)
    except OSError:
        with contextlib.suppress(OSError):
            client.sendall(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n")
        return
    with contextlib.ExitStack() as stack:
        stack.callback(node.close)
        if tls:
            node = stack.enter_context(ssl.create_default_context().wrap_socket(node, server_hostname=host))
        node.settimeout(None)
        node.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\n".encode() + head + b"\r\n\r\n")
        back = threading.Thread(target=_pass, args=(node, client), name="websocket", daemon=True)
        back.start()
        _pass(client, node)
        if not stopped.is_set():
            back.join()


def _pass(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(PIECE_BYTES):
            sink.sendall(piece)
    # Whoever waits at the other end learns that it is over; so does the thread of the other direction.
    for each in (source, sink):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
