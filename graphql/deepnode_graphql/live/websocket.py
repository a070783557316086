"""GraphQL over WebSocket, by the subprotocol ``graphql-transport-ws``.

It follows https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md: which messages there are, in which order,
and with which code a connection is closed that breaks the rules. Queries are answered as well, each with one ``next``.
A subscription's messages wait for the client to read the ones before: a client that does not read for too long is
closed, and goes on from its last place when it comes again.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from enum import IntEnum
from typing import Any, Final

import orjson
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from deepnode_graphql.answers import Outcome, incident, refused, try_again
from deepnode_graphql.client_rates import TooFast
from deepnode_graphql.execution import GraphQLRequest
from deepnode_graphql.live.live import SUBSCRIPTIONS_PER_CONNECTION_MAX, Beat, Live, TooMany, client_of
from deepnode_graphql.live.operation import Refused
from deepnode_graphql.persisted import Documents
from deepnode_ledger.errors import BadInput

SUBPROTOCOL: Final = "graphql-transport-ws"

INIT_SECONDS_MAX: Final = 10.0
CLOSE_SECONDS_MAX: Final = 5.0
MESSAGE_CHARACTERS_MAX: Final = 256 * 1024
MESSAGES_PER_SECOND: Final = 20
MESSAGES_AT_ONCE: Final = 500
ID_CHARACTERS_MAX: Final = 256
PING_SECONDS: Final = 15.0
PONG_SECONDS_MAX: Final = 45.0
"""How long a client may say nothing at all, though it is pinged."""


class Code(IntEnum):
    """Why a connection is closed. Those from 4400 on are the protocol's."""

    TOO_FAST = 1008
    TRY_AGAIN_LATER = 1013
    INVALID = 4400
    UNAUTHORIZED = 4401
    NO_SUBPROTOCOL = 4406
    INIT_TIMEOUT = 4408
    ID_TAKEN = 4409
    INITIALISED_ALREADY = 4429
    TERMINATED = 4499
    INTERNAL = 4500


