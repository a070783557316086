"""Event ABIs: from a contract log's topics and data to named values, as strictly as the ABI's own definition.

A log is recognised by its first topic *and* the number of its topics: two contracts may declare the same event with
other arguments indexed, and reading one as the other gives values that are wrong without an error.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod
from typing import Any, Final

from eth_abi.abi import decode as abi_decode
from eth_abi.abi import is_encodable_type
from eth_abi.exceptions import DecodingError
from eth_abi.grammar import TupleType, parse
from eth_utils.crypto import keccak

from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import WORD_BYTES, from_hex
from deepnode_ledger.record import DATA_BYTES_MAX
from deepnode_ledger.word import is_word, read_word

_FIXED_LENGTH: Final = re.compile(r"\[(\d+)\]", re.ASCII)


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
        return _topic0(self.signature)

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
        indexed = [i for i in self.inputs if i.indexed]
        plain = [i for i in self.inputs if not i.indexed]
        assert len(topics) == 1 + len(indexed), (self.signature, len(topics))
        try:
            values = {i.name: _one(i.type, topic) for i, topic in zip(indexed, topics[1:], strict=True)}
            values |= _plain(plain, data)
        except (DecodingError, OverflowError, UnicodeDecodeError) as error:
            raise Undecodable(f"{self.signature}: {error}") from error
        return values


@lru_cache(4_096)
def _topic0(signature: str) -> bytes:
    return bytes(keccak(text=signature))


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
                event = EventAbi(item["name"], _all_named(inputs))
            except (KeyError, TypeError, AttributeError) as error:
                raise BadInput(f"{what} has an event without {error}: {item!r:.200}") from error
            if len({each.name for each in event.inputs}) < len(inputs):
                raise BadInput(f"{what} has the event {event.name} with two arguments of one name")
            for each in inputs:
                if not is_encodable_type(each.type):
                    raise BadInput(
                        f"{what} has the event {event.name} with {each.type!r}, which is no type of Solidity"
                    )
                if prod(map(int, _FIXED_LENGTH.findall(each.type))) > DATA_BYTES_MAX // WORD_BYTES:
                    raise BadInput(f"{what} has the event {event.name} with {each.type!r}, which no log can hold")
            events[(event.topic0, event.topics_count)] = event
    return events


def _all_named(inputs: tuple[Input, ...]) -> tuple[Input, ...]:
    """Give arguments that were declared without a name the name ``arg0``, ``arg1``, by their number."""
    return tuple(each if each.name else replace(each, name=f"arg{n}") for n, each in enumerate(inputs))


def is_hashed(abi_type: str) -> bool:
    """Say whether an indexed argument of a type is in the log as its hash alone."""
    return abi_type in ("string", "bytes") or abi_type.endswith("]") or abi_type.startswith("(")


@lru_cache(maxsize=4_096)
def head_words(abi_type: str) -> int:
    """Return how many words a value takes among the arguments themselves; what is dynamic leaves a pointer there."""
    parsed = parse(abi_type)
    if parsed.is_dynamic:
        return 1
    if parsed.is_array:
        return int(parsed.arrlist[-1][0]) * head_words(parsed.item_type.to_type_str())
    if isinstance(parsed, TupleType):
        return sum(head_words(part.to_type_str()) for part in parsed.components)
    return 1


def _type(declared: Mapping[str, Any]) -> str:
    if not declared["type"].startswith("tuple"):
        return str(declared["type"])
    return f"({','.join(_type(c) for c in declared['components'])}){declared['type'][len('tuple') :]}"


def _plain(inputs: Sequence[Input], data: bytes) -> dict[str, Any]:
    if len(data) == WORD_BYTES * len(inputs) and all(is_word(i.type) for i in inputs):
        words = (data[start : start + WORD_BYTES] for start in range(0, len(data), WORD_BYTES))
        return {i.name: read_word(i.type, word) for i, word in zip(inputs, words, strict=True)}
    values = abi_decode([i.type for i in inputs], data)
    return {i.name: _native(i.type, value) for i, value in zip(inputs, values, strict=True)}


def _native(abi_type: str, value: Any) -> Any:
    convert = _converter(abi_type)
    return value if convert is None else convert(value)


def _one(abi_type: str, topic: bytes) -> Any:
    if is_word(abi_type):
        return read_word(abi_type, topic)
    if is_hashed(abi_type):
        return topic
    return _native(abi_type, abi_decode([abi_type], topic)[0])


@lru_cache(maxsize=4_096)
def _converter(abi_type: str) -> Callable[[Any], Any] | None:
    """Return what turns eth-abi's value of a type into ours, or None if they are the same.

    eth-abi gives an address as text; inside the project it is 20 bytes. The type decides, never the text's look.
    """
    parsed = parse(abi_type)
    if parsed.is_array:
        element = _converter(parsed.item_type.to_type_str())
        return None if element is None else lambda values: tuple(element(value) for value in values)
    if isinstance(parsed, TupleType):
        parts = [_converter(part.to_type_str()) for part in parsed.components]
        if not any(parts):
            return None
        return lambda values: tuple(
            value if part is None else part(value) for part, value in zip(parts, values, strict=True)
        )
    return _address if abi_type == "address" else None


def _address(text: str) -> bytes:
    return from_hex(text, 20)
