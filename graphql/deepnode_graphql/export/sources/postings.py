"""The lines of the books: one row a posting, in the order of positions and legs.

There are more of them than of anything else, so what belongs to the entry is read once an entry, and names of accounts
and tokens by their ids.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final

import numpy as np
import pyarrow as pa

from deepnode_graphql.export import filters
from deepnode_graphql.export.ahead import Ahead
from deepnode_graphql.export.rows import finality
from deepnode_graphql.export.source import AMOUNT, BATCH_ROWS, NAME, TEXT, TIME, Selection, Source
from deepnode_graphql.export.wire import Column, Integers, Wire, fetch, hexadecimal, integers, named
from deepnode_graphql.reading import Reading, driver_connection
from deepnode_ledger.hexadecimal import to_hex

NAMES_KEPT: Final = 100_000
"""Account names that an export remembers from batch to batch."""

SCHEMA: Final = pa.schema(
    [
        pa.field("position", pa.int64(), nullable=False),
        pa.field("leg", pa.int16(), nullable=False),
        pa.field("block_number", pa.int64(), nullable=False),
        pa.field("block_time", TIME, nullable=False),
        pa.field("transaction_hash", TEXT, nullable=False),
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
"""One row a posting. ``balance`` is the account's after the posting."""

_POSTING: Final = (
    Column("position", "p.position", Wire.WHOLE),
    Column("leg", "p.leg", Wire.WHOLE),
    Column("account_id", "p.account_id", Wire.WHOLE),
    Column("asset_id", "p.asset_id", Wire.WHOLE),
    Column("amount", "p.amount", Wire.AMOUNT),
    Column("balance", "p.balance", Wire.AMOUNT),
)

_ENTRY: Final = (
    Column("position", "e.position", Wire.WHOLE),
    Column("block_number", "e.block_number", Wire.WHOLE),
    Column("block_time", "e.block_time", Wire.WHOLE),
    Column("transaction_hash", "e.transaction_hash", Wire.BYTES),
    Column("log_index", "e.log_index", Wire.WHOLE),
    Column("contract", "e.contract", Wire.TEXT),
    Column("kind", "e.kind", Wire.TEXT),
)

_SPARSE: Final = 4
"""Positions to a row from which on entries are looked up one by one and not read as a run."""


def posting_batches(reading: Reading, selection: Selection) -> Iterator[pa.RecordBatch]:
    """Yield the selected postings in batches of ``BATCH_ROWS``.

    Raises:
        BadInput: a filter breaks a rule.
    """
    where, parameters = _conditions(reading, selection)
    return _pages(reading, where, parameters)


POSTINGS: Final = Source(
    name="postings",
    said="Every line of the books: an amount that went in or out of an account, and its balance behind it.",
    schema=SCHEMA,
    filters=("account", "holder", "asset"),
    batches=posting_batches,
    sorted_by=("position", "leg"),
)


def _conditions(reading: Reading, selection: Selection) -> tuple[list[str], dict[str, Any]]:
    given = selection.filters
    where = ["p.position <= %(at)s", "p.position >= %(from)s"]
    parameters: dict[str, Any] = {"at": selection.moment.position, "from": selection.from_position}
    whose = []
    if "account" in given:
        whose.append("name = %(account)s")
        parameters["account"] = filters.text("account", given["account"])
    if "holder" in given:
        whose.append("holder = %(holder)s")
        parameters["holder"] = filters.address("holder", given["holder"])
    if whose:
        accounts = f"SELECT account_id FROM account WHERE {' AND '.join(whose)}"  # noqa: S608 - the program's own
        where.append(f"p.account_id IN ({accounts})")
    if "asset" in given:
        where.append("p.asset_id = %(asset)s")
        parameters["asset"] = reading.asset_id(given["asset"])
    return where, parameters


_Page = dict[str, pa.Array]


