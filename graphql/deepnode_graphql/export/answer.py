"""The answer to a request for an export: a file of the spool, an export that is made meanwhile, or a part of either."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import IO, Final
from urllib.parse import quote

import anyio
from anyio import to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from deepnode_graphql.export.ranges import may_resume, range_of
from deepnode_graphql.export.request import Asked, Export, NotThere, Question, begin
from deepnode_graphql.export.sending import Gone, Reply, until_gone
from deepnode_graphql.export.spool import Spool, Spooled
from deepnode_graphql.service import EXPORTS_AT_ONCE, Service
from deepnode_ledger.errors import BadInput, TryAgain

_PLAIN: Final = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")
"""What stands in a header as it is."""


def refusal(service: Service, error: BadInput | TryAgain) -> Response:
    """Answer with an error, and count it."""
    waits = isinstance(error, TryAgain)
    service.answered["export", "try_again" if waits else "refused"] += 1
    status = 503 if waits else 404 if isinstance(error, NotThere) else 400
    body = {"error": {"message": str(error), "code": "TRY_AGAIN" if waits else "BAD_INPUT"}}
    return JSONResponse(body, status, {"Retry-After": "2"} if waits else {})


def headers_of(asked: Asked) -> dict[str, str]:
    """Return the headers of a file, its length and type aside. What it says of itself is there for every format."""
    said = {f"X-{name.title().replace('.', '-').replace('_', '-')}": value for name, value in asked.metadata.items()}
    return {
        "ETag": f'"{asked.tag}"',
        "Cache-Control": "no-cache",
        "Accept-Ranges": "bytes" if asked.final else "none",
        "Content-Disposition": f'attachment; filename="{asked.name}"',
        "X-Content-Type-Options": "nosniff",
        **{name: quote(value, safe=_PLAIN) for name, value in said.items() if value},
    }


class Answer(Response):
    """Sends what was asked for, and looks meanwhile whether somebody is still there to take it."""

    def __init__(self, service: Service, spool: Spool, request: Request, question: Question, asked: Asked) -> None:
        super().__init__()
        self._service, self._spool, self._question, self._asked = service, spool, question, asked
        self._only_headers = request.method == "HEAD"
        wanted = None if self._only_headers else range_of(request.headers.get("range"))
        self._range = wanted if asked.final and may_resume(request.headers, asked.tag) else None
        self._export: Export | None = None

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reply = Reply(send)
        try:
            await until_gone(receive, lambda: self._answer(reply), self._cancel)
        except (BadInput, TryAgain) as error:
            if reply.began:
                raise
            await refusal(self._service, error)(scope, receive, send)
        except Gone:
            # Nobody is there to be told. The server closes the connection, because the answer is not whole.
            self._service.answered["export", "gone"] += 1

    async def _answer(self, reply: Reply) -> None:
        file = await to_thread.run_sync(self._spool.open, self._asked.tag)
        if file is not None:
            await self._from_file(reply, file)
        elif self._only_headers:
            await reply.start(200, self._described(self._spool.length(self._asked.tag)))
            await reply.end()
        elif self._range is None:
            await self._whole(reply)
        else:
            await self._part(reply)
        self._service.answered["export", "answered"] += 1

    async def _whole(self, reply: Reply) -> None:
        async with self._making(keep=True) as (export, spooled):
            # What goes wrong before the first row is there can still be said.
            first = b""
            while (chunk := await _next(export, spooled)) is not None:
                first += chunk
                if first and export.rows():
                    break
            self._asked = export.asked
            await reply.start(200, self._described(None))
            await reply.body(first)
            while chunk is not None and (chunk := await _next(export, spooled)) is not None:
                await reply.body(chunk)
            await reply.end()

    async def _part(self, reply: Reply) -> None:
        length = self._spool.length(self._asked.tag)
        if length is None:
            async with self._making(keep=True) as (export, spooled):
                while await _next(export, spooled) is not None:
                    pass
                assert spooled is not None, "a part is asked for of what is final"
                length = spooled.length
            file = await to_thread.run_sync(self._spool.open, self._asked.tag)
            if file is not None:
                await self._from_file(reply, file)
                return
        bounds = await self._begin_part(reply, length)
        if bounds is None:
            return
        place, (first, end) = 0, bounds
        async with self._making(keep=False) as (export, _):
            while place < end and (chunk := await _next(export, None)) is not None:
                if place + len(chunk) > first:
                    await reply.body(chunk[max(0, first - place) : end - place])
                place += len(chunk)
        await reply.end()

    async def _from_file(self, reply: Reply, file: IO[bytes]) -> None:
        with file:
            length = await to_thread.run_sync(file.seek, 0, 2)
            bounds = (0, length)
            if self._range is None:
                await reply.start(200, self._described(length))
            else:
                found = await self._begin_part(reply, length)
                if found is None:
                    return
                bounds = found
            if not self._only_headers:
                await reply.file(file, *bounds)
            await reply.end()

    async def _begin_part(self, reply: Reply, length: int) -> tuple[int, int] | None:
        """Begin the answer to a range; None if nothing is there, and the answer is complete."""
        assert self._range is not None
        bounds = self._range.within(length)
        if bounds is None:
            await reply.start(416, {"Content-Range": f"bytes */{length}", "Content-Length": "0"})
            await reply.end()
            return None
        first, end = bounds
        part = {"Content-Range": f"bytes {first}-{end - 1}/{length}"}
        await reply.start(206, {**self._described(end - first), **part})
        return bounds

    def _described(self, length: int | None) -> dict[str, str]:
        known = {} if length is None else {"Content-Length": str(length)}
        return {**headers_of(self._asked), "Content-Type": self._asked.format.media_type, **known}

    @asynccontextmanager
    async def _making(self, *, keep: bool) -> AsyncIterator[tuple[Export, Spooled | None]]:
        """Hold one of the places for exports, and a connection, as long as an export is made."""
        if self._service.exports_running >= EXPORTS_AT_ONCE:
            raise TryAgain(f"{EXPORTS_AT_ONCE} exports are running: try again when one ends")
        self._service.exports_running += 1
        try:
            self._export = export = await to_thread.run_sync(lambda: begin(self._service, self._question))
            spooled = self._spool.begin(export.asked.tag) if keep and export.asked.final else None
            try:
                if self._range is not None and export.asked.tag != self._asked.tag:
                    raise TryAgain("the books went on meanwhile: name the moment of the export, such as at_position")
                yield export, spooled
            finally:
                # The connection goes back at once, also when the client went away in the middle.
                with anyio.CancelScope(shield=True):
                    self._export = None
                    await to_thread.run_sync(export.close)
                    if spooled is not None:
                        spooled.drop()
        finally:
            self._service.exports_running -= 1

    def _cancel(self) -> None:
        export = self._export
        if export is not None:
            export.cancel()


async def _next(export: Export, spooled: Spooled | None) -> bytes | None:
    def take() -> bytes | None:
        chunk = export.next_chunk()
        if spooled is not None:
            if chunk is None:
                spooled.finish()
            else:
                spooled.write(chunk)
        return chunk

    return await to_thread.run_sync(take)
