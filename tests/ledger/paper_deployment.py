"""A deployment on paper: a manifest with the reference contracts' ABIs, and logs as they would emit them."""

import json
from pathlib import Path
from typing import Any

import msgspec
from eth_abi.abi import encode
from eth_account import Account
from eth_account.messages import encode_defunct
from eth_utils.crypto import keccak

from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.manifest import Manifest, load_manifest
from deepnode_ledger.record import BlockRef, ChainLog
from tests.ledger.histories import CHAIN_ID, FIRST_BLOCK, GENESIS, word

ARTIFACTS = Path(__file__).resolve().parents[2] / "indexer" / "contracts" / "artifacts"

DN, USDC, COLLATERAL, MODELS, ROUTER = (bytes([n]) * 20 for n in (0xD1, 0xD2, 0xC0, 0x30, 0x40))
CONTRACTS = {
    "DN": ("Token", DN, "DNToken", ['symbol = "DN"', "decimals = 18"]),
    "USDC": ("Token", USDC, "USDCStandIn", ['symbol = "USDC"', "decimals = 6"]),
    "Collateral": ("Collateral", COLLATERAL, "Collateral", ['asset = "DN"']),
    "Models": ("Models", MODELS, "Models", []),
    "Router": ("RevenueRouter", ROUTER, "RevenueRouter", []),
}

PRODUCER = "urn:producer:1"
PRODUCER_KEY = keccak(text="a key for tests")
OTHER_KEY = keccak(text="another key for tests")


def address_of(key: bytes) -> bytes:
    """The address (20 bytes) that belongs to a private key."""
    return bytes.fromhex(str(Account.from_key(key).address)[2:])


def manifest_text(**changes: str) -> str:
    """A good manifest's text, with some of its lines replaced."""
    lines = ["format = 1", 'name = "paper"', "version = 1", "", "[chain]", f"id = {CHAIN_ID}"]
    lines.append(f'genesis_hash = "{to_hex(GENESIS)}"')
    for name, (kind, address, abi, extra) in CONTRACTS.items():
        lines += ["", "[[contracts]]", f'name = "{name}"', f'kind = "{kind}"', f'address = "{to_hex(address)}"']
        lines += [f"start_block = {FIRST_BLOCK}", f'abi = "{abi}.json"', *extra]
    lines += ["", "[[producers]]", f'id = "{PRODUCER}"', f'key = "{to_hex(address_of(PRODUCER_KEY))}"']
    text = "\n".join(lines) + "\n"
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def write_manifest(folder: Path, text: str | None = None) -> Path:
    """Write a manifest and the ABIs that it names into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for _, _, abi, _ in CONTRACTS.values():
        artifact = json.loads((ARTIFACTS / f"{abi}.json").read_text())
        (folder / f"{abi}.json").write_text(json.dumps(artifact["abi"]))
    path = folder / "manifest.toml"
    path.write_text(manifest_text() if text is None else text)
    return path


def paper_manifest(folder: Path) -> Manifest:
    """The good manifest, loaded."""
    return load_manifest(write_manifest(folder))


def event_log(manifest: Manifest, contract: str, event: str, block: BlockRef, index: int, /, **args: Any) -> ChainLog:
    """The log that a contract emits for an event, encoded by eth-abi."""
    emitter = manifest.by_name(contract)
    abi = next(each for each in emitter.events.values() if each.name == event)
    assert set(args) == {i.name for i in abi.inputs}, (event, set(args))
    topics = [encode([i.type], [args[i.name]]) for i in abi.inputs if i.indexed]
    data = encode([i.type for i in abi.inputs if not i.indexed], [args[i.name] for i in abi.inputs if not i.indexed])
    transaction = word("transaction", block.hash, index)
    return ChainLog(transaction, index, index, emitter.address, (abi.topic0, *topics), data)


def payload(number: int, **changes: Any) -> bytes:
    """The text of a good task event; a change to None leaves the attribute out."""
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": f"event-{number}",
        "source": PRODUCER,
        "type": "deepnode.task.created",
        "time": "2026-01-31T12:00:00Z",
        "sequence": str(number),
        "data": {"task": to_hex(word("task", number)), "price": "1000000", "attempt": 1},
    }
    event |= changes
    return msgspec.json.encode({name: value for name, value in event.items() if value is not None})


def signature_of(text: bytes, key: bytes = PRODUCER_KEY) -> bytes:
    """An EIP-191 signature (65 bytes), made by eth-account."""
    return bytes(Account.sign_message(encode_defunct(primitive=text), key).signature)


def envelope(text: bytes, key: bytes = PRODUCER_KEY, *, signature: bytes | None = None) -> bytes:
    """A line with a payload and its signature."""
    made = signature_of(text, key) if signature is None else signature
    return msgspec.json.encode({"payload": text.decode(), "signature": to_hex(made)})
