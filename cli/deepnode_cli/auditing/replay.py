"""``deepnode audit replay``: the log folded again in memory, and its state root beside that of the books."""

import json
from contextlib import closing
from pathlib import Path
from typing import Annotated, Final

import typer

from deepnode_cli import settings
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.manifest import load_manifest

EXIT_DIFFERENT: Final = 3


def replay(
    database: settings.Database,
    manifest: settings.ManifestPath,
    by_definition: Annotated[
        bool, typer.Option("--by-definition", help="Put every entry to the rules themselves; some fifty times slower.")
    ] = False,
    decoded: Annotated[
        Path | None,
        typer.Option(
            help="A folder that keeps what was decoded, for the next time. It may be deleted at any time.",
            metavar="FOLDER",
        ),
    ] = None,
    as_json: settings.AsJson = False,
) -> None:
    """Fold the whole log again in memory, and hold its state root against that of the books.

    Nothing is written to the database, and the books may be kept up meanwhile. Exits with 0 if the roots are equal, or
    if the books do not stand where the log ends; with 3 if they differ.
    """
    from deepnode_ledger.database import database_errors
    from deepnode_ledger.snapshot import Snapshot
    from deepnode_projections.checkpoint import load_checkpoint
    from deepnode_projections.projector import connect
    from deepnode_projections.replay import Replay, replay_log
    from deepnode_projections.state_root import state_root
    from deepnode_projections.tables import SCHEMA

    deployment = load_manifest(manifest)
    with database_errors(database), closing(connect(database, SCHEMA)) as connection, connection.transaction():
        made = Replay(deployment, by_definition=by_definition, epoch_roots=False)
        replay_log(Snapshot(connection), made, decoded)
        stands_at = load_checkpoint(connection.cursor(), deployment).position
        books = to_hex(state_root(connection, made.position)) if stands_at >= made.position else None
    root = to_hex(made.root())
    if as_json:
        counts = {"refusals": made.refusals, "quarantined": made.quarantined}
        typer.echo(json.dumps({"position": made.position, "stateRoot": root, "books": books, **counts}))
    else:
        beside = f"the books are at {stands_at}" if books is None else "as the books" if books == root else books
        typer.echo(f"{root} at position {made.position} ({beside})")
        typer.echo(f"{made.refusals} refused, {made.quarantined} without a meaning")
    if books not in (None, root):
        raise typer.Exit(EXIT_DIFFERENT)
