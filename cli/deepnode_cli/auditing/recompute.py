"""``deepnode audit recompute``: the books computed again in SQL, and compared row by row."""

import json
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from deepnode_cli import settings
from deepnode_cli.progress import Progress
from deepnode_ledger.manifest import load_manifest

if TYPE_CHECKING:
    from deepnode_projections.recompute import Recomputation

EXIT_DIFFERENT: Final = 3


def recompute(
    database: settings.Database,
    manifest: settings.ManifestPath,
    position: Annotated[
        int | None, typer.Option("--at", help="A log position; the newest of the books if left out.", min=0)
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only", help="Compare this alone, such as balance or reward; may be given again.", metavar="NAME"
        ),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the schema 'recompute' behind, with all that was computed.")
    ] = False,
    as_json: settings.AsJson = False,
) -> None:
    """Compute the books again from the log, in SQL that shares no code with what made them, and compare row by row.

    The books are only read, and may be kept up meanwhile; the database's role must be allowed to make a schema, which
    is gone at the end. Exits with 0 if all is equal, with 3 if something differs.
    """
    from deepnode_ledger.database import database_errors
    from deepnode_projections.projector import connect
    from deepnode_projections.recompute import recompute as recomputed
    from deepnode_projections.tables import SCHEMA

    deployment = load_manifest(manifest)
    connection = connect(database, SCHEMA)
    try:
        with database_errors(database):
            found = recomputed(
                connection, deployment, position=position, only=tuple(only or ()), keep=keep, progress=Progress()
            )
    finally:
        connection.close()
    _tell_as_json(found) if as_json else _tell(found)
    if found.differing:
        raise typer.Exit(EXIT_DIFFERENT)


def _tell(found: "Recomputation") -> None:
    width = max(len(each.relation) for each in found.relations)
    typer.echo(f"{'':<{width}}  {'compared':>9}  {'differing':>9}")
    for each in found.relations:
        typer.echo(f"{each.relation:<{width}}  {each.rows:>9}  {each.differing:>9}")
    for value in found.values:
        told = [f"books {_or_nothing(value.books)}", f"recomputed {_or_nothing(value.recomputed)}"]
        typer.echo(f"differs: {value.relation} {' '.join(value.key)}: {value.column}: {', '.join(told)}")
    where = f"at position {found.position}"
    equal, unequal = f"all equal: {found.rows} rows {where}", f"{found.differing} of {found.rows} rows differ {where}"
    typer.echo(unequal if found.differing else equal)


def _or_nothing(value: str | None) -> str:
    return "nothing" if value is None else value


def _tell_as_json(found: "Recomputation") -> None:
    counts: dict[str, Any] = {"rows": found.rows, "differing": found.differing}
    typer.echo(json.dumps({"event": "recomputed", "position": found.position, "entries": found.entries, **counts}))
    for each in found.relations:
        counts = {"rows": each.rows, "differing": each.differing}
        typer.echo(json.dumps({"event": "relation", "relation": each.relation, **counts}))
    for value in found.values:
        # Amounts are text: a number in JSON loses digits in many programs.
        sides = {"books": value.books, "recomputed": value.recomputed}
        where = {"relation": value.relation, "key": list(value.key), "column": value.column}
        typer.echo(json.dumps({"event": "difference", **where, **sides}))
