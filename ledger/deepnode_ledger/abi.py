"""Event ABIs: from a contract log's topics and data to named values, as strictly as the ABI's own definition.

A log is recognised by its first topic *and* the number of its topics: two contracts may declare the same event with
other arguments indexed, and reading one as the other gives values that are wrong without an error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eth_abi.abi import decode as abi_decode
from eth_abi.exceptions import DecodingError
from eth_utils.crypto import keccak

from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import from_hex


class Undecodable(BadInput):
    """The log's topics or data are not what its ABI says. The bytes stay in the log; they have no meaning yet."""


@dataclass(frozen=True, slots=True)
class Input:
    """One argument of an event: ``type`` is canonical (``uint256``, ``address``, ``uint32[5]``, ``(uint8,bytes)``)."""

    name: str
    type: str
    indexed: bool


@dataclass(frozen=True, slots=True)
class EventAbi:
    """An event's name and arguments, in the order of its declaration."""

    name: str
    inputs: tuple[Input, ...]

    @property
    def signature(self) -> str:
        """The text whose keccak-256 is the first topic, such as ``Transfer(address,address,uint256)``."""
        return f"{self.name}({','.join(i.type for i in self.inputs)})"

    @property
    def topic0(self) -> bytes:
        """The first topic of the event's logs (32 bytes)."""
        return bytes(keccak(text=self.signature))

    @property
    def topics_count(self) -> int:
        """The number of topics that its logs have, the first included."""
        return 1 + sum(i.indexed for i in self.inputs)

    def decode(self, topics: Sequence[bytes], data: bytes) -> dict[str, Any]:
        """Read a log's values by argument name.

        Addresses are 20 bytes, fixed and dynamic bytes are bytes, numbers are ints. An indexed argument of a dynamic
        type is its 32-byte hash, because the log holds nothing else.

        Raises:
            Undecodable: the lengths or the padding break the ABI's rules.
        """
        assert topics[0] == self.topic0, self.signature
        assert len(topics) == self.topics_count, (self.signature, len(topics))
        indexed = [i for i in self.inputs if i.indexed]
        plain = [i for i in self.inputs if not i.indexed]
        types = [i.type for i in plain]
        try:
            values = {i.name: _one(i.type, topic) for i, topic in zip(indexed, topics[1:], strict=True)}
            values |= {i.name: _native(i.type, v) for i, v in zip(plain, abi_decode(types, data), strict=True)}
        except (DecodingError, OverflowError, UnicodeDecodeError) as error:
            raise Undecodable(f"{self.signature}: {error}") from error
        return values


def events_of(abi: object, *, what: str) -> dict[tuple[bytes, int], EventAbi]:
    """Collect the events of a contract's ABI (parsed JSON) by (first topic, number of topics).

    Raises:
        BadInput: the JSON is not an ABI; ``what`` names it in the message.
    """
    if not isinstance(abi, list):
        raise BadInput(f"{what} must be a JSON array of ABI items, not {type(abi).__name__}")
    events: dict[tuple[bytes, int], EventAbi] = {}
    for item in abi:
        if isinstance(item, Mapping) and item.get("type") == "event" and not item.get("anonymous"):
            try:
                inputs = tuple(Input(i["name"], _type(i), bool(i["indexed"])) for i in item["inputs"])
                event = EventAbi(item["name"], inputs)
            except (KeyError, TypeError) as error:
                raise BadInput(f"{what} has an event without {error}: {item!r:.200}") from error
            events[(event.topic0, event.topics_count)] = event
    return events


def _type(declared: Mapping[str, Any]) -> str:
    if not declared["type"].startswith("tuple"):
        return str(declared["type"])
    return f"({','.join(_type(c) for c in declared['components'])}){declared['type'][len('tuple') :]}"


def _one(abi_type: str, topic: bytes) -> Any:
    if abi_type in ("string", "bytes") or abi_type.endswith("]") or abi_type.startswith("("):
        return topic
    return _native(abi_type, abi_decode([abi_type], topic)[0])


def _native(abi_type: str, value: Any) -> Any:
    """eth-abi gives an address as text; inside the project it is 20 bytes. The type decides, never the text's look."""
    if abi_type == "address":
        return from_hex(value, 20)
    if abi_type.startswith("address["):
        element = abi_type[: abi_type.rindex("[")]
        return tuple(_native(element, each) for each in value)
    return value
