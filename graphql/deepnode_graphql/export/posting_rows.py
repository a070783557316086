"""The lines of the books as Arrow batches: the one source of rows behind every export format.

Amounts go from PostgreSQL's NUMERIC to decimal128(38, 0) as text, which is exact on both sides; no Python number stands
between. Rows come from a cursor of the server's, so memory is one batch however long the books are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Select, Text, cast, func, literal, select

from deepnode_graphql.moments import Moment
from deepnode_graphql.reading import Reading
from deepnode_projections.tables import account, asset, entry, posting

BATCH_ROWS: Final = 16_384

AMOUNT: Final = pa.decimal128(38, 0)
"""Base units. The books refuse what does not fit (see ``deepnode_ledger.posting``)."""

NAME: Final = pa.dictionary(pa.int32(), pa.string())

SCHEMA: Final = pa.schema(
    [
        pa.field("position", pa.int64(), nullable=False),
        pa.field("leg", pa.int16(), nullable=False),
        pa.field("block_number", pa.int64(), nullable=False),
        pa.field("block_time", pa.timestamp("s", tz="UTC"), nullable=False),
        pa.field("transaction_hash", pa.string(), nullable=False),
        pa.field("log_index", pa.int32(), nullable=False),
        pa.field("contract", NAME, nullable=False),
        pa.field("kind", NAME, nullable=False),
        pa.field("account", NAME, nullable=False),
        pa.field("asset", NAME, nullable=False),
        pa.field("asset_address", NAME, nullable=False),
        pa.field("amount", AMOUNT, nullable=False),
        pa.field("balance", AMOUNT, nullable=False),
        pa.field("finality", NAME, nullable=False),
    ]
)
"""One row a posting, in the order of positions and legs. ``balance`` is the account's after the posting."""


@dataclass(frozen=True, slots=True)
class PostingSelection:
    """Which postings: from ``from_position`` (included) to the moment, of one account, holder or asset if named."""

    moment: Moment
    from_position: int = 1
    account: str | None = None
    holder: bytes | None = None
    asset_id: int | None = None


def posting_batches(reading: Reading, selection: PostingSelection) -> Iterator[pa.RecordBatch]:
    """Yield the selected postings in batches of at most ``BATCH_ROWS`` with the columns of ``SCHEMA``."""
    database = reading.database.execution_options(stream_results=True, max_row_buffer=BATCH_ROWS)
    with database.execute(_statement(selection)) as result:
        for rows in result.partitions(BATCH_ROWS):
            yield _batch(rows, reading.checkpoint.sealed_position)


def _statement(selection: PostingSelection) -> Select[Any]:
    statement = (
        select(
            posting.c.position,
            posting.c.leg,
            entry.c.block_number,
            entry.c.block_time,
            _hexadecimal(entry.c.transaction_hash),
            entry.c.log_index,
            entry.c.contract,
            entry.c.kind,
            account.c.name,
            asset.c.symbol,
            _hexadecimal(asset.c.address),
            cast(posting.c.amount, Text),
            cast(posting.c.balance, Text),
        )
        .join_from(posting, entry, entry.c.position == posting.c.position)
        .join(account, account.c.account_id == posting.c.account_id)
        .join(asset, asset.c.asset_id == posting.c.asset_id)
        .where(posting.c.position.between(selection.from_position, selection.moment.position))
        .order_by(posting.c.position, posting.c.leg)
    )
    if selection.account is not None:
        statement = statement.where(account.c.name == selection.account)
    if selection.holder is not None:
        statement = statement.where(account.c.holder == selection.holder)
    if selection.asset_id is not None:
        statement = statement.where(posting.c.asset_id == selection.asset_id)
    return statement


def _hexadecimal(column: Any) -> Any:
    return literal("0x").concat(func.encode(column, "hex"))


def _batch(rows: Sequence[Any], sealed_position: int) -> pa.RecordBatch:
    columns = [_column(values, field) for values, field in zip(zip(*rows, strict=True), list(SCHEMA)[:-1], strict=True)]
    sealed = pc.less_equal(columns[0], sealed_position)
    columns.append(pc.if_else(sealed, "SEALED", "PENDING").dictionary_encode())
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def _column(values: Sequence[Any], field: pa.Field) -> pa.Array:
    if field.type == AMOUNT:
        return pc.cast(pa.array(values, pa.string()), AMOUNT)
    if field.type == NAME:
        # Each batch has a dictionary of its own: Polars reads no dictionary that grows from batch to batch.
        return pa.array(values, pa.string()).dictionary_encode()
    return pa.array(values, field.type)
