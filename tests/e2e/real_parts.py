"""A real chain with people on it, and what a ledger of it is made of: no part is a stand-in."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

import msgspec

from deepnode_indexer.completeness import Examiner
from deepnode_indexer.devnet.anvil import Anvil
from deepnode_indexer.devnet.deployment import Deployment
from deepnode_indexer.devnet.economy import Economy
from deepnode_indexer.following import Follower
from deepnode_indexer.intake import take_in
from deepnode_indexer.level import Level
from deepnode_indexer.pool import Providers
from deepnode_indexer.provider import Provider
from deepnode_indexer.rpc import Call, JsonRpc
from deepnode_ledger.database import open_datastore
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.log import ACCEPT_MAX, Log
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.tail import Accepted
from deepnode_projections.projector import Projector, connect
from deepnode_projections.state_root import balances_at, root_of, state_root

BALANCE_OF = "0x70a08231"
TOTAL_SUPPLY = "0x18160ddd"


@dataclass
class Devnet:
    """A node, its deployment, and the economy that plays on it."""

    node: Anvil
    deployment: Deployment
    economy: Economy
    manifest: Manifest

    def play(self, blocks: int) -> list[bytes]:
        """Play blocks and return the task events that belong to them."""
        return [envelope for _ in range(blocks) for envelope in self.economy.step()]

    def balances_of(self, token: bytes, holders: list[bytes], block: int) -> list[int]:
        """Ask the token's contract for balances at a block."""
        return self._read(token, [BALANCE_OF + holder.hex().rjust(64, "0") for holder in holders], block)

    def total_supply(self, token: bytes, block: int) -> int:
        """Ask the token's contract for its supply at a block."""
        return self._read(token, [TOTAL_SUPPLY], block)[0]

    def _read(self, contract: bytes, data: list[str], block: int) -> list[int]:
        rpc = JsonRpc(self.node.url)
        calls: list[Call] = [("eth_call", ({"to": to_hex(contract), "data": each}, hex(block))) for each in data]
        texts = [msgspec.json.decode(raw, type=str) for raw in rpc.batch(calls)]
        # A contract that is not deployed yet at that block answers nothing at all: it holds nothing for anyone.
        return [int(text, 16) if text != "0x" else 0 for text in texts]


@dataclass
class Ledger:
    """A log and its books in one database, driven from within the test."""

    url: str
    manifest: Manifest
    log: Log
    follower: Follower
    projector: Projector

    def sync(self) -> int:
        """Bring the log to the chain's head and the books to the log's end; return the position."""
        for _ in self.follower.sync():
            pass
        return self.projector.catch_up().position

    def take_in(self, envelopes: list[bytes]) -> list[Accepted]:
        """Hand task events to the log, all of which it must accept."""
        if self.log.chain().tip is None:
            self.sync()
        outcomes = [
            outcome
            for start in range(0, len(envelopes), ACCEPT_MAX)
            for outcome in take_in(self.log, self.manifest, envelopes[start : start + ACCEPT_MAX])
        ]
        assert all(isinstance(outcome, Accepted) for outcome in outcomes), outcomes
        return [outcome for outcome in outcomes if isinstance(outcome, Accepted)]

    def live(self, devnet: "Devnet", blocks: int) -> None:
        """Let the economy play, block by block, and take each block's task events in as soon as it is in the log."""
        for _ in range(blocks):
            envelopes = devnet.play(1)
            for _change in self.follower.sync():
                pass
            self.take_in(envelopes)
        self.sync()

    def root(self) -> str:
        """The state root at the books' end."""
        position = self.projector.catch_up().position
        with closing(connect(self.url, "books")) as connection:
            return to_hex(state_root(connection, position))

    def rebuilt_root(self, step_entries: int = 331) -> str:
        """The state root of books that are made of the same log, anew and in steps of another size."""
        again = Projector(self.url, self.manifest, schema="books_again", step_entries=step_entries)
        again.open()
        try:
            position = again.catch_up().position
        finally:
            again.close()
        with closing(connect(self.url, "books_again")) as connection:
            root = to_hex(state_root(connection, position))
            connection.execute("DROP SCHEMA books_again CASCADE")
        return root

    def money_root(self) -> str:
        """A root of the balances alone, which the chain decides, wherever task events stand between its logs."""
        position = self.projector.catch_up().position
        with closing(connect(self.url, "books")) as connection:
            return to_hex(root_of(balances_at(connection, position), []))

    def close(self) -> None:
        """Let go of the database."""
        self.projector.close()
        self.log.datastore.close()


def open_ledger(
    url: str,
    node_url: str | Sequence[str],
    manifest: Manifest,
    *,
    seal_entries: int = 50,
    step_entries: int = 500,
    level: Level = Level.HEADERS,
) -> Ledger:
    """Begin or continue the ledger of a chain in a database, from one node or several."""
    log = Log(open_datastore(url), manifest.chain_id)
    urls = [node_url] if isinstance(node_url, str) else node_url
    providers = Providers([Provider(JsonRpc(each), manifest) for each in urls])
    providers.check_chain()
    log.create(manifest.genesis_hash, manifest.first_block)
    projector = Projector(url, manifest, step_entries=step_entries)
    projector.open()
    follower = Follower(Examiner(providers, level=level), log, manifest, seal_entries=seal_entries)
    return Ledger(url, manifest, log, follower, projector)


def payload_of(envelope: bytes) -> bytes:
    """What was signed."""
    import msgspec

    text = msgspec.json.decode(envelope)["payload"]
    assert isinstance(text, str)
    return text.encode()
