"""The dataset over HTTP: the files that ``deepnode dataset`` made, under ``/dataset/``.

Only what the manifest lists is looked up, so nothing else on the disk can be reached. A file's ETag is its SHA-256: it
never changes and may be kept for ever, and a download that was cut off goes on where it stopped. The manifest changes
when an epoch is added.
"""

import hashlib
import os
from pathlib import Path
from typing import IO, Final

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from deepnode_graphql.answers import incident
from deepnode_graphql.dataset.manifest import NAME, DataFile, DatasetManifest, parse
from deepnode_graphql.export.formats.parquet import PARQUET
from deepnode_graphql.export.ranges import has_already, may_resume, range_of
from deepnode_graphql.export.sending import Gone, Reply, until_gone
from deepnode_graphql.service import Service
from deepnode_ledger.errors import Damaged

_FOR_EVER: Final = "public, max-age=31536000, immutable"
_NOT_FOR_LONG: Final = "no-cache"


class DatasetEndpoint:
    """GET and HEAD /dataset/PATH. Without a directory there is no dataset, and everything is 404."""

    def __init__(self, service: Service, directory: Path | None) -> None:
        self._service = service
        self._listing = None if directory is None else _Listing(directory)

    async def file(self, request: Request) -> Response:
        """Answer with the manifest or a file that it lists."""
        path = request.path_params["path"]
        if self._listing is None:
            return self._refusal(404, "no dataset is served here")
        try:
            opened = await to_thread.run_sync(self._listing.open, path)
        except Damaged as error:
            # What is damaged is for the operator to know.
            return self._refusal(500, incident(error))
        if opened is None:
            return self._refusal(404, f"there is no such file: /dataset/{NAME} lists all there are")
        return _Answer(self._service, request, opened)

    def _refusal(self, status: int, message: str) -> Response:
        self._service.answered["dataset", "failed" if status == 500 else "refused"] += 1
        body = {"error": {"message": message, "code": "INTERNAL" if status == 500 else "BAD_INPUT"}}
        return JSONResponse(body, status, {"Cache-Control": _NOT_FOR_LONG})


class _Opened:
    """A file that is open to be sent."""

    def __init__(self, file: IO[bytes], length: int, tag: str, media_type: str, caching: str) -> None:
        self.file, self.length, self.tag, self.media_type, self.caching = file, length, tag, media_type, caching


class _Listing:
    """The manifest as it stands in the directory; it is read again when it was replaced. Used by several threads."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._known: tuple[tuple[int, int, int], DatasetManifest, str] | None = None

    def open(self, path: str) -> _Opened | None:
        """Open the manifest or a file that it lists; None if there is no such file.

        Raises:
            Damaged: the manifest is not what was written, or a file is missing or has another length.
        """
        try:
            file = (self._directory / NAME).open("rb")
        except (FileNotFoundError, NotADirectoryError):
            return None
        with file:
            found = os.fstat(file.fileno())
            # A replaced file is another one: what is open stays what it was.
            seen = (found.st_ino, found.st_mtime_ns, found.st_size)
            known = self._known
            if known is None or known[0] != seen:
                text = file.read()
                known = self._known = (seen, parse(text), hashlib.sha256(text).hexdigest())
            _, manifest, digest = known
            if path == NAME:
                again = os.fdopen(os.dup(file.fileno()), "rb")
                return _Opened(again, found.st_size, digest, "application/json", _NOT_FOR_LONG)
        listed = manifest.files.get(path)
        return None if listed is None else self._listed(listed)

    def _listed(self, listed: DataFile) -> _Opened:
        try:
            file = (self._directory / listed.path).open("rb")
        except OSError as error:
            raise Damaged(f"{listed.path} cannot be read: {error.strerror}") from error
        length = os.fstat(file.fileno()).st_size
        if length != listed.bytes:
            file.close()
            raise Damaged(f"{listed.path} has {length} bytes, not {listed.bytes}")
        return _Opened(file, length, listed.sha256, PARQUET.media_type, _FOR_EVER)


class _Answer(Response):
    """Sends a file or a part of it, as long as somebody takes it."""

    def __init__(self, service: Service, request: Request, opened: _Opened) -> None:
        super().__init__()
        self._service, self._request, self._opened = service, request, opened

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reply = Reply(send)
        with self._opened.file:
            try:
                await until_gone(receive, lambda: self._answer(reply), lambda: None)
            except Gone:
                # Nobody is there to be told. The server closes the connection, because the answer is not whole.
                self._service.answered["dataset", "gone"] += 1
                return
        self._service.answered["dataset", "answered"] += 1

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
