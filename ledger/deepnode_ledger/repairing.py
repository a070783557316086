"""Repairing the tail: what waits of some blocks is replaced by what was proven of them.

To a reader it is a reorg whose new branch has the same headers: everything from the first replaced log on gets new
positions, and nothing that was accepted is lost. What is sealed cannot be repaired: it is compared, and a difference is
told. The functions run in the caller's transaction, which holds the log's lock.
"""

import operator
from dataclasses import replace
from typing import Any

import pyarrow as pa
from psycopg import Connection, Cursor
from psycopg.rows import DictRow, tuple_row

from deepnode_ledger import batch as batches
from deepnode_ledger import tables, tail
from deepnode_ledger.batch_versions import COLUMNS, SCHEMA
from deepnode_ledger.chain import Chain
from deepnode_ledger.head import load_head
from deepnode_ledger.record import ChainLog, Finality, Kind, LogEntry

_ROWS = 50_000


def waiting_logs(connection: Connection[Any], chain_id: int, first: int, last: int) -> pa.RecordBatch:
    """Return a chain's pending logs of blocks ``first`` to ``last``, in the order of the chain.

    Returns:
        ``batch_versions.SCHEMA``; as many rows as there are logs, so the caller bounds the range.
    """
    cursor = connection.cursor(row_factory=tuple_row, binary=True)
    cursor.execute(
        f"SELECT {', '.join(COLUMNS)} FROM log.pending"  # noqa: S608 (constant)
        " WHERE chain_id = %s AND block_number BETWEEN %s AND %s AND kind = %s ORDER BY position".encode(),
        (chain_id, first, last, int(Kind.CHAIN_LOG)),
    )
    found = []
    while rows := cursor.fetchmany(_ROWS):
        found.append(batches.from_rows(rows, gapless=False))
    return pa.concat_batches(found) if found else _EMPTY


def replace_logs(cursor: Cursor[DictRow], chain: Chain, first: int, last: int, logs: pa.RecordBatch) -> None:
    """Put ``logs`` in the place of a chain's pending logs of blocks ``first`` to ``last``.

    Logs of the chain's other blocks stay with their blocks; task events and other chains' entries that stand behind
    the first replaced one go behind the chain's logs, in their old order, as after a reorg.
    """
    assert chain.tip is not None, "nothing is covered, so nothing can be replaced"
    begin = tail.first_above(cursor, chain.chain_id, first - 1)
    kept_position = load_head(cursor).last_position if begin is None else begin - 1
    dropped = _take_out(cursor, kept_position)
    cursor.execute(
        "INSERT INTO log.reorg SELECT coalesce(max(number), 0) + 1, %s, %s, %s, %s, %s, %s, %s FROM log.reorg",
        (
            chain.chain_id,
            kept_position,
            first - 1,
            *(chain.tip.number, chain.tip.hash, chain.tip.number, chain.tip.hash),
        ),
    )
    cursor.execute("UPDATE log.head SET last_position = %s", (kept_position,))
    own = [entry for entry in dropped if entry.chain_id == chain.chain_id and isinstance(entry.record, ChainLog)]
    others = [entry for entry in dropped if entry.chain_id != chain.chain_id or not isinstance(entry.record, ChainLog)]
    stay = [entry for entry in own if not first <= entry.block.number <= last]
    placed = sorted([*stay, *batches.entries(logs, Finality.PENDING)], key=_place)
    tail.put_back(cursor, placed)
    tip = chain.tip
    # A task event stands under a block at or behind those of the logs before it.
    tail.put_back(cursor, [replace(each, block=tip) if each.chain_id == chain.chain_id else each for each in others])


def _take_out(cursor: Cursor[DictRow], kept_position: int) -> list[LogEntry]:
    rows = cursor.connection.cursor(row_factory=tuple_row, binary=True)
    rows.execute(
        f"DELETE FROM log.pending WHERE position > %s RETURNING {tables.PENDING_COLUMNS}".encode(),  # noqa: S608 (constant)
        (kept_position,),
    )
    return [batches.entry_of(row, Finality.PENDING) for row in sorted(rows.fetchall(), key=operator.itemgetter(0))]


def _place(entry: LogEntry) -> tuple[int, int]:
    assert isinstance(entry.record, ChainLog), entry
    return entry.block.number, entry.record.log_index


_EMPTY = pa.RecordBatch.from_arrays([pa.array([], field.type) for field in SCHEMA], schema=SCHEMA)
