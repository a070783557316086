"""The lines of the books as Arrow batches: the one source of rows behind every export format.

Amounts go from PostgreSQL's NUMERIC to decimal128(38, 0) as text, which is exact on both sides; no Python number stands
between. Each batch is a statement of its own behind the last row of the one before, all in one transaction: memory is
one batch however long the books are, and so is the time that a statement takes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv
from sqlalchemy import ARRAY, BigInteger, ColumnElement, Select, any_, bindparam, func, literal, select, tuple_
from sqlalchemy.dialects.postgresql import aggregate_order_by

from deepnode_graphql.moments import Moment
from deepnode_graphql.reading import Reading
from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.tables import account, entry, posting

BATCH_ROWS: Final = 16_384

NAMES_KEPT: Final = 100_000
"""Account names that an export remembers from batch to batch."""

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


SEPARATOR: Final = "\x1f"
"""Between the values of a line. Names of contracts and events cannot hold it, and the others are digits."""

_LINE: Final[dict[str, pa.DataType]] = {
    "position": pa.int64(),
    "leg": pa.int16(),
    "block_number": pa.int64(),
    "block_time": pa.int64(),
    "transaction_hash": pa.string(),
    "log_index": pa.int32(),
    "contract": NAME,
    "kind": NAME,
    "account_id": pa.int64(),
    "asset_id": pa.int64(),
    "amount": AMOUNT,
    "balance": AMOUNT,
}


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
    names = _Names(reading)
    lines = _lines(selection)
    behind = (0, 0)
    while True:
        text = reading.database.execute(lines, {"position": behind[0], "leg": behind[1]}).scalar_one()
        if text is None:
            return
        table = _parse(text)
        yield _batch(table, names, reading.checkpoint.sealed_position)
        if table.num_rows < BATCH_ROWS:
            return
        behind = tuple(table.column(name)[-1].as_py() for name in ("position", "leg"))


class _Names:
    """Names of accounts and assets by id. A batch has few of them and many rows, so rows carry ids."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._accounts: dict[int, str] = {}

    def accounts(self, ids: pa.Array) -> pa.Array:
        """Return the name of each id, in the same order."""
        wanted = ids.to_pylist()
        missing = [each for each in wanted if each not in self._accounts]
        if missing:
            if len(self._accounts) > NAMES_KEPT:
                self._accounts.clear()
                missing = wanted
            ids_missing = literal(missing, ARRAY(BigInteger))
            rows = self._reading.database.execute(
                select(account.c.account_id, account.c.name).where(account.c.account_id == any_(ids_missing))
            )
            self._accounts.update((row.account_id, row.name) for row in rows)
        return pa.array([self._accounts[each] for each in wanted], pa.string())

    def symbols(self, ids: pa.Array) -> pa.Array:
        """Return the symbol of each asset."""
        return pa.array([self._reading.assets[each].symbol for each in ids.to_pylist()], pa.string())

    def addresses(self, ids: pa.Array) -> pa.Array:
        """Return the address of each asset."""
        return pa.array([to_hex(self._reading.assets[each].address) for each in ids.to_pylist()], pa.string())


def _lines(selection: PostingSelection) -> Select[Any]:
    """One batch as one text, a line a posting. Python would take longer over rows than everything else together."""
    line = func.concat_ws(
        SEPARATOR,
        posting.c.position,
        posting.c.leg,
        entry.c.block_number,
        entry.c.block_time,
        func.concat("0x", func.encode(entry.c.transaction_hash, "hex")),
        entry.c.log_index,
        entry.c.contract,
        entry.c.kind,
        posting.c.account_id,
        posting.c.asset_id,
        posting.c.amount,
        posting.c.balance,
    )
    statement = (
        select(line.label("line"), posting.c.position, posting.c.leg)
        .join_from(posting, entry, entry.c.position == posting.c.position)
        .where(posting.c.position.between(selection.from_position, selection.moment.position))
        .where(tuple_(posting.c.position, posting.c.leg) > tuple_(_integer("position"), _integer("leg")))
        # PostgreSQL does not draw this conclusion itself, and would read all earlier entries again for each batch.
        .where(entry.c.position >= _integer("position"))
        .order_by(posting.c.position, posting.c.leg)
        .limit(BATCH_ROWS)
    )
    if selection.account is not None or selection.holder is not None:
        whose = select(account.c.account_id)
        if selection.account is not None:
            whose = whose.where(account.c.name == selection.account)
        if selection.holder is not None:
            whose = whose.where(account.c.holder == selection.holder)
        statement = statement.where(posting.c.account_id.in_(whose))
    if selection.asset_id is not None:
        statement = statement.where(posting.c.asset_id == selection.asset_id)
    batch = statement.subquery("batch")
    return select(func.string_agg(batch.c.line, aggregate_order_by(literal("\n"), batch.c.position, batch.c.leg)))


def _integer(name: str) -> ColumnElement[int]:
    return bindparam(name, type_=BigInteger)


def _parse(text: str) -> pa.Table:
    content = pa.py_buffer(text.encode())
    return csv.read_csv(
        content,
        csv.ReadOptions(use_threads=False, block_size=len(content) + 1, column_names=list(_LINE)),
        csv.ParseOptions(delimiter=SEPARATOR, quote_char=False),
        csv.ConvertOptions(column_types=_LINE, strings_can_be_null=False),
    ).combine_chunks()


def _batch(lines: pa.Table, names: _Names, sealed_position: int) -> pa.RecordBatch:
    found = {name: lines.column(name).chunk(0) for name in lines.column_names}
    # Each batch has dictionaries of its own: Polars reads none that grow from batch to batch.
    accounts = found.pop("account_id").dictionary_encode()
    assets = found.pop("asset_id").dictionary_encode()
    sealed = pc.less_equal(found["position"], sealed_position)
    found |= {
        "block_time": found["block_time"].cast(pa.timestamp("s", tz="UTC")),
        "account": pa.DictionaryArray.from_arrays(accounts.indices, names.accounts(accounts.dictionary)),
        "asset": pa.DictionaryArray.from_arrays(assets.indices, names.symbols(assets.dictionary)),
        "asset_address": pa.DictionaryArray.from_arrays(assets.indices, names.addresses(assets.dictionary)),
        "finality": pc.if_else(sealed, "SEALED", "PENDING").dictionary_encode(),
    }
    return pa.RecordBatch.from_arrays([found[name] for name in SCHEMA.names], schema=SCHEMA)
