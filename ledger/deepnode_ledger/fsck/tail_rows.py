"""The tail beside the headers: where the chain stands, and the pending entries under its blocks."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import pyarrow as pa
from psycopg import Connection

from deepnode_ledger import batch as batches
from deepnode_ledger import tables
from deepnode_ledger.batch_versions import COLUMNS, SCHEMA
from deepnode_ledger.fsck.content import Order, faults
from deepnode_ledger.fsck.difference import Findings
from deepnode_ledger.fsck.rows import Rows, every
from deepnode_ledger.fsck.sealings import SealedBlock
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
    """The chains' rows, the headers, and the pending entries: each by itself and against the others.

    Args:
        connection: of the check.
        findings: for what does not fit together.
        of_entries: for what is wrong with the entries by themselves.
        order: goes on from the sealed entries.
        sealed_blocks: those of the newest sealing by the ids of their chains, as ``Sealings`` has read them.
    """

    def __init__(
        self,
        connection: Connection[Any],
        findings: Findings,
        of_entries: Findings,
        order: Order,
        sealed_blocks: Mapping[int, SealedBlock],
    ) -> None:
        self._connection = connection
        self._findings = findings
        self._of_entries = of_entries
        self._order = order
        self._sealed_blocks = sealed_blocks
        self._headers: dict[tuple[int, int], tuple[bytes, int]] = {}
        self._indexes: tuple[tuple[int, int] | None, set[int]] = (None, set())

    def check_chains(self) -> None:
        """Check the headers' links on each chain, and the chain's row beside them."""
        rows = every(self._connection, "SELECT chain_id, first_block FROM log.chain ORDER BY chain_id")
        for chain_id, first_block in rows:
            self._check_tip(chain_id, self._check_headers(chain_id, first_block))

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

    def _check_headers(self, chain_id: int, first_block: int) -> tuple[int, bytes, int] | None:
        sealed = self._sealed_blocks.get(chain_id)
        begin = first_block if sealed is None else sealed.number
        before: tuple[int, bytes, int] | None = None
        rows = Rows(
            self._connection,
            "SELECT number, hash, parent_hash, time FROM log.header WHERE chain_id = %s ORDER BY number",
            (chain_id,),
        )
        for number, block_hash, parent_hash, time in rows:
            where = f"log.header chain {chain_id} number {number}"
            self._findings.compare(f"{where}: number", begin if before is None else before[0] + 1, number)
            for name, value in (("hash", block_hash), ("parent_hash", parent_hash)):
                if len(value) != 32:
                    self._findings.note(f"{where}: {name}", "32 bytes", value)
            if before is not None:
                self._findings.compare(f"{where}: parent_hash", before[1], parent_hash)
            elif sealed is not None and number == begin:
                self._findings.compare(f"{where}: hash", sealed.hash, block_hash)
                self._findings.compare(f"{where}: parent_hash", sealed.parent_hash, parent_hash)
                self._findings.compare(f"{where}: time", sealed.time, time)
            self._headers[chain_id, number] = (block_hash, time)
            before = (number, block_hash, time)
        if before is None and sealed is not None:
            where = f"log.header chain {chain_id} number {begin}"
            self._findings.note(where, "a row: the block of the newest sealing", "none")
        return before

    def _check_tip(self, chain_id: int, newest: tuple[int, bytes, int] | None) -> None:
        where = f"log.chain {chain_id}"
        row = every(
            self._connection,
            "SELECT tip_number, tip_hash, tip_time, finalized_number, finalized_hash, finalized_time,"
            " octet_length(genesis_hash) FROM log.chain WHERE chain_id = %s",
            (chain_id,),
        )[0]
        tip, final = row[:3], row[3:6]
        self._findings.compare(f"{where}: bytes of genesis_hash", 32, row[6])
        for name, expected, found in zip(
            ("tip_number", "tip_hash", "tip_time"), newest or (None, None, None), tip, strict=True
        ):
            self._findings.compare(f"{where}: {name}", expected, found)
        sealed = self._sealed_blocks.get(chain_id)
        if sealed is not None and (final[0] is None or final[0] < sealed.number):
            self._findings.note(f"{where}: finalized_number", f"{sealed.number} or above, which is sealed", final[0])
            return
        if final[0] is None:
            self._findings.compare(f"{where}: finalized_hash and finalized_time", (None, None), final[1:])
            return
        # A block that was called final can have been replaced while it waited to be sealed.
        taken_back = every(
            self._connection,
            "SELECT number FROM log.reorg WHERE chain_id = %s AND kept_block < %s AND old_tip_number >= %s LIMIT 1",
            (chain_id, final[0], final[0]),
        )
        held = self._headers.get((chain_id, final[0]))
        if held is not None and (not taken_back or (sealed is not None and final[0] == sealed.number)):
            block_hash, time = held
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
        names = ("position", "chain_id", "block_number", "block_hash", "block_time", "log_index")
        for position, chain_id, number, block_hash, time, log_index in zip(
            *(page.column(name).to_pylist() for name in names), strict=True
        ):
            where = f"log.pending position {position}"
            header = self._headers.get((chain_id, number))
            if header is None:
                self._findings.note(f"{where}: block_number", "a block of log.header", number)
            else:
                self._findings.compare(f"{where}: block_hash", header[0], block_hash)
                self._findings.compare(f"{where}: block_time", header[1], time)
            if log_index is not None:
                self._check_key(where, (chain_id, number), log_index)

    def _check_key(self, where: str, block: tuple[int, int], log_index: int) -> None:
        # A block's logs stand side by side.
        known, seen = self._indexes
        if known != block:
            self._indexes = (block, {log_index})
        elif log_index in seen:
            self._findings.note(f"{where}: log_index", f"one that block {block[1]} has once", log_index)
        else:
            seen.add(log_index)
