"""Prices: a batch's statements of what tokens are worth, put to a sheet.

They have text in them, and are few: they are read one by one, as the rules would.
"""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from deepnode_ledger.batch import entries
from deepnode_ledger.column import Fixed, Mask
from deepnode_ledger.gathering import Rows
from deepnode_ledger.hexadecimal import ADDRESS_BYTES
from deepnode_ledger.record import Finality, TaskEvent
from deepnode_ledger.statement import Statement, read
from deepnode_ledger.statement_data import PRICE_OBSERVED, PriceObserved
from deepnode_projections.kernel import ops
from deepnode_projections.kernel.decoding_sheet import Sheet
from deepnode_projections.kernel.wide import cells_of_amount


def put_prices(sheet: Sheet, batch: pa.RecordBatch, rows: Rows, are_tokens: Callable[[Rows, Fixed], Mask]) -> None:
    """Put those of some rows of task events to a sheet that are prices; of what is no token for certain, none is."""
    types = batch.column("event_type").take(pa.array(rows))
    rows = rows[pc.equal(types, PRICE_OBSERVED).to_numpy(zero_copy_only=False)]
    found: list[tuple[int, PriceObserved, str]] = []
    for row, logged in zip(rows.tolist(), entries(batch.take(pa.array(rows)), Finality.PENDING), strict=True):
        assert isinstance(logged.record, TaskEvent), logged.position
        statement = read(logged.record)
        if isinstance(statement, Statement) and isinstance(statement.data, PriceObserved):
            found.append((row, statement.data, statement.time))
    if not found:
        return
    told = np.array([row for row, *_ in found], np.int64)
    assets = np.frombuffer(b"".join(data.asset for _, data, _ in found), np.uint8).reshape(-1, ADDRESS_BYTES)
    of_tokens = are_tokens(told, Fixed(assets))
    found = [each for each, is_token in zip(found, of_tokens.tolist(), strict=True) if is_token]
    told, assets = told[of_tokens], assets[of_tokens]
    if not found:
        return
    prices = np.array([cells_of_amount(data.price_ppm) for _, data, _ in found], np.int64)
    columns = [
        sheet.numbered(assets),
        sheet.named(pa.array([data.fiat for _, data, _ in found], pa.string())),
        sheet.named(pa.array([data.source for _, data, _ in found], pa.string())),
        prices[:, 0],
        prices[:, 1],
        *(sheet.named(batch.column(name).take(pa.array(told))) for name in ("producer", "event_id")),
        sheet.told(pa.array([time for *_, time in found], pa.string())),
    ]
    sheet.put(ops.PRICED, told, columns)
