"""Who is measured: how each is started, and how one sees that a transfer is in its tables."""

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import psycopg
from benchmarks.ingest.chain import FIRST_BLOCK, PEERS, Span, write_manifest
from benchmarks.ingest.contender import Assignment, Contender
from benchmarks.ingest.installing import installed, run, with_pnpm
from benchmarks.ingest.processes import Command
from psycopg.conninfo import conninfo_to_dict

from deepnode_indexer.devnet.anvil import free_port
from deepnode_indexer.devnet.toolchain import node_command

ANSWER_LOGS: Final = 2_000
"""Logs asked for in one request by those whom one must tell: 1–2 MB, which the node and Envio like best."""

DEEPNODE: Final = (sys.executable, "-c", "from deepnode_cli.main import app_main; app_main()")


def blocks_of(logs: int, block_logs: int) -> int:
    """Return how many blocks hold about so many logs."""
    return max(1, logs // block_logs)


def _websocket(given: Assignment) -> str:
    return given.rpc.replace("http://", "ws://")


def _deepnode_index(given: Assignment, rpc: str | None = None) -> Command:
    manifest = str(write_manifest(given.directory, given.genesis))
    where = ("--rpc", rpc or given.rpc, "--database", given.database, "--manifest", manifest)
    return Command([*DEEPNODE, "index", *where, "--no-intake"])


def _deepnode(given: Assignment, rpc: str | None = None) -> Sequence[Command]:
    indexing = _deepnode_index(given, rpc)
    manifest = str(given.directory / "manifest.toml")
    return [indexing, Command([*DEEPNODE, "project", "--database", given.database, "--manifest", manifest])]


def _row_of(table: str, span: Span) -> str:
    number = f"{span.last_block}-{(span.logs - 1) % span.block_logs}"
    return f"SELECT 1 FROM {table} WHERE id = '{number}'"


def _connection(given: Assignment, names: Sequence[str]) -> dict[str, str]:
    """Return the database's host, port, user, password and name under the names that a peer wants."""
    parts = conninfo_to_dict(given.database)
    # Some refuse an empty password; the server asks for none.
    values = (parts["host"], parts.get("port", "5432"), parts["user"], parts.get("password") or "none", parts["dbname"])
    return {name: str(value) for name, value in zip(names, values, strict=True)}


def _node(environment: dict[str, str]) -> dict[str, str]:
    return {**environment, "NODE_OPTIONS": f'--require "{PEERS / "bind_local.cjs"}"'}


def _last_block(given: Assignment) -> dict[str, str]:
    return {} if given.last_block is None else {"LAST_BLOCK": str(given.last_block)}


def _ponder(given: Assignment, schema: str = "public") -> Sequence[Command]:
    home = installed("ponder")
    parts = conninfo_to_dict(given.database)
    url = f"postgresql://{parts['user']}@/{parts['dbname']}?host={parts['host']}"
    environment = {"RPC": given.rpc, "DATABASE_URL": url, "PONDER_TELEMETRY_DISABLED": "true", **_last_block(given)}
    if given.last_block is None:
        environment["WS"] = _websocket(given)
    start = ("start", "--schema", schema, "--log-format", "json", "--port", str(free_port()), "--hostname", "127.0.0.1")
    program = home / "node_modules" / "ponder" / "dist" / "esm" / "bin" / "ponder.js"
    return [Command([*node_command(), str(program), *start], _node(environment), home)]


def _envio(given: Assignment) -> Sequence[Command]:
    home = installed("envio")
    # A folder of this run's own, because the code that is generated names the node and the blocks.
    project = given.directory / "envio"
    shutil.copytree(home / "project", project, symlinks=True)
    config = project / "config.yaml"
    text = config.read_text(encoding="utf-8")
    if given.last_block is None:
        text = text.replace("    end_block: ${LAST_BLOCK}\n", "")
    config.write_text(text, encoding="utf-8")
    asked = {"RPC": given.rpc, "RANGE_BLOCKS": str(blocks_of(ANSWER_LOGS, given.block_logs)), **_last_block(given)}
    program = project / "node_modules" / "envio" / "bin.js"
    run([*node_command(), str(program), "codegen"], project, {**with_pnpm(home), **asked})
    link = project / "node_modules" / "generated"
    if not os.path.lexists(link):
        link.symlink_to(project / "generated")
    names = ("ENVIO_PG_HOST", "ENVIO_PG_PORT", "ENVIO_PG_USER", "ENVIO_PG_PASSWORD", "ENVIO_PG_DATABASE")
    settings = {"ENVIO_HASURA": "false", "TUI_OFF": "true", "ENVIO_INDEXER_PORT": str(free_port())}
    environment = _node({**asked, **settings, **_connection(given, names)})
    # What `envio start` runs in the end; the command itself cannot reach a database by a socket in the file system.
    return [Command([*node_command(), "src/Index.res.js"], environment, project / "generated")]


def _subsquid(given: Assignment) -> Sequence[Command]:
    home = installed("subsquid")
    names = ("DB_HOST", "DB_PORT", "DB_USER", "DB_PASS", "DB_NAME")
    environment = {"RPC": given.rpc, **_last_block(given), **_connection(given, names)}
    with psycopg.connect(given.database) as connection:
        connection.execute((home / "schema.sql").read_bytes())
    return [Command([*node_command(), str(home / "lib" / "main.js")], _node(environment), home)]


def _cryo(given: Assignment) -> Sequence[Command]:
    home = installed("cryo")
    ranges = (str(FIRST_BLOCK), str(given.last_block), str(blocks_of(ANSWER_LOGS, given.block_logs)))
    arguments = [sys.executable, str(home / "freeze.py"), given.rpc, *ranges, str(given.directory / "parquet")]
    return [Command(arguments, {"PYTHONPATH": str(home / "packages")})]


def _bare(given: Assignment) -> Sequence[Command]:
    ranges = (str(FIRST_BLOCK), str(given.last_block), str(blocks_of(ANSWER_LOGS, given.block_logs)))
    return [Command([sys.executable, "-m", "benchmarks.ingest.fetching", given.rpc, *ranges])]


OURS: Final = Contender(
    "ours",
    _deepnode,
    lambda span: f"SELECT 1 FROM books.checkpoint WHERE position >= {span.logs}",
    "SELECT '0x' || encode(key, 'hex'), balance FROM books.balance JOIN books.account USING (account_id)",
)
OURS_TOLD: Final = replace(OURS, name="ours, told of heads", commands=lambda given: _deepnode(given, _websocket(given)))
"""The same, but new blocks are told of over WebSocket."""

OURS_INDEXED: Final = replace(
    OURS,
    name="ours, and the indexes",
    seen=lambda span: f"{OURS.seen(span)} AND to_regclass('books.posting_history') IS NOT NULL",
)
"""The same, until the last of the books' indexes is made, too: they come when the books have caught up."""

SEALING: Final = Contender(
    "ours, fetch and seal",
    lambda given: [_deepnode_index(given)],
    lambda span: f"SELECT 1 FROM log.head WHERE sealed_position >= {span.logs}",
    "",
)
PONDER: Final = Contender(
    "Ponder 0.16.10", _ponder, lambda span: _row_of("ev", span), "SELECT address, balance FROM account"
)
PONDER_AGAIN: Final = Contender(
    "Ponder, its cache warm",
    lambda given: _ponder(given, "again"),
    lambda span: _row_of("again.ev", span),
    "SELECT address, balance FROM again.account",
)
ENVIO: Final = Contender(
    "Envio 2.32.12", _envio, lambda span: _row_of('"Ev"', span), 'SELECT id, balance FROM "Account"'
)
SUBSQUID: Final = Contender(
    "SQD 1.27.3", _subsquid, lambda span: _row_of("ev", span), "SELECT id, balance FROM account"
)
CRYO: Final = Contender("cryo 0.3.0", _cryo, lambda _span: "", "")
BARE: Final = Contender("fetched and thrown away", _bare, lambda _span: "", "")
