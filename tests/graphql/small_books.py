"""Small books for the tests of the API: a manifest with the real ABIs, and a scribe who writes blocks into the log.

The scribe encodes events as contracts do, puts them into a real log in a real PostgreSQL, and lets the real projector
keep the books.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eth_abi.abi import encode
from typing_extensions import override

from deepnode_ledger.database import open_datastore
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.log import Log
from deepnode_ledger.manifest import Manifest, load_manifest
from deepnode_ledger.record import Block, BlockRef, ChainLog, Header, TaskEvent
from deepnode_projections.projector import Projector

ARTIFACTS = Path(__file__).resolve().parents[2] / "indexer" / "contracts" / "artifacts"
GENESIS = b"\x07" * 32
CHAIN_ID = 8453

ALICE, BOB, CAROL = (bytes([n]) * 20 for n in (0xA1, 0xB0, 0xC4))
NOBODY = bytes(20)
DOMAIN, NODE, CASE, MODEL = (bytes([n]) * 32 for n in (1, 2, 3, 4))
DN = 10**18
AMOUNT_MAX = 10**38 - 1

CONTRACTS = {
    "DNToken": ("Token", 'symbol = "DN"\ndecimals = 18'),
    "USDCStandIn": ("Token", 'symbol = "USDC"\ndecimals = 6'),
    "Collateral": ("Collateral", 'asset = "DNToken"'),
    "Models": ("Models", ""),
    "RevenueRouter": ("RevenueRouter", ""),
}


def word(*parts: object) -> bytes:
    """32 bytes that are the same for the same parts."""
    return hashlib.sha256(repr(parts).encode()).digest()


def address_of(contract: str) -> bytes:
    """The address that a contract has in these books."""
    return word("contract", contract)[:20]


def write_manifest(folder: Path, *, name: str = "small", version: int = 1) -> Manifest:
    """Write a manifest and its ABIs, and load it."""
    lines = ["format = 1", f'name = "{name}"', f"version = {version}", "[chain]", f"id = {CHAIN_ID}"]
    lines.append(f'genesis_hash = "{to_hex(GENESIS)}"')
    for contract, (kind, extra) in CONTRACTS.items():
        abi = json.loads((ARTIFACTS / f"{contract}.json").read_text("utf-8"))["abi"]
        (folder / f"{contract}.json").write_text(json.dumps(abi), "utf-8")
        lines += ["[[contracts]]", f'name = "{contract}"', f'kind = "{kind}"', "start_block = 1"]
        lines += [f'address = "{to_hex(address_of(contract))}"', f'abi = "{contract}.json"', extra]
    path = folder / "manifest.toml"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return load_manifest(path)


class Event:
    """An event that a contract emits: its name and arguments."""

    def __init__(self, contract: str, name: str, **arguments: Any) -> None:
        self.contract, self.name, self.arguments = contract, name, arguments

    def log(self, manifest: Manifest, transaction: bytes, index: int) -> ChainLog:
        """The log that the contract writes."""
        contract = manifest.by_name(self.contract)
        [abi] = [event for event in contract.events.values() if event.name == self.name]
        topics, types, values = [abi.topic0], [], []
        for given in abi.inputs:
            value = self.arguments[given.name]
            if given.type == "address":
                value = to_hex(value)
            if given.indexed:
                topics.append(encode([given.type], [value]))
            else:
                types.append(given.type)
                values.append(value)
        return ChainLog(transaction, index, index, contract.address, tuple(topics), encode(types, values))


class Unreadable(Event):
    """A log of a contract of ours that its ABI does not know."""

    @override
    def log(self, manifest: Manifest, transaction: bytes, index: int) -> ChainLog:
        """The log, with a topic of its own."""
        address = manifest.by_name(self.contract).address
        return ChainLog(transaction, index, index, address, (word("unknown"),), b"\x01\x02")


def transfer(sender: bytes, receiver: bytes, value: int, token: str = "DNToken") -> Event:
    """A token's Transfer."""
    return Event(token, "Transfer", **{"from": sender, "to": receiver, "value": value})


def deposited(amount: int) -> list[Event]:
    """Alice puts collateral behind the node."""
    collateral = address_of("Collateral")
    placed = Event("Collateral", "Deposited", domain=DOMAIN, node=NODE, payer=ALICE, amount=amount)
    return [transfer(ALICE, collateral, amount), placed]


def flagged() -> Event:
    """Somebody says that the node behaved badly."""
    return Event(
        "Collateral", "Flagged", caseId=CASE, node=NODE, taskId=word("task"), reporter=BOB, severity=2,
        evidenceHash=word("evidence"),
    )  # fmt: skip


