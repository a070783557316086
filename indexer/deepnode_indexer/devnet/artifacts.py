"""The compiled contracts, and how a call to one of them is put into bytes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from eth_abi.abi import decode, encode
from eth_utils.abi import function_abi_to_4byte_selector, get_abi_input_types, get_abi_output_types
from eth_utils.conversions import to_hex

from deepnode_indexer.devnet.toolchain import contracts_dir


@dataclass(frozen=True, slots=True)
class Artifact:
    """One compiled contract: its ABI and the code that creates it."""

    name: str
    abi: list[dict[str, Any]]
    bytecode: str

    def creation(self, *arguments: object) -> str:
        """The data of the transaction that creates the contract with these constructor arguments."""
        constructor = next((entry for entry in self.abi if entry["type"] == "constructor"), None)
        types = get_abi_input_types(cast("Any", constructor)) if constructor else []
        return self.bytecode + encode(types, arguments).hex()


@dataclass(frozen=True, slots=True)
class Function:
    """A contract's function: its selector and the types that go in and come out."""

    selector: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class Interface:
    """The functions of one ABI by name. The reference contracts overload none of their own."""

    def __init__(self, abi: Sequence[dict[str, Any]]) -> None:
        self._functions = {
            entry["name"]: Function(
                selector=function_abi_to_4byte_selector(cast("Any", entry)),
                inputs=tuple(get_abi_input_types(cast("Any", entry))),
                outputs=tuple(get_abi_output_types(cast("Any", entry))),
            )
            for entry in abi
            if entry["type"] == "function"
        }

    def call_data(self, function: str, *arguments: object) -> str:
        """The data of a call, in hexadecimal."""
        known = self._functions[function]
        return to_hex(known.selector + encode(known.inputs, arguments))

    def result(self, function: str, data: str) -> Any:
        """What a call returned: the value itself if there is one, else the tuple of values."""
        values = decode(self._functions[function].outputs, bytes.fromhex(data.removeprefix("0x")))
        return values[0] if len(values) == 1 else values


def load_artifact(name: str) -> Artifact:
    """The committed artifact of the contract `name`."""
    path = contracts_dir() / "artifacts" / f"{name}.json"
    stored = json.loads(path.read_text("utf-8"))
    return Artifact(name=stored["contractName"], abi=stored["abi"], bytecode=stored["bytecode"])
