"""On a real node, the log holds a factory's children from their announcements on, through backfills and reorgs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deepnode_indexer.completeness import Examiner
from deepnode_indexer.devnet.anvil import Anvil
from deepnode_indexer.following import Follower
from deepnode_indexer.pool import Providers
from deepnode_indexer.provider import Provider
from deepnode_indexer.websocket import open_rpc
from deepnode_ledger.abi import EventAbi
from deepnode_ledger.contract import Contract, Creates
from deepnode_ledger.decoding import ChainEvent, decode
from deepnode_ledger.hexadecimal import from_hex, to_hex
from deepnode_ledger.log import Log
from deepnode_ledger.manifest import Manifest, load_manifest
from deepnode_ledger.record import ChainLog, LogEntry
from deepnode_ledger.roster import Roster
from deepnode_ledger.snapshot import snapshot
from tests.ledger.factories import FACTORY, TEXT, said, write_factories
from tests.ledger.histories import CHAIN_ID, GENESIS, contents, datastore, ref

# A contract that writes a log of what it is called with: whether there is a second topic, two topics, and the data.
EMITTER = "6060360380606060003760403590602035906000600035601c57a1005ba200"
DEPLOY = f"60{len(EMITTER) // 2:02x}80600b6000396000f3{EMITTER}"

ANYBODY = b"\x14" * 20


class Stage:
    """A node with three such contracts: a factory, a round that it makes, and a vault that the round makes."""

    def __init__(self, node: Anvil, folder: Path) -> None:
        self.node = node
        self.sender = node.rpc("eth_accounts")[0]
        sent = [self._send(data=f"0x{DEPLOY}") for _ in range(3)]
        node.mine()
        receipts = [node.rpc("eth_getTransactionReceipt", each) for each in sent]
        self.factory, self.round, self.vault = (from_hex(receipt["contractAddress"], 20) for receipt in receipts)
        genesis = node.rpc("eth_getBlockByNumber", "0x0", False)["hash"]
        text = TEXT.partition('[[contracts]]\nname = "Proxy"')[0].replace("start_block = 5", "start_block = 1")
        text = text.replace(to_hex(GENESIS), genesis).replace(to_hex(FACTORY), to_hex(self.factory))
        head, _, rest = text.partition("[[chains]]")
        self.manifest = load_manifest(write_factories(folder, head + rest[rest.index("[[contracts]]") :]))

    def say(self, address: bytes, name: str, **arguments: Any) -> None:
        """Have a contract write an event; it comes with the next block that is mined."""
        [event] = [event for event in _events(self.manifest) if event.name == name]
        log = said(address, event, ref(1), 0, **arguments)
        topics = [*log.topics, bytes(32)][:2]
        call = (len(log.topics) - 1).to_bytes(32) + b"".join(topics) + log.data
        self._send(to=to_hex(address), data=to_hex(call))

    def _send(self, **transaction: str) -> str:
        priced = {"from": self.sender, "gas": hex(10**6), "gasPrice": "0x0", **transaction}
        return str(self.node.rpc("eth_sendTransaction", priced))

    def announce(self) -> None:
        self.say(self.factory, "Created", round=self.round, number=1)

    def back(self, amount: int) -> None:
        self.say(self.round, "Backed", backer=ANYBODY, amount=amount)

    def open(self) -> None:
        self.say(self.round, "Opened", vault=self.vault)

    def fill(self, amount: int) -> None:
        self.say(self.vault, "Filled", amount=amount)


def _events(manifest: Manifest) -> list[EventAbi]:
    def of(declared: Contract | Creates) -> list[EventAbi]:
        return [*declared.events.values(), *(event for made in declared.creates for event in of(made))]

    return [event for contract in manifest.contracts.values() for event in of(contract)]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Anvil.start(chain_id=CHAIN_ID, slots_in_an_epoch=4) as node:
        yield Stage(node, tmp_path)


@pytest.fixture
def log(database_url: str, stage: Stage) -> Iterator[Log]:
    with datastore(database_url) as store:
        log = Log(store, CHAIN_ID)
        log.create(stage.manifest.genesis_hash, stage.manifest.first_block)
        yield log


def follower(stage: Stage, log: Log) -> Follower:
    rpc = open_rpc(stage.node.url)
    return Follower(Examiner(Providers([Provider(rpc, stage.manifest)])), log, stage.manifest, seal_entries=1)


def words(log: Log, manifest: Manifest) -> list[str]:
    """What the log says, entry by entry, read with the roster that the log itself gives."""
    with snapshot(log.datastore) as view:
        roster = Roster.load(view, manifest)

    def word(entry: LogEntry) -> str:
        event = decode(entry, roster)
        assert isinstance(event, ChainEvent), (event, entry)
        assert isinstance(entry.record, ChainLog)
        return f"{event.contract.name.partition('.')[0]} {event.name} {event.args.get('amount', '')}".strip()

    return [word(entry) for entry in contents(log)]


def test_children_are_followed_from_their_announcement_on(stage: Stage, log: Log) -> None:
    """Lets children speak too early, in the announcing block and later; backfills, follows, and takes one back."""
    stage.back(1)
    stage.open()
    stage.node.mine()
    stage.back(2)
    stage.announce()
    stage.back(3)
    stage.fill(4)
    stage.open()
    stage.fill(5)
    stage.node.mine()
    stage.fill(6)
    stage.node.mine(12)
    first = follower(stage, log)
    list(first.sync())
    early = ["Factory Created", "Round Backed 3", "Round Opened", "Vault Filled 5", "Vault Filled 6"]
    assert words(log, stage.manifest) == early
    stage.back(7)
    stage.node.mine()
    list(first.sync())
    again = follower(stage, log)
    stage.fill(8)
    stage.node.mine()
    list(again.sync())
    assert words(log, stage.manifest) == [*early, "Round Backed 7", "Vault Filled 8"]


def test_a_child_goes_with_the_block_that_announced_it(stage: Stage, log: Log) -> None:
    """Takes the announcement back by a reorg, lets the child speak on, and announces it again."""
    stage.node.mine(3)
    follow = follower(stage, log)
    stage.announce()
    stage.node.mine()
    stage.back(1)
    stage.node.mine()
    list(follow.sync())
    assert words(log, stage.manifest) == ["Factory Created", "Round Backed 1"]
    stage.node.reorg(2)
    stage.back(2)
    stage.node.mine()
    list(follow.sync())
    assert words(log, stage.manifest) == []
    stage.announce()
    stage.back(3)
    stage.node.mine()
    list(follow.sync())
    assert words(log, stage.manifest) == ["Factory Created", "Round Backed 3"]