def _pages(reading: Reading, where: list[str], parameters: dict[str, Any]) -> Iterator[pa.RecordBatch]:
    connection, names = driver_connection(reading.database), _Names(reading)

    def page(behind: Mapping[str, Any]) -> _Page | None:
        conditions = [*where, "(p.position, p.leg) > (%(position)s, %(leg)s)"] if behind else where
        rest = f"FROM posting p WHERE {' AND '.join(conditions)} ORDER BY p.position, p.leg LIMIT {BATCH_ROWS}"
        return fetch(connection, _POSTING, rest, {**parameters, **behind})

    with Ahead[_Page | None](connection) as ahead:
        found = page({})
        while found is not None:
            # All that belongs to the rows is asked for before the next page is begun.
            made = _batch(reading, names, found)
            if len(found["position"]) == BATCH_ROWS:
                ahead.begin(partial(page, {name: found[name][-1].as_py() for name in ("position", "leg")}))
            yield made()
            found = ahead.take()


def _batch(reading: Reading, names: "_Names", page: _Page) -> Callable[[], pa.RecordBatch]:
    """Ask for what belongs to a page's rows, and return what puts them together."""
    entries, places = _entries(reading, integers(page["position"]))
    # Each batch has dictionaries of its own: Polars reads none that grow from batch to batch.
    accounts, assets = page["account_id"].dictionary_encode(), page["asset_id"].dictionary_encode()
    account_names, symbols = names.accounts(accounts.dictionary), names.symbols(assets.dictionary)
    addresses = names.addresses(assets.dictionary)

    def made() -> pa.RecordBatch:
        columns = {
            "position": page["position"],
            "leg": page["leg"].cast(pa.int16()),
            "block_number": entries["block_number"].take(places),
            "block_time": entries["block_time"].cast(TIME).take(places),
            "transaction_hash": hexadecimal(entries["transaction_hash"]).take(places),
            "log_index": entries["log_index"].cast(pa.int32()).take(places),
            "contract": named(entries["contract"]).take(places),
            "kind": named(entries["kind"]).take(places),
            "account": pa.DictionaryArray.from_arrays(accounts.indices, account_names),
            "asset": symbols.take(assets.indices).dictionary_encode(),
            "asset_address": pa.DictionaryArray.from_arrays(assets.indices, addresses),
            "amount": page["amount"],
            "balance": page["balance"],
            "finality": finality(page["position"], reading.checkpoint.sealed_position),
        }
        return pa.RecordBatch.from_arrays([columns[name] for name in SCHEMA.names], schema=SCHEMA)

    return made


def _entries(reading: Reading, positions: Integers) -> tuple[dict[str, pa.Array], pa.Array]:
    """Return the entries at positions (ascending), and for each position the place of its entry among them."""
    # They are in order already, which np.unique does not know.
    wanted = positions[np.concatenate(([True], positions[1:] != positions[:-1]))]
    first, last = int(wanted[0]), int(wanted[-1])
    if last - first < _SPARSE * len(wanted):
        rest, parameters = "e.position BETWEEN %(first)s AND %(last)s", {"first": first, "last": last}
    else:
        rest, parameters = "e.position = ANY(%(wanted)s)", {"wanted": wanted.tolist()}
    rest = f"FROM entry e WHERE {rest} ORDER BY e.position"
    entries = fetch(driver_connection(reading.database), _ENTRY, rest, parameters)
    assert entries is not None, f"postings from position {first} to {last} without an entry"
    places = np.searchsorted(integers(entries["position"]), positions)
    assert (integers(entries["position"])[places] == positions).all(), "a posting without an entry"
    return entries, pa.array(places)


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
            self._accounts.update(
                driver_connection(self._reading.database)
                .execute("SELECT account_id, name FROM account WHERE account_id = ANY(%s)", (missing,))
                .fetchall()
            )
        return pa.array([self._accounts[each] for each in wanted], pa.string())

    def symbols(self, ids: pa.Array) -> pa.Array:
        """Return the symbol of each asset."""
        return pa.array([self._reading.assets[each].symbol for each in ids.to_pylist()], pa.string())

    def addresses(self, ids: pa.Array) -> pa.Array:
        """Return the address of each asset."""
        return pa.array([to_hex(self._reading.assets[each].address) for each in ids.to_pylist()], pa.string())
