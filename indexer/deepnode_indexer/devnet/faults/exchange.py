"""A request and its answer as they pass through the proxy: results are read only where a fault asks for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import msgspec

from deepnode_indexer.devnet.faults.provider_words import Json, Refused

LOG_METHODS: Final = frozenset({"eth_getLogs", "eth_getFilterLogs", "eth_getFilterChanges"})
HEADER_METHODS: Final = frozenset({"eth_getBlockByNumber", "eth_getBlockByHash"})
RECEIPT_METHODS: Final = frozenset({"eth_getBlockReceipts", "eth_getTransactionReceipt"})
CHAIN_METHODS: Final = LOG_METHODS | HEADER_METHODS | RECEIPT_METHODS | {"eth_blockNumber"}
"""What a view of the chain decides. Other questions always go to the node as they are."""

Raw = msgspec.Raw
_NULL: Final = msgspec.Raw(b"null")


class Call(msgspec.Struct):
    """One call of a request. ``id`` stays as the client wrote it."""

    method: str
    params: Any = ()
    id: Raw | msgspec.UnsetType = msgspec.UNSET

    @property
    def question(self) -> str:
        """The method and its parameters as text: equal questions have equal texts."""
        return f"{self.method} {msgspec.json.encode(self.params).decode()}"

    def parameter(self, place: int) -> Json:
        """Return one parameter, None if there is none at that place."""
        return self.params[place] if isinstance(self.params, list | tuple) and len(self.params) > place else None

    def asking(self, *params: Json) -> "Call":
        """Return the same call with other parameters."""
        return Call(self.method, params, self.id)

    def filter(self) -> dict[str, Json]:
        """Return what eth_getLogs is asked for; empty if it is something else."""
        wanted = self.parameter(0)
        return wanted if isinstance(wanted, dict) else {}


class Response(msgspec.Struct):
    """The node's response to one call."""

    id: int
    result: Raw = _NULL
    error: Raw | msgspec.UnsetType = msgspec.UNSET


class Reply:
    """What will be answered to one call: a result, read only when a fault asks for it, or an error."""

    __slots__ = ("_raw", "_value", "error", "status")

    def __init__(self, value: Json = None, *, raw: Raw | None = None, error: Json = None) -> None:
        self._raw = raw
        self._value = value
        self.error = error
        self.status = 200

    @property
    def value(self) -> Json:
        """The result."""
        if self._raw is not None:
            self._value, self._raw = msgspec.json.decode(self._raw), None
        return self._value

    @value.setter
    def value(self, value: Json) -> None:
        self._value, self._raw = value, None

    def refuse(self, refused: Refused) -> None:
        """Answer with an error instead."""
        self.error, self.status = refused.as_json(), refused.status
        self._raw = self._value = None

    def written(self, id_: Json) -> dict[str, Json]:
        """Write the response with this id."""
        if self.error is not None:
            return {"jsonrpc": "2.0", "id": id_, "error": self.error}
        return {"jsonrpc": "2.0", "id": id_, "result": self._value if self._raw is None else self._raw}


@dataclass(frozen=True)
class Request:
    """The calls of one HTTP request; ``batch`` if they came as a list."""

    calls: Sequence[Call]
    batch: bool

    @cached_property
    def question(self) -> str:
        """All its questions as one text."""
        return "; ".join(call.question for call in self.calls)

    @property
    def asks_for_the_chain(self) -> bool:
        """Whether a view of the chain would decide an answer."""
        return any(call.method in CHAIN_METHODS for call in self.calls)


def read_request(body: bytes) -> Request | None:
    """Read a request; None if it is none, or holds a notification: the node will say what it thinks of it."""
    batch = body.lstrip()[:1] == b"["
    try:
        calls = msgspec.json.decode(body, type=list[Call]) if batch else [msgspec.json.decode(body, type=Call)]
    except (msgspec.MsgspecError, RecursionError):
        return None
    if not calls or any(call.id is msgspec.UNSET for call in calls):
        return None
    return Request(calls, batch)


def write_question(calls: Sequence[Call], *, batch: bool) -> bytes:
    """Write the calls for the node, numbered from 0."""
    written = [
        {"jsonrpc": "2.0", "id": number, "method": call.method, "params": call.params}
        for number, call in enumerate(calls)
    ]
    return msgspec.json.encode(written if batch else written[0])


def read_answer(body: bytes, calls: Sequence[Call], *, batch: bool) -> list[Reply] | None:
    """Read the node's answer to ``write_question``; None if it is something else than one response a call."""
    try:
        found = msgspec.json.decode(body, type=list[Response]) if batch else [msgspec.json.decode(body, type=Response)]
    except (msgspec.MsgspecError, RecursionError):
        return None
    by_id = {response.id: response for response in found}
    if len(found) != len(calls) or set(by_id) != set(range(len(calls))):
        return None
    return [
        Reply(raw=response.result)
        if response.error is msgspec.UNSET
        else Reply(error=msgspec.json.decode(response.error))
        for response in (by_id[number] for number in range(len(calls)))
    ]


def number_of(tag: Json, head: int) -> int | None:
    """Return the block number that a tag or a quantity means; None for a tag that only the node can tell."""
    if tag is None or tag in ("latest", "pending"):
        return head
    if tag == "earliest":
        return 0
    # Some methods take a block's hash, of 32 bytes, in the place of its number.
    return None if isinstance(tag, str) and len(tag) == 66 else quantity(tag)


def quantity(text: Json) -> int | None:
    """Read a JSON-RPC quantity; None if it is none."""
    try:
        return int(text, 16) if isinstance(text, str) and text.startswith("0x") else None
    except ValueError:
        return None


def flipped(text: str) -> str:
    """Change the last hexadecimal digit."""
    digits = text if len(text) > 2 else "0x00"
    return digits[:-1] + ("1" if digits[-1] != "1" else "2")
