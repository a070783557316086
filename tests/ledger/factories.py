"""A deployment on paper with factories: a factory of rounds, each of which may create a vault, and a proxy."""

import json
from pathlib import Path
from typing import Any

from eth_abi.abi import encode

from deepnode_ledger.abi import EventAbi
from deepnode_ledger.contract import Contract
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.manifest import Manifest, load_manifest
from deepnode_ledger.record import BlockRef, ChainLog
from tests.ledger.histories import CHAIN_ID, FIRST_BLOCK, GENESIS, word

FACTORY, PROXY, FAR = (bytes([n]) * 20 for n in (0xFA, 0x91, 0xFB))
FAR_CHAIN, FAR_GENESIS, FAR_FIRST_BLOCK = 10, b"\x0a" * 32, 70
UPGRADE = 20

ABIS: dict[str, list[tuple[str, list[tuple[str, str, bool]]]]] = {
    "Factory": [("Created", [("round", "address", True), ("number", "uint32", False)])],
    "Round": [("Backed", [("backer", "address", True), ("amount", "uint256", False)]),
              ("Opened", [("vault", "address", False)])],
    "Vault": [("Filled", [("amount", "uint256", False)])],
    "ProxyOne": [("Set", [("value", "uint8", False)]), ("Gone", [])],
    "ProxyTwo": [("Set", [("value", "uint8", True)]), ("Came", []), ("Changed", [("a", "address", False)])],
    "Token": [("Transfer", [("from", "address", True), ("to", "address", True), ("value", "uint256", False)])],
}  # fmt: skip

TEXT = f"""
format = 1
name = "factories"
version = 1

[chain]
id = {CHAIN_ID}
genesis_hash = "{to_hex(GENESIS)}"

[[chains]]
id = {FAR_CHAIN}
genesis_hash = "{to_hex(FAR_GENESIS)}"

[[contracts]]
name = "Factory"
kind = "Other"
address = "{to_hex(FACTORY)}"
start_block = {FIRST_BLOCK}
abi = "Factory.json"

[[contracts.creates]]
event = "Created"
argument = "round"
name = "Round"
kind = "Other"
abi = "Round.json"

[[contracts.creates.creates]]
event = "Opened"
argument = "vault"
name = "Vault"
kind = "Other"
abi = "Vault.json"

[[contracts]]
name = "Proxy"
kind = "Other"
address = "{to_hex(PROXY)}"
start_block = {FIRST_BLOCK}
abi = [{{ from_block = 0, abi = "ProxyOne.json" }}, {{ from_block = {UPGRADE}, abi = "ProxyTwo.json" }}]

[[contracts]]
name = "FarFactory"
kind = "Other"
chain = {FAR_CHAIN}
address = "{to_hex(FAR)}"
start_block = {FAR_FIRST_BLOCK}
abi = "Factory.json"

[[contracts.creates]]
event = "Created(address,uint32)"
argument = "round"
name = "FarToken"
kind = "Token"
symbol = "FAR"
decimals = 6
abi = "Token.json"
"""


def write_factories(folder: Path, text: str = TEXT) -> Path:
    """Write the manifest and its ABIs into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, declared in ABIS.items():
        abi = [
            {"type": "event", "name": event, "inputs": [{"name": n, "type": t, "indexed": i} for n, t, i in inputs]}
            for event, inputs in declared
        ]
        (folder / f"{name}.json").write_text(json.dumps(abi))
    path = folder / "manifest.toml"
    path.write_text(text)
    return path


def factories(folder: Path, **changes: str) -> Manifest:
    """The manifest, with some of its text replaced."""
    text = TEXT
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return load_manifest(write_factories(folder, text))


def said(address: bytes, event: EventAbi, block: BlockRef, index: int, /, **args: Any) -> ChainLog:
    """The log of an event, encoded by eth-abi."""
    topics = [encode([i.type], [args[i.name]]) for i in event.inputs if i.indexed]
    data = encode(
        [i.type for i in event.inputs if not i.indexed], [args[i.name] for i in event.inputs if not i.indexed]
    )
    return ChainLog(word("transaction", block.hash, index), index, index, address, (event.topic0, *topics), data)


def created(factory: Contract, child: bytes, block: BlockRef, index: int) -> ChainLog:
    """The log by which a factory announces a child."""
    [event] = factory.events.values()
    return said(factory.address, event, block, index, round=child, number=index)
