"""A server of files that nobody trusts: asked for as many bytes as there may be, and given up when it lies.

It may be away, slow, busy (429), or cut answers off: then it is asked again, and goes on where it stopped. It may not
lead elsewhere, send more than was asked for, or send a part of something else.
"""

import re
import time
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import quote, urlsplit

import urllib3

from deepnode_ledger.errors import BadInput, TryAgain

CONNECTIONS: Final = 4
CONNECT_SECONDS: Final = 10.0
READ_SECONDS: Final = 30.0
ATTEMPTS: Final = 6
"""Answers that may fail one after another without a byte between them."""

PAUSE_SECONDS: Final = 0.25
PAUSE_SECONDS_MAX: Final = 30.0
PIECE_BYTES: Final = 256 * 1024

_PART: Final = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")


class FileServer:
    """Files below one URL. Several threads may ask at once."""

    def __init__(self, url: str, *, pause: Callable[[float], None] = time.sleep) -> None:
        """Describe it; nothing connects yet.

        Raises:
            BadInput: it is no http or https URL of a folder.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise BadInput(
                f"a bundle is fetched from an http(s) URL such as https://example.org/bundle, not {url!r:.200}"
            )
        self.url = url.rstrip("/")
        self._pool = urllib3.PoolManager(maxsize=CONNECTIONS, retries=False)
        self._pause = pause

    def pieces(self, name: str, start: int, bytes_max: int, tag: str | None) -> Iterator[tuple[int, bytes]]:
        """Yield the bytes of a file from ``start`` on, each piece with its place in the file.

        If the server does not know parts, the pieces begin at 0 again. A cut is mended by asking for the rest.

        Args:
            name: of the file, below the URL.
            start: how many bytes are there already.
            bytes_max: how many the file may have.
            tag: the ETag that the rest must have to belong to what is there; None: it is fetched from its beginning.

        Raises:
            BadInput: the server refuses it, leads elsewhere, or sends more than it may have.
            TryAgain: it is away, busy for long, or ends its answers early.
        """
        at, failures = start if tag is not None else 0, 0
        while True:
            before = at
            try:
                for place, piece in self._answer(name, at, bytes_max, tag):
                    at = place + len(piece)
                    yield place, piece
            except (urllib3.exceptions.HTTPError, OSError) as error:
                wait, why = PAUSE_SECONDS, f"{type(error).__name__}: {error}"
            except _Busy as busy:
                wait, why = busy.seconds, str(busy)
            else:
                return
            failures = 0 if at > before else failures + 1
            if failures >= ATTEMPTS:
                raise TryAgain(f"{self.url}/{name} cannot be fetched: {why}")
            if tag is None:
                at = 0
            self._pause(min(PAUSE_SECONDS_MAX, wait * 2**failures))

    def _answer(self, name: str, at: int, bytes_max: int, tag: str | None) -> Iterator[tuple[int, bytes]]:
        where = f"{self.url}/{name}"
        headers = {"Accept-Encoding": "identity"}
        if at and tag is not None:
            headers |= {"Range": f"bytes={at}-", "If-Range": f'"{tag}"'}
        answer = self._pool.request(
            "GET",
            f"{self.url}/{quote(name)}",
            headers=headers,
            redirect=False,
            preload_content=False,
            decode_content=False,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
        )
        try:
            at = _begins(where, answer, at)
            while piece := answer.read(min(PIECE_BYTES, bytes_max - at + 1)):
                if at + len(piece) > bytes_max:
                    raise BadInput(f"{where} has more than {bytes_max} bytes")
                yield at, piece
                at += len(piece)
        finally:
            # What was not read to its end cannot be used for the next question.
            answer.close()
            answer.release_conn()


class _Busy(Exception):
    """The server asks to be left alone for so long."""

    def __init__(self, status: int, seconds: float) -> None:
        super().__init__(f"it answers {status}")
        self.seconds = seconds


def _begins(where: str, answer: urllib3.BaseHTTPResponse, at: int) -> int:
    """Say at which byte of the file an answer begins."""
    status = answer.status
    if status in {429, 502, 503, 504}:
        given = answer.headers.get("Retry-After", "")
        raise _Busy(status, float(given) if re.fullmatch(r"[0-9]{1,4}", given) else PAUSE_SECONDS)
    if 300 <= status < 400:
        raise BadInput(f"{where} leads elsewhere ({status}), and is not followed: name the URL of the bundle itself")
    if status == 200:
        return 0
    part = _PART.fullmatch(answer.headers.get("Content-Range", ""))
    if status == 206 and part is not None and int(part[1]) == at:
        return at
    if status in {206, 416}:
        raise BadInput(f"{where}: the server answers {status} with another part than byte {at} and on")
    raise BadInput(f"{where}: the server answers {status}")
