"""Where the log says that it stands, beside where it does: head, coverage, and the reorgs that there were."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from psycopg import Connection

from deepnode_ledger.fsck.content import by_chain
from deepnode_ledger.fsck.difference import Findings
from deepnode_ledger.fsck.rows import every, one

_Numbers = npt.NDArray[np.int64]


def check_head(
    connection: Connection[Any], findings: Findings, *, last_position: int, sealed_position: int, batches: int
) -> None:
    """Compare the head with what was counted."""
    rows = every(connection, "SELECT last_position, sealed_position, batches FROM log.head")
    if not findings.compare("log.head: rows", 1, len(rows)):
        return
    for name, expected, found in zip(
        ("last_position", "sealed_position", "batches"), (last_position, sealed_position, batches), rows[0], strict=True
    ):
        findings.compare(f"log.head: {name}", expected, found)


def check_chain_ids(connection: Connection[Any], findings: Findings, of_entries: Iterable[int]) -> None:
    """Check that the chains of which there are entries, or rows of any other table, are in log.chain."""
    known = {each[0] for each in every(connection, "SELECT chain_id FROM log.chain")}
    for chain_id in sorted(set(of_entries) - known):
        findings.note(f"log.chain {chain_id}", "a row: there are entries of the chain", "none")
    for table in ("contract", "coverage", "evidence", "header", "hold", "reorg"):
        for (chain_id,) in every(
            connection,
            f"SELECT DISTINCT chain_id FROM log.{table} WHERE chain_id NOT IN (SELECT chain_id FROM log.chain)"  # noqa: S608 (constant)
            " ORDER BY chain_id",
        ):
            findings.note(f"log.{table} chain {chain_id}", "no row: log.chain has no such chain", "a row")


def check_coverage(connection: Connection[Any], findings: Findings) -> None:
    """Check that each chain's covered ranges go without a gap from its first block to that of the newest sealing."""
    firsts = {each[0]: each[1] for each in every(connection, "SELECT chain_id, first_block FROM log.chain")}
    covered = [each[0] for each in every(connection, "SELECT DISTINCT chain_id FROM log.coverage ORDER BY chain_id")]
    sealed = [each[0] for each in every(connection, "SELECT DISTINCT chain_id FROM log.sealing_block ORDER BY 1")]
    for chain_id in sorted({*covered, *sealed}):
        _check_covered(connection, findings, chain_id, firsts.get(chain_id))


def _check_covered(connection: Connection[Any], findings: Findings, chain_id: int, expected: int | None) -> None:
    of_chain = "FROM log.sealing_block WHERE chain_id = %s"
    newest = one(connection, f"SELECT number, block_number {of_chain} ORDER BY number DESC LIMIT 1", (chain_id,))
    oldest = one(connection, f"SELECT block_number {of_chain} ORDER BY number LIMIT 1", (chain_id,))
    rows = every(
        connection,
        "SELECT first_block, last_block, last_hash FROM log.coverage WHERE chain_id = %s ORDER BY first_block",
        (chain_id,),
    )
    where, last = f"log.coverage chain {chain_id}", None
    for first, last_block, last_hash in rows:
        where = f"log.coverage chain {chain_id} first_block {first}"
        if expected is not None and first != expected:
            findings.note(where, f"a range that begins at block {expected}", f"one that begins at {first}")
        if last_block < first:
            findings.note(f"{where}: last_block", f"{first} or above", last_block)
        sealing = one(
            connection,
            f"SELECT block_hash {of_chain} AND block_number = %s ORDER BY number DESC LIMIT 1",
            (chain_id, last_block),
        )
        if sealing is not None:
            findings.compare(f"{where}: last_hash", sealing[0], last_hash)
        elif oldest is not None and last_block > oldest[0]:
            findings.note(f"{where}: last_block", "the block of a sealing", last_block)
        expected, last = last_block + 1, last_block
    if newest is None and last is not None:
        findings.note("log.sealing", f"a row that covers block {last} of chain {chain_id}", "none")
    elif newest is not None and last != newest[1]:
        at = where if last is None else f"{where}: last_block"
        findings.note(at, f"{newest[1]}, up to which sealing {newest[0]} goes", last)


