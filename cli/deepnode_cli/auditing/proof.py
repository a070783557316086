"""``deepnode audit proof``: everything to do what somebody earned again by hand, in one file and offline."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deepnode_cli import output_file, settings
from deepnode_cli.books_at import books_at
from deepnode_cli.books_reading import books_reading
from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import ADDRESS_BYTES, from_hex
from deepnode_ledger.manifest import load_manifest

if TYPE_CHECKING:
    from deepnode_ledger.manifest import Manifest


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

    who, described = from_hex(address, ADDRESS_BYTES, what="ADDRESS"), load_manifest(manifest)
    told = _statement_of(database, described, who, epoch)
    with books_at(database, described) as books:
        wanted = Wanted(who, books.asset(asset), epoch)
        made = make_proof(books.past, described, wanted, from_published(PublishedFiles(log_directory)), told)
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