class Closed(Exception):
    """The connection must be closed, for this reason."""

    def __init__(self, code: Code, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class WebSocketEndpoint:
    """WebSockets at /graphql."""

    def __init__(self, live: Live) -> None:
        """Serve the subscriptions of ``live``; the times may be changed by tests."""
        self._live = live
        self.init_seconds_max = INIT_SECONDS_MAX
        self.ping_seconds = PING_SECONDS
        self.pong_seconds_max = PONG_SECONDS_MAX

    async def serve(self, websocket: WebSocket) -> None:
        """Serve one connection to its end."""
        try:
            with self._live.connection("websocket", client_of(websocket.scope)):
                reason = await self._serve(websocket)
        except TooMany as error:
            reason = "refused"
            body = {"errors": [{"message": str(error), "extensions": {"code": "TRY_AGAIN"}}]}
            # A server that cannot send a response instead of the handshake closes; that is a 403 for the client.
            with suppress(RuntimeError):
                await websocket.send_denial_response(JSONResponse(body, 503, {"Retry-After": "10"}))
            with suppress(RuntimeError):
                await websocket.close(Code.TRY_AGAIN_LATER)
        self._live.figures.ended["websocket", reason] += 1

    async def _serve(self, websocket: WebSocket) -> str:
        """Serve a connection that there is room for; return what it ended by, in one word."""
        if SUBPROTOCOL not in websocket.scope.get("subprotocols", ()):
            await websocket.accept()
            await websocket.close(Code.NO_SUBPROTOCOL, "Subprotocol not acceptable")
            return "protocol"
        await websocket.accept(SUBPROTOCOL)
        connection = _Connection(self._live, websocket, self)
        try:
            await connection.run()
        except WebSocketDisconnect:
            return "client"
        except Closed as closed:
            with suppress(RuntimeError, WebSocketDisconnect, TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS_MAX):
                    await websocket.close(closed.code, closed.reason)
            return {
                Code.TERMINATED: "silent",
                Code.TRY_AGAIN_LATER: "slow",
                Code.INIT_TIMEOUT: "timeout",
            }.get(closed.code, "protocol")
        except Exception as error:  # noqa: BLE001 - whatever it is, the client is told of it, by an id
            said = incident(error)
            with suppress(RuntimeError, WebSocketDisconnect):
                await websocket.close(Code.INTERNAL, said)
            return "internal"
        return "client"


class _Connection:
    """One connection: what it reads in one task, what it follows in one each, and its pings in another."""

    def __init__(self, live: Live, websocket: WebSocket, settings: WebSocketEndpoint) -> None:
        self._live = live
        self._websocket = websocket
        self._client = client_of(websocket.scope)
        self._settings = settings
        self._sending = asyncio.Lock()
        self._initialised = asyncio.Event()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._heard = asyncio.get_running_loop().time()
        self._allowed = float(MESSAGES_AT_ONCE)

    async def run(self) -> None:
        """Serve until the client leaves.

        Raises:
            Closed: the client broke a rule, does not read, or says nothing.
            WebSocketDisconnect: the client left.
        """
        tasks = [self._start(self._receive()), self._start(self._watch())]
        try:
            # Each part ends by an exception alone, and the first one ends all.
            await self._failure
        finally:
            tasks += self._running.values()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        async def guarded() -> None:
            try:
                await work
            except Exception as error:  # noqa: BLE001 - whatever it is, the connection's own task must hear of it
                if not self._failure.done():
                    self._failure.set_exception(error)

        return asyncio.get_running_loop().create_task(guarded())

    async def _receive(self) -> None:
        handlers: dict[str, Callable[[dict[str, Any]], Coroutine[Any, Any, None]]] = {
            "connection_init": self._init,
            "ping": self._ping,
            "pong": self._pong,
            "subscribe": self._subscribe,
            "complete": self._complete,
        }
        while True:
            message = _parsed(await self._websocket.receive())
            self._count()
            await handlers[message["type"]](message)

    def _count(self) -> None:
        """Count a message. Who is quiet for a while may send many at once."""
        before, self._heard = self._heard, asyncio.get_running_loop().time()
        self._allowed = min(MESSAGES_AT_ONCE, self._allowed + (self._heard - before) * MESSAGES_PER_SECOND) - 1
        if self._allowed < 0:
            raise Closed(Code.TOO_FAST, f"more than {MESSAGES_PER_SECOND} messages a second")

    async def _init(self, _message: dict[str, Any]) -> None:
        if self._initialised.is_set():
            raise Closed(Code.INITIALISED_ALREADY, "Too many initialisation requests")
        self._initialised.set()
        await self._send(b'{"type":"connection_ack"}')

    async def _ping(self, message: dict[str, Any]) -> None:
        payload = {} if message.get("payload") is None else {"payload": message["payload"]}
        await self._send(orjson.dumps({"type": "pong", **payload}))

    async def _pong(self, _message: dict[str, Any]) -> None:
        """Do nothing: that something came was noted already."""

    async def _subscribe(self, message: dict[str, Any]) -> None:
        if not self._initialised.is_set():
            raise Closed(Code.UNAUTHORIZED, "Unauthorized")
        name = _identifier(message)
        try:
            request = _request(message.get("payload"), self._live.service.documents)
        except BadInput as error:
            await self._send_errors(name, refused(str(error), "BAD_INPUT").body["errors"])
            return
        if name in self._running:
            raise Closed(Code.ID_TAKEN, f"Subscriber for {name:.80} already exists")
        if len(self._running) >= SUBSCRIPTIONS_PER_CONNECTION_MAX:
            said = f"a connection may have {SUBSCRIPTIONS_PER_CONNECTION_MAX} subscriptions"
            await self._send_errors(name, [{"message": said, "extensions": {"code": "LIMIT_EXCEEDED"}}])
            return
        self._running[name] = self._start(self._answer(name, request))

    async def _complete(self, message: dict[str, Any]) -> None:
        # It may have ended already, which the client could not know.
        task = self._running.pop(_identifier(message), None)
        if task is not None:
            task.cancel()

    async def _answer(self, name: str, request: GraphQLRequest) -> None:
        task = asyncio.current_task()
        try:
            self._let_in()
            if await self._live.is_subscription(request):
                await self._follow(name, request)
            else:
                await self._execute(name, request)
        except Refused as error:
            await self._send_errors(name, error.answer.body["errors"])
        finally:
            if self._running.get(name) is task:
                del self._running[name]

    def _let_in(self) -> None:
        try:
            self._live.service.rates.let_in(self._client)
        except TooFast as error:
            raise Refused(try_again(error)) from error

    async def _follow(self, name: str, request: GraphQLRequest) -> None:
        operation = await self._live.begin(request)
        start = b'{"id":' + orjson.dumps(name) + b',"type":"next","payload":'
        messages = self._live.follow(operation, self._client)
        try:
            async for message in messages:
                if not isinstance(message, Beat):
                    await self._send(start + message.payload + b"}")
                    self._live.sent(message)
        finally:
            await messages.aclose()

    async def _execute(self, name: str, request: GraphQLRequest) -> None:
        answer = await self._live.run(request, self._client)
        if answer.outcome is not Outcome.ANSWERED:
            await self._send_errors(name, answer.body["errors"])
            return
        await self._send(orjson.dumps({"id": name, "type": "next", "payload": answer.body}))
        await self._end(name, {"id": name, "type": "complete"})

    async def _send_errors(self, name: str, errors: list[dict[str, Any]]) -> None:
        await self._end(name, {"id": name, "type": "error", "payload": errors})

    async def _end(self, name: str, message: dict[str, Any]) -> None:
        # Whoever hears that it has ended may use the name again at once.
        if self._running.get(name) is asyncio.current_task():
            del self._running[name]
        await self._send(orjson.dumps(message))

    async def _send(self, message: bytes) -> None:
        async with self._sending:
            try:
                async with asyncio.timeout(self._live.send_seconds_max):
                    await self._websocket.send({"type": "websocket.send", "text": message.decode()})
            except TimeoutError as error:
                said = f"the client has read nothing for {self._live.send_seconds_max:g} seconds"
                raise Closed(Code.TRY_AGAIN_LATER, said) from error
            except (RuntimeError, OSError) as error:
                # The server says so if the client has left meanwhile.
                raise WebSocketDisconnect from error

    async def _watch(self) -> None:
        try:
            async with asyncio.timeout(self._settings.init_seconds_max):
                await self._initialised.wait()
        except TimeoutError as error:
            raise Closed(Code.INIT_TIMEOUT, "Connection initialisation timeout") from error
        while True:
            await asyncio.sleep(self._settings.ping_seconds)
            silent = asyncio.get_running_loop().time() - self._heard
            if silent > self._settings.pong_seconds_max:
                raise Closed(Code.TERMINATED, "Terminated: no answer to pings")
            if silent >= self._settings.ping_seconds / 2:
                await self._send(b'{"type":"ping"}')


def _parsed(received: Any) -> dict[str, Any]:
    if received["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(received.get("code", 1005))
    text = received.get("text")
    if text is None:
        raise Closed(Code.INVALID, "Invalid message: it must be text")
    if len(text) > MESSAGE_CHARACTERS_MAX:
        raise Closed(Code.INVALID, f"Invalid message: it may have {MESSAGE_CHARACTERS_MAX} characters")
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Closed(Code.INVALID, "Invalid message: it is not JSON") from error
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise Closed(Code.INVALID, "Invalid message: it must be an object with a type")
    if message["type"] not in ("connection_init", "ping", "pong", "subscribe", "complete"):
        raise Closed(Code.INVALID, f"Invalid message: a client does not send {message['type']!r:.40}")
    if not isinstance(message.get("payload", {}), dict | None):
        raise Closed(Code.INVALID, "Invalid message: the payload must be an object")
    return message


def _identifier(message: dict[str, Any]) -> str:
    name = message.get("id")
    if not isinstance(name, str) or not 0 < len(name) <= ID_CHARACTERS_MAX:
        raise Closed(Code.INVALID, f"Invalid message: the id must be a text of 1 to {ID_CHARACTERS_MAX} characters")
    return name


def _request(payload: Any, documents: Documents) -> GraphQLRequest:
    parts = payload if isinstance(payload, dict) else {}
    query, variables, operation = parts.get("query"), parts.get("variables"), parts.get("operationName")
    if parts.get("documentId") is None and (not isinstance(query, str) or not query):
        raise Closed(Code.INVALID, "Invalid message: payload.query must be a text that is not empty")
    if not isinstance(variables, dict | None) or not isinstance(operation, str | None):
        raise Closed(Code.INVALID, "Invalid message: payload.variables is an object and payload.operationName a text")
    if not isinstance(parts.get("extensions"), dict | None):
        raise Closed(Code.INVALID, "Invalid message: payload.extensions must be an object")
    return GraphQLRequest(documents.query_of(parts), variables, operation or None)
