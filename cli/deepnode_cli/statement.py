"""``deepnode statement``: what an accountant gets of an address for a period, in any format."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deepnode_cli import settings
from deepnode_cli.books_reading import books_reading
from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import ADDRESS_BYTES, from_hex
from deepnode_ledger.manifest import load_manifest

if TYPE_CHECKING:
    from deepnode_graphql.statements.statement import Statement
    from deepnode_graphql.statements.writer import Writer


def statement(
    database: settings.Database,
    manifest: settings.ManifestPath,
    address: Annotated[str, typer.Argument(help="Whose statement: an address.", metavar="ADDRESS")],
    begins: Annotated[
        str,
        typer.Option(
            "--from",
            help="When the period begins: 2026, 2026-10, 2026-10-01 (UTC), a moment such as 2026-10-01T12:00:00Z, "
            "block:N or epoch:N.",
            metavar="WHEN",
        ),
    ],
    ends: Annotated[
        str | None,
        typer.Option(
            "--to",
            help="Its last year, month, day, block or epoch, or the moment before which it ends; if left out, that "
            "of --from.",
            metavar="WHEN",
        ),
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", help="A format by its name; for several repeat it. pdf if left out.", metavar="NAME"),
    ] = None,
    fiat: Annotated[
        str | None, typer.Option("--fiat", help="Value lines in this money (USD, EUR …).", metavar="CODE")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", help="Whose prices, if the log has several.", metavar="NAME")
    ] = None,
    known: Annotated[
        str | None,
        typer.Option(
            "--known",
            help="Corrections count up to this log position, the end of this date, block:N or epoch:N, or 'latest'; to "
            "the period's end if left out.",
            metavar="WHEN",
        ),
    ] = None,
    corrected: Annotated[
        bool,
        typer.Option(
            "--corrected",
            help="Show what was earned as corrected, too, by a replay of the log with the right values.",
        ),
    ] = False,
    continues: Annotated[
        bool,
        typer.Option("--continues", help="Journals follow that of the period before: they have no opening entry."),
    ] = False,
    previous: Annotated[
        Path | None,
        typer.Option("--previous", help="An earlier statement's JSON file: say what has changed.", metavar="FILE"),
    ] = None,
    output: Annotated[
        Path,
        typer.Option(
            "--output", help="The directory to write to, or a file's name for one format, or - .", metavar="PATH"
        ),
    ] = Path(),
    as_json: settings.AsJson = False,
) -> None:
    """Write an address's statement: opening balances, every line, closing balances, rewards, values."""
    from deepnode_graphql.statements.making import Request, make_statement

    who = from_hex(address, ADDRESS_BYTES, what="ADDRESS")
    writers = [_writer(name) for name in formats or ["pdf"]]
    wanted = Request(who, begins, ends, fiat, source, known, continues, corrected)
    with books_reading(database, load_manifest(manifest)) as reading:
        made = make_statement(reading, wanted)
    if previous is not None:
        made = _amended(made, previous)
    for writer in writers:
        _write(made, writer, output, alone=len(writers) == 1, as_json=as_json)


def _writer(name: str) -> "Writer":
    from deepnode_graphql.statements.formats import FORMATS

    if name not in FORMATS:
        raise BadInput(f"{name!r:.40} is no format of statements: there are {', '.join(FORMATS)}")
    return FORMATS[name]


def _amended(made: "Statement", previous: Path) -> "Statement":
    from deepnode_graphql.statements import data_file
    from deepnode_graphql.statements.amendments import amend

    try:
        content = previous.read_bytes()
    except OSError as error:
        raise BadInput(f"{previous} cannot be read: {error.strerror}") from error
    return amend(made, *data_file.read(content))


def _write(made: "Statement", writer: "Writer", output: Path, *, alone: bool, as_json: bool) -> None:
    from deepnode_graphql.statements import data_file
    from deepnode_graphql.statements.formats import file_name

    content = writer.write(made)
    if str(output) == "-":
        if not alone:
            raise BadInput("several formats cannot go to one output: give --output a directory")
        typer.echo(content, nl=False)
        return
    path = output / file_name(made, writer) if output.is_dir() or not alone else output
    try:
        path.write_bytes(content)
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror}") from error
    told: dict[str, Any] = {
        "file": str(path),
        "format": writer.name,
        "lines": len(made.lines),
        "finality": made.finality,
        "position": made.position,
        "digest": data_file.digest_of(data_file.as_data(made)),
        "differences": len(made.differences),
    }
    if as_json:
        typer.echo(json.dumps(told))
        return
    changed = f", {len(made.differences)} differences from {made.amends}" if made.amends else ""
    typer.echo(f"{path}: {len(made.lines)} lines, {made.finality} at position {made.position}{changed}")
