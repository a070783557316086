"""The sealings beside the entries: what was sealed when, up to which block of each chain.

A sealing is a moment that the log can be restored to, so what it says has to be true of the batches up to it.
"""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import Connection

from deepnode_ledger.fsck.content import block_of, by_chain
from deepnode_ledger.fsck.difference import Findings, Report
from deepnode_ledger.fsck.rows import Rows
from deepnode_ledger.record import Kind


class SealedBlock(NamedTuple):
    """Up to which block of a chain everything was in what sealing ``sealing`` had sealed."""

    sealing: int
    number: int
    hash: bytes
    parent_hash: bytes
    time: int


class Sealings:
    """Takes in the batches, and compares each sealing when its last batch is there.

    ``newest`` are the blocks of the newest sealing so far, by the ids of their chains.
    """

    def __init__(self, connection: Connection[Any], findings: Findings, report: Report) -> None:
        self._findings = findings
        self._report = report
        self._stored = Rows(connection, "SELECT number, sealed_position, batches FROM log.sealing ORDER BY number")
        self._stored_blocks = Rows(
            connection,
            "SELECT number, chain_id, block_number, block_hash, parent_hash, block_time FROM log.sealing_block"
            " ORDER BY number, chain_id",
        )
        self._position = 0
        self._last_blocks: dict[int, tuple[int, bytes, int]] = {}
        self._before: tuple[int, int] | None = None
        self.newest: dict[int, SealedBlock] = {}
        self._compare(0)

    def add(self, number: int, batch: pa.RecordBatch) -> None:
        """Take in the batch that follows."""
        self.behind(f"log.sealed batch {number}", batch)
        self._position = batch.column("position")[batch.num_rows - 1].as_py()
        for chain_id, _, part in by_chain(batch):
            self._last_blocks[chain_id] = block_of(part, part.num_rows - 1)
        self._compare(number)

    def behind(self, what: str, batch: pa.RecordBatch) -> None:
        """Check that entries behind the newest sealing belong behind it: only task events may be of its own blocks."""
        for chain_id, _, part in by_chain(batch):
            sealed = self.newest.get(chain_id)
            if sealed is None or len(sealed.hash) != 32:
                continue
            numbers = part.column("block_number").to_numpy()
            fits = pc.and_(
                pc.equal(part.column("kind"), int(Kind.TASK_EVENT)),
                pc.and_(
                    pc.equal(part.column("block_hash"), pa.scalar(sealed.hash, pa.binary(32))),
                    pc.equal(part.column("block_time"), sealed.time),
                ),
            ).to_numpy(zero_copy_only=False)
            wrong = (numbers < sealed.number) | ((numbers == sealed.number) & ~fits)
            if np.any(wrong):
                row = int(np.argmax(wrong))
                self._findings.note(
                    f"{_where(sealed.sealing, chain_id)}: block_number",
                    f"a block below the entries behind position {self._position}",
                    f"{sealed.number}, and {what} has an entry of block {numbers[row]} at "
                    f"{part.column('position')[row]}",
                )

    def finish(self, last_batch: int) -> None:
        """Name sealings of batches that are not there, and what was sealed by none."""
        for row in self._stored:
            self._findings.note(f"log.sealing number {row[0]}: batches", f"{last_batch} at most, upwards", row[2])
            self._take_blocks(row[0])
        last = 0 if self._before is None else self._before[0]
        if last_batch and not last:
            self._findings.note("log.sealing number 1", f"a row: {last_batch} batches are sealed", "none")
        for chain_id, (number, _, _) in sorted(self._last_blocks.items()):
            sealed = self.newest.get(chain_id)
            if last and (sealed is None or number > sealed.number):
                self._findings.note(
                    f"log.sealing number {last + 1}",
                    f"a row that covers block {number} of chain {chain_id}, up to which the batches go",
                    "none",
                )
        self._skip_blocks(2**62)

    def _compare(self, batches: int) -> None:
        while self._stored.next is not None and self._stored.next[2] <= batches:
            number, position, at_batch = self._stored.take()
            where = f"log.sealing number {number}"
            self._report.sealings += 1
            before, self._before = self._before, (number, position)
            follows = self._findings.compare(f"{where}: number", 1 if before is None else before[0] + 1, number)
            blocks = self._take_blocks(number)
            if not follows:
                self.newest = blocks
                continue
            self._findings.compare(f"{where}: batches", batches, at_batch)
            self._findings.compare(f"{where}: sealed_position", self._position, position)
            for chain_id in sorted({*self._last_blocks, *self.newest} - set(blocks)):
                self._findings.note(_where(number, chain_id), "a row: the chain has sealed blocks", "none")
            is_new = before is None or position > before[1]
            for chain_id, block in blocks.items():
                is_new |= self._follows(_where(number, chain_id), chain_id, block)
            if not is_new:
                self._findings.note(where, "something that the one before has not sealed", "nothing")
            self.newest = blocks

    def _follows(self, where: str, chain_id: int, block: SealedBlock) -> bool:
        """Compare a sealed block with the entries and with the sealing before; say whether it lies above that."""
        entry, before = self._last_blocks.get(chain_id), self.newest.get(chain_id)
        if entry is not None and block.number < entry[0]:
            self._findings.note(f"{where}: block_number", f"{entry[0]} or above, the last entry's", block.number)
        elif entry is not None and block.number == entry[0]:
            self._findings.compare(f"{where}: block_hash", entry[1], block.hash)
            self._findings.compare(f"{where}: block_time", entry[2], block.time)
        for name, value in (("block_hash", block.hash), ("parent_hash", block.parent_hash)):
            if len(value) != 32:
                self._findings.note(f"{where}: {name}", "32 bytes", value)
        if before is None:
            return True
        if block.number < before.number:
            self._findings.note(f"{where}: block_number", f"{before.number} or above, the one before", block.number)
        elif block.number == before.number + 1:
            self._findings.compare(f"{where}: parent_hash", before.hash, block.parent_hash)
        elif block.number == before.number:
            self._findings.compare(f"{where}: block_hash", before.hash, block.hash)
        return block.number > before.number

    def _take_blocks(self, number: int) -> dict[int, SealedBlock]:
        self._skip_blocks(number)
        blocks = {}
        while self._stored_blocks.next is not None and self._stored_blocks.next[0] == number:
            sealing, chain_id, *block = self._stored_blocks.take()
            blocks[chain_id] = SealedBlock(sealing, *block)
        return blocks

    def _skip_blocks(self, before: int) -> None:
        while self._stored_blocks.next is not None and self._stored_blocks.next[0] < before:
            number, chain_id, *_ = self._stored_blocks.take()
            self._findings.note(_where(number, chain_id), f"no such row: there is no sealing {number}", "a row")


def _where(sealing: int, chain_id: int) -> str:
    return f"log.sealing_block number {sealing} chain {chain_id}"
