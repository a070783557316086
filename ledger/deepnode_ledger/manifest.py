"""The manifest: which chain, which contracts from which block, and whose task events count.

No address of DeepNode has been published, so everything that the log must know of a deployment is in this file and the
ABIs beside it, and nothing of it is in code. Its format is in docs/manifest.md.

A deployment may be on several chains. One of them is its home: task events stand under the blocks of that one, and what
is said of "the chain" is said of it.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from eth_utils.crypto import keccak

from deepnode_ledger import vocabulary
from deepnode_ledger.abi import EventAbi, Input, events_of
from deepnode_ledger.contract import Contract, Creates, Events, Place
from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import ADDRESS_BYTES, WORD_BYTES, from_hex, to_hex
from deepnode_ledger.manifest_file import (
    MANIFEST_BYTES_MAX,
    DeclaredAbi,
    DeclaredContract,
    DeclaredCreates,
    ManifestFile,
    parse_manifest,
    read_json,
)

__all__ = ["FORMAT", "MANIFEST_BYTES_MAX", "ChainSpec", "Contract", "Manifest", "Producer", "load_manifest"]

FORMAT: Final = 1
"""Version of the manifest's own format."""

HOLDERS: Final = ("Collateral", "Staking", "Funding", "Governance")
"""Kinds of contracts that hold one token, which they must name: their events do not."""

GENERATIONS_MAX: Final = 8
"""How deep factories may lie in factories."""


@dataclass(frozen=True, slots=True)
class ChainSpec:
    """A chain of the deployment, and the hash of its block 0 (32 bytes), by which it is told from a copy."""

    id: int
    genesis_hash: bytes


@dataclass(frozen=True, slots=True)
class Producer:
    """Somebody whose task events are taken in: ``key`` is the address (20 bytes) of the key that signs them."""

    id: str
    key: bytes


@dataclass(frozen=True, slots=True)
class Manifest:
    """A deployment. ``contracts`` is keyed by address, ``producers`` by id; both keep the file's order.

    ``chain_id`` and ``genesis_hash`` are the home chain's; ``others`` are the further chains by id. ``foundation`` is
    the address that the foundation's rewards are paid to, if it is told.
    """

    name: str
    version: int
    chain_id: int
    genesis_hash: bytes
    contracts: dict[bytes, Contract]
    producers: dict[str, Producer]
    others: dict[int, ChainSpec] = field(default_factory=dict)
    foundation: bytes | None = None

    @property
    def chains(self) -> dict[int, ChainSpec]:
        """Every chain by its id, the home chain first."""
        return {self.chain_id: ChainSpec(self.chain_id, self.genesis_hash)} | self.others

    @property
    def first_block(self) -> int:
        """The block of the home chain where intake starts: the earliest start of a contract there."""
        return self.first_block_of(self.chain_id)

    def first_block_of(self, chain_id: int) -> int:
        """Return the block where a chain's intake starts: the earliest start of a contract there."""
        return min(contract.start_block for contract in self.on(chain_id))

    def on(self, chain_id: int) -> list[Contract]:
        """Return the contracts of a chain, in the file's order; children of factories are in a ``Roster``."""
        return [contract for contract in self.contracts.values() if self._chain_of(contract) == chain_id]

    def get(
        self, address: bytes, chain_id: int | None = None, place: Place | None = None, position: int | None = None
    ) -> Contract | None:
        """Return the contract at an address of a chain (None: the home chain), or None if the file names none.

        ``place`` and ``position`` change nothing here: see ``Contracts``.
        """
        del place, position
        contract = self.contracts.get(address)
        wanted = self.chain_id if chain_id is None else chain_id
        return contract if contract is not None and self._chain_of(contract) == wanted else None

    @property
    def has_factories(self) -> bool:
        """Whether there can be contracts that the file does not name: then who decodes needs a ``Roster``."""
        return any(contract.creates for contract in self.contracts.values())

    @property
    def tokens(self) -> list[Contract]:
        """The contracts of kind Token, in the file's order."""
        return [contract for contract in self.contracts.values() if contract.kind == "Token"]

    @property
    def digest(self) -> bytes:
        """SHA-256 over everything in the manifest that decides what the books make of a log (32 bytes).

        Producers are left out: they decide what comes into the log, not what it means. What a manifest does not use
        adds nothing, so a manifest from before there were several chains, versions or factories keeps its digest.
        """
        lines = [f"deepnode manifest 1 {self.chain_id} {to_hex(self.genesis_hash)}"]
        lines += [f"chain {chain.id} {to_hex(chain.genesis_hash)}" for chain in self.others.values()]
        lines += [] if self.foundation is None else [f"foundation {to_hex(self.foundation)}"]
        for c in self.contracts.values():
            chain_id = self._chain_of(c)
            where = "" if chain_id == self.chain_id else f" chain {chain_id}"
            lines.append(
                f"{c.name} {c.kind} {to_hex(c.address)} {c.start_block} {c.symbol} {c.decimals} {c.asset}{where}"
            )
            lines += _described(c)
        return hashlib.sha256("\n".join(lines).encode()).digest()

    def topics_of(self, event: str) -> set[bytes]:
        """Return the first topics (32 bytes each) of every event of a name, those of factories' children included.

        ``event`` may also be a signature, such as ``Transfer(address,address,uint256)``.
        """
        if "(" in event:
            return {bytes(keccak(text=event))}
        return {each.topic0 for c in self.contracts.values() for each in _events(c) if each.name == event}

    def by_name(self, name: str) -> Contract:
        """Find a contract by its name, which is known to exist."""
        return next(contract for contract in self.contracts.values() if contract.name == name)

    def _chain_of(self, contract: Contract) -> int:
        return self.chain_id if contract.chain_id is None else contract.chain_id


