"""Persisted documents: what can be asked by an id, as the appendix of GraphQL over HTTP of that name has it.

The operator registers documents when the program starts; nobody can do it by a request, or the list of what may be
asked would be everybody's to write. A document's id is ``sha256:`` and the hash of its text, so that an id means the
same on every server and for ever. Each document must be one that this schema answers.
(https://github.com/graphql/graphql-over-http/blob/main/spec/Appendix%20A%20--%20Persisted%20Documents.md)
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from deepnode_graphql.terms import Terms
from deepnode_ledger.errors import BadInput

DOCUMENTS_MAX: Final = 10_000
FILE_BYTES_MAX: Final = 64 * 1024 * 1024
SUFFIX: Final = ".graphql"

_HASH: Final = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
_CUSTOM: Final = re.compile(r"(?:x-[A-Za-z0-9\-._~]{1,100}:)?[A-Za-z0-9\-._~]{1,200}")


class NotRegistered(BadInput):
    """A document that is asked for is not among those that may be: ``status`` is what HTTP calls that."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def sha256_id(text: str) -> str:
    """Return the id of a document."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


@dataclass(frozen=True)
class Documents:
    """The registered documents by their ids; ``only`` if nothing else is answered."""

    texts: Mapping[str, str] = field(default_factory=dict)
    only: bool = False

    def query_of(self, parts: Mapping[str, Any]) -> str:
        """Return the text of the document that a request means.

        Args:
            parts: of the request, in which ``query`` and ``documentId`` may be anything.

        Raises:
            NotRegistered: the id is not known, or no other documents are answered.
            BadInput: neither a query nor an id, or both.
        """
        query, document_id = parts.get("query"), parts.get("documentId")
        if document_id is None:
            if not isinstance(query, str) or not query:
                raise BadInput("query must be a string that is not empty")
            if self.only and sha256_id(query) not in self.texts:
                raise NotRegistered("only registered documents are answered here: ask by documentId", 403)
            return query
        if query is not None:
            raise BadInput("give either query or documentId, not both")
        if not isinstance(document_id, str):
            raise BadInput("documentId must be a string")
        known = self.texts.get(f"sha256:{document_id}") or self.texts.get(document_id)
        if known is None:
            raise NotRegistered(f"no document is registered as {document_id!r:.100}", 404)
        return known


NO_DOCUMENTS: Final = Documents()


def load_documents(terms: Terms, mistakes: Callable[[str], Sequence[str]]) -> Documents:
    """Read the documents of the terms.

    Args:
        terms: where they are, if there are any.
        mistakes: tells what is wrong with a document.

    Raises:
        BadInput: they cannot be read, are too many, have ids that are not theirs, or one cannot be asked (named).
    """
    if terms.documents is None:
        return NO_DOCUMENTS
    texts: dict[str, str] = {}
    for name, document_id, text in _read(terms.documents):
        if wrong := mistakes(text):
            raise BadInput(f"the document {name} cannot be asked: {wrong[0]}")
        for each in {sha256_id(text), document_id}:
            if texts.setdefault(each, text) != text:
                raise BadInput(f"the document {name} has the id of another one: {each!r:.100}")
        if len(texts) > 2 * DOCUMENTS_MAX:
            raise BadInput(f"{terms.documents} holds more than {DOCUMENTS_MAX} documents")
    return Documents(texts, terms.documents_only)


def _read(path: Path) -> Iterator[tuple[str, str, str]]:
    """Yield a name for messages, the id and the text of each document."""
    if path.is_dir():
        for file in sorted(path.rglob(f"*{SUFFIX}")):
            text = _text(file)
            # An editor ends a file with a line's end, of which whoever wrote the query into a program knows nothing.
            yield str(file), sha256_id(text.rstrip("\n")), text.rstrip("\n")
            yield str(file), sha256_id(text), text
        return
    try:
        found = orjson.loads(_text(path))
    except orjson.JSONDecodeError as error:
        raise BadInput(f"{path} is not JSON: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(each, str) for each in found.values()):
        raise BadInput(f"{path} must be a JSON object of documents by their ids")
    for document_id, text in found.items():
        yield f"{document_id!r:.100} of {path}", _checked_id(path, document_id, text), text


def _checked_id(path: Path, document_id: str, text: str) -> str:
    if found := _HASH.fullmatch(document_id):
        if sha256_id(text) != f"sha256:{found[1]}":
            raise BadInput(f"{path} has a text under {document_id!r} whose id is {sha256_id(text)}")
        return sha256_id(text)
    if not _CUSTOM.fullmatch(document_id):
        raise BadInput(f"{path} has an id that is none: {document_id!r:.100}")
    return document_id


def _text(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            content = opened.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise BadInput(f"documents cannot be read from {file}: {error.strerror or error}") from error
    if len(content) > FILE_BYTES_MAX:
        raise BadInput(f"{file} has more than {FILE_BYTES_MAX} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise BadInput(f"{file} is not UTF-8: {error}") from error
