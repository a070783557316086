"""``deepnode doctor``: what is wrong? One line a check, with what to do about it."""

import json
from pathlib import Path
from typing import Annotated, Final

import typer

from deepnode_cli import settings
from deepnode_indexer.level import Level

EXIT_WRONG: Final = 1

SECONDS_MAX: Final = 10.0


def doctor(
    rpc: settings.RpcIfAny = None,
    database: settings.DatabaseIfAny = None,
    manifest: settings.ManifestPathIfAny = None,
    log_key: Annotated[
        Path | None,
        typer.Option("--log-key", envvar="DEEPNODE_LOG_KEY", help="The file of the log's secret key.", metavar="FILE"),
    ] = None,
    log_directory: settings.LogDirectoryIfAny = None,
    evidence: settings.EvidenceLevel = Level.HEADERS,
    timeout: Annotated[
        float, typer.Option("--timeout", help="Seconds that an answer is waited for.", min=0.1, max=600)
    ] = SECONDS_MAX,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 for warnings, too.")] = False,
    as_json: settings.AsJson = False,
) -> None:
    """Check everything that is named by settings, and say what is wrong and what to do about it.

    Nothing is changed. What no setting names is skipped. Exits with 0 if all is well or will do, with 1 if something is
    wrong.
    """
    if not (rpc or database or manifest or log_key or log_directory):
        raise typer.BadParameter("give what to check: --database, --rpc, --manifest, --log-key, --log-directory")
    from deepnode_cli.checks import CHECKS, Verdict
    from deepnode_cli.examining import Settings, look

    given = Settings(database, rpc or (), manifest, log_key, log_directory, evidence)
    looks = look(given, seconds_max=timeout)
    counts = dict.fromkeys(Verdict, 0)
    for check in CHECKS:
        for finding in check(looks):
            counts[finding.verdict] += 1
            if as_json:
                fields = ("check", "verdict", "about", "says", "to_do")
                typer.echo(json.dumps({name: getattr(finding, name) for name in fields}))
            else:
                about = f" [{finding.about}]" if finding.about else ""
                to_do = f". To do: {finding.to_do}" if finding.to_do else ""
                typer.echo(f"{finding.verdict:<7} {finding.check}{about}: {finding.says}{to_do}")
    if not as_json:
        typer.echo(", ".join(f"{count} {verdict}" for verdict, count in counts.items()))
    if counts[Verdict.BAD] or (strict and counts[Verdict.WARN]):
        raise typer.Exit(EXIT_WRONG)
