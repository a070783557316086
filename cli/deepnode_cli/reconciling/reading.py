"""What is read of the books for a reconciliation: at which block, which tokens, and what the contracts declare."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psycopg
from psycopg import Connection

from deepnode_cli.reconciling.figures import Findings
from deepnode_cli.reconciling.views import Declared, declared_views
from deepnode_ledger.database import open_datastore
from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.log import Log
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.record import BlockRef
from deepnode_projections.checkpoint import load_checkpoint
from deepnode_projections.holdings_at import Pocket, block_at, pockets_at
from deepnode_projections.registers.at import StateAt


@dataclass(frozen=True, slots=True)
class Reading:
    """The books at the end of a block, in one transaction of ``connection``.

    ``known`` are the blocks of the books that the node must have, too; ``tokens`` the symbols of the home chain's
    tokens by address; ``declared`` what contracts can be asked, by their names in the manifest.
    """

    connection: Connection[Any]
    manifest: Manifest
    block_number: int
    position: int
    known: tuple[BlockRef, ...]
    tokens: Mapping[bytes, str]
    pockets: tuple[Pocket, ...]
    declared: Mapping[str, Declared]
    findings: Findings

    @classmethod
    def begin(cls, connection: Connection[Any], manifest: Manifest, file: Path, block_number: int | None) -> Self:
        """Look up the block (None: the newest final one that the books have whole) and what there is to compare.

        Raises:
            BadInput: the books are of another manifest, or do not have the block whole.
        """
        try:
            row = connection.execute("SELECT manifest_digest FROM checkpoint").fetchone()
        except psycopg.errors.UndefinedTable:
            row = None
        if row is None:
            raise BadInput("the database holds no books: run `deepnode project` first")
        if bytes(row["manifest_digest"]) != manifest.digest:
            raise BadInput(f"the books were made with another manifest than {file}")
        checkpoint = load_checkpoint(connection.cursor(), manifest)
        tip, finalized = checkpoint.tip, checkpoint.finalized
        if tip is None:
            raise BadInput("the books have no block whole yet: let `deepnode project` go on first")
        number = block_number
        if number is None:
            number = tip.number if finalized is None else min(tip.number, finalized.number)
        if number > tip.number:
            raise BadInput(f"block {number} is ahead of the books, which have every block up to {tip.number}")
        found = block_at(connection, number)
        known = [] if found is None else [found[0]]
        if number == tip.number:
            known.append(tip)
        position = 0 if found is None else found[1]
        findings = Findings()
        tokens = _tokens(connection, manifest, findings)
        pockets = tuple(pockets_at(connection, position))
        declared = declared_views(file, number)
        return cls(connection, manifest, number, position, tuple(known), tokens, pockets, declared, findings)

    @property
    def past(self) -> StateAt:
        """The records as they were."""
        return StateAt(self.connection, self.position)

    def declared_of(self, contract: str) -> Declared:
        """Return what a contract can be asked; a factory's child is named behind what it was declared as."""
        return self.declared[contract.partition(".")[0]]

    def contracts_of(self, kind: str) -> dict[str, bytes]:
        """Return the addresses of the contracts of a kind by their names, children that have money included."""
        found = {each.name: each.address for each in self.manifest.on(self.manifest.chain_id) if each.kind == kind}
        return found | {p.contract: p.holder for p in self.pockets if self.declared_of(p.contract).kind == kind}


def refuse_held(url: str, manifest: Manifest, block_number: int) -> None:
    """See to it that every block up to one is in the log beyond doubt.

    Raises:
        BadInput: some are held back, so the books may lack their logs.
    """
    datastore = open_datastore(url)
    try:
        for hold in Log(datastore, manifest.chain_id).holds():
            if hold.first <= block_number:
                blocks = f"{hold.first} to {hold.last}"
                raise BadInput(
                    f"blocks {blocks} are held ({hold.reason}): ask for a --block before them, or repair them"
                )
    finally:
        datastore.close()


def _tokens(connection: Connection[Any], manifest: Manifest, findings: Findings) -> dict[bytes, str]:
    tokens = {}
    for row in connection.execute("SELECT address, symbol FROM asset ORDER BY asset_id").fetchall():
        address = bytes(row["address"])
        contract = manifest.contracts.get(address)
        chain_id = manifest.chain_id if contract is None else contract.chain_id
        if chain_id in (None, manifest.chain_id) and (contract is not None or not manifest.others):
            tokens[address] = row["symbol"]
        else:
            findings.not_asked.append(f"{row['symbol']} {to_hex(address)}: it is on another chain than the blocks are")
    return tokens
