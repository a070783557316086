"""JSON-RPC over keep-alive HTTP: one request, one batch, and errors by what to do about them.

A node is trusted with nothing: an answer's size has a limit, its shape is checked against a type, and a URL appears in
messages without its path, query and user, because providers put keys there.
"""

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
import urllib3

from deepnode_ledger.errors import BadInput, TryAgain

RESPONSE_BYTES_MAX: Final = 128 * 1024 * 1024
CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 60.0


class NodeAway(TryAgain):
    """The node cannot be reached, or answers with an HTTP error."""


class NodeError(TryAgain):
    """The node answered with a JSON-RPC error: ``code`` and ``message`` are its own."""

    def __init__(self, where: str, method: str, code: int, message: str) -> None:
        super().__init__(f"{where}: {method} failed with {code}: {message:.300}")
        self.code = code
        self.message = message


class BadAnswer(TryAgain):
    """The node's answer is not what the method promises. Another try, or another node, may do better."""


class AnswerTooLarge(BadAnswer):
    """The node's answer has more bytes than are read. A smaller question may do."""


Call = tuple[str, tuple[Any, ...]]
"""A method and its parameters."""


class _Failure(msgspec.Struct):
    code: int
    message: str = ""


class _Response(msgspec.Struct):
    id: int
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: _Failure | None = None


class _Refusal(msgspec.Struct):
    error: _Failure


class JsonRpc:
    """One node. May be used by several threads at once; connections are kept open."""

    def __init__(self, url: str, *, connections: int = 16) -> None:
        self.where = shown(url)
        self._url = url
        # Retries are ours alone: the library's would multiply them, and it knows nothing of JSON-RPC errors.
        self._pool = urllib3.PoolManager(maxsize=connections, retries=False)

    def call(self, method: str, *parameters: Any) -> msgspec.Raw:
        """Make one call and return its result, not yet decoded.

        Raises:
            NodeAway: no HTTP answer of status 200 came.
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
        body = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}
            for number, (method, parameters) in enumerate(calls)
        ]
        answer = self._post(msgspec.json.encode(body))
        try:
            responses = msgspec.json.decode(answer, type=list[_Response])
        except (msgspec.MsgspecError, RecursionError) as error:
            raise self._not_a_batch(answer, calls, error) from error
        by_id = {response.id: response for response in responses}
        if len(responses) != len(calls) or set(by_id) != set(range(len(calls))):
            raise BadAnswer(f"{self.where}: {len(calls)} calls were answered by {len(responses)} responses")
        for number, (method, _) in enumerate(calls):
            failure = by_id[number].error
            if failure is not None:
                raise NodeError(self.where, method, failure.code, failure.message)
        return [by_id[number].result for number in range(len(calls))]

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    def _post(self, body: bytes) -> bytes:
        try:
            response = self._pool.request(
                "POST",
                self._url,
                body=body,
                headers={"content-type": "application/json"},
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
                preload_content=False,
                redirect=False,
            )
            try:
                answer = response.read(RESPONSE_BYTES_MAX + 1, decode_content=True)
            finally:
                response.release_conn()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            # The library's text may hold the whole URL, so only the kind of the error is passed on.
            raise NodeAway(f"the node at {self.where} cannot be reached: {type(error).__name__}") from None
        if len(answer) > RESPONSE_BYTES_MAX:
            raise AnswerTooLarge(f"{self.where}: an answer of more than {RESPONSE_BYTES_MAX} bytes")
        if response.status in (400, 413):
            # Some providers say so that a range is too long for them.
            raise AnswerTooLarge(f"the node at {self.where} refused the question with HTTP {response.status}")
        if response.status != 200:
            raise NodeAway(f"the node at {self.where} answered HTTP {response.status}")
        return answer

    def _not_a_batch(self, answer: bytes, calls: Sequence[Call], error: Exception) -> TryAgain:
        # Some nodes refuse a whole batch by a single response.
        try:
            failure = msgspec.json.decode(answer, type=_Refusal).error
        except (msgspec.MsgspecError, RecursionError):
            return BadAnswer(f"{self.where}: {calls[0][0]} was answered by something else than JSON-RPC: {error}")
        return NodeError(self.where, calls[0][0], failure.code, failure.message)


def shown(url: str) -> str:
    """Write a node's URL for a message: scheme, host and port, without what may be a secret.

    Raises:
        BadInput: it is no URL of a node. The message says what is wrong with it and does not repeat it: whoever leaves
            out the scheme has the rest, with its keys, in a place where we would not look for secrets.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise BadInput(
            "an RPC URL must be like http://127.0.0.1:8545; this one has an impossible host or port"
        ) from None
    if parts.scheme not in ("http", "https"):
        raise BadInput(
            "an RPC URL must be like http://127.0.0.1:8545; this one does not start with http:// or https://"
        )
    if not host:
        raise BadInput("an RPC URL must be like http://127.0.0.1:8545; this one has no host")
    written = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{written}" + (f":{port}" if port else "")
