"""``deepnode audit proof``: everything to do what somebody earned again by hand, in one file and offline."""

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deepnode_cli import output_file, settings
from deepnode_cli.books_reading import books_reading
from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import ADDRESS_BYTES, from_hex
from deepnode_ledger.manifest import load_manifest

if TYPE_CHECKING:
    from psycopg import Connection

    from deepnode_ledger.manifest import Manifest
    from deepnode_projections.explaining import Asset


def proof(
    database: settings.Database,
    manifest: settings.ManifestPath,
    log_directory: settings.LogDirectory,
    address: Annotated[str, typer.Argument(help="Whose: an address.", metavar="ADDRESS")],
    epoch: Annotated[int, typer.Option("--epoch", help="The epoch that it was earned for.", min=0)],
    output: Annotated[Path, typer.Option("--output", help="The proof's file.", metavar="FILE")],
    asset: Annotated[str, typer.Option("--asset", help="The token: its symbol or its address.")] = "DN",
    as_json: settings.AsJson = False,
) -> None:
    """Write the proof of what an address has earned of a token for an epoch.

    It holds the events with their proofs from the published log, the divisions with all weights, the claim and the
    statement of the epoch. `deepnode verify FILE` checks it, and so does docs/check_proof.py with nothing but Python.
    """
    from deepnode_cli.proving import proof_file
    from deepnode_cli.proving.evidence import from_published
    from deepnode_cli.proving.making import Wanted, make_proof
    from deepnode_ledger.publishing import PublishedFiles
    from deepnode_projections.checkpoint import load_checkpoint
    from deepnode_projections.projector import connect
    from deepnode_projections.registers.at import StateAt
    from deepnode_projections.tables import SCHEMA

    who, described = from_hex(address, ADDRESS_BYTES, what="ADDRESS"), load_manifest(manifest)
    told = _statement_of(database, described, who, epoch)
    with closing(connect(database, SCHEMA)) as connection, connection.transaction():
        past = StateAt(connection, load_checkpoint(connection.cursor(), described).position)
        wanted = Wanted(who, _asset(connection, asset), epoch)
        made = make_proof(past, described, wanted, from_published(PublishedFiles(log_directory)), told)
    content = proof_file.write(made)
    output_file.write(output, content)
    fields = {
        "file": str(output),
        "bytes": len(content),
        "amount": made["amount"],
        "lines": len(made["lines"]),
        "entries": len(made["events"]),
        "claim": None if made["claim"] is None else made["claim"]["epoch"],
        "statement": told is not None,
    }
    if as_json:
        typer.echo(json.dumps(fields))
        return
    root = "no root entitles to it yet" if made["claim"] is None else f"the root of epoch {made['claim']['epoch']}"
    typer.echo(
        f"{output}: {made['amount']} in {len(made['lines'])} lines, {len(made['events'])} entries, {root}", err=True
    )


def _statement_of(database: str, manifest: "Manifest", who: bytes, epoch: int) -> dict[str, Any] | None:
    """Return an address's statement of an epoch as data; None of a contract, or if it would be too long."""
    from deepnode_graphql.statements import data_file
    from deepnode_graphql.statements.making import Request, make_statement

    try:
        with books_reading(database, manifest) as reading:
            return data_file.as_data(make_statement(reading, Request(who, f"epoch:{epoch}")))
    except BadInput as error:
        typer.echo(f"without a statement: {error}", err=True)
        return None


def _asset(connection: "Connection[Any]", named: str) -> "Asset":
    from deepnode_projections.explaining import Asset

    rows = connection.execute("SELECT address, symbol, decimals FROM asset ORDER BY asset_id").fetchall()
    known = [Asset(bytes(row["address"]), row["symbol"], int(row["decimals"])) for row in rows]
    address = from_hex(named, ADDRESS_BYTES, what="--asset") if named.startswith("0x") else None
    found = [each for each in known if named == each.symbol or address == each.address]
    if len(found) != 1:
        there = ", ".join(each.symbol for each in known) or "none"
        raise BadInput(f"{named!r:.80} names {len(found)} tokens; the books know {there}")
    return found[0]
