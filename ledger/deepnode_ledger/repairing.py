"""Repairing the tail: what waits of some blocks is replaced by what was proven of them.

To a reader it is a reorg whose new branch has the same headers: everything from the first replaced log on gets new
positions, and nothing that was accepted is lost. What is sealed cannot be repaired: it is compared, and a difference is
told. The functions run in the caller's transaction, which holds the log's lock.
"""

from typing import Any

import pyarrow as pa
from psycopg import Connection, Cursor
from psycopg.rows import DictRow, tuple_row

from deepnode_ledger import batch as batches
from deepnode_ledger import tail
from deepnode_ledger.batch_versions import COLUMNS
from deepnode_ledger.chain import Chain
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
    return pa.concat_batches(found) if found else batches.EMPTY


def replace_logs(cursor: Cursor[DictRow], chain: Chain, first: int, last: int, logs: pa.RecordBatch) -> None:
    """Put ``logs`` in the place of a chain's pending logs of blocks ``first`` to ``last``.

    Logs of the chain's other blocks stay with their blocks; task events and other chains' entries that stand behind
    the first replaced one go behind the chain's logs, in their old order, as after a reorg.
    """
    assert chain.tip is not None, "nothing is covered, so nothing can be replaced"
    taken = tail.take_out(cursor, chain, first - 1, chain.tip)
    own = [entry for entry in taken if entry.chain_id == chain.chain_id and isinstance(entry.record, ChainLog)]
    others = [entry for entry in taken if entry.chain_id != chain.chain_id or not isinstance(entry.record, ChainLog)]
    stay = [entry for entry in own if not first <= entry.block.number <= last]
    tail.put_back(cursor, sorted([*stay, *batches.entries(logs, Finality.PENDING)], key=_place))
    tail.put_back(cursor, others)


def _place(entry: LogEntry) -> tuple[int, int]:
    assert isinstance(entry.record, ChainLog), entry
    return entry.block.number, entry.record.log_index
