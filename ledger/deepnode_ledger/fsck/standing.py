"""Where the log says that it stands, beside where it does: head, coverage, and the reorgs that there were."""

from typing import Any

import numpy as np
import pyarrow as pa
from psycopg import Connection

from deepnode_ledger.fsck.difference import Findings
from deepnode_ledger.fsck.rows import every, one


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


def check_coverage(connection: Connection[Any], findings: Findings, chain_id: int | None) -> None:
    """Check that the covered ranges go without a gap from the first block to that of the newest sealing."""
    newest = one(connection, "SELECT number, block_number, block_hash FROM log.sealing ORDER BY number DESC LIMIT 1")
    chain = one(connection, "SELECT first_block FROM log.chain ORDER BY chain_id LIMIT 1")
    rows = every(
        connection, "SELECT chain_id, first_block, last_block, last_hash FROM log.coverage ORDER BY first_block"
    )
    expected = None if chain is None else chain[0]
    last: tuple[int, bytes] | None = None
    for chain_of_row, first, last_block, last_hash in rows:
        where = f"log.coverage first_block {first}"
        if chain_id is not None:
            findings.compare(f"{where}: chain_id", chain_id, chain_of_row)
        if expected is not None and first != expected:
            findings.note(where, f"a range that begins at block {expected}", f"one that begins at {first}")
        if last_block < first:
            findings.note(f"{where}: last_block", f"{first} or above", last_block)
        sealing = one(
            connection,
            "SELECT block_hash FROM log.sealing WHERE block_number = %s ORDER BY number DESC LIMIT 1",
            (last_block,),
        )
        oldest = one(connection, "SELECT block_number FROM log.sealing ORDER BY number LIMIT 1")
        if sealing is not None:
            findings.compare(f"{where}: last_hash", sealing[0], last_hash)
        elif oldest is not None and last_block > oldest[0]:
            findings.note(f"{where}: last_block", "the block of a sealing", last_block)
        expected, last = last_block + 1, (last_block, last_hash)
    if newest is None and last is not None:
        findings.note("log.sealing", f"a row that covers block {last[0]}", "none")
    elif newest is not None and (last is None or last[0] != newest[1]):
        at = "log.coverage" if last is None else f"log.coverage first_block {rows[-1][1]}: last_block"
        findings.note(at, f"{newest[1]}, up to which sealing {newest[0]} goes", None if last is None else last[0])


class Reorgs:
    """The reorgs, and the entries beside the positions that they kept.

    Only what no later reorg has taken back can be compared: what stood at a position then still stands there.
    """

    def __init__(self, connection: Connection[Any], findings: Findings, chain_id: int | None) -> None:
        self._findings = findings
        rows = every(
            connection,
            "SELECT number, chain_id, kept_position, kept_block, old_tip_number, octet_length(old_tip_hash),"
            " new_tip_number, octet_length(new_tip_hash) FROM log.reorg ORDER BY number",
        )
        for expected, row in enumerate(rows, 1):
            number, chain_of_row, kept_position, kept_block, old_tip, old_bytes, new_tip, new_bytes = row
            where = f"log.reorg number {number}"
            findings.compare(f"{where}: number", expected, number)
            if chain_id is not None:
                findings.compare(f"{where}: chain_id", chain_id, chain_of_row)
            if kept_position < 0:
                findings.note(f"{where}: kept_position", "0 or above", kept_position)
            if old_tip <= kept_block:
                findings.note(f"{where}: old_tip_number", f"above {kept_block}, the kept one", old_tip)
            if new_tip < kept_block:
                findings.note(f"{where}: new_tip_number", f"{kept_block} or above, the kept one", new_tip)
            findings.compare(f"{where}: bytes of hashes", (32, 32), (old_bytes, new_bytes))
        self._held = _held([(row[2], row[3], row[0]) for row in rows])

    def add(self, batch: pa.RecordBatch) -> None:
        """Take in the entries that follow."""
        kept, blocks_kept, numbers = self._held.T
        positions = batch.column("position").to_numpy()
        blocks = batch.column("block_number").to_numpy()
        if not np.array_equal(np.diff(positions), np.ones(len(positions) - 1)):
            return
        first, last = positions[0], positions[-1]
        inside = np.flatnonzero((kept >= first) & (kept <= last))
        for at in inside[blocks[kept[inside] - first] > blocks_kept[inside]][:1]:
            self._findings.note(
                f"log.reorg number {numbers[at]}: kept_block",
                f"{blocks[kept[at] - first]} or above, the block of position {kept[at]}",
                int(blocks_kept[at]),
            )
        behind = np.flatnonzero((kept + 1 >= first) & (kept + 1 <= last))
        for at in behind[blocks[kept[behind] + 1 - first] < blocks_kept[behind]][:1]:
            self._findings.note(
                f"log.reorg number {numbers[at]}: kept_block",
                f"{blocks[kept[at] + 1 - first]} at most, the block behind position {kept[at]}",
                int(blocks_kept[at]),
            )

    def finish(self, last_position: int) -> None:
        """Name a reorg that kept more than there is."""
        for kept, _, number in self._held[self._held[:, 0] > last_position][:1]:
            self._findings.note(f"log.reorg number {number}: kept_position", f"{last_position} at most", int(kept))


def _held(kept: list[tuple[int, int, int]]) -> Any:
    """The kept positions and blocks of the reorgs, with their numbers, that no later one has undercut."""
    held: list[tuple[int, int, int]] = []
    for position, block, number in reversed(kept):
        if not held or (position <= held[-1][0] and block <= held[-1][1]):
            held.append((position, block, number))
    return np.array(held, np.int64).reshape(-1, 3)
