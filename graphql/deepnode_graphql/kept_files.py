"""A file that is kept on the disk, as an answer over HTTP: whole or a part of it, with its SHA-256 as its ETag.

A download that was cut off goes on where it stopped (Range, If-Range), and who has the file already is told so (304).
What may be looked up, and how long it may be kept, is for the caller to say.
"""

from dataclasses import dataclass
from typing import IO, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from deepnode_graphql.export.ranges import has_already, may_resume, range_of
from deepnode_graphql.export.sending import Gone, Reply, until_gone
from deepnode_graphql.service import Service

FOR_EVER: Final = "public, max-age=31536000, immutable"
"""How long what never changes may be kept."""

NOT_FOR_LONG: Final = "no-cache"


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """A file that is open to be sent: ``length`` bytes whose SHA-256 is ``tag``."""

    file: IO[bytes]
    length: int
    tag: str
    media_type: str
    caching: str


class FileAnswer(Response):
    """Sends a file or a part of it, as long as somebody takes it; ``what`` is counted."""

    def __init__(self, service: Service, request: Request, opened: OpenedFile, what: str) -> None:
        super().__init__()
        self._service, self._request, self._opened, self._what = service, request, opened, what

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reply = Reply(send)
        with self._opened.file:
            try:
                await until_gone(receive, lambda: self._answer(reply), lambda: None)
            except Gone:
                # Nobody is there to be told. The server closes the connection, because the answer is not whole.
                self._service.answered[self._what, "gone"] += 1
                return
        self._service.answered[self._what, "answered"] += 1

    async def _answer(self, reply: Reply) -> None:
        opened, given = self._opened, self._request.headers
        headers = {
            "ETag": f'"{opened.tag}"',
            "Cache-Control": opened.caching,
            "Accept-Ranges": "bytes",
            "X-Content-Type-Options": "nosniff",
        }
        if has_already(given, opened.tag):
            await reply.start(304, headers)
            await reply.end()
            return
        headers["Content-Type"] = opened.media_type
        head = self._request.method == "HEAD"
        wanted = None if head or not may_resume(given, opened.tag) else range_of(given.get("range"))
        status, bounds = 200, (0, opened.length)
        if wanted is not None:
            found = wanted.within(opened.length)
            if found is None:
                await reply.start(416, {"Content-Range": f"bytes */{opened.length}", "Content-Length": "0"})
                await reply.end()
                return
            status, bounds = 206, found
            headers["Content-Range"] = f"bytes {bounds[0]}-{bounds[1] - 1}/{opened.length}"
        await reply.start(status, {**headers, "Content-Length": str(bounds[1] - bounds[0])})
        if not head:
            await reply.file(opened.file, *bounds)
        await reply.end()


def refusal(service: Service, what: str, status: int, message: str) -> Response:
    """Answer that there is no such file (404), or that it is damaged (500)."""
    service.answered[what, "failed" if status == 500 else "refused"] += 1
    body = {"error": {"message": message, "code": "INTERNAL" if status == 500 else "BAD_INPUT"}}
    return JSONResponse(body, status, {"Cache-Control": NOT_FOR_LONG})