def _events(declared: Contract | Creates) -> Iterator[EventAbi]:
    yield from declared.events.values()
    for made in declared.creates:
        yield from _events(made)


def _described(declared: Contract | Creates, depth: int = 1) -> list[str]:
    lines = [] if declared.abis else sorted(map(vocabulary.describe, declared.events.values()))
    for from_block, events in declared.abis:
        lines += [f"abi from {from_block}", *sorted(map(vocabulary.describe, events.values()))]
    for made in declared.creates:
        shared = f"{made.name} {made.kind} {made.symbol} {made.decimals} {made.asset}"
        lines += [f"creates {depth} {made.event} {made.argument} {shared}", *_described(made, depth + 1)]
    return lines


def load_manifest(path: Path) -> Manifest:
    """Read a manifest and the ABI files that it names (relative to itself).

    Raises:
        BadInput: a file is missing or malformed, or a value breaks a rule; the message names file, place and rule.
    """
    parsed = parse_manifest(path)
    if parsed.format != FORMAT:
        raise BadInput(f"{path}: format must be {FORMAT}, not {parsed.format}")
    home, *others = _chains(path, parsed)
    contracts: dict[bytes, Contract] = {}
    names: set[str] = set()
    for declared in parsed.contracts:
        contract = _contract(path, declared, home.id)
        if contract.address in contracts:
            raise BadInput(f"{path}: two contracts have the address {declared.address}")
        for name in _names(contract):
            if name in names:
                raise BadInput(f"{path}: two contracts have the name {name!r}")
            names.add(name)
        contracts[contract.address] = contract
    _check_chains(path, [home, *others], contracts.values())
    for contract in contracts.values():
        _check_assets(path, contract, {c.name for c in contracts.values() if _is_token_beside(c, contract)})
    producers: dict[str, Producer] = {}
    for who in parsed.producers:
        if who.id in producers:
            raise BadInput(f"{path}: two producers have the id {who.id!r}")
        producers[who.id] = Producer(who.id, from_hex(who.key, ADDRESS_BYTES, what=f"{path}: key of {who.id}"))
    beside = {chain.id: chain for chain in others}
    foundation = None
    if parsed.foundation is not None:
        foundation = from_hex(parsed.foundation, ADDRESS_BYTES, what=f"{path}: foundation")
    return Manifest(parsed.name, parsed.version, home.id, home.genesis_hash, contracts, producers, beside, foundation)


def _chains(path: Path, parsed: ManifestFile) -> list[ChainSpec]:
    chains: dict[int, ChainSpec] = {}
    for number, declared in enumerate([parsed.chain, *parsed.chains]):
        if declared.id in chains:
            raise BadInput(f"{path}: two chains have the id {declared.id}")
        what = f"{path}: {f'chains[{number - 1}]' if number else 'chain'}.genesis_hash"
        chains[declared.id] = ChainSpec(declared.id, from_hex(declared.genesis_hash, WORD_BYTES, what=what))
    return list(chains.values())


def _check_chains(path: Path, chains: Sequence[ChainSpec], contracts: Iterable[Contract]) -> None:
    used = {contract.chain_id: contract for contract in contracts}
    known = {chain.id for chain in chains}
    for chain_id, contract in used.items():
        if chain_id not in known:
            raise BadInput(f"{path}: contract {contract.name}: chain {chain_id} is not in the manifest")
    for chain in chains:
        if chain.id not in used:
            raise BadInput(f"{path}: chain {chain.id} has no contract")


