"""The manifest: which chain, which contracts from which block, and whose task events count.

No address of DeepNode has been published, so everything that the log must know of a deployment is in this file and the
ABIs beside it, and nothing of it is in code. Its format is in docs/manifest.md.
"""

import hashlib
import json
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from deepnode_ledger import vocabulary
from deepnode_ledger.abi import EventAbi, events_of
from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import ADDRESS_BYTES, WORD_BYTES, from_hex, to_hex

FORMAT: Final = 1
"""Version of the manifest's own format."""

MANIFEST_BYTES_MAX: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract whose logs are taken in, from ``start_block`` on.

    ``kind`` says what the books make of its events; ``name`` is unique and names its pockets. A token has ``symbol``
    and ``decimals``; a collateral contract holds the token named ``asset``.
    """

    name: str
    kind: str
    address: bytes
    start_block: int
    events: dict[tuple[bytes, int], EventAbi] = field(repr=False)
    symbol: str | None = None
    decimals: int | None = None
    asset: str | None = None


@dataclass(frozen=True, slots=True)
class Producer:
    """Somebody whose task events are taken in: ``key`` is the address (20 bytes) of the key that signs them."""

    id: str
    key: bytes


@dataclass(frozen=True, slots=True)
class Manifest:
    """A deployment. ``contracts`` is keyed by address, ``producers`` by id; both keep the file's order."""

    name: str
    version: int
    chain_id: int
    genesis_hash: bytes
    contracts: dict[bytes, Contract]
    producers: dict[str, Producer]

    @property
    def first_block(self) -> int:
        """The block where intake starts: the earliest start of a contract."""
        return min(contract.start_block for contract in self.contracts.values())

    @property
    def tokens(self) -> list[Contract]:
        """The contracts of kind Token, in the file's order."""
        return [contract for contract in self.contracts.values() if contract.kind == "Token"]

    @property
    def digest(self) -> bytes:
        """SHA-256 over everything in the manifest that decides what the books make of a log (32 bytes).

        Producers are left out: they decide what comes into the log, not what it means.
        """
        lines = [f"deepnode manifest 1 {self.chain_id} {to_hex(self.genesis_hash)}"]
        for c in self.contracts.values():
            lines.append(f"{c.name} {c.kind} {to_hex(c.address)} {c.start_block} {c.symbol} {c.decimals} {c.asset}")
            lines += sorted(vocabulary.describe(event) for event in c.events.values())
        return hashlib.sha256("\n".join(lines).encode()).digest()

    def by_name(self, name: str) -> Contract:
        """Find a contract by its name, which is known to exist."""
        return next(contract for contract in self.contracts.values() if contract.name == name)


class _Chain(msgspec.Struct, forbid_unknown_fields=True):
    id: Annotated[int, msgspec.Meta(ge=1, le=2**53)]
    genesis_hash: str


class _Contract(msgspec.Struct, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(pattern="^[A-Za-z][A-Za-z0-9_]{0,63}\\Z")]
    kind: str
    address: str
    start_block: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    abi: str
    symbol: Annotated[str, msgspec.Meta(pattern="^[!-~]{1,32}\\Z")] | None = None
    decimals: Annotated[int, msgspec.Meta(ge=0, le=38)] | None = None
    asset: str | None = None


class _Producer(msgspec.Struct, forbid_unknown_fields=True):
    id: Annotated[str, msgspec.Meta(pattern="^[!-~]{1,256}\\Z")]
    key: str


class _File(msgspec.Struct, forbid_unknown_fields=True):
    format: int
    name: Annotated[str, msgspec.Meta(pattern="^[!-~]{1,64}\\Z")]
    version: Annotated[int, msgspec.Meta(ge=1)]
    chain: _Chain
    contracts: Annotated[list[_Contract], msgspec.Meta(min_length=1, max_length=10_000)]
    producers: Annotated[list[_Producer], msgspec.Meta(max_length=10_000)] = []


def load_manifest(path: Path) -> Manifest:
    """Read a manifest and the ABI files that it names (relative to itself).

    Raises:
        BadInput: a file is missing or malformed, or a value breaks a rule; the message names file, place and rule.
    """
    parsed = _parse(path)
    if parsed.format != FORMAT:
        raise BadInput(f"{path}: format must be {FORMAT}, not {parsed.format}")
    contracts: dict[bytes, Contract] = {}
    for declared in parsed.contracts:
        contract = _contract(path, declared)
        if contract.address in contracts:
            raise BadInput(f"{path}: two contracts have the address {declared.address}")
        if any(other.name == contract.name for other in contracts.values()):
            raise BadInput(f"{path}: two contracts have the name {contract.name!r}")
        contracts[contract.address] = contract
    tokens = {c.name for c in contracts.values() if c.kind == "Token"}
    for contract in contracts.values():
        if contract.kind == "Collateral" and contract.asset not in tokens:
            raise BadInput(
                f"{path}: {contract.name} needs asset = the name of a Token contract, not {contract.asset!r}"
            )
    producers: dict[str, Producer] = {}
    for who in parsed.producers:
        if who.id in producers:
            raise BadInput(f"{path}: two producers have the id {who.id!r}")
        producers[who.id] = Producer(who.id, from_hex(who.key, ADDRESS_BYTES, what=f"{path}: key of {who.id}"))
    genesis = from_hex(parsed.chain.genesis_hash, WORD_BYTES, what=f"{path}: chain.genesis_hash")
    return Manifest(parsed.name, parsed.version, parsed.chain.id, genesis, contracts, producers)


def _parse(path: Path) -> _File:
    try:
        return msgspec.convert(tomllib.loads(_read(path)), _File)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadInput(f"{path} is not TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise BadInput(f"{path}: {error}") from error


def _contract(path: Path, declared: _Contract) -> Contract:
    where = f"{path}: contract {declared.name}"
    if declared.kind not in vocabulary.KINDS:
        raise BadInput(f"{where}: kind must be one of {', '.join(vocabulary.KINDS)}, not {declared.kind!r}")
    if declared.kind == "Token" and (declared.symbol is None or declared.decimals is None):
        raise BadInput(f"{where}: a Token needs symbol and decimals")
    abi_path = path.parent / declared.abi
    events = events_of(_json(abi_path), what=str(abi_path))
    for event in vocabulary.KINDS[declared.kind]:
        if events.get((event.topic0, event.topics_count)) != event:
            raise BadInput(f"{where}: {abi_path} must declare the event {vocabulary.describe(event)}")
    return Contract(
        declared.name,
        declared.kind,
        from_hex(declared.address, ADDRESS_BYTES, what=f"{where}: address"),
        declared.start_block,
        events,
        declared.symbol,
        declared.decimals,
        declared.asset,
    )


def _json(path: Path) -> Any:
    try:
        return json.loads(_read(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise BadInput(f"{path} is not JSON: {error}") from error


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > MANIFEST_BYTES_MAX:
            raise BadInput(f"{path} is larger than {MANIFEST_BYTES_MAX} bytes")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8 text: {error}") from error
