"""The books at a position, with the tokens that they know and the log that they are of: all reads are of one moment."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import ADDRESS_BYTES, from_hex

if TYPE_CHECKING:
    from deepnode_ledger.manifest import Manifest
    from deepnode_ledger.snapshot import Snapshot
    from deepnode_projections.explaining import Asset
    from deepnode_projections.registers.at import StateAt


@dataclass(frozen=True, slots=True)
class BooksAt:
    """What there is to read: only valid while it is open."""

    past: "StateAt"
    assets: "Sequence[Asset]"
    log: "Snapshot"

    def asset(self, named: str) -> "Asset":
        """Return a token by its symbol or its address.

        Raises:
            BadInput: the books know none, or several of the symbol.
        """
        if named.startswith("0x"):
            return self.asset_at(from_hex(named, ADDRESS_BYTES, what="--asset"))
        found = [each for each in self.assets if each.symbol == named]
        if len(found) != 1:
            known = ", ".join(each.symbol for each in self.assets)
            raise BadInput(f"{named!r:.80} is the symbol of {len(found)} tokens; the books know {known or 'none'}")
        return found[0]

    def asset_at(self, address: bytes) -> "Asset":
        """Return the token at an address.

        Raises:
            BadInput: the books know none there.
        """
        for each in self.assets:
            if each.address == address:
                return each
        raise BadInput(f"0x{address.hex()} is no token that the books know")


@contextmanager
def books_at(database: str, manifest: "Manifest", at: int | None = None) -> Iterator[BooksAt]:
    """Open the books at a position; None: where they are now.

    Raises:
        BadInput: the position is ahead of them.
    """
    # The other commands start sooner without all that this brings in.
    from deepnode_ledger.snapshot import Snapshot
    from deepnode_projections.checkpoint import load_checkpoint
    from deepnode_projections.explaining import Asset
    from deepnode_projections.projector import connect
    from deepnode_projections.registers.at import StateAt
    from deepnode_projections.tables import SCHEMA

    with closing(connect(database, SCHEMA)) as connection, connection.transaction():
        kept = load_checkpoint(connection.cursor(), manifest).position
        position = kept if at is None else at
        if position > kept:
            raise BadInput(f"position {position} is ahead of the books, which are at {kept}")
        rows = connection.execute("SELECT address, symbol, decimals FROM asset ORDER BY asset_id").fetchall()
        assets = [Asset(bytes(row["address"]), row["symbol"], int(row["decimals"])) for row in rows]
        yield BooksAt(StateAt(connection, position), assets, Snapshot(connection))
