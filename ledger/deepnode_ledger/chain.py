"""Where a chain stands in the log: which chain it is, and how far it is covered and finalized."""

from collections.abc import Collection
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
    return None if row is None else _chain(row)


def load_all(cursor: Cursor[DictRow]) -> list[Chain]:
    """Read the rows of all chains that the log holds, in the order of their ids."""
    cursor.execute("SELECT * FROM log.chain ORDER BY chain_id")
    return [_chain(row) for row in cursor.fetchall()]


def enrol(
    cursor: Cursor[DictRow], chain_id: int, genesis_hash: bytes, first_block: int, beside: Collection[int] = ()
) -> Chain:
    """Make the chain known to the log, or check that it is one that the log was begun on.

    Args:
        cursor: of the transaction that holds the log's lock.
        chain_id: of the chain.
        genesis_hash: of its block 0, 32 bytes.
        first_block: where intake starts.
        beside: the ids of the other chains that the log may hold.

    Raises:
        WrongChain: the genesis hash or the first block differs from the stored one (both named), or the log holds a
            chain that is not meant.
    """
    cursor.execute(
        "SELECT chain_id FROM log.chain WHERE chain_id <> ALL(%s::bigint[]) ORDER BY chain_id LIMIT 1",
        ([chain_id, *beside],),
    )
    other = cursor.fetchone()
    if other is not None:
        raise WrongChain(
            f"this log holds chain {other['chain_id']}; chain {chain_id} needs a database of its own, or a manifest "
            "that names both"
        )
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
    """Record the newest block known to be final; an older one than what is stored changes nothing.

    One of the same height does: a block that was called final can have been replaced while it waited to be sealed.
    """
    cursor.execute(
        "UPDATE log.chain SET finalized_number = %s, finalized_hash = %s, finalized_time = %s"
        " WHERE chain_id = %s AND coalesce(finalized_number, -1) <= %s",
        (finalized.number, finalized.hash, finalized.time, chain_id, finalized.number),
    )


def set_sealable(cursor: Cursor[DictRow], chain_id: int, block: BlockRef, evidence: str) -> bool:
    """Record up to which block the sealing of another chain may take entries along; say whether that is news.

    ``evidence``: why the blocks up to it are complete, in a word.
    """
    cursor.execute(
        "UPDATE log.chain SET sealable_number = %s, sealable_hash = %s, sealable_evidence = %s"
        " WHERE chain_id = %s AND (sealable_number, sealable_hash, sealable_evidence) IS DISTINCT FROM (%s, %s, %s)",
        (block.number, block.hash, evidence, chain_id, block.number, block.hash, evidence),
    )
    return cursor.rowcount == 1


def clear_sealable(cursor: Cursor[DictRow], chain_id: int, covered: int) -> None:
    """Forget what ``set_sealable`` recorded, if the blocks up to it are covered now."""
    cursor.execute(
        "UPDATE log.chain SET sealable_number = NULL, sealable_hash = NULL, sealable_evidence = NULL"
        " WHERE chain_id = %s AND sealable_number <= %s",
        (chain_id, covered),
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


def _chain(row: dict[str, Any]) -> Chain:
    tip, finalized = _block(row, "tip"), _block(row, "finalized")
    return Chain(row["chain_id"], row["genesis_hash"], row["first_block"], tip, finalized)


def _block(row: dict[str, Any], which: str) -> BlockRef | None:
    if row[f"{which}_number"] is None:
        return None
    return BlockRef(row[f"{which}_number"], row[f"{which}_hash"], row[f"{which}_time"])
