"""JSON-RPC over WebSocket: the same questions as over HTTP, and word of new blocks as they come.

A connection carries one request at a time, so an answer can belong to no other question, and a broken connection takes
nothing else with it. New heads are a hint that it is time to look: whoever misses one looks a moment later anyway.
"""

import random
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from deepnode_indexer.envelope import Call, Envelope
from deepnode_indexer.failures import AnswerTooLarge, BadAnswer, Dropped, NodeAway, NodeFailure, RateLimited, TimedOut
from deepnode_indexer.meter import Meter
from deepnode_indexer.patience import Patience
from deepnode_indexer.rpc import CONNECT_SECONDS, LOOPBACK, READ_SECONDS, RESPONSE_BYTES_MAX, JsonRpc, Rpc, shown
from deepnode_ledger.errors import BadInput

LOOK_SECONDS: Final = 0.5
"""How often somebody who waits for heads looks whether to stop."""

QUIET_SECONDS: Final = 60.0
"""A subscription that is silent for so long is made anew: some gateways forget them and keep the connection open."""

PAUSE_SECONDS_MAX: Final = 30.0
"""The longest pause before a subscription that failed is tried again."""

MESSAGE_TOO_BIG: Final = 1009
"""WebSocket's close code for an answer larger than we read."""


class WebSocketRpc:
    """One node over WebSocket. May be used by several threads at once: each request has a connection to itself."""

    def __init__(self, url: str, *, connections: int = 16, patience: Patience | None = None) -> None:
        self.where = shown(url)
        self.meter = Meter()
        if urlsplit(url).scheme not in ("ws", "wss"):
            raise BadInput("an RPC URL over WebSocket must be like ws://127.0.0.1:8546; this one is of HTTP")
        self._url = url
        self._patience = Patience() if patience is None else patience
        self._envelope = Envelope(self.where, url)
        self._idle: list[ClientConnection] = []
        self._lock = threading.Lock()
        self._free = threading.BoundedSemaphore(connections)

    def call(self, method: str, *parameters: Any) -> msgspec.Raw:
        """Make one call and return its result, not yet decoded.

        Raises:
            NodeAway: no connection, or it broke before the answer came.
            NodeError: the node answered with an error.
            BadAnswer: the answer is no JSON-RPC response.
        """
        return self.batch([(method, parameters)])[0]

    def batch(self, calls: Sequence[Call]) -> list[msgspec.Raw]:
        """Make several calls in one request and return their results in the order of the calls.

        Raises:
            NodeAway, NodeError, BadAnswer: as for ``call``; an error of one call is the error of all.
        """
        assert calls, "a batch holds at least one call"
        request = self._envelope.request(calls)
        return self._patience.ask(lambda: self._once(request, calls))

    def close(self) -> None:
        """Close the connections that nobody uses."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _once(self, request: bytes, calls: Sequence[Call]) -> list[msgspec.Raw]:
        started = time.monotonic()
        try:
            with self._free:
                answer = self._exchange(request)
            results = self._envelope.results(answer, calls)
        except NodeFailure as failure:
            self.meter.failed(failure)
            raise
        self.meter.answered(time.monotonic() - started, len(answer))
        return results

    def _exchange(self, request: bytes) -> bytes:
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is not None:
            try:
                return self._ask(connection, request)
            except ConnectionClosed as closed:
                _check_size(closed, self.where)
                # The node closed it while it lay idle: what was asked only reads, so it is asked again.
        connection = _opened(self._url, self.where)
        try:
            return self._ask(connection, request)
        except ConnectionClosed as closed:
            _check_size(closed, self.where)
            raise Dropped(f"the node at {self.where} closed the connection") from None

    def _ask(self, connection: ClientConnection, request: bytes) -> bytes:
        try:
            connection.send(request, text=True)
            answer = connection.recv(timeout=READ_SECONDS, decode=False)
        except TimeoutError:
            # Its answer may still come, so this connection can be used for no other question.
            connection.close()
            raise TimedOut(f"the node at {self.where} did not answer in {READ_SECONDS:.0f} s") from None
        assert isinstance(answer, bytes), type(answer)
        with self._lock:
            self._idle.append(connection)
        return answer


def open_rpc(url: str, *, patience: Patience | None = None) -> Rpc:
    """Make what speaks to a node by its URL: over HTTP or over WebSocket. Nothing connects yet.

    Raises:
        BadInput: it is no URL of a node.
    """
    shown(url)
    kind = WebSocketRpc if urlsplit(url).scheme in ("ws", "wss") else JsonRpc
    return kind(url, patience=patience)


def heads(url: str, stop: threading.Event) -> Iterator[None]:
    """Give a None for each new head that the node at a ws:// or wss:// URL tells of, until ``stop`` is set.

    There is one more after each connection, as blocks may have come before it. Connections that fail are made again,
    with growing pauses; no failure is raised, since whoever waits for heads also looks by the clock.

    Raises:
        BadInput: it is no URL of a WebSocket.
    """
    where = shown(url)
    if urlsplit(url).scheme not in ("ws", "wss"):
        raise BadInput("new heads are told over WebSocket alone: the URL must be like ws://127.0.0.1:8546")
    failures = 0
    while not stop.is_set():
        try:
            connection = _opened(url, where)
            try:
                _subscribe(connection, where, url)
                failures = 0
                yield
                yield from _notices(connection, stop)
            finally:
                connection.close()
        except (ConnectionClosed, NodeFailure):
            failures += 1
            longest = min(PAUSE_SECONDS_MAX, 0.5 * 2 ** min(failures, 10))
            stop.wait(random.uniform(longest / 2, longest))  # noqa: S311 (a pause is no secret)


def _subscribe(connection: ClientConnection, where: str, url: str) -> None:
    envelope = Envelope(where, url)
    calls: list[Call] = [("eth_subscribe", ("newHeads",))]
    # Alone and not as a batch of one: some nodes take no subscription inside a batch.
    connection.send(envelope.request(calls)[1:-1], text=True)
    try:
        answer = connection.recv(timeout=READ_SECONDS, decode=False)
    except TimeoutError:
        raise TimedOut(f"the node at {where} did not answer in {READ_SECONDS:.0f} s") from None
    assert isinstance(answer, bytes), type(answer)
    envelope.results(b"[" + answer + b"]", calls)


def _notices(connection: ClientConnection, stop: threading.Event) -> Iterator[None]:
    heard = time.monotonic()
    while not stop.is_set() and time.monotonic() - heard < QUIET_SECONDS:
        try:
            message = connection.recv(timeout=LOOK_SECONDS, decode=False)
        except TimeoutError:
            continue
        if b'"eth_subscription"' in message:
            heard = time.monotonic()
            yield


def _opened(url: str, where: str) -> ClientConnection:
    nearby = urlsplit(url).hostname in LOOPBACK
    try:
        connection = connect(
            url,
            legacy=True,
            open_timeout=CONNECT_SECONDS,
            close_timeout=1.0,
            max_size=RESPONSE_BYTES_MAX,
            compression=None if nearby else "deflate",
            proxy=None if nearby else True,
        )
    except InvalidStatus as refused:
        status = refused.response.status_code
        if status == 429:
            raise RateLimited(f"the node at {where} answered HTTP 429") from None
        raise NodeAway(f"the node at {where} answered HTTP {status}") from None
    except TimeoutError:
        raise NodeAway(f"the node at {where} cannot be reached in {CONNECT_SECONDS:.0f} s") from None
    except (WebSocketException, OSError) as error:
        # The library's text may hold the whole URL, so only the kind of the error is passed on.
        raise Dropped(f"the node at {where} cannot be reached: {type(error).__name__}") from None
    assert isinstance(connection, ClientConnection), type(connection)
    return connection


def _check_size(closed: ConnectionClosed, where: str) -> None:
    if closed.sent is not None and closed.sent.code == MESSAGE_TOO_BIG:
        raise AnswerTooLarge(f"{where}: an answer of more than {RESPONSE_BYTES_MAX} bytes") from None
    if closed.rcvd is not None and closed.rcvd.code == MESSAGE_TOO_BIG:
        raise AnswerTooLarge(f"{where}: the node finds the question too large") from None
    if closed.sent is not None and closed.sent.code == 1002:
        raise BadAnswer(f"{where}: the node does not speak WebSocket as it should") from None
