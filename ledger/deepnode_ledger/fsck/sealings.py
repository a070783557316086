"""The sealings beside the entries: what was sealed when, up to which block.

A sealing is a moment that the log can be restored to, so what it says has to be true of the batches up to it.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import Connection

from deepnode_ledger.fsck.content import block_of
from deepnode_ledger.fsck.difference import Findings, Report
from deepnode_ledger.fsck.rows import Rows
from deepnode_ledger.record import Kind


class Sealings:
    """Takes in the batches, and compares each sealing when its last batch is there."""

    def __init__(self, connection: Connection[Any], findings: Findings, report: Report) -> None:
        self._findings = findings
        self._report = report
        self._stored = Rows(
            connection,
            "SELECT number, sealed_position, batches, block_number, block_hash, parent_hash, block_time"
            " FROM log.sealing ORDER BY number",
        )
        self._position = 0
        self._last_block: tuple[int, bytes, int] | None = None
        self.newest: tuple[Any, ...] | None = None
        self._compare(0)

    def add(self, number: int, batch: pa.RecordBatch) -> None:
        """Take in the batch that follows."""
        self.behind(f"log.sealed batch {number}", batch)
        self._position = batch.column("position")[batch.num_rows - 1].as_py()
        self._last_block = block_of(batch, batch.num_rows - 1)
        self._compare(number)

    def behind(self, what: str, batch: pa.RecordBatch) -> None:
        """Check that entries behind the newest sealing belong behind it: only task events may be of its own block."""
        if self.newest is None or len(self.newest[4]) != 32:
            return
        number, _, _, block, block_hash, _, block_time = self.newest
        numbers = batch.column("block_number").to_numpy()
        same = numbers == block
        fits = pc.and_(
            pc.equal(batch.column("kind"), int(Kind.TASK_EVENT)),
            pc.and_(
                pc.equal(batch.column("block_hash"), pa.scalar(block_hash, pa.binary(32))),
                pc.equal(batch.column("block_time"), block_time),
            ),
        ).to_numpy(zero_copy_only=False)
        wrong = (numbers < block) | (same & ~fits)
        if np.any(wrong):
            row = int(np.argmax(wrong))
            self._findings.note(
                f"log.sealing number {number}: block_number",
                f"a block below the entries behind position {self._position}",
                f"{block}, and {what} has an entry of block {numbers[row]} at {batch.column('position')[row]}",
            )

    def finish(self, last_batch: int) -> None:
        """Name sealings of batches that are not there, and what was sealed by none."""
        for row in self._stored:
            self._findings.note(f"log.sealing number {row[0]}: batches", f"{last_batch} at most, upwards", row[2])
        if last_batch and self.newest is None:
            self._findings.note("log.sealing number 1", f"a row: {last_batch} batches are sealed", "none")
        elif self.newest is not None and self._last_block is not None and self._last_block[0] > self.newest[3]:
            self._findings.note(
                f"log.sealing number {self.newest[0] + 1}",
                f"a row that covers block {self._last_block[0]}, up to which the batches go",
                "none",
            )

    def _compare(self, batches: int) -> None:
        while self._stored.next is not None and self._stored.next[2] <= batches:
            row = self._stored.take()
            number, position, at_batch, block, block_hash, parent_hash, block_time = row
            where = f"log.sealing number {number}"
            self._report.sealings += 1
            before = self.newest
            expected = 1 if before is None else before[0] + 1
            if not self._findings.compare(f"{where}: number", expected, number):
                self.newest = row
                continue
            self._findings.compare(f"{where}: batches", batches, at_batch)
            self._findings.compare(f"{where}: sealed_position", self._position, position)
            self._blocks(where, block, block_hash, block_time)
            if before is not None:
                if (block, position) <= (before[3], before[1]):
                    self._findings.note(f"{where}: block_number", f"above {before[3]}, the one before", block)
                elif block == before[3] + 1:
                    self._findings.compare(f"{where}: parent_hash", before[4], parent_hash)
                elif block == before[3]:
                    self._findings.compare(f"{where}: block_hash", before[4], block_hash)
            for name, value in (("block_hash", block_hash), ("parent_hash", parent_hash)):
                if len(value) != 32:
                    self._findings.note(f"{where}: {name}", "32 bytes", value)
            self.newest = row

    def _blocks(self, where: str, block: int, block_hash: bytes, block_time: int) -> None:
        if self._last_block is None:
            return
        number, own_hash, time = self._last_block
        if block < number:
            self._findings.note(f"{where}: block_number", f"{number} or above, the last entry's", block)
        elif block == number:
            self._findings.compare(f"{where}: block_hash", own_hash, block_hash)
            self._findings.compare(f"{where}: block_time", time, block_time)
