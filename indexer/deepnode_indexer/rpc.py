"""JSON-RPC over keep-alive HTTP: one request, one batch, and errors by what to do about them.

A node is trusted with nothing: an answer's size has a limit, its shape is checked against a type, and a URL appears in
messages without its path, query and user, because providers put keys there.
"""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import msgspec
import urllib3

from deepnode_indexer.envelope import Call, Envelope
from deepnode_indexer.failures import (
    AnswerTooLarge,
    BadAnswer,
    BatchRefused,
    Dropped,
    MethodMissing,
    NodeAway,
    NodeError,
    NodeFailure,
    RangeRefused,
    RateLimited,
    TimedOut,
)
from deepnode_indexer.meter import Meter
from deepnode_indexer.patience import AT_ONCE, Patience
from deepnode_ledger.errors import BadInput

__all__ = [
    "AT_ONCE",
    "AnswerTooLarge",
    "BadAnswer",
    "BatchRefused",
    "Call",
    "JsonRpc",
    "MethodMissing",
    "NodeAway",
    "NodeError",
    "NodeFailure",
    "Patience",
    "RangeRefused",
    "RateLimited",
    "Rpc",
    "TimedOut",
    "shown",
]

RESPONSE_BYTES_MAX: Final = 128 * 1024 * 1024
CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 60.0

RETRY_AFTER_SECONDS_MAX: Final = 3_600.0
"""A longer pause than this is not waited for, whatever a node asks."""

LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


