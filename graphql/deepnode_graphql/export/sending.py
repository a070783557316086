"""Sending: a reply piece by piece, as long as the client takes it.

A client that goes away has its statement stopped in the database. One that stops reading is let go after a while: an
export holds a connection and an old view of the books, and there are few of these.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import IO, Any, Final

import anyio
from anyio import to_thread
from starlette.types import Receive, Send

SEND_SECONDS_MAX: Final = 60
"""In which a client must take a piece."""

PIECE_BYTES: Final = 2**20
"""Of one message to the server, and of one read of a file."""


class Gone(Exception):
    """The client went away, or does not read."""


class Reply:
    """The reply to one request."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.began = False

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the status and the headers."""
        self.began = True
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await self._message({"type": "http.response.start", "status": status, "headers": raw})

    async def body(self, content: bytes) -> None:
        """Send a piece of the body."""
        for begin in range(0, len(content), PIECE_BYTES):
            piece = content[begin : begin + PIECE_BYTES]
            await self._message({"type": "http.response.body", "body": piece, "more_body": True})

    async def file(self, file: IO[bytes], begin: int, end: int) -> None:
        """Send the bytes of a file from ``begin`` to ``end`` (not included)."""
        await to_thread.run_sync(file.seek, begin)
        while begin < end:
            piece = await to_thread.run_sync(file.read, min(PIECE_BYTES, end - begin))
            assert piece, "a file of the spool is as long as it was written"
            begin += len(piece)
            await self.body(piece)

    async def end(self) -> None:
        """Say that it is whole."""
        await self._message({"type": "http.response.body", "body": b"", "more_body": False})

    async def _message(self, message: dict[str, Any]) -> None:
        with anyio.move_on_after(SEND_SECONDS_MAX) as waiting:
            await self._send(message)
        if waiting.cancelled_caught:
            raise Gone


async def until_gone(receive: Receive, work: Callable[[], Awaitable[None]], cancel: Callable[[], None]) -> None:
    """Do work until it is done, or the client goes away; then stop what the work waits for by ``cancel``.

    Raises:
        Gone: the client went away, or does not take what is sent.
    """
    gone = done = False

    async def watch(scope: anyio.CancelScope) -> None:
        nonlocal gone
        while (await receive())["type"] != "http.disconnect":
            pass
        if done:
            # The end of the answer is told in the same words.
            return
        gone = True
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(cancel)
        scope.cancel()

    failed: Exception | None = None
    async with anyio.create_task_group() as group:
        group.start_soon(watch, group.cancel_scope)
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - raised again below, where no group wraps it
            failed = error
        done = True
        group.cancel_scope.cancel()
    if gone:
        raise Gone from failed
    if failed is not None:
        raise failed
