"""Server-sent events: live updates by plain HTTP.

/live/NAME is a stream that any EventSource reads: each event's id is the place behind it, which a client that comes
again sends as ``Last-Event-ID``. While nothing happens, the id goes out by itself as a sign of life, so that a client
whose filter meets little does not begin far behind. /graphql answers a subscription in the same way, as ``graphql-sse``
has it in its distinct connections mode (https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md).
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from deepnode_graphql.answers import Outcome, failed, refused
from deepnode_graphql.execution import GraphQLRequest
from deepnode_graphql.graphql_http import Malformed, read_body, read_parameters
from deepnode_graphql.live.documents import STREAMS, request_of
from deepnode_graphql.live.live import Beat, Live, TooMany, client_of
from deepnode_graphql.live.operation import Message, Operation, Refused
from deepnode_graphql.live.place import format_place
from deepnode_ledger.errors import BadInput

EVENT_STREAM: Final = "text/event-stream"
RETRY_MILLISECONDS: Final = 2_000


class SseEndpoint:
    """GET /live/NAME, and /graphql for those who accept an event stream."""

    def __init__(self, live: Live) -> None:
        self._live = live

    async def stream(self, request: Request) -> Response:
        """Answer with the events of a stream."""
        name = request.path_params["name"]
        if name not in STREAMS:
            return _refusal(f"there is no stream {name!r:.80}; these are: {', '.join(STREAMS)}", 404)
        parameters = dict(request.query_params)
        schema = self._live.service.executor.schema.core
        try:
            asked = request_of(schema, name, parameters, request.headers.get("last-event-id") or None)
            operation = await self._live.begin(asked, is_bare=True)
        except BadInput as error:
            return _refusal(str(error), 400)
        except Refused as error:
            return _refused(error)
        return _EventStream(self._live, operation, _event, _id, _failed)

    def graphql(self, otherwise: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """Answer a GraphQL request by events if the client accepts these, and otherwise by what is given."""

        async def answer(request: Request) -> Response:
            if not _accepts_events(request.headers.get("accept", "")):
                return await otherwise(request)
            by_post = request.method == "POST"
            try:
                asked = await self._asked(request)
                if await self._live.is_subscription(asked):
                    operation = await self._live.begin(asked)
                    return _EventStream(self._live, operation, _next, _comment, _complete)
            except Malformed as error:
                return _refusal(str(error), error.status)
            except Refused as error:
                return _refused(error)
            result = await self._live.run(asked, client_of(request.scope), queries_only=not by_post)
            if result.outcome is not Outcome.ANSWERED:
                return _refused(Refused(result))
            body = b"event: next\ndata: " + orjson.dumps(result.body) + b"\n\nevent: complete\ndata:\n\n"
            return Response(body, headers=_HEADERS, media_type=EVENT_STREAM)

        return answer

    async def _asked(self, request: Request) -> GraphQLRequest:
        documents = self._live.service.documents
        if request.method == "POST":
            return await read_body(request, documents)
        return read_parameters(request.query_params, documents)


class _EventStream(Response):
    """A response that goes on until the client leaves or does not read any more.

    Args:
        live: what the subscription is followed by.
        operation: what is followed.
        event: writes a message.
        beat: writes a sign of life.
        failed: writes that it cannot go on.
    """

    def __init__(
        self,
        live: Live,
        operation: Operation,
        event: Callable[[Message], bytes],
        beat: Callable[[Beat], bytes],
        failed: Callable[[Refused], bytes],
    ) -> None:
        super().__init__(headers=_HEADERS, media_type=EVENT_STREAM)
        del self.headers["content-length"]
        self._live, self._operation = live, operation
        self._event, self._beat, self._failed = event, beat, failed

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "HEAD":
            await Response(headers=dict(self.headers))(scope, receive, send)
            return
        client = client_of(scope)
        try:
            with self._live.connection("sse", client):
                reason = await self._serve(client, receive, send)
        except TooMany as error:
            reason = "refused"
            await _refusal(str(error), 503)(scope, receive, send)
        self._live.figures.ended["sse", reason] += 1

    async def _serve(self, client: str, receive: Receive, send: Send) -> str:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        writing = asyncio.ensure_future(self._write(client, send))
        leaving = asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait({writing, leaving}, return_when=asyncio.FIRST_COMPLETED)
            return writing.result() if writing.done() else "client"
        except TimeoutError:
            # The response is left without its end, so that the client does not take it for one, and the server closes.
            return "slow"
        except OSError:
            return "client"
        finally:
            for task in (writing, leaving):
                task.cancel()
            await asyncio.gather(writing, leaving, return_exceptions=True)

    async def _write(self, client: str, send: Send) -> str:
        start = Beat(self._operation.start)
        await self._send(send, b"retry: %d\n" % RETRY_MILLISECONDS + self._beat(start))
        reason = "refused"
        try:
            async with aclosing(self._live.follow(self._operation, client)) as messages:
                async for message in messages:
                    if isinstance(message, Beat):
                        await self._send(send, self._beat(message))
                    else:
                        await self._send(send, self._event(message))
                        self._live.sent(message)
        except Refused as error:
            await self._send(send, self._failed(error))
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the client is told of it, by an id
            await self._send(send, self._failed(Refused(failed(error))))
            reason = "internal"
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        return reason

    async def _send(self, send: Send, body: bytes) -> None:
        async with asyncio.timeout(self._live.send_seconds_max):
            await send({"type": "http.response.body", "body": body, "more_body": True})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _accepts_events(accept: str) -> bool:
    return any(item.partition(";")[0].strip().lower() == EVENT_STREAM for item in accept.split(","))


def _event(message: Message) -> bytes:
    kind = b"event: retraction\n" if message.is_retraction else b""
    return b"id: %s\n%sdata: %s\n\n" % (format_place(message.place).encode(), kind, message.payload)


def _id(beat: Beat) -> bytes:
    # An event without data is not shown to anybody, but its id is remembered.
    return b"id: %s\n\n" % format_place(beat.place).encode()


def _failed(error: Refused) -> bytes:
    return b"event: error\ndata: %s\n\n" % orjson.dumps(error.answer.body)


def _next(message: Message) -> bytes:
    return b"event: next\ndata: %s\n\n" % message.payload


def _comment(_beat: Beat) -> bytes:
    return b":\n\n"


def _complete(error: Refused) -> bytes:
    return b"event: next\ndata: %s\n\nevent: complete\ndata:\n\n" % orjson.dumps(error.answer.body)


def _refusal(message: str, status: int) -> Response:
    code = "TRY_AGAIN" if status == 503 else "BAD_INPUT"
    return _json(refused(message, code).body, status)


def _refused(error: Refused) -> Response:
    return _json(error.answer.body, 503 if error.answer.outcome is Outcome.TRY_AGAIN else 400)


def _json(body: object, status: int) -> Response:
    return JSONResponse(body, status, {"Retry-After": "2"} if status == 503 else {})


# Proxies such as nginx keep a response back until it is whole, unless they are told not to.
_HEADERS: Final = {"Cache-Control": "no-store", "Vary": "Accept", "X-Accel-Buffering": "no"}
