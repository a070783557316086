"""A bundle over HTTP: the files of the directory that ``deepnode bundle create`` made, under ``/bundle/``.

Only what ``bundle.json`` lists is looked up, no link is followed, and a file's ETag is its SHA-256. Full log files, all
tiles and rulesets never change and may be kept for ever; the others are other ones once the bundle goes further.
While a bundle is being made anew in the directory there is none, and everything is 404.
"""

import hashlib
from pathlib import Path
from typing import Final

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response

from deepnode_graphql.answers import incident
from deepnode_graphql.kept_files import FOR_EVER, NOT_FOR_LONG, FileAnswer, OpenedFile, refusal
from deepnode_graphql.service import Service
from deepnode_ledger.bundle import Contents, FilePart, layout
from deepnode_ledger.bundle.contents import CONTENTS_BYTES_MAX, decode
from deepnode_ledger.bundle.files import FolderFiles, Span
from deepnode_ledger.errors import BadInput, Damaged

_WHAT: Final = "bundle"

_TYPES: Final = {
    ".arrow": "application/vnd.apache.arrow.file",
    ".json": "application/json",
    ".md": "text/markdown; charset=utf-8",
    ".toml": "application/toml",
}


class BundleEndpoint:
    """GET and HEAD /bundle/PATH. Without a directory there is no bundle, and everything is 404."""

    def __init__(self, service: Service, directory: Path | None) -> None:
        self._service = service
        self._listing = None if directory is None else _Listing(directory)

    async def file(self, request: Request) -> Response:
        """Answer with the list or a file that it lists."""
        if self._listing is None:
            return refusal(self._service, _WHAT, 404, "no bundle is served here")
        try:
            opened = await to_thread.run_sync(self._listing.open, request.path_params["path"])
        except (Damaged, BadInput) as error:
            # What is damaged is for the operator to know.
            return refusal(self._service, _WHAT, 500, incident(error))
        if opened is None:
            what = f"there is no such file: /bundle/{layout.CONTENTS} lists all there are"
            return refusal(self._service, _WHAT, 404, what)
        return FileAnswer(self._service, request, opened, _WHAT)


class _Listing:
    """The list as it stands in the directory; it is read again when it was replaced. Used by several threads."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._known: tuple[tuple[int, int, int], Contents, dict[str, FilePart], str] | None = None

    def open(self, path: str) -> OpenedFile | None:
        """Open the list or a file that it lists; None if there is no such file.

        Raises:
            Damaged: the list is not what was written, or a file is missing or has another length.
            BadInput: it is the list of another format.
        """
        if not self._directory.is_dir():
            return None
        files = FolderFiles(self._directory)
        try:
            try:
                span = files.open(layout.CONTENTS)
            except Damaged:
                return None
            contents, parts, digest = self._read(span)
            if path == layout.CONTENTS:
                return OpenedFile(span, span.length, digest, _TYPES[".json"], NOT_FOR_LONG)  # type: ignore[arg-type] # a RawIOBase reads bytes
            span.close()
            part = parts.get(path)
            if part is None:
                return None
            span = files.open(path)
        finally:
            files.close()
        if span.length != part.bytes:
            length = span.length
            span.close()
            raise Damaged(f"{path} has {length} bytes, {layout.CONTENTS} says {part.bytes}")
        kind = _TYPES.get(Path(path).suffix, "application/octet-stream")
        return OpenedFile(span, span.length, part.sha256, kind, FOR_EVER if _is_final(contents, path) else NOT_FOR_LONG)  # type: ignore[arg-type] # as above

    def _read(self, span: Span) -> tuple[Contents, dict[str, FilePart], str]:
        # A replaced file is another one: what is open stays what it was.
        seen, known = span.identity(), self._known
        if known is None or known[0] != seen:
            raw = span.read(CONTENTS_BYTES_MAX + 1)
            contents = decode(raw)
            parts = {part.path: part for part in contents.files}
            known = self._known = (seen, contents, parts, hashlib.sha256(raw).hexdigest())
        return known[1:]


def _is_final(contents: Contents, path: str) -> bool:
    """Say whether a file has the same bytes in every later bundle of the same log."""
    if path.startswith("log/"):
        return path != layout.log_path(contents.entries // layout.LOG_FILE_ENTRIES)
    return path.startswith(("tile/", "rulesets/"))
