"""What stands in the books beside lines and records: entries, accounts, blocks, and logs that had no effect."""

from collections.abc import Sequence
from typing import Final

import pyarrow as pa

from deepnode_graphql.export import filters
from deepnode_graphql.export.rows import Cell, Query
from deepnode_graphql.export.source import NAME, TEXT, TIME, Source
from deepnode_graphql.export.sources.plain import Filter, plain_source
from deepnode_graphql.export.wire import Wire


def _of_table(
    name: str,
    said: str,
    table: str,
    cells: Sequence[Cell],
    by: dict[str, Filter],
    position: str = "t.position",
    order: tuple[str, ...] = ("position",),
) -> Source:
    query = Query(cells, f"{table} t", position, order)
    return plain_source(name, said, query, by, (f"{position} BETWEEN %(from)s AND %(at)s",), sorted_by="position")


ENTRIES: Final = _of_table(
    "entries",
    "Every log entry that moved value; its lines are the postings.",
    "entry",
    (
        Cell("chain_id", "t.chain_id", Wire.WHOLE, pa.int64()),
        Cell("kind", "t.kind", Wire.TEXT, NAME),
        Cell("contract", "t.contract", Wire.TEXT, NAME),
        Cell("own_block_number", "t.block_number", Wire.WHOLE, pa.int64()),
        Cell("own_block_time", "t.block_time", Wire.WHOLE, TIME),
        Cell("transaction_hash", "t.transaction_hash", Wire.BYTES, TEXT),
        Cell("log_index", "t.log_index", Wire.WHOLE, pa.int64()),
    ),
    {
        "kind": ("t.kind", filters.text),
        "contract": ("t.contract", filters.text),
        "transaction_hash": ("t.transaction_hash", filters.octets),
    },
)

ACCOUNTS: Final = _of_table(
    "accounts",
    "Every account that ever had a line, at the position of its first.",
    "account",
    (
        Cell("account", "t.name", Wire.TEXT, TEXT),
        Cell("owner", "t.owner", Wire.TEXT, NAME),
        Cell("pocket", "t.pocket", Wire.TEXT, NAME),
        Cell("key", "t.key", Wire.BYTES, TEXT),
        Cell("holder", "t.holder", Wire.BYTES, NAME, nullable=True),
    ),
    {"owner": ("t.owner", filters.text), "pocket": ("t.pocket", filters.text), "holder": ("t.holder", filters.address)},
    "t.first_position",
    ("position", "account"),
)

REFUSALS: Final = _of_table(
    "refusals",
    "Every event that the rules give no effect, and why.",
    "refusal",
    (
        Cell("kind", "t.kind", Wire.TEXT, NAME),
        Cell("contract", "t.contract", Wire.TEXT, NAME),
        Cell("reason", "t.reason", Wire.TEXT, TEXT),
    ),
    {"kind": ("t.kind", filters.text), "contract": ("t.contract", filters.text)},
)

UNREADABLE: Final = _of_table(
    "unreadable_logs",
    "Every log of a contract of ours that the manifest cannot read, and why.",
    "quarantine",
    (
        Cell("address", "t.address", Wire.BYTES, NAME),
        Cell("topic0", "t.topic0", Wire.BYTES, NAME, nullable=True),
        Cell("reason", "t.reason", Wire.TEXT, TEXT),
    ),
    {"address": ("t.address", filters.address)},
)

BLOCKS: Final = _of_table(
    "blocks",
    "Every block of the home chain that has log entries, at the position of its last.",
    "block",
    (Cell("hash", "t.hash", Wire.BYTES, TEXT),),
    {},
    "t.last_position",
)