def review_opened(frozen: int, case: bytes = CASE) -> Event:
    """The foundation looks at a case, and freezes collateral meanwhile."""
    return Event("Collateral", "ReviewOpened", caseId=case, frozen=frozen)


class Scribe:
    """Writes blocks into a log and has the books kept."""

    def __init__(self, url: str, manifest: Manifest) -> None:
        self.url, self.manifest = url, manifest
        self._datastore = open_datastore(url)
        self.log = Log(self._datastore, manifest.chain_id)
        self.log.create(manifest.genesis_hash, manifest.first_block)
        self.projector = Projector(url, manifest)
        self.projector.open()
        self.blocks: list[BlockRef] = []

    def block(self, *events: Event, branch: str = "a") -> BlockRef:
        """Add a block with these events, one a transaction, and bring the books up to it."""
        header, logs = self._next(events, branch)
        self.log.extend(self.tip, [Block(header, logs)])
        self.blocks.append(header.block)
        self.projector.catch_up()
        return header.block

    def blocks_at_once(self, *blocks: Sequence[Event]) -> None:
        """Add several blocks, and bring the books up to the last."""
        below, added = self.tip, []
        for events in blocks:
            header, logs = self._next(events, "a")
            added.append(Block(header, logs))
            self.blocks.append(header.block)
        self.log.extend(below, added)
        self.projector.catch_up()

    def reorg(self, kept: int, *blocks: Sequence[Event]) -> None:
        """Replace everything behind the block ``kept`` by these blocks."""
        self.blocks = self.blocks[:kept]
        below, added = self.tip, []
        for events in blocks:
            header, logs = self._next(events, "b")
            added.append(Block(header, logs))
            self.blocks.append(header.block)
        self.log.extend(below, added)
        self.projector.catch_up()

    def say(self, number: int, payload: bytes) -> None:
        """Accept a task event of a producer."""
        self.log.accept([TaskEvent("urn:p", f"e{number}", number, "TaskCreated", payload, b"\x05" * 65)])
        self.projector.catch_up()

    def seal(self, number: int) -> None:
        """Let the chain finalize a block."""
        self.log.seal(self.blocks[number - 1])
        self.projector.catch_up()

    @property
    def tip(self) -> BlockRef | None:
        """The last block."""
        return self.blocks[-1] if self.blocks else None

    def close(self) -> None:
        """Disconnect."""
        self.projector.close()
        self._datastore.close()

    def _next(self, events: Sequence[Event], branch: str) -> tuple[Header, tuple[ChainLog, ...]]:
        number = len(self.blocks) + 1
        block = BlockRef(number, word("block", number, branch), 1_700_000_000 + 2 * number)
        parent = self.tip.hash if self.tip else GENESIS
        logs = [each.log(self.manifest, word("transaction", block.hash, n), n) for n, each in enumerate(events)]
        return Header(block, parent), tuple(logs)


@contextmanager
def scribe(url: str, folder: Path) -> Iterator[Scribe]:
    """A scribe with empty books in an empty database."""
    made = Scribe(url, write_manifest(folder))
    try:
        yield made
    finally:
        made.close()


def write_small_history(books: Scribe) -> None:
    """Nine blocks with two tokens, collateral, a refusal, an unreadable log, a task event and a reorg.

    Blocks 1 to 5 are final; blocks 8 and 9 were replaced once.
    """
    books.block(transfer(NOBODY, ALICE, 12 * DN + 1), transfer(NOBODY, BOB, 5 * DN))
    books.block()
    books.block(transfer(ALICE, BOB, 1 * DN))
    books.block(*deposited(3 * DN))
    books.block(flagged(), review_opened(2 * DN), review_opened(DN, case=word("never flagged")))
    books.say(
        1, b'{"specversion":"1.0","data":{"task":"0x01","price":"123456789012345678901","tries":9007199254740993}}'
    )
    books.seal(5)
    books.block(transfer(NOBODY, CAROL, AMOUNT_MAX, "USDCStandIn"), Unreadable("DNToken", ""))
    books.block(transfer(CAROL, BOB, AMOUNT_MAX - 1, "USDCStandIn"), transfer(ALICE, NOBODY, 7))
    books.block(transfer(BOB, ALICE, 4 * DN))
    books.block(transfer(BOB, CAROL, 1))
    books.reorg(7, [transfer(BOB, ALICE, 2 * DN)], [transfer(ALICE, CAROL, 2)])
