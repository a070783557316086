"""A reading: everything that one request sees, out of one transaction.

It holds the books' checkpoint, which is read first and thereby fixes the state, and what is worth asking for only once
in a request: the assets, the moments, the total supplies.
"""

from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Any, Final

import psycopg
import strawberry
from sqlalchemy import Connection, func, select

from deepnode_graphql import moments
from deepnode_graphql.moments import At, Moment
from deepnode_graphql.nodes import Asset
from deepnode_graphql.reads.holdings import held_at
from deepnode_graphql.rosters import Rosters
from deepnode_graphql.scalars import Address
from deepnode_ledger.account import BURN, MINT
from deepnode_ledger.contract import Contracts
from deepnode_ledger.errors import BadInput, TryAgain
from deepnode_ledger.hexadecimal import ADDRESS_BYTES, from_hex, to_hex
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.record import BlockRef
from deepnode_ledger.snapshot import Snapshot
from deepnode_projections.checkpoint import EMPTY, NAME, Checkpoint
from deepnode_projections.state_root import state_root
from deepnode_projections.tables import account as account_table
from deepnode_projections.tables import asset as asset_table
from deepnode_projections.tables import checkpoint as checkpoint_table

ROOTS_KEPT: Final = 4_096

_FIND: Final = {
    "block": moments.at_block,
    "position": moments.at_position,
    "time": moments.at_time,
    "epoch": moments.at_epoch,
}


class StateRoots:
    """State roots that were computed before, by the number of reorgs followed and the position.

    Between two reorgs what stands at a position never changes, so a root is computed once. Shared by all requests.
    """

    def __init__(self) -> None:
        self._roots: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._lock = Lock()

    def at(self, database: Connection, checkpoint: Checkpoint, position: int) -> bytes:
        """Return the state root at a position (32 bytes)."""
        key = (checkpoint.reorg_number, position)
        with self._lock:
            known = self._roots.get(key)
        if known is not None:
            return known
        root = state_root(driver_connection(database), position)
        with self._lock:
            self._roots[key] = root
            while len(self._roots) > ROOTS_KEPT:
                self._roots.popitem(last=False)
        return root


