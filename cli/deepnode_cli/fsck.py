"""``deepnode log fsck``: whether the log is what was written, and where it is not."""

import json
from typing import Annotated, Final

import typer

from deepnode_cli import settings
from deepnode_cli.progress import Progress
from deepnode_ledger.fsck import FINDINGS_MAX, Difference, Report
from deepnode_ledger.fsck import fsck as differences_of
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.transparency import Verifier

EXIT_DIFFERENT: Final = 3


def fsck(
    database: settings.Database,
    log_directory: settings.LogDirectoryIfAny = None,
    verifier: Annotated[
        str | None,
        typer.Option("--verifier", help="The log's verifier key, to verify what it signed.", metavar="VKEY"),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help=f"Show up to {FINDINGS_MAX} differences.")] = False,
    as_json: settings.AsJson = False,
) -> None:
    """Rebuild everything from the log's stored bytes alone, and name the first difference.

    Nothing is changed, and the other commands can go on meanwhile. With --log-directory the published files are
    compared too. Exits with 3 if there is a difference.
    """
    report = Report()
    found: list[Difference] = []
    say = Progress()
    checked = differences_of(
        database,
        directory=log_directory,
        verifier=None if verifier is None else Verifier.parse(verifier),
        report=report,
        progress=lambda kept: say(f"{kept.batches} batches, {kept.entries} entries"),
    )
    for difference in checked:
        found.append(difference)
        if not as_json:
            typer.echo(f"{difference.where}: expected {difference.expected}, found {difference.found}")
        if len(found) == (FINDINGS_MAX if every else 1):
            break
    checked.close()
    if as_json:
        typer.echo(json.dumps(_fields(report, found)))
    elif not found:
        files = "" if log_directory is None else f", {report.files} files"
        typer.echo(
            f"ok: {report.entries} entries in {report.batches} batches and {report.pending} pending, "
            f"root {to_hex(report.root)}, {report.checkpoints} checkpoints{files}"
        )
    if found:
        raise typer.Exit(EXIT_DIFFERENT)


def _fields(report: Report, found: list[Difference]) -> dict[str, object]:
    return {
        "ok": not found,
        "entries": report.entries,
        "batches": report.batches,
        "pending": report.pending,
        "root": to_hex(report.root),
        "checkpoints": report.checkpoints,
        "files": report.files,
        "differences": [{"where": each.where, "expected": each.expected, "found": each.found} for each in found],
    }
