"""``deepnode dataset``: the epochs that are over and final, as a Parquet dataset whose files never change."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from deepnode_cli import settings
from deepnode_cli.progress import Progress
from deepnode_ledger.errors import BadInput, Damaged
from deepnode_ledger.manifest import load_manifest

if TYPE_CHECKING:
    from deepnode_graphql.dataset.making import Made
    from deepnode_graphql.dataset.manifest import EpochFiles
    from deepnode_graphql.dataset.verifying import Fault

EXIT_DIFFERENT: Final = 3
FAULTS_MAX: Final = 100


def dataset(
    directory: Annotated[
        Path,
        typer.Argument(
            envvar="DEEPNODE_DATASET_DIRECTORY", help="Where the files are; made if missing.", metavar="DIRECTORY"
        ),
    ],
    database: settings.DatabaseIfAny = None,
    manifest: settings.ManifestPathIfAny = None,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Write nothing: compare the files with the list and, if given, the database."),
    ] = False,
    epoch: Annotated[
        list[int] | None,
        typer.Option("--epoch", help="With --verify only this epoch; for several repeat it.", min=0, metavar="N"),
    ] = None,
    as_json: settings.AsJson = False,
) -> None:
    """Write a Parquet file of each source for every epoch that is over and final, and a manifest with their hashes.

    Files that are there are kept and never written again. Exits with 3 if one is not what it has to be.
    """
    if epoch and not verify:
        raise typer.BadParameter("--epoch goes with --verify: what is missing is always made")
    if not verify and database is None:
        raise typer.BadParameter("--database or DEEPNODE_DATABASE_URL says what the files are made of")
    if database is not None and manifest is None:
        raise typer.BadParameter("--manifest or DEEPNODE_MANIFEST says what the books are made with")
    try:
        if verify:
            _verify(directory, database, manifest, epoch or [], as_json)
        else:
            assert database is not None
            assert manifest is not None
            _make(directory, database, manifest, as_json)
    except Damaged as error:
        if as_json:
            typer.echo(json.dumps({"ok": False, "message": str(error)}))
        typer.echo(f"deepnode: {error}", err=True)
        raise typer.Exit(EXIT_DIFFERENT) from None
    except OSError as error:
        raise BadInput(f"{error.filename or directory} cannot be used: {error.strerror}") from error


def _make(directory: Path, database: str, manifest: Path, as_json: bool) -> None:
    from deepnode_graphql.dataset.making import make
    from deepnode_graphql.export.books import open_books

    say = Progress()

    def progress(files: "EpochFiles") -> None:
        say(f"epoch {files.epoch}: {sum(each.rows for each in files.files):,} rows".replace(",", " "))

    with open_books(database, load_manifest(manifest)) as books:
        made = make(books, directory, progress)
    if as_json:
        typer.echo(json.dumps(_said(directory, made)))
        return
    there = made.manifest.epochs
    new = f"{len(made.epochs)} new epochs, {made.files} files, {made.rows:,} rows".replace(",", " ")
    typer.echo(f"{directory}: {new}; {len(there)} closed epochs, head {made.manifest.head}", err=True)


def _verify(directory: Path, database: str | None, manifest: Path | None, chosen: list[int], as_json: bool) -> None:
    from deepnode_graphql.dataset.verifying import (
        chosen_epochs,
        compare_with_books,
        compare_with_manifest,
        read_manifest,
    )
    from deepnode_graphql.export.books import open_books

    listed = read_manifest(directory)
    epochs = chosen_epochs(listed, chosen)
    faults = _shown(compare_with_manifest(directory, chosen), as_json)
    if database is not None and len(faults) < FAULTS_MAX:
        assert manifest is not None
        say = Progress()
        with open_books(database, load_manifest(manifest)) as books:
            again = compare_with_books(
                books, directory, chosen, lambda number: say(f"epoch {number} compared with the books")
            )
            faults += _shown(again, as_json)
    files = sum(len(each.files) for each in epochs)
    if as_json:
        found = [{"path": each.path, "difference": each.difference} for each in faults]
        fields = {"epochs": len(epochs), "files": files, "books": database is not None, "head": listed.head}
        typer.echo(json.dumps({"ok": not faults, **fields, "faults": found}))
    elif not faults:
        beside = " and the books" if database is not None else ""
        typer.echo(f"ok: {files} files of {len(epochs)} epochs are those of the manifest{beside}, head {listed.head}")
    if faults:
        raise typer.Exit(EXIT_DIFFERENT)


def _shown(found: Iterator["Fault"], as_json: bool) -> list["Fault"]:
    faults = []
    for each in found:
        faults.append(each)
        if not as_json:
            typer.echo(f"{each.path} {each.difference}")
        if len(faults) == FAULTS_MAX:
            break
    return faults


def _said(directory: Path, made: "Made") -> dict[str, Any]:
    return {
        "directory": str(directory),
        "new_epochs": made.epochs,
        "files": made.files,
        "rows": made.rows,
        "epochs": len(made.manifest.epochs),
        "head": made.manifest.head,
    }