@dataclass
class Reading:
    """What one request sees. ``roots`` and ``rosters`` outlive it; all else is of its transaction."""

    database: Connection
    manifest: Manifest
    roots: StateRoots
    rosters: Rosters
    checkpoint: Checkpoint

    def moment(self, at: At | None) -> Moment:
        """Find the moment that a client named; the books' end if none.

        Raises:
            BadInput: not exactly one of its fields is given, or the moment is outside of the books.
        """
        if at is None or at is strawberry.UNSET:
            return moments.present(self.checkpoint)
        given = {name: value for name in _FIND if (value := getattr(at, name)) is not None}
        given = {name: value for name, value in given.items() if value is not strawberry.UNSET}
        if len(given) != 1:
            raise BadInput(f"at takes exactly one of block, position, time and epoch, not {', '.join(given) or 'none'}")
        [(name, value)] = given.items()
        return self._moment(name, value)

    def _moment(self, name: str, value: int) -> Moment:
        known = self._moments.get((name, value))
        if known is None:
            known = self._moments[(name, value)] = _FIND[name](self.database, self.checkpoint, value)
        return known

    @cached_property
    def _moments(self) -> dict[tuple[str, int], Moment]:
        return {}

    def sealed(self, position: int) -> bool:
        """Say whether the entry at a position can no longer be taken back."""
        return position <= self.checkpoint.sealed_position

    @cached_property
    def assets(self) -> dict[int, Asset]:
        """The assets of the books by their id, in the order of the manifest."""
        rows = self.database.execute(select(asset_table).order_by(asset_table.c.asset_id))
        return {
            row.asset_id: Asset(
                asset_id=row.asset_id, symbol=row.symbol, address=Address(row.address), decimals=row.decimals
            )
            for row in rows
        }

    def asset_id(self, named: str) -> int:
        """Find an asset by its symbol or its address.

        Raises:
            BadInput: no asset or more than one has that name.
        """
        if named.startswith("0x"):
            address = from_hex(named, ADDRESS_BYTES, what="asset")
            found = [asset for asset in self.assets.values() if asset.address == address]
        else:
            found = [asset for asset in self.assets.values() if asset.symbol == named]
        if len(found) > 1:
            addresses = ", ".join(to_hex(asset.address) for asset in found)
            raise BadInput(f"asset {named!r} is the symbol of {addresses}: give the address")
        if not found:
            known = ", ".join(asset.symbol for asset in self.assets.values()) or "none"
            raise BadInput(f"asset {named!r:.80} is not in the books; these are: {known}")
        return found[0].asset_id

    def asset_at(self, address: bytes) -> Asset | None:
        """Return the asset of a token's address, or None if the books keep no such token."""
        return self._assets_by_address.get(address)

    @cached_property
    def _assets_by_address(self) -> dict[bytes, Asset]:
        return {bytes(asset.address): asset for asset in self.assets.values()}

    def supply(self, asset_id: int, moment: Moment) -> int:
        """Return a token's total supply in base units: minus what Mint and Burn hold together."""
        known = self._supplies.get(moment.position)
        if known is None:
            held = held_at(moment)
            rows = self.database.execute(
                select(held.c.asset_id, func.sum(held.c.balance).label("held"))
                .join(account_table, account_table.c.account_id == held.c.account_id)
                .where(account_table.c.name.in_([MINT.name, BURN.name]))
                .group_by(held.c.asset_id)
            )
            known = self._supplies[moment.position] = {row.asset_id: -row.held for row in rows}
        return known.get(asset_id, 0)

    @cached_property
    def _supplies(self) -> dict[int, dict[int, int]]:
        return {}

    def root(self, moment: Moment) -> bytes:
        """Return the state root at a moment (32 bytes)."""
        return self.roots.at(self.database, self.checkpoint, moment.position)

    @cached_property
    def snapshot(self) -> Snapshot:
        """The log, in this request's transaction."""
        return Snapshot(driver_connection(self.database))

    @cached_property
    def contracts(self) -> Contracts:
        """Who the contracts are, by whom the log's entries are decoded."""
        return self.rosters.at(self.snapshot)


def read_checkpoint(database: Connection, manifest: Manifest) -> Checkpoint:
    """Read how far the books are; as the first statement it fixes the state that the transaction sees.

    Raises:
        TryAgain: the books were made with another manifest than this program was given.
    """
    row = database.execute(select(checkpoint_table).where(checkpoint_table.c.name == NAME)).one_or_none()
    if row is None:
        return EMPTY
    if row.chain_id != manifest.chain_id or row.manifest_digest != manifest.digest:
        raise TryAgain(
            f"the books were made with the manifest {to_hex(row.manifest_digest)} of chain {row.chain_id}, this "
            f"program has {to_hex(manifest.digest)} of chain {manifest.chain_id}: run `deepnode rebuild` or mend the "
            "setting"
        )
    return checkpoint_of(row)


def checkpoint_of(row: Any) -> Checkpoint:
    """Make the checkpoint of its row."""
    tip, finalized = (
        None if number is None else BlockRef(number, block_hash, time)
        for number, block_hash, time in (
            (row.tip_number, row.tip_hash, row.tip_time),
            (row.finalized_number, row.finalized_hash, row.finalized_time),
        )
    )
    return Checkpoint(row.position, row.sealed_position, row.reorg_number, tip, finalized)


def begin_reading(database: Connection, manifest: Manifest, roots: StateRoots, rosters: Rosters) -> Reading:
    """Begin a reading in a transaction that has only just been opened.

    Raises:
        TryAgain: the books were made with another manifest.
    """
    return Reading(database, manifest, roots, rosters, read_checkpoint(database, manifest))


def driver_connection(database: Connection) -> psycopg.Connection[Any]:
    """Return the psycopg connection under SQLAlchemy's, in the same transaction."""
    connection = database.connection.driver_connection
    assert isinstance(connection, psycopg.Connection), connection
    return connection
