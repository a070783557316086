"""JSON-RPC messages: calls as one batch, and its answer as results or as the failure that it tells.

The same for HTTP and WebSocket. A provider's error becomes the failure that says what to do about it (``refusals``),
and what a URL hides is taken out of whatever a node writes.
"""

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import msgspec

from deepnode_indexer.failures import (
    BadAnswer,
    BatchRefused,
    MethodMissing,
    NodeError,
    NodeFailure,
    RangeRefused,
    RateLimited,
)
from deepnode_indexer.refusals import Meaning, meaning_of

SECRET_CHARACTERS: Final = 5
"""Shorter parts of a URL's path (v2, rpc, base) are no keys, and would be found in any text."""

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


_RESPONSES: Final = msgspec.json.Decoder(list[_Response])
_REFUSAL: Final = msgspec.json.Decoder(_Refusal)


class Envelope:
    """Writes requests to one node and reads its answers; ``where`` names it in messages."""

    def __init__(self, where: str, url: str) -> None:
        self.where = where
        self._secrets = _secrets(url)

    def request(self, calls: Sequence[Call]) -> bytes:
        """Write calls as one JSON-RPC batch, numbered from 0."""
        return msgspec.json.encode(
            [
                {"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}
                for number, (method, parameters) in enumerate(calls)
            ]
        )

    def results(self, answer: bytes | str, calls: Sequence[Call]) -> list[msgspec.Raw]:
        """Read a batch's answer: the results in the order of the calls.

        Raises:
            BadAnswer: it is no answer to these calls.
            NodeError, RateLimited: the node refused a call, which is the failure of all.
        """
        try:
            responses = _RESPONSES.decode(answer)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            # Some nodes refuse a whole batch by a single response.
            failure = self.refusal(answer, calls)
            if failure is None:
                failure = BadAnswer(
                    f"{self.where}: {calls[0][0]} was answered by something else than JSON-RPC: {error}"
                )
            raise failure from error
        by_id = {response.id: response for response in responses}
        if len(responses) != len(calls) or set(by_id) != set(range(len(calls))):
            raise BadAnswer(f"{self.where}: {len(calls)} calls were answered by {len(responses)} responses")
        for number, (method, _) in enumerate(calls):
            told = by_id[number].error
            if told is not None:
                raise self._failure(method, told)
        return [by_id[number].result for number in range(len(calls))]

    def refusal(self, answer: bytes | str, calls: Sequence[Call]) -> NodeFailure | None:
        """Read the single error that some nodes answer to a whole batch; None if it is none."""
        try:
            return self._failure(calls[0][0], _REFUSAL.decode(answer).error)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            return None

    def _failure(self, method: str, told: _Failure) -> NodeFailure:
        message = told.message
        for secret in self._secrets:
            message = message.replace(secret, "…")
        refusal = meaning_of(told.code, message)
        if refusal.meaning == Meaning.RANGE:
            return RangeRefused(self.where, method, told.code, message, refusal.suggested, refusal.most)
        if refusal.meaning == Meaning.BATCH:
            return BatchRefused(self.where, method, told.code, message, refusal.most)
        if refusal.meaning == Meaning.RATE:
            return RateLimited(f"{self.where}: {method} failed with {told.code}: {message:.300}")
        kind = MethodMissing if refusal.meaning == Meaning.METHOD else NodeError
        return kind(self.where, method, told.code, message)


def _secrets(url: str) -> list[str]:
    """The parts of a URL that may be keys: user, password, long parts of the path, values of the query."""
    parts = urlsplit(url)
    values = [value for _, value in parse_qsl(parts.query)] + [parts.username or "", parts.password or ""]
    found = {text for text in [*values, *parts.path.split("/")] if len(text) >= SECRET_CHARACTERS}
    return sorted(found, key=len, reverse=True)
