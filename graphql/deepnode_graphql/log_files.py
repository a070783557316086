"""The published log over HTTP: the static files that ``deepnode log publish`` writes, under ``/log/``.

A client of C2SP tlog-tiles asks for ``/log/checkpoint``, ``/log/tile/…`` and ``/log/tile/entries/…``. Only canonical
paths of such files are looked up, so nothing else on the disk can be reached, and caches know each file by one name.
What has a tile's name never changes and may be kept for ever; the checkpoint changes with each publication.
``/log/proof/POSITION`` is made from the same files: the stand-alone proof (C2SP tlog-proof) of one entry.
"""

from pathlib import Path
from typing import Final

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from deepnode_graphql.kept_files import FOR_EVER, NOT_FOR_LONG
from deepnode_ledger.errors import BadInput, Damaged
from deepnode_ledger.publishing import PublishedFiles, prove
from deepnode_ledger.transparency import parse_path

_FOR_EVER: Final = {"Cache-Control": FOR_EVER}
_NOT_FOR_LONG: Final = {"Cache-Control": NOT_FOR_LONG}
TEXT: Final = "text/plain; charset=utf-8"


class LogFilesEndpoint:
    """Serves the files of one directory; without a directory nothing is published, and everything is 404."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory

    async def checkpoint(self, _request: Request) -> Response:
        """Answer the newest signed checkpoint."""
        found = await self._read("checkpoint")
        if found is None:
            return _missing("no checkpoint is published here")
        return Response(found, media_type=TEXT, headers=_NOT_FOR_LONG)

    async def tile(self, request: Request) -> Response:
        """Answer a tile of hashes or a bundle of entries."""
        path = f"tile/{request.path_params['path']}"
        try:
            parse_path(path)
        except BadInput as error:
            return _missing(str(error))
        found = await self._read(path)
        if found is None:
            return _missing("no such tile: the tree is smaller, or the full tile has taken the partial one's place")
        return Response(found, media_type="application/octet-stream", headers=_FOR_EVER)

    async def proof(self, request: Request) -> Response:
        """Answer the proof that the entry at a position is published."""
        if self._directory is None:
            return _missing("no checkpoint is published here")
        try:
            proof, _ = await to_thread.run_sync(prove, PublishedFiles(self._directory), request.path_params["position"])
        except Damaged:
            # What is damaged is for the operator to know.
            return PlainTextResponse("the published files do not fit together\n", 500, _NOT_FOR_LONG)
        except BadInput as error:
            return _missing(str(error).replace(str(self._directory), "/log"))
        return Response(str(proof), media_type=TEXT, headers=_NOT_FOR_LONG)

    async def _read(self, path: str) -> bytes | None:
        if self._directory is None:
            return None
        return await to_thread.run_sync(_read, self._directory / path)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None


def _missing(why: str) -> Response:
    return PlainTextResponse(why + "\n", 404, _NOT_FOR_LONG)
