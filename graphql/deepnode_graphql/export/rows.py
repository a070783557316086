"""Rows of a query as Arrow batches: page by page behind the last row, in one order, with what every export adds.

Each page is a statement of its own behind the last row of the one before, all in one transaction: memory is one page
however long the books are, and so is the time that a statement takes. Every row has a position; with it come the block
up to which the home chain had come there, its time, and whether the row can still be taken back.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import Connection

from deepnode_graphql.export.ahead import Ahead
from deepnode_graphql.export.source import AMOUNT, NAME, TEXT, TIME
from deepnode_graphql.export.wire import Column, Wire, constant, fetch, hexadecimal, integers, named
from deepnode_graphql.nodes import Asset
from deepnode_graphql.reading import Reading, driver_connection
from deepnode_ledger.hexadecimal import to_hex

PAGE_ROWS: Final = 16_384
"""Rows of a page, and so of a batch. What a row may hold of text keeps a page of them below PostgreSQL's 1 GiB."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A column of the rows: its name, what it is in SQL and on the wire, and what it becomes.

    ``becomes`` is AMOUNT, NAME, TEXT, TIME, int64 or bool; ASSET makes two columns of an address.
    """

    name: str
    sql: str
    wire: Wire
    becomes: pa.DataType
    nullable: bool = False

    @property
    def fields(self) -> list[pa.Field]:
        """The columns that it makes."""
        if self.becomes is not ASSET:
            return [pa.field(self.name, self.becomes, nullable=self.nullable)]
        return [pa.field(self.name, NAME), pa.field(f"{self.name}_address", NAME, nullable=self.nullable)]


ASSET: Final = pa.binary(20)
"""The address of a token: its symbol, and its address as text."""

POSITION: Final = "position"

PLACE_FIELDS: Final = (
    pa.field(POSITION, pa.int64(), nullable=False),
    pa.field("block_number", pa.int64()),
    pa.field("block_time", TIME),
    pa.field("finality", NAME, nullable=False),
)
"""What every row begins with: its position, the home chain's block there (null before the first), and its finality."""


@dataclass(frozen=True, slots=True)
class Query:
    """Rows to be read.

    ``source`` is what stands behind FROM, ``position`` the SQL of a row's position. ``order`` names cells that tell
    every row from the others; by these, ascending, the rows come. All SQL is the program's own.
    """

    cells: Sequence[Cell]
    source: str
    position: str
    order: Sequence[str]

    @property
    def schema(self) -> pa.Schema:
        """The columns of its batches."""
        return pa.schema([*PLACE_FIELDS, *(field for cell in self.cells for field in cell.fields)])


def read(
    reading: Reading, query: Query, where: Sequence[str], parameters: Mapping[str, Any]
) -> Iterator[pa.RecordBatch]:
    """Yield the rows for which all of ``where`` holds (the program's own SQL, with values ``%(name)s``)."""
    position = Cell(POSITION, query.position, Wire.WHOLE, pa.int64())
    cells = {each.name: each for each in (position, *query.cells)}
    inner = ", ".join(f'{each.sql} AS "{each.name}"' for each in cells.values())
    ordered = ", ".join(cells[name].sql for name in query.order)
    columns = [Column(each.name, f'x."{each.name}"', each.wire, each.nullable) for each in cells.values()]
    outer_order = ", ".join(f'x."{name}"' for name in query.order)
    connection = driver_connection(reading.database)

    def page(behind: Mapping[str, Any]) -> dict[str, pa.Array] | None:
        conditions = [*where]
        if behind:
            conditions.append(f"({ordered}) > ({', '.join(f'%(behind_{name})s' for name in query.order)})")
        held = " AND ".join(conditions) or "true"
        # What follows after the limit is done for the rows of the page alone.
        rows = f"SELECT {inner} FROM {query.source} WHERE {held} ORDER BY {ordered} LIMIT {PAGE_ROWS}"  # noqa: S608 - the program's own
        rest = f"FROM ({rows}) x ORDER BY {outer_order}"
        return fetch(connection, columns, rest, {**parameters, **behind})

    # Asked for before the first page is begun: the connection is for one thing at a time.
    assets = reading.assets
    with Ahead[dict[str, pa.Array] | None](connection) as ahead:
        found = page({})
        while found is not None:
            blocks = blocks_at(connection, found[POSITION])
            if len(found[POSITION]) == PAGE_ROWS:
                ahead.begin(partial(page, {f"behind_{name}": found[name][-1].as_py() for name in query.order}))
            yield _batch(query, found, blocks, assets, reading.checkpoint.sealed_position)
            found = ahead.take()


