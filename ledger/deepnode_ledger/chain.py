"""Where a chain stands in the log: which chain it is, and how far it is covered and finalized."""

from dataclasses import dataclass
from typing import Any

from psycopg import Cursor
from psycopg.rows import DictRow

from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.record import BlockRef, Header


@dataclass(frozen=True, slots=True)
class Chain:
    """``tip``: the last block whose logs are all in the log; ``finalized``: the last block known to be final.

    Both are None until the first block is covered. ``first_block`` is where intake starts.
    """

    chain_id: int
    genesis_hash: bytes
    first_block: int
    tip: BlockRef | None
    finalized: BlockRef | None


class WrongChain(BadInput):
    """The log was begun on another chain, or from another block, than the manifest says."""


def load(cursor: Cursor[DictRow], chain_id: int) -> Chain | None:
    """Read a chain's row, or None if the log holds nothing of that chain."""
    cursor.execute("SELECT * FROM log.chain WHERE chain_id = %s", (chain_id,))
    row = cursor.fetchone()
    if row is None:
        return None
    return Chain(chain_id, row["genesis_hash"], row["first_block"], _block(row, "tip"), _block(row, "finalized"))


def enrol(cursor: Cursor[DictRow], chain_id: int, genesis_hash: bytes, first_block: int) -> Chain:
    """Make the chain known to the log, or check that it is the one that the log was begun on.

    Raises:
        WrongChain: the genesis hash or the first block differs from the stored one (both named).
    """
    cursor.execute("SELECT chain_id FROM log.chain WHERE chain_id <> %s", (chain_id,))
    other = cursor.fetchone()
    if other is not None:
        raise WrongChain(f"this log holds chain {other['chain_id']}; chain {chain_id} needs a database of its own")
    cursor.execute(
        "INSERT INTO log.chain (chain_id, genesis_hash, first_block) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
        (chain_id, genesis_hash, first_block),
    )
    chain = load(cursor, chain_id)
    assert chain is not None
    if chain.genesis_hash != genesis_hash:
        raise WrongChain(
            f"the log was begun on a chain {chain_id} with genesis {to_hex(chain.genesis_hash)}, "
            f"the manifest's genesis is {to_hex(genesis_hash)}: use another database or mend the manifest"
        )
    if chain.first_block != first_block:
        raise WrongChain(
            f"the log starts at block {chain.first_block}, the manifest's earliest start_block is {first_block}: "
            "a log cannot be extended backwards"
        )
    return chain


def set_tip(cursor: Cursor[DictRow], chain_id: int, tip: BlockRef) -> None:
    """Record that every block up to ``tip`` is covered."""
    cursor.execute(
        "UPDATE log.chain SET tip_number = %s, tip_hash = %s, tip_time = %s WHERE chain_id = %s",
        (tip.number, tip.hash, tip.time, chain_id),
    )


def set_finalized(cursor: Cursor[DictRow], chain_id: int, finalized: BlockRef) -> None:
    """Record the newest block known to be final; an older one than what is stored changes nothing."""
    cursor.execute(
        "UPDATE log.chain SET finalized_number = %s, finalized_hash = %s, finalized_time = %s"
        " WHERE chain_id = %s AND coalesce(finalized_number, -1) < %s",
        (finalized.number, finalized.hash, finalized.time, chain_id, finalized.number),
    )


def headers(cursor: Cursor[DictRow], chain_id: int) -> list[Header]:
    """Return the stored headers, newest first: those of the tail, and last that of the sealed block."""
    cursor.execute("SELECT * FROM log.header WHERE chain_id = %s ORDER BY number DESC", (chain_id,))
    return [Header(BlockRef(row["number"], row["hash"], row["time"]), row["parent_hash"]) for row in cursor.fetchall()]


def add_headers(cursor: Cursor[DictRow], chain_id: int, added: list[Header]) -> None:
    """Store the headers of newly covered blocks."""
    cursor.executemany(
        "INSERT INTO log.header (chain_id, number, hash, parent_hash, time) VALUES (%s, %s, %s, %s, %s)",
        [(chain_id, h.block.number, h.block.hash, h.parent_hash, h.block.time) for h in added],
    )


def forget_headers_below(cursor: Cursor[DictRow], chain_id: int, number: int) -> None:
    """Drop the headers of sealed blocks that a reorg can no longer reach."""
    cursor.execute("DELETE FROM log.header WHERE chain_id = %s AND number < %s", (chain_id, number))


def _block(row: dict[str, Any], which: str) -> BlockRef | None:
    if row[f"{which}_number"] is None:
        return None
    return BlockRef(row[f"{which}_number"], row[f"{which}_hash"], row[f"{which}_time"])