class Rpc(Protocol):
    """A node that answers JSON-RPC, over whatever connection. May be used by several threads at once."""

    where: str
    meter: Meter

    def call(self, method: str, *parameters: Any) -> msgspec.Raw:
        """Make one call and return its result, not yet decoded."""
        ...

    def batch(self, calls: Sequence[Call]) -> list[msgspec.Raw]:
        """Make several calls in one request and return their results in the order of the calls."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


class JsonRpc:
    """One node over HTTP. May be used by several threads at once; connections are kept open.

    A request that is rate-limited, or whose connection breaks, is made again as ``patience`` allows; every other
    failure is passed on.
    """

    def __init__(self, url: str, *, connections: int = 16, patience: Patience | None = None) -> None:
        self.where = shown(url)
        self.meter = Meter()
        if urlsplit(url).scheme not in ("http", "https"):
            raise BadInput("an RPC URL over HTTP must be like http://127.0.0.1:8545; this one is of a WebSocket")
        self._url = url
        self._patience = Patience() if patience is None else patience
        self._envelope = Envelope(self.where, url)
        # Retries are ours alone: the library's would multiply them, and it knows nothing of JSON-RPC errors.
        self._pool = urllib3.PoolManager(maxsize=connections, retries=False)
        self._headers = {"content-type": "application/json"}
        if urlsplit(url).hostname not in LOOPBACK:
            # Hexadecimal digits pack to less than half. On the same machine that would only cost time.
            self._headers["accept-encoding"] = "gzip"

    def call(self, method: str, *parameters: Any) -> msgspec.Raw:
        """Make one call and return its result, not yet decoded.

        Raises:
            NodeAway: no HTTP answer of status 200 came; ``RateLimited`` and ``TimedOut`` say why, where that is known.
            NodeError: the node answered with an error.
            BadAnswer: the answer is no JSON-RPC response.
        """
        return self.batch([(method, parameters)])[0]

    def batch(self, calls: Sequence[Call]) -> list[msgspec.Raw]:
        """Make several calls in one request and return their results in the order of the calls.

        Raises:
            NodeAway, NodeError, BadAnswer: as for ``call``; an error of one call is the error of all.
        """
        assert calls, "a batch holds at least one call"
        body = self._envelope.request(calls)
        return self._patience.ask(lambda: self._once(body, calls))

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    def _once(self, body: bytes, calls: Sequence[Call]) -> list[msgspec.Raw]:
        started = time.monotonic()
        try:
            answer = self._post(body, calls)
            results = self._envelope.results(answer, calls)
        except NodeFailure as failure:
            self.meter.failed(failure)
            raise
        self.meter.answered(time.monotonic() - started, len(answer))
        return results

    def _post(self, body: bytes, calls: Sequence[Call]) -> bytes:
        try:
            response = self._pool.request(
                "POST",
                self._url,
                body=body,
                headers=self._headers,
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
                preload_content=False,
                redirect=False,
            )
            try:
                answer = response.read(RESPONSE_BYTES_MAX + 1, decode_content=True)
            finally:
                response.release_conn()
        except urllib3.exceptions.NewConnectionError:
            # The library counts it among the time-outs. Nobody listens there, or the name means nothing.
            raise NodeAway(f"the node at {self.where} cannot be reached: no connection can be made") from None
        except urllib3.exceptions.ConnectTimeoutError:
            raise NodeAway(f"the node at {self.where} cannot be reached in {CONNECT_SECONDS:.0f} s") from None
        except urllib3.exceptions.ReadTimeoutError:
            raise TimedOut(f"the node at {self.where} did not answer in {READ_SECONDS:.0f} s") from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            # The library's text may hold the whole URL, so only the kind of the error is passed on.
            raise Dropped(f"the node at {self.where} cannot be reached: {type(error).__name__}") from None
        if len(answer) > RESPONSE_BYTES_MAX:
            raise AnswerTooLarge(f"{self.where}: an answer of more than {RESPONSE_BYTES_MAX} bytes")
        if response.status != 200:
            raise self._refused(response.status, response.headers, answer, calls)
        return answer

    def _refused(self, status: int, headers: Mapping[str, str], answer: bytes, calls: Sequence[Call]) -> NodeFailure:
        told = self._envelope.refusal(answer, calls)
        if status == 429 or isinstance(told, RateLimited):
            message = str(told) if told is not None else f"the node at {self.where} answered HTTP {status}"
            return RateLimited(message, _retry_after(headers))
        if isinstance(told, RangeRefused | BatchRefused | MethodMissing):
            return told
        if status in (400, 413):
            # Some providers say so that a range is too long for them.
            said = "" if told is None else f": {told}"
            return AnswerTooLarge(f"the node at {self.where} refused the question with HTTP {status}{said}")
        if status in (408, 504):
            return TimedOut(f"the node at {self.where} answered HTTP {status}")
        if status == 503 and _retry_after(headers) is not None:
            return RateLimited(f"the node at {self.where} answered HTTP {status}", _retry_after(headers))
        kind = Dropped if status >= 500 else NodeAway
        return kind(f"the node at {self.where} answered HTTP {status}")


def shown(url: str) -> str:
    """Write a node's URL for a message: scheme, host and port, without what may be a secret.

    Raises:
        BadInput: it is no URL of a node. The message says what is wrong with it and does not repeat it: whoever leaves
            out the scheme has the rest, with its keys, in a place where we would not look for secrets.
    """
    rule = "an RPC URL must be like http://127.0.0.1:8545 or ws://127.0.0.1:8546"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise BadInput(f"{rule}; this one has an impossible host or port") from None
    if parts.scheme not in ("http", "https", "ws", "wss"):
        raise BadInput(f"{rule}; this one does not start with http://, https://, ws:// or wss://")
    if not host:
        raise BadInput(f"{rule}; this one has no host")
    written = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{written}" + (f":{port}" if port else "")


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Read a Retry-After header: seconds from now, None where there is none or it makes no sense."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdecimal():
        seconds = float(text[:9])
    else:
        try:
            then = parsedate_to_datetime(text)
        except ValueError:
            return None
        if then.tzinfo is None:
            then = then.replace(tzinfo=UTC)
        seconds = (then - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), RETRY_AFTER_SECONDS_MAX)