_BLOCK: Final = (
    Column("last_position", "b.last_position", Wire.WHOLE),
    Column("number", "b.number", Wire.WHOLE),
    Column("time", "b.time", Wire.WHOLE),
)

_SPARSE: Final = 4
"""Blocks to a row from which on they are looked up one by one and not read as a run."""

_RUN: Final = (
    "FROM block b WHERE b.last_position >= %(first)s AND b.last_position <="
    " coalesce((SELECT min(last_position) FROM block WHERE last_position >= %(last)s), %(last)s)"
    " ORDER BY b.last_position LIMIT %(most)s"
)

_ONE_BY_ONE: Final = (
    "FROM unnest(%(wanted)s::bigint[]) w(position) CROSS JOIN LATERAL (SELECT last_position, number, time FROM block"
    " WHERE last_position >= w.position ORDER BY last_position LIMIT 1) b ORDER BY w.position"
)


def blocks_at(connection: Connection[Any], positions: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return the number and the time of the home chain's block at each position; null behind the last one."""
    wanted = np.unique(integers(positions))
    most = _SPARSE * PAGE_ROWS
    found = fetch(connection, _BLOCK, _RUN, {"first": int(wanted[0]), "last": int(wanted[-1]), "most": most})
    if found is not None and len(found["number"]) == most:
        # Between rows that are far from each other there are more blocks than rows.
        found = fetch(connection, _BLOCK, _ONE_BY_ONE, {"wanted": wanted.tolist()})
    if found is None:
        return pa.nulls(len(positions), pa.int64()), pa.nulls(len(positions), TIME)
    places = np.searchsorted(integers(found["last_position"]), integers(positions))
    known = pa.array(places, mask=places == len(found["number"]))
    return found["number"].take(known), found["time"].cast(TIME).take(known)


def finality(positions: pa.Array, sealed_position: int) -> pa.Array:
    """Say of rows at positions whether they can still be taken back."""
    bounds = pc.min_max(positions)
    if bounds["max"].as_py() <= sealed_position:
        return constant("SEALED", len(positions))
    sealed = pc.less_equal(positions, sealed_position)
    return pc.if_else(sealed, "SEALED", "PENDING").dictionary_encode()


def symbols(assets: Mapping[int, Asset], addresses: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return the symbols of tokens and their addresses as text; a token that the books do not know has no symbol."""
    known = {bytes(each.address): each.symbol for each in assets.values()}
    encoded = addresses.dictionary_encode()
    found = encoded.dictionary.to_pylist()
    as_text = pa.array([to_hex(each) for each in found], pa.string())
    # A dictionary has no value twice: two tokens may have one symbol, and rows of an unknown one are null.
    names = pa.array([known.get(each) for each in found], pa.string()).take(encoded.indices).dictionary_encode()
    return names, pa.DictionaryArray.from_arrays(encoded.indices, as_text)


def _batch(
    query: Query,
    found: Mapping[str, pa.Array],
    blocks: tuple[pa.Array, pa.Array],
    assets: Mapping[int, Asset],
    sealed_position: int,
) -> pa.RecordBatch:
    positions = found[POSITION]
    columns = [
        positions,
        *blocks,
        finality(positions, sealed_position),
    ]
    for cell in query.cells:
        array = found[cell.name]
        if cell.becomes is ASSET:
            columns += symbols(assets, array)
        else:
            columns.append(_MADE.get(cell.becomes, _cast(cell.becomes))(array))
    return pa.RecordBatch.from_arrays(columns, schema=query.schema)


def _cast(to: pa.DataType) -> Callable[[pa.Array], pa.Array]:
    return lambda array: array if array.type == to else array.cast(to)


def _text(array: pa.Array) -> pa.Array:
    return hexadecimal(array) if pa.types.is_binary(array.type) else array


_MADE: Final[Mapping[pa.DataType, Callable[[pa.Array], pa.Array]]] = {
    NAME: named,
    TEXT: _text,
    AMOUNT: lambda array: array,
}
