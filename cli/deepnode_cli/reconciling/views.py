"""Views: what a deployment's contracts can be asked by ``eth_call``, as the manifest's ABIs declare it.

The books need the events of an ABI alone, so the manifest in memory has no more; here the files are read again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from eth_utils.crypto import keccak

from deepnode_ledger.abi import head_words, is_hashed
from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import WORD_BYTES
from deepnode_ledger.manifest_file import DeclaredContract, DeclaredCreates, parse_manifest, read_json

_READS: Final = ("view", "pure")


@dataclass(frozen=True, slots=True)
class View:
    """A function that reads: its signature, and the values that it gives, as (name, number of its first word)."""

    signature: str
    outputs: tuple[tuple[str, int], ...]

    def data(self, *arguments: bytes | int) -> bytes:
        """Write a call: the selector and one word for each argument (addresses, words of 32 bytes, numbers)."""
        words = [
            each.to_bytes(WORD_BYTES) if isinstance(each, int) else each.rjust(WORD_BYTES, b"\0") for each in arguments
        ]
        return bytes(keccak(text=self.signature))[:4] + b"".join(words)

    def word_of(self, output: str) -> int:
        """Return in which word of the answer a value stands; the first one without a name.

        Raises:
            BadInput: the view gives no such value.
        """
        for name, word in self.outputs:
            if output in ("", name):
                return word
        raise BadInput(f"the ABI's {self.signature} gives no value named {output!r}")


BALANCE_OF: Final = View("balanceOf(address)", (("", 0),))
TOTAL_SUPPLY: Final = View("totalSupply()", (("", 0),))
"""What every token has (ERC-20)."""


@dataclass(frozen=True, slots=True)
class Declared:
    """A contract's kind and the views of its ABI by their signatures."""

    kind: str
    views: Mapping[str, View]


def declared_views(manifest: Path, block_number: int) -> dict[str, Declared]:
    """Read what each contract of a manifest can be asked at a block, by its name there; factories' children included.

    Raises:
        BadInput: a file is missing or malformed.
    """
    found: dict[str, Declared] = {}
    for declared in _every(parse_manifest(manifest).contracts):
        versions = (
            [(0, declared.abi)] if isinstance(declared.abi, str) else [(v.from_block, v.abi) for v in declared.abi]
        )
        file = next((abi for since, abi in reversed(versions) if since <= block_number), versions[0][1])
        found[declared.name] = Declared(declared.kind, _views(read_json(manifest.parent / file)))
    return found


def _every(declared: Sequence[DeclaredContract | DeclaredCreates]) -> Iterator[DeclaredContract | DeclaredCreates]:
    for each in declared:
        yield each
        yield from _every(each.creates)


def _views(abi: Any) -> dict[str, View]:
    views = [_view(item) for item in abi if item.get("type") == "function" and item.get("stateMutability") in _READS]
    return {view.signature: view for view in views if view is not None}


def _view(item: Mapping[str, Any]) -> View | None:
    """Read a function of an ABI; None if where its values stand depends on how long they are."""
    outputs: list[tuple[str, int]] = []
    word = 0
    for name, abi_type in _flat(item["outputs"]):
        if is_hashed(abi_type):
            return None
        outputs.append((name, word))
        word += head_words(abi_type)
    return (
        View(f"{item['name']}({','.join(_type(each) for each in item['inputs'])})", tuple(outputs)) if outputs else None
    )


def _flat(values: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for each in values:
        if each["type"] == "tuple":
            yield from _flat(each["components"])
        else:
            yield each.get("name", ""), each["type"]


def _type(declared: Mapping[str, Any]) -> str:
    if not declared["type"].startswith("tuple"):
        return str(declared["type"])
    return f"({','.join(_type(each) for each in declared['components'])}){declared['type'][len('tuple') :]}"