class Reorgs:
    """The reorgs, and the entries beside the positions that they kept.

    Only what no later reorg has taken back can be compared: what stood at a position then still stands there.
    """

    def __init__(self, connection: Connection[Any], findings: Findings) -> None:
        self._findings = findings
        rows = every(
            connection,
            "SELECT number, chain_id, kept_position, kept_block, old_tip_number, octet_length(old_tip_hash),"
            " new_tip_number, octet_length(new_tip_hash) FROM log.reorg ORDER BY number",
        )
        for expected, row in enumerate(rows, 1):
            number, _, kept_position, kept_block, old_tip, old_bytes, new_tip, new_bytes = row
            where = f"log.reorg number {number}"
            findings.compare(f"{where}: number", expected, number)
            if kept_position < 0:
                findings.note(f"{where}: kept_position", "0 or above", kept_position)
            if old_tip <= kept_block:
                findings.note(f"{where}: old_tip_number", f"above {kept_block}, the kept one", old_tip)
            if new_tip < kept_block:
                findings.note(f"{where}: new_tip_number", f"{kept_block} or above, the kept one", new_tip)
            findings.compare(f"{where}: bytes of hashes", (32, 32), (old_bytes, new_bytes))
        self._held = _held([(row[2], row[3], row[0], row[1]) for row in rows])

    def add(self, batch: pa.RecordBatch) -> None:
        """Take in the entries that follow."""
        positions = batch.column("position").to_numpy()
        if not np.array_equal(np.diff(positions), np.ones(len(positions) - 1)):
            return
        for chain_id, rows, part in by_chain(batch):
            held = self._held[(self._held[:, 3] == chain_id) & (self._held[:, 0] <= positions[-1])]
            is_here = held[:, 0] >= positions[0]
            self._add(held, is_here, positions[rows], part.column("block_number").to_numpy())

    def _add(self, held: _Numbers, is_here: npt.NDArray[np.bool_], positions: _Numbers, blocks: _Numbers) -> None:
        """Compare the last entry of the chain up to a kept position, and the first one behind it."""
        kept, blocks_kept, numbers, _ = held.T
        behind = np.searchsorted(positions, kept, side="right")
        for at in np.flatnonzero(is_here & (behind > 0) & (blocks[np.maximum(behind, 1) - 1] > blocks_kept))[:1]:
            self._findings.note(
                f"log.reorg number {numbers[at]}: kept_block",
                f"{blocks[behind[at] - 1]} or above, the block of position {positions[behind[at] - 1]}",
                int(blocks_kept[at]),
            )
        inside = np.flatnonzero(behind < len(blocks))
        for at in inside[blocks[behind[inside]] < blocks_kept[inside]][:1]:
            self._findings.note(
                f"log.reorg number {numbers[at]}: kept_block",
                f"{blocks[behind[at]]} at most, the block of position {positions[behind[at]]} behind {kept[at]}",
                int(blocks_kept[at]),
            )

    def finish(self, last_position: int) -> None:
        """Name a reorg that kept more than there is."""
        for kept, _, number, _ in self._held[self._held[:, 0] > last_position][:1]:
            self._findings.note(f"log.reorg number {number}: kept_position", f"{last_position} at most", int(kept))


def _held(kept: list[tuple[int, int, int, int]]) -> _Numbers:
    """Kept position and block, number and chain of the reorgs that no later one has undercut.

    By its position a reorg of any chain does, by its block one of the same chain.
    """
    held: list[tuple[int, int, int, int]] = []
    position_min: int | None = None
    blocks_min: dict[int, int] = {}
    for position, block, number, chain_id in reversed(kept):
        if (position_min is None or position <= position_min) and block <= blocks_min.get(chain_id, block):
            held.append((position, block, number, chain_id))
        position_min = position if position_min is None else min(position, position_min)
        blocks_min[chain_id] = min(block, blocks_min.get(chain_id, block))
    return np.array(held, np.int64).reshape(-1, 4)
