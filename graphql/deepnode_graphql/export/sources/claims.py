"""What earners have claimed of their rewards, a row a claim.

The books keep the total of each earner and token; a claim is what the total grew by.
"""

from typing import Final

import pyarrow as pa

from deepnode_graphql.export import filters
from deepnode_graphql.export.rows import ASSET, Cell, Query
from deepnode_graphql.export.source import AMOUNT, NAME, TEXT
from deepnode_graphql.export.sources.plain import plain_source
from deepnode_graphql.export.wire import Wire

CLAIMS: Final = plain_source(
    "claims",
    "What earners have claimed of their rewards: each claim, and all of the earner's claims up to it.",
    Query(
        (
            Cell("transaction_hash", "e.transaction_hash", Wire.BYTES, TEXT, nullable=True),
            Cell("log_index", "e.log_index", Wire.WHOLE, pa.int64(), nullable=True),
            Cell("earner", "t.earner", Wire.BYTES, NAME),
            Cell("asset", "t.asset", Wire.BYTES, ASSET),
            Cell("amount", "t.amount - coalesce(before.amount, 0)", Wire.AMOUNT, AMOUNT),
            Cell("claimed_total", "t.amount", Wire.AMOUNT, AMOUNT),
        ),
        "claimed_total t LEFT JOIN claimed_total before ON before.earner = t.earner AND before.asset = t.asset"
        " AND before.until = t.position LEFT JOIN entry e ON e.position = t.position",
        "t.position",
        ("position", "earner", "asset"),
    ),
    {"earner": ("t.earner", filters.address), "asset": ("t.asset", filters.text)},
    ("t.position BETWEEN %(from)s AND %(at)s",),
    sorted_by="position",
)
