"""``deepnode export``: what the books hold, as a file, read straight from the database.

The file is the same, byte for byte, as the API gives for the same question. It is written beside its place and moved
there when it is whole, so that there is never half a file under its name.
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated
from urllib.parse import urlencode

import typer

from deepnode_cli import settings
from deepnode_cli.output_file import whole_file
from deepnode_cli.progress import Progress
from deepnode_ledger.errors import BadInput
from deepnode_ledger.manifest import load_manifest

if TYPE_CHECKING:
    from deepnode_graphql.export.request import Export, Question

STDOUT = Path("-")


def export(
    database: settings.Database,
    manifest: settings.ManifestPath,
    source: Annotated[
        str, typer.Argument(help="What is exported, such as postings; 'list' shows all there is.", metavar="SOURCE")
    ],
    file_format: Annotated[
        str | None,
        typer.Option(
            "--format", help="arrow, parquet, csv, ndjson or xlsx; what --out ends in, or csv, if left out.",
            metavar="FORMAT",
        ),
    ] = None,
    at_block: Annotated[int | None, typer.Option(help="The state at the end of this block.", min=0)] = None,
    at_position: Annotated[int | None, typer.Option(help="The state behind this log entry.", min=0)] = None,
    at_time: Annotated[int | None, typer.Option(help="The state at this time (seconds since 1970).", min=0)] = None,
    at_epoch: Annotated[int | None, typer.Option(help="The state at the end of this epoch.", min=0)] = None,
    from_position: Annotated[int | None, typer.Option(help="Only rows from this log position on.", min=0)] = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", help="Only rows of this value, such as asset=DN; repeat it.", metavar="NAME=VALUE"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The file to write, or - for standard output; named by what it is if left out."),
    ] = None,
    as_json: settings.AsJson = False,
) -> None:  # fmt: skip
    """Write what the books hold to a file: Arrow, Parquet, CSV, NDJSON or XLSX."""
    if source == "list":
        _list(as_json)
        return
    moments = {"at_block": at_block, "at_position": at_position, "at_time": at_time, "at_epoch": at_epoch}
    given = {name: str(value) for name, value in moments.items() if value is not None}
    if len(given) > 1:
        raise typer.BadParameter(f"give one of {', '.join('--' + name.replace('_', '-') for name in given)}")
    if from_position is not None:
        given["from_position"] = str(from_position)
    given |= _filters(where or (), given)
    suffix = file_format or (out.suffix.removeprefix(".") if out is not None and out != STDOUT else "") or "csv"
    _export(database, manifest, _question(source, suffix, given), out, as_json)


def _question(source: str, suffix: str, given: dict[str, str]) -> "Question":
    from deepnode_graphql.export.request import NotThere, Question, format_of, source_of

    try:
        source_of(source)
        format_of(suffix)
    except NotThere as error:
        raise typer.BadParameter(str(error)) from None
    return Question(source, suffix, given, urlencode(given))


def _export(database: str, manifest: Path, question: "Question", out: Path | None, as_json: bool) -> None:
    from deepnode_graphql.export.books import open_books
    from deepnode_graphql.export.request import begin

    try:
        with open_books(database, load_manifest(manifest)) as books, closing(begin(books, question)) as made:
            path = Path(made.asked.name) if out is None else out
            with _file(path) as file:
                octets, digest = _write(made, file)
    except BrokenPipeError:
        # Whoever reads standard output has enough. What is still buffered must not fail once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from None
    except OSError as error:
        raise BadInput(f"{out or '.'} cannot be written: {error.strerror}") from error
    _say(made, path, octets, digest, as_json)


def _write(made: "Export", file: IO[bytes]) -> tuple[int, str]:
    progress, octets, digest = Progress(), 0, hashlib.sha256()
    while (chunk := made.next_chunk()) is not None:
        file.write(chunk)
        digest.update(chunk)
        octets += len(chunk)
        progress(f"{made.rows():,} rows, {octets:,} bytes".replace(",", " "))
    file.flush()
    return octets, digest.hexdigest()


@contextmanager
def _file(path: Path) -> Iterator[IO[bytes]]:
    if path == STDOUT:
        yield sys.stdout.buffer
        return
    with whole_file(path) as file:
        yield file


def _filters(where: Sequence[str], given: dict[str, str]) -> dict[str, str]:
    filters: dict[str, str] = {}
    for each in where:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"--where takes NAME=VALUE, not {each!r:.80}")
        if name in filters or name in given:
            raise typer.BadParameter(f"{name:.80} is given twice")
        filters[name] = value
    return filters


def _say(made: "Export", path: Path, octets: int, digest: str, as_json: bool) -> None:
    said = made.asked.metadata
    if as_json and path != STDOUT:
        fields = {"file": str(path), "rows": made.rows(), "bytes": octets, "sha256": digest, "etag": made.asked.tag}
        typer.echo(json.dumps({**fields, **{name.removeprefix("deepnode."): value for name, value in said.items()}}))
        return
    rows = f"{made.rows():,} rows".replace(",", " ")
    typer.echo(f"{rows} at position {said['deepnode.position']}: {path}", err=True)


def _list(as_json: bool) -> None:
    from deepnode_graphql.export.catalogue import catalogue

    found = catalogue()
    if as_json:
        typer.echo(json.dumps(found))
        return
    for each in found["sources"]:
        typer.echo(f"{each['name']}: {each['said']}\n    --where {' '.join(each['filters'])}")
