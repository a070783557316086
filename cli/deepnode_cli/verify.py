"""``deepnode verify``: whether a bundle is what it says, from its files alone."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import platformdirs
import typer

from deepnode_cli import output_file, settings
from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import from_hex

if TYPE_CHECKING:
    from deepnode_cli.verifying.finding import Brought, Outcome

EXIT_FOUND: Final = 3

KEY_BYTES_MAX: Final = 64 * 1024

TAR: Final = ".tar"
TAR_MAGIC: Final = slice(257, 262)
"""Where a tar's first header says ``ustar``."""

REPORTS: Final = (".txt", ".json", ".html")
"""What a report's file may end in."""


def verify(
    path: Annotated[
        Path, typer.Argument(help="The bundle: a directory, or a tar of it. Or a single file.", metavar="BUNDLE")
    ],
    verifier: Annotated[
        list[str] | None,
        typer.Option(
            "--verifier", help="The log's verifier key, or a file with it; for several repeat it.", metavar="VKEY"
        ),
    ] = None,
    witness: Annotated[
        list[str] | None,
        typer.Option("--witness", help="The verifier key of a witness, or a file with it.", metavar="VKEY"),
    ] = None,
    quorum: Annotated[
        int, typer.Option("--quorum", help="How many of the witnesses must have cosigned.", min=0, metavar="N")
    ] = 0,
    manifest: Annotated[
        Path | None,
        typer.Option("--manifest", help="The deployment's manifest as you know it.", metavar="FILE"),
    ] = None,
    block: Annotated[
        list[str] | None,
        typer.Option("--block", help="The hash of a chain's last covered block, from a node.", metavar="CHAIN=HASH"),
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option("--against", help="Compare with your own node as well (network).", metavar="[CHAIN=]URL"),
    ] = None,
    replay: Annotated[
        bool, typer.Option("--replay/--no-replay", help="Fold the entries again and recompute every distribution.")
    ] = True,
    jobs: Annotated[
        int | None, typer.Option("--jobs", help="Processes at work; as many as there are cores.", min=1)
    ] = None,
    report: Annotated[
        list[Path] | None,
        typer.Option("--report", help="Write a report too: .html, .json or .txt; can be repeated.", metavar="FILE"),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option("--resume", help="Where finished pieces are kept, in place of the cache.", metavar="FILE"),
    ] = None,
    beside: Annotated[
        Path | None,
        typer.Option("--bundle", help="For a single file: the bundle that it belongs to.", metavar="BUNDLE"),
    ] = None,
    as_json: settings.AsJson = False,
) -> None:
    """Check a bundle without a database and without a network: who signed it, what it holds, what the rules make of it.

    What you bring is what it is measured by: the log's key (--verifier), the manifest, the hash of a block. A
    verification that is ended goes on when it is started again. Exits with 3 if there is a finding of severity ERROR.
    """
    from deepnode_cli.verifying.finding import Brought
    from deepnode_ledger.manifest import load_manifest
    from deepnode_ledger.transparency import Verifier, Witness

    for each in report or []:
        if each.suffix not in REPORTS:
            raise typer.BadParameter(f"--report {each}: its name must end in {', '.join(REPORTS)}")
    brought = Brought(
        verifiers=tuple(Verifier.parse(_key(each)) for each in verifier or []),
        witnesses=tuple(Witness.parse(_key(each)) for each in witness or []),
        quorum=quorum,
        manifest=manifest,
        blocks=dict(map(_block, block or [])),
        against=tuple(against or []),
    )
    if manifest is not None:
        # A mistake in it is told before anything is looked at.
        load_manifest(manifest)
    if path.is_file() and not _is_tar(path):
        outcome = _single(path, beside, brought)
    else:
        if beside is not None:
            raise typer.BadParameter("--bundle goes with a single file")
        outcome = _bundle(path, brought, replay=replay, jobs=jobs, resume=resume)
    for each in report or []:
        output_file.write(each, _report(outcome, each.suffix).encode())
    typer.echo(_report(outcome, ".json" if as_json else ".txt"), nl=False)
    if not outcome.ok:
        raise typer.Exit(EXIT_FOUND)


def _bundle(path: Path, brought: "Brought", *, replay: bool, jobs: int | None, resume: Path | None) -> "Outcome":
    from deepnode_cli.verifying.driving import verify as verified
    from deepnode_cli.verifying.showing import Showing
    from deepnode_cli.verifying.stages import stages

    with Showing() as showing:

        def keep(of: str) -> Path:
            cache = platformdirs.user_cache_path("deepnode", appauthor=False) / "verify" / f"{of[:32]}.jsonl"
            place = cache if resume is None else resume
            showing.say(f"what is done is kept in {place}: the same command goes on behind it")
            return place

        planned = stages(brought, replay=replay)
        return verified(path, planned, brought, jobs=jobs, keep=keep, showing=showing)


def _is_tar(path: Path) -> bool:
    """Whether a file is a tar: by its name, or by what stands in it."""
    try:
        with path.open("rb") as file:
            return path.suffix == TAR or file.read(512)[TAR_MAGIC] == b"ustar"
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error


def _single(path: Path, beside: Path | None, brought: "Brought") -> "Outcome":
    from deepnode_cli.verifying.driving import single_file
    from deepnode_cli.verifying.single import verify_file

    found = list(verify_file(path, bundle=beside, verifiers=brought.verifiers))
    return single_file(path, found, brought)


def _report(outcome: "Outcome", ending: str) -> str:
    from deepnode_cli.verifying.report import to_text
    from deepnode_cli.verifying.report_html import to_html
    from deepnode_cli.verifying.report_json import to_json

    match ending:
        case ".html":
            return to_html(outcome)
        case ".json":
            return to_json(outcome)
        case _:
            return to_text(outcome)


def _key(given: str) -> str:
    """Return the text of a key that was given as it is or as a file."""
    try:
        if "+" in given and not os.path.isfile(given):  # noqa: PTH113 (a key may be longer than a name of a file)
            return given.strip()
        with Path(given).open("rb") as file:
            return file.read(KEY_BYTES_MAX).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{given!r:.200} is neither a verifier key nor a file with one: {error}") from error


def _block(given: str) -> tuple[int, bytes]:
    chain, equals, digits = given.partition("=")
    if not equals or not chain.isascii() or not chain.isdecimal():
        raise typer.BadParameter(f"--block {given!r:.120} must be CHAIN=HASH, such as 8453=0x…")
    return int(chain), from_hex(digits, 32, what=f"--block {chain}")
