"""What every account holds at a moment.

At the books' end this is the table of the present. Before it, the newest posting at or before the moment is looked up
for each account and asset by the index that keeps them in that order. Both give the same rows.
"""

from collections.abc import Iterator
from typing import Final

import pyarrow as pa

from deepnode_graphql.export import filters
from deepnode_graphql.export.rows import ASSET, Cell, Query
from deepnode_graphql.export.source import AMOUNT, NAME, TEXT, Selection, Source
from deepnode_graphql.export.sources.plain import batches
from deepnode_graphql.export.wire import Wire
from deepnode_graphql.reading import Reading

_CELLS: Final = (
    Cell("account", "a.name", Wire.TEXT, TEXT),
    Cell("owner", "a.owner", Wire.TEXT, NAME),
    Cell("pocket", "a.pocket", Wire.TEXT, NAME),
    Cell("key", "a.key", Wire.BYTES, TEXT),
    Cell("holder", "a.holder", Wire.BYTES, NAME, nullable=True),
    Cell("asset", "s.address", Wire.BYTES, ASSET),
    Cell("balance", "l.balance", Wire.AMOUNT, AMOUNT),
    Cell("first_position", "a.first_position", Wire.WHOLE, pa.int64()),
)

_ORDER: Final = ("first_position", "account", "asset")

_PRESENT: Final = Query(
    _CELLS,
    "account a JOIN balance l ON l.account_id = a.account_id JOIN asset s ON s.asset_id = l.asset_id",
    "l.position",
    _ORDER,
)

_PAST: Final = Query(
    _CELLS,
    "account a CROSS JOIN asset s CROSS JOIN LATERAL (SELECT balance, position FROM posting"
    " WHERE account_id = a.account_id AND asset_id = s.asset_id AND position <= %(at)s"
    " ORDER BY position DESC, leg DESC LIMIT 1) l",
    "l.position",
    _ORDER,
)

_WHERE: Final = ("a.first_position <= %(at)s", "l.position >= %(from)s")

_FILTERS: Final = {
    "account": ("a.name", filters.text),
    "owner": ("a.owner", filters.text),
    "pocket": ("a.pocket", filters.text),
    "holder": ("a.holder", filters.address),
    "asset": ("s.address", filters.text),
}


def _batches(reading: Reading, selection: Selection) -> Iterator[pa.RecordBatch]:
    return batches(_PRESENT if selection.moment.present else _PAST, _FILTERS, _WHERE, reading, selection)


BALANCES: Final = Source(
    name="balances",
    said="What every account holds of every token at the moment; its position is that of the last posting.",
    schema=_PAST.schema,
    filters=tuple(_FILTERS),
    batches=_batches,
    sorted_by=("first_position", "account"),
)
