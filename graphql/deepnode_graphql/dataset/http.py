"""The dataset over HTTP: the files that ``deepnode dataset`` made, under ``/dataset/``.

Only what the manifest lists is looked up, so nothing else on the disk can be reached. A file's ETag is its SHA-256: it
never changes and may be kept for ever, and a download that was cut off goes on where it stopped. The manifest changes
when an epoch is added.
"""

import hashlib
import os
from pathlib import Path
from typing import Final

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response

from deepnode_graphql.answers import incident
from deepnode_graphql.dataset.manifest import NAME, DataFile, DatasetManifest, parse
from deepnode_graphql.export.formats.parquet import PARQUET
from deepnode_graphql.kept_files import FOR_EVER, NOT_FOR_LONG, FileAnswer, OpenedFile, refusal
from deepnode_graphql.service import Service
from deepnode_ledger.errors import Damaged

_WHAT: Final = "dataset"


class DatasetEndpoint:
    """GET and HEAD /dataset/PATH. Without a directory there is no dataset, and everything is 404."""

    def __init__(self, service: Service, directory: Path | None) -> None:
        self._service = service
        self._listing = None if directory is None else _Listing(directory)

    async def file(self, request: Request) -> Response:
        """Answer with the manifest or a file that it lists."""
        path = request.path_params["path"]
        if self._listing is None:
            return refusal(self._service, _WHAT, 404, "no dataset is served here")
        try:
            opened = await to_thread.run_sync(self._listing.open, path)
        except Damaged as error:
            # What is damaged is for the operator to know.
            return refusal(self._service, _WHAT, 500, incident(error))
        if opened is None:
            return refusal(self._service, _WHAT, 404, f"there is no such file: /dataset/{NAME} lists all there are")
        return FileAnswer(self._service, request, opened, _WHAT)


class _Listing:
    """The manifest as it stands in the directory; it is read again when it was replaced. Used by several threads."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._known: tuple[tuple[int, int, int], DatasetManifest, str] | None = None

    def open(self, path: str) -> OpenedFile | None:
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
                return OpenedFile(again, found.st_size, digest, "application/json", NOT_FOR_LONG)
        listed = manifest.files.get(path)
        return None if listed is None else self._listed(listed)

    def _listed(self, listed: DataFile) -> OpenedFile:
        try:
            file = (self._directory / listed.path).open("rb")
        except OSError as error:
            raise Damaged(f"{listed.path} cannot be read: {error.strerror}") from error
        length = os.fstat(file.fileno()).st_size
        if length != listed.bytes:
            file.close()
            raise Damaged(f"{listed.path} has {length} bytes, not {listed.bytes}")
        return OpenedFile(file, length, listed.sha256, PARQUET.media_type, FOR_EVER)
