"""Loading: the log's entries as they are, the contracts and the published rules, into a schema of their own.

Nothing is decoded here but which column of the log a value stands in. What the bytes mean is for the SQL to find.
"""

from collections.abc import Iterable
from importlib.resources import files
from typing import Any, Final

import pyarrow as pa
from psycopg import Cursor, sql

from deepnode_ledger.contract import Contract
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.roster import Child
from deepnode_projections.recompute.events import declared
from deepnode_projections.recompute.published_rules import published

_LOG: Final = {
    "position": "bigint",
    "kind": "smallint",
    "chain_id": "bigint",
    "block_number": "bigint",
    "block_time": "bigint",
    "log_index": "integer",
    "address": "bytea",
    "topic0": "bytea",
    "topic1": "bytea",
    "topic2": "bytea",
    "topic3": "bytea",
    "data": "bytea",
    "producer": "text",
    "event_id": "text",
    "sequence": "bigint",
    "event_type": "text",
}
"""The columns of the log that a recomputation rests on, and their types."""

_TYPES: Final = ["int8", "int2", "int8", "int8", "int8", "int4", *["bytea"] * 6, "text", "text", "int8", "text"]

CHUNK_ENTRIES: Final = 8_192


def begin(cursor: Cursor[Any], schema: str) -> None:
    """Make the schema, and let unqualified names of this transaction mean what is in it.

    Nobody else sees it before the transaction ends; one that was kept by an earlier run is replaced.
    """
    name = sql.Identifier(schema)
    cursor.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(name))
    cursor.execute(sql.SQL("CREATE SCHEMA {}").format(name))
    cursor.execute(sql.SQL("SET LOCAL search_path = {}").format(name))
    cursor.execute("SET LOCAL client_min_messages = warning")
    columns = ", ".join(f"{column} {kind}" for column, kind in _LOG.items())
    cursor.execute(f"CREATE UNLOGGED TABLE log ({columns})".encode())
    cursor.execute(
        "CREATE TABLE contract (chain_id bigint, address bytea, name text, kind text, asset bytea, decimals int,"
        " since_block bigint, since_index int, since_position bigint, PRIMARY KEY (chain_id, address))"
    )
    cursor.execute("CREATE TABLE deployment (home_chain bigint, foundation bytea)")
    cursor.execute("CREATE TABLE ruleset (name text PRIMARY KEY, rules jsonb)")
    cursor.execute("CREATE TABLE ruleset_hash (hash bytea PRIMARY KEY, name text)")


def load_log(cursor: Cursor[Any], batches: Iterable[pa.RecordBatch]) -> int:
    """Copy entries into the table ``log``; return how many. Memory is one chunk of them."""
    target = f"COPY log ({', '.join(_LOG)}) FROM STDIN (FORMAT BINARY)".encode()
    entries = 0
    for batch in batches:
        # A copy of its own for each: the next batch may be read over the same connection.
        with cursor.copy(target) as copy:
            copy.set_types(_TYPES)
            for start in range(0, batch.num_rows, CHUNK_ENTRIES):
                chunk = batch.slice(start, CHUNK_ENTRIES)
                for row in zip(*(chunk.column(name).to_pylist() for name in _LOG), strict=True):
                    copy.write_row(row)
        entries += batch.num_rows
    cursor.execute("CREATE INDEX ON log (topic0)")
    cursor.execute("ANALYZE log")
    return entries


def load_deployment(cursor: Cursor[Any], manifest: Manifest, children: Iterable[Child]) -> None:
    """Write down the contracts of the manifest, the factories' children, and who the foundation is."""
    tokens = {token.name: token.address for token in manifest.tokens}
    rows: list[tuple[Contract, tuple[int | None, ...]]] = [(each, (None,) * 3) for each in manifest.contracts.values()]
    rows += [(child.contract, (*child.place, child.position)) for child in children]
    cursor.executemany(
        "INSERT INTO contract VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [(*_described(each, manifest, tokens), *since) for each, since in rows],
    )
    cursor.execute("INSERT INTO deployment VALUES (%s, %s)", (manifest.chain_id, manifest.foundation))


def load_rules(cursor: Cursor[Any]) -> None:
    """Write down the published rulesets."""
    for each in published():
        cursor.execute("INSERT INTO ruleset VALUES (%s, %s)", (each.name, each.text))
        cursor.executemany("INSERT INTO ruleset_hash VALUES (%s, %s)", [(found, each.name) for found in each.hashes])


def statements() -> list[tuple[str, str]]:
    """Return the SQL of the recomputation in its order, with the name of each part: decoding, events, mechanisms."""
    folder = files("deepnode_projections.recompute") / "sql"
    steps = sorted((each.name, each.read_text("utf-8")) for each in folder.iterdir() if each.name.endswith(".sql"))
    (first, decoding), *mechanisms = steps
    logs = [(f"event {event.name}", event.statement()) for event in declared()]
    return [(first, decoding), *logs, *mechanisms]


def _described(contract: Contract, manifest: Manifest, tokens: dict[str, bytes]) -> tuple[Any, ...]:
    chain_id = manifest.chain_id if contract.chain_id is None else contract.chain_id
    asset = None if contract.asset is None else tokens.get(contract.asset)
    return (chain_id, contract.address, contract.name, contract.kind, asset, contract.decimals)
