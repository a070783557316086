"""Books for the benchmark of the API: rows of a few tables, written by SQL, as the projector would have left them.

What a query meets are its own table's rows and indexes, so the rows are made up in the database and not folded from a
log; their sizes are those of the real ones (ids of 32 bytes, amounts of some 20 digits, addresses as names).
"""

import json
from pathlib import Path
from typing import Final

import psycopg

from deepnode_ledger.database import open_datastore
from deepnode_ledger.log import Log
from deepnode_ledger.manifest import Manifest, load_manifest
from deepnode_projections.checkpoint import NAME
from deepnode_projections.schema import create_books, create_indexes
from deepnode_projections.tables import SCHEMA

ARTIFACTS: Final = Path(__file__).parents[1] / "indexer" / "contracts" / "artifacts"
GENESIS: Final = "0x" + "07" * 32
CHAIN_ID: Final = 8453
FIRST_BLOCK: Final = 1
BLOCKS: Final = 10_000
ENTRIES: Final = 100_000
ACCOUNTS: Final = 4_000
TASKS: Final = 50_000
DOMAINS: Final = 8

_ROWS: Final = (
    """INSERT INTO asset VALUES (1, decode(repeat('aa', 20), 'hex'), 'DN', 18)""",
    """INSERT INTO block SELECT n, sha256(('block' || n)::bytea), 1700000000 + 2 * n, n * 10
       FROM generate_series(1, %(blocks)s) AS n""",
    """INSERT INTO account SELECT n, 'Wallet:0x' || encode(substr(sha256(('who' || n)::bytea), 1, 20), 'hex'), 'Wallet',
       '', substr(sha256(('who' || n)::bytea), 1, 20), substr(sha256(('who' || n)::bytea), 1, 20), 1
       FROM generate_series(1, %(accounts)s) AS n""",
    """INSERT INTO entry SELECT n, %(chain)s, 'Transfer', 'DNToken', (n + 9) / 10, 1700000000 + 2 * ((n + 9) / 10),
       sha256(('transaction' || n / 3)::bytea), n %% 300 FROM generate_series(1, %(entries)s) AS n""",
    """INSERT INTO posting SELECT n, leg, 1 + (n * 7919 + leg * 104729) %% %(accounts)s, 1,
       (2 * leg - 1) * (10::numeric ^ 18 + n), 10::numeric ^ 21 + n
       FROM generate_series(1, %(entries)s) AS n, generate_series(0, 1) AS leg""",
    """INSERT INTO balance SELECT account_id, 1, max(balance), max(position) FROM posting GROUP BY account_id""",
    """INSERT INTO task (task, position, domain, model, version, consumer_hash, price, asset, difficulty_ppm,
       input_hash, producer, event_id, epoch, stage, attempt, created_position)
       SELECT sha256(('task' || n)::bytea), n, sha256(('domain' || n %% %(domains)s)::bytea),
       sha256(('model' || n %% 100)::bytea), 1, sha256(('consumer' || n %% 1000)::bytea), 10::numeric ^ 19 + n,
       decode(repeat('aa', 20), 'hex'), 900000 + n %% 200000, sha256(('input' || n)::bytea), 'urn:producer:1',
       'event-' || n, n / 1000,
       (ARRAY['open', 'assigned', 'approved'])[1 + n %% 3], 1, n FROM generate_series(1, %(tasks)s) AS n""",
    """INSERT INTO checkpoint VALUES (%(name)s, %(digest)s, %(chain)s, %(entries)s, %(entries)s - 1000, 0,
       %(blocks)s, sha256('tip'), 1700000000 + 2 * %(blocks)s, %(blocks)s - 100, sha256('final'),
       1700000000 + 2 * (%(blocks)s - 100))""",
)


def write_books(url: str, folder: Path) -> Manifest:
    """Write the books into an empty database; the manifest goes into ``folder``."""
    manifest = small_manifest(folder)
    datastore = open_datastore(url)
    try:
        Log(datastore, CHAIN_ID).create(manifest.genesis_hash, FIRST_BLOCK)
    finally:
        datastore.close()
    create_books(url, SCHEMA)
    sizes = {
        "blocks": BLOCKS, "accounts": ACCOUNTS, "entries": ENTRIES, "tasks": TASKS, "domains": DOMAINS,
        "chain": CHAIN_ID, "digest": manifest.digest, "name": NAME,
    }  # fmt: skip
    with psycopg.connect(url, autocommit=True, options="-c search_path=books") as connection:
        for statement in _ROWS:
            connection.execute(statement, sizes)
    create_indexes(url, SCHEMA)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
    return manifest


def small_manifest(folder: Path) -> Manifest:
    """Write the manifest of a deployment that has one token and nothing else into a folder, and read it."""
    abi = json.loads((ARTIFACTS / "DNToken.json").read_text("utf-8"))["abi"]
    (folder / "DNToken.json").write_text(json.dumps(abi), "utf-8")
    lines = [
        "format = 1", 'name = "bench"', "version = 1", "[chain]", f"id = {CHAIN_ID}", f'genesis_hash = "{GENESIS}"',
        "[[contracts]]", 'name = "DNToken"', 'kind = "Token"', f"start_block = {FIRST_BLOCK}",
        f'address = "0x{"aa" * 20}"', 'abi = "DNToken.json"', 'symbol = "DN"', "decimals = 18",
    ]  # fmt: skip
    path = folder / "manifest.toml"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return load_manifest(path)
