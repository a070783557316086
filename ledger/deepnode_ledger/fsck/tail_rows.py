"""The tail beside the headers: where the chain stands, and the pending entries under its blocks."""

from collections.abc import Iterator
from typing import Any, Final

import pyarrow as pa
from psycopg import Connection

from deepnode_ledger import batch as batches
from deepnode_ledger import tables
from deepnode_ledger.batch_versions import COLUMNS, SCHEMA
from deepnode_ledger.fsck.content import Order, faults
from deepnode_ledger.fsck.difference import Findings
from deepnode_ledger.fsck.rows import Rows, every
from deepnode_ledger.record import Kind

PAGE_ROWS: Final = 1_024
PAGE_BYTES: Final = 16 * 1024 * 1024

_LENGTHS: Final = {
    name: SCHEMA.field(name).type.byte_width
    for name in COLUMNS
    if pa.types.is_fixed_size_binary(SCHEMA.field(name).type)
}
_DATA: Final = COLUMNS.index("data")


class Tail:
    """The chain's row, the headers, and the pending entries: each by itself and against the others.

    Args:
        connection: of the check.
        findings: for what does not fit together.
        of_entries: for what is wrong with the entries by themselves.
        order: goes on from the sealed entries.
        newest_sealing: the newest row of log.sealing, as ``Sealings`` has read it.
    """

    def __init__(
        self,
        connection: Connection[Any],
        findings: Findings,
        of_entries: Findings,
        order: Order,
        newest_sealing: tuple[Any, ...] | None,
    ) -> None:
        self._connection = connection
        self._findings = findings
        self._of_entries = of_entries
        self._order = order
        self._newest_sealing = newest_sealing
        self._headers: dict[int, tuple[bytes, int]] = {}
        self._indexes: tuple[int, set[int]] = (-1, set())

    def check_chain(self) -> None:
        """Check the headers' links, and the chain's row beside them."""
        rows = every(self._connection, "SELECT chain_id, first_block FROM log.chain ORDER BY chain_id")
        if not rows:
            if self._order.chain_id is not None:
                self._findings.note(f"log.chain {self._order.chain_id}", "a row", "none")
            return
        for chain_id, _ in rows[1:]:
            self._findings.note(f"log.chain {chain_id}", f"no other chain than {rows[0][0]}", "a row")
        chain_id, first_block = rows[0]
        if self._order.chain_id is not None:
            self._findings.compare(f"log.chain {chain_id}: chain_id", self._order.chain_id, chain_id)
        begin = first_block if self._newest_sealing is None else self._newest_sealing[3]
        newest = self._check_headers(chain_id, begin)
        self._check_tip(f"log.chain {chain_id}", newest)

    def entries(self) -> Iterator[pa.RecordBatch]:
        """Yield the pending entries that are right by themselves, in pages."""
        columns = tables.PENDING_COLUMNS
        page: list[batches.Row] = []
        size_bytes = 0
        for row in Rows(
            self._connection,
            f"SELECT {columns} FROM log.pending ORDER BY position",  # noqa: S608 (constants)
            at_once=64,
        ):
            if not self._fits(row):
                return
            page.append(row)
            size_bytes += len(row[_DATA])
            if len(page) == PAGE_ROWS or size_bytes >= PAGE_BYTES:
                yield from self._checked(page)
                page, size_bytes = [], 0
        if page:
            yield from self._checked(page)

    def _check_headers(self, chain_id: int, begin: int) -> tuple[int, bytes, int] | None:
        before: tuple[int, bytes, int] | None = None
        rows = Rows(
            self._connection, "SELECT chain_id, number, hash, parent_hash, time FROM log.header ORDER BY number"
        )
        for chain_of_row, number, block_hash, parent_hash, time in rows:
            where = f"log.header number {number}"
            self._findings.compare(f"{where}: chain_id", chain_id, chain_of_row)
            self._findings.compare(f"{where}: number", begin if before is None else before[0] + 1, number)
            for name, value in (("hash", block_hash), ("parent_hash", parent_hash)):
                if len(value) != 32:
                    self._findings.note(f"{where}: {name}", "32 bytes", value)
            if before is not None:
                self._findings.compare(f"{where}: parent_hash", before[1], parent_hash)
            elif self._newest_sealing is not None and number == begin:
                _, _, _, _, sealed_hash, sealed_parent, sealed_time = self._newest_sealing
                self._findings.compare(f"{where}: hash", sealed_hash, block_hash)
                self._findings.compare(f"{where}: parent_hash", sealed_parent, parent_hash)
                self._findings.compare(f"{where}: time", sealed_time, time)
            self._headers[number] = (block_hash, time)
            before = (number, block_hash, time)
        if before is None and self._newest_sealing is not None:
            self._findings.note(f"log.header number {begin}", "a row: the block of the newest sealing", "none")
        return before

    def _check_tip(self, where: str, newest: tuple[int, bytes, int] | None) -> None:
        row = every(
            self._connection,
            "SELECT tip_number, tip_hash, tip_time, finalized_number, finalized_hash, finalized_time,"
            " octet_length(genesis_hash) FROM log.chain ORDER BY chain_id LIMIT 1",
        )[0]
        tip, final = row[:3], row[3:6]
        self._findings.compare(f"{where}: bytes of genesis_hash", 32, row[6])
        for name, expected, found in zip(
            ("tip_number", "tip_hash", "tip_time"), newest or (None, None, None), tip, strict=True
        ):
            self._findings.compare(f"{where}: {name}", expected, found)
        sealed = self._newest_sealing
        if sealed is not None and (final[0] is None or final[0] < sealed[3]):
            self._findings.note(f"{where}: finalized_number", f"{sealed[3]} or above, which is sealed", final[0])
            return
        if final[0] is None:
            self._findings.compare(f"{where}: finalized_hash and finalized_time", (None, None), final[1:])
            return
        # A block that was called final can have been replaced while it waited to be sealed.
        taken_back = every(
            self._connection,
            "SELECT number FROM log.reorg WHERE kept_block < %s AND old_tip_number >= %s LIMIT 1",
            (final[0], final[0]),
        )
        if final[0] in self._headers and (not taken_back or (sealed is not None and final[0] == sealed[3])):
            block_hash, time = self._headers[final[0]]
            self._findings.compare(f"{where}: finalized_hash", block_hash, final[1])
            self._findings.compare(f"{where}: finalized_time", time, final[2])
        elif newest is not None and final[0] > newest[0] and not taken_back:
            self._findings.note(f"{where}: finalized_number", f"{newest[0]} at most, the tip", final[0])

    def _fits(self, row: batches.Row) -> bool:
        """Say whether a row can be laid out in columns."""
        wrong = [
            (name, f"{length} bytes", row[at])
            for name, length in _LENGTHS.items()
            if (value := row[at := COLUMNS.index(name)]) is not None and len(value) != length
        ]
        if row[1] not in {Kind.CHAIN_LOG, Kind.TASK_EVENT}:
            wrong.append(("kind", "1 or 2", row[1]))
        for name, expected, found in wrong:
            self._of_entries.note(f"log.pending position {row[0]}: {name}", expected, found)
        return not wrong

    def _checked(self, rows: list[batches.Row]) -> Iterator[pa.RecordBatch]:
        page = batches.from_rows(rows, gapless=False)
        own = list(faults(page))
        for fault in own or self._order.faults(page):
            where = f"log.pending position {rows[fault.row][0]}: {fault.column}"
            self._of_entries.note(where, fault.expected, fault.found)
        if own:
            return
        self._check_blocks(page)
        yield page

    def _check_blocks(self, page: pa.RecordBatch) -> None:
        names = ("position", "block_number", "block_hash", "block_time", "log_index")
        for position, number, block_hash, time, log_index in zip(
            *(page.column(name).to_pylist() for name in names), strict=True
        ):
            where = f"log.pending position {position}"
            header = self._headers.get(number)
            if header is None:
                self._findings.note(f"{where}: block_number", "a block of log.header", number)
            else:
                self._findings.compare(f"{where}: block_hash", header[0], block_hash)
                self._findings.compare(f"{where}: block_time", header[1], time)
            if log_index is not None:
                self._check_key(where, number, log_index)

    def _check_key(self, where: str, number: int, log_index: int) -> None:
        block, seen = self._indexes
        if block != number:
            self._indexes = (number, {log_index})
        elif log_index in seen:
            self._findings.note(f"{where}: log_index", f"one that block {number} has once", log_index)
        else:
            seen.add(log_index)