def _contract(path: Path, declared: DeclaredContract, home: int) -> Contract:
    where = f"{path}: contract {declared.name}"
    events, abis = _meaning(path, where, declared)
    first = 0 if isinstance(declared.abi, str) else declared.abi[0].from_block
    if first > declared.start_block:
        raise BadInput(f"{where}: the first ABI holds from block {first}, start_block is {declared.start_block}")
    return Contract(
        declared.name,
        declared.kind,
        from_hex(declared.address, ADDRESS_BYTES, what=f"{where}: address"),
        declared.start_block,
        events,
        declared.symbol,
        declared.decimals,
        declared.asset,
        home if declared.chain is None else declared.chain,
        abis,
        tuple(_creates(path, where, made, events, abis) for made in declared.creates),
    )


def _creates(
    path: Path,
    factory: str,
    declared: DeclaredCreates,
    of_factory: Events,
    versions: Sequence[tuple[int, Events]],
    generation: int = 1,
) -> Creates:
    where = f"{factory}: creates {declared.name}"
    if generation > GENERATIONS_MAX:
        raise BadInput(f"{where}: factories lie in factories more than {GENERATIONS_MAX} deep")
    every = [each for _, each in versions] or [of_factory]
    meant = [
        (key, event) for each in every for key, event in each.items() if declared.event in (event.name, event.signature)
    ]
    signatures = sorted({event.signature for _, event in meant})
    if len(signatures) != 1:
        raise BadInput(
            f"{where}: event must be one of the ABI, {declared.event!r} is {' or '.join(signatures) or 'none'}"
        )
    for _, event in meant:
        if Input(declared.argument, "address", indexed=True) not in [replace(i, indexed=True) for i in event.inputs]:
            raise BadInput(f"{where}: {vocabulary.describe(event)} has no address named {declared.argument!r}")
    events, abis = _meaning(path, where, declared)
    nested = tuple(_creates(path, where, made, events, abis, generation + 1) for made in declared.creates)
    keys = frozenset(key for key, _ in meant)
    shared = (declared.symbol, declared.decimals, declared.asset)
    return Creates(signatures[0], keys, declared.argument, declared.name, declared.kind, events, *shared, abis, nested)


def _meaning(
    path: Path, where: str, declared: DeclaredContract | DeclaredCreates
) -> tuple[Events, tuple[tuple[int, Events], ...]]:
    """Read what the logs of a contract mean: all events of its ABI, and the ABI's versions if there are several."""
    if declared.kind not in vocabulary.KINDS:
        raise BadInput(f"{where}: kind must be one of {', '.join(vocabulary.KINDS)}, not {declared.kind!r}")
    if declared.kind == "Token" and (declared.symbol is None or declared.decimals is None):
        raise BadInput(f"{where}: a Token needs symbol and decimals")
    listed = [DeclaredAbi(0, declared.abi)] if isinstance(declared.abi, str) else declared.abi
    versions: list[tuple[int, Events]] = []
    for version in listed:
        if versions and version.from_block <= versions[-1][0]:
            raise BadInput(
                f"{where}: the ABI from block {version.from_block} stands behind that from {versions[-1][0]}"
            )
        abi_path = path.parent / version.abi
        versions.append((version.from_block, events_of(read_json(abi_path), what=str(abi_path))))
    newest = versions[-1][1]
    # An older version may lack an event: it could not be emitted then.
    for event in vocabulary.KINDS[declared.kind]:
        if newest.get((event.topic0, event.topics_count)) != event:
            file = path.parent / listed[-1].abi
            raise BadInput(f"{where}: {file} must declare the event {vocabulary.describe(event)}")
    if len(versions) == 1:
        return newest, ()
    return {key: event for _, events in versions for key, event in events.items()}, tuple(versions)


def _names(declared: Contract | Creates) -> Iterator[str]:
    """Yield the names that a contract and its children take: a child's begins with the name of what creates it."""
    yield declared.name
    for made in declared.creates:
        yield from _names(made)


def _is_token_beside(token: Contract, contract: Contract) -> bool:
    return token.kind == "Token" and token.chain_id == contract.chain_id


def _check_assets(path: Path, declared: Contract | Creates, tokens: Collection[str]) -> None:
    if declared.kind in HOLDERS and declared.asset not in tokens:
        raise BadInput(f"{path}: {declared.name} needs asset = the name of a Token contract, not {declared.asset!r}")
    for made in declared.creates:
        _check_assets(path, made, tokens)
