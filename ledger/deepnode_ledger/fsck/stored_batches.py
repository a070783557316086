"""The stored batches, walked as they are: which are there, what their bytes are, and what the index says of them."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
from psycopg import Connection

from deepnode_ledger import batch as batches
from deepnode_ledger.batch_versions import SCHEMAS
from deepnode_ledger.errors import Damaged
from deepnode_ledger.fsck.content import Order, faults
from deepnode_ledger.fsck.difference import Difference, shown
from deepnode_ledger.fsck.rows import Rows, one
from deepnode_ledger.recorder import STREAM

STATES_AT_ONCE: Final = 2
"""Stored batches that are fetched together."""

POSITION_COLUMNS: Final = ("first_position", "last_position")
BLOCK_COLUMNS: Final = ("first_block", "last_block")


@dataclass(frozen=True, slots=True)
class Walked:
    """A batch whose entries are right by themselves and in their order."""

    number: int
    batch: pa.RecordBatch


class StoredBatches:
    """Walks ``log.sealed`` beside ``log.batch``, and trusts neither the index nor the head to know what is there."""

    def __init__(self, connection: Connection[Any]) -> None:
        self._connection = connection
        self.order = Order()
        self.number = 0
        self.intact = True
        """Whether the entries of every batch so far could be read. Behind one that could not, nothing else can be
        told from the entries."""

    def walk(self) -> Iterator[Difference | Walked]:
        """Yield what is wrong, and each batch that can be read."""
        yield from self._strays()
        indexed, counted = self._known()
        index = Rows(
            self._connection,
            "SELECT number, first_position, last_position, sha256 FROM log.batch ORDER BY number",
        )
        self._blocks = Rows(
            self._connection,
            "SELECT number, chain_id, first_block, last_block FROM log.batch_block ORDER BY number, chain_id",
        )
        states = Rows(
            self._connection,
            "SELECT originator_version, topic, octet_length(state),"
            " CASE WHEN octet_length(state) <= %s THEN state END, notification_id FROM log.sealed"
            " WHERE originator_id = %s AND originator_version >= 1 ORDER BY originator_version",
            (batches.BYTES_MAX, STREAM),
            at_once=STATES_AT_ONCE,
        )
        notified = 0
        for row in states:
            number, notification_id = row[0], row[4]
            if number > max(indexed, counted):
                yield Difference(f"log.sealed batch {number}", f"no such row: the log has {indexed} batches", "a row")
                continue
            if number > self.number + 1:
                yield self._missing(number - 1)
            while index.next is not None and index.next[0] < number:
                skipped = index.take()
                if skipped[0] < 1:
                    yield Difference(f"log.batch number {skipped[0]}", "no such row", "a row")
            self.number = number
            known = index.take() if index.next is not None and index.next[0] == number else None
            if notification_id <= notified:
                where = f"log.sealed batch {number}: notification_id"
                yield Difference(where, f"above {notified}, the one before", shown(notification_id))
            notified = max(notified, notification_id)
            yield from self._batch(row, known)
        if indexed > self.number:
            yield self._missing(indexed)
        yield from self._stray_blocks(2**62)

    def _batch(self, row: tuple[Any, ...], known: tuple[Any, ...] | None) -> Iterator[Difference | Walked]:
        number, topic, size_bytes, state, _ = row
        where = f"log.sealed batch {number}"
        if known is None:
            yield Difference(f"log.batch number {number}", "a row: the batch is there", "no row")
        elif state is not None and (digest := hashlib.sha256(state).digest()) != known[3]:
            yield Difference(where, f"bytes with the sha256 {known[3].hex()}, by log.batch", digest.hex())
        if topic not in SCHEMAS:
            yield Difference(f"{where}: topic", f"one of {', '.join(SCHEMAS)}", shown(topic))
            self.intact = False
            return
        if state is None:
            yield Difference(where, f"{batches.BYTES_MAX} bytes at most", shown(size_bytes))
            self.intact = False
            return
        try:
            batch = batches.decode(topic, state)
        except Damaged as error:
            yield Difference(where, f"a batch of {topic}", shown(error))
            self.intact = False
            return
        unreadable = False
        for fault in faults(batch):
            unreadable = True
            yield Difference(f"{where}, row {fault.row}: {fault.column}", shown(fault.expected), shown(fault.found))
        if unreadable:
            self.intact = False
            return
        if self.intact:
            for fault in self.order.faults(batch):
                place = f"{where}, row {fault.row}: {fault.column}"
                yield Difference(place, shown(fault.expected), shown(fault.found))
        if known is not None:
            positions = batch.column("position")
            should = (positions[0].as_py(), positions[batch.num_rows - 1].as_py())
            yield from _compared(f"log.batch number {number}", POSITION_COLUMNS, should, known[1:3])
        yield from self._block_rows(number, batch)
        yield Walked(number, batch)

    def _block_rows(self, number: int, batch: pa.RecordBatch) -> Iterator[Difference]:
        """Compare which blocks the index says that a batch holds."""
        yield from self._stray_blocks(number)
        blocks = batches.blocks_by_chain(batch)
        while self._blocks.next is not None and self._blocks.next[0] == number:
            _, chain_id, *found = self._blocks.take()
            where = f"log.batch_block number {number} chain {chain_id}"
            if (held := blocks.pop(chain_id, None)) is None:
                yield Difference(where, "no such row", "a row")
            else:
                yield from _compared(where, BLOCK_COLUMNS, (int(held[0]), int(held[-1])), tuple(found))
        for chain_id in sorted(blocks):
            yield Difference(f"log.batch_block number {number} chain {chain_id}", "a row", "no row")

    def _stray_blocks(self, before: int) -> Iterator[Difference]:
        while self._blocks.next is not None and self._blocks.next[0] < before:
            number, chain_id, *_ = self._blocks.take()
            if number < 1 or self.intact:
                yield Difference(f"log.batch_block number {number} chain {chain_id}", "no such row", "a row")

    def _missing(self, last: int) -> Difference:
        first, self.number = self.number + 1, last
        self.intact = False
        if first == last:
            return Difference(f"log.sealed batch {first}", "a row", "no row")
        return Difference(f"log.sealed batch {first} and those to {last}", "rows", "no rows")

    def _strays(self) -> Iterator[Difference]:
        rows = Rows(
            self._connection,
            "SELECT originator_id, originator_version FROM log.sealed"
            " WHERE originator_id <> %s OR originator_version < 1 ORDER BY 1, 2",
            (STREAM,),
        )
        for stream, version in rows:
            yield Difference(f"log.sealed originator {stream!r:.80} version {version}", "no such row", "a row")

    def _known(self) -> tuple[int, int]:
        """The newest batch of the index, and of those who count: a row behind both belongs to nobody."""
        row = one(
            self._connection,
            "SELECT coalesce((SELECT max(number) FROM log.batch), 0),"
            " greatest((SELECT max(batches) FROM log.sealing), (SELECT max(batches) FROM log.head), 0)",
        )
        assert row is not None
        return row[0], row[1]


def _compared(
    where: str, columns: tuple[str, ...], should: tuple[int, ...], found: tuple[int, ...]
) -> Iterator[Difference]:
    for column, expected, there in zip(columns, should, found, strict=True):
        if expected != there:
            yield Difference(f"{where}: {column}", shown(expected), shown(there))
