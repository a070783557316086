"""``deepnode bundle``: the history as files that anyone can check without trusting us, made and fetched."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepnode_cli import settings
from deepnode_cli.progress import Progress
from deepnode_ledger.errors import BadInput
from deepnode_ledger.manifest import Manifest, load_manifest

if TYPE_CHECKING:
    from deepnode_ledger.bundle import ChainPart, Contents
    from deepnode_ledger.bundle.writing import Entries, Gather
    from deepnode_ledger.transparency import Verifier

app = typer.Typer(
    help="The history as files that anyone can check: make a bundle, or fetch one.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Directory = Annotated[Path, typer.Argument(help="Where the bundle goes; made if missing.", metavar="DIRECTORY")]


@app.command()
def create(
    directory: Directory,
    database: settings.Database,
    manifest: settings.ManifestPath,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            help="Up to epoch:N (its end), block:N of the home chain, or position:N; left out, all that is signed.",
            metavar="POINT",
        ),
    ] = None,
    tar: Annotated[bool, typer.Option("--tar", help="Write DIRECTORY.tar, too.")] = False,
    rpc: Annotated[
        list[str] | None,
        typer.Option(
            "--rpc",
            help="JSON-RPC URL of a node that evidence is fetched from; for several repeat it. CHAIN= before it says "
            "the chain's id, if not the manifest's first.",
            metavar="[CHAIN=]URL",
        ),
    ] = None,
    verifier: Annotated[
        str | None,
        typer.Option("--verifier", help="The log's verifier key, which is put into the bundle.", metavar="VKEY"),
    ] = None,
    log_key: Annotated[
        Path | None,
        typer.Option(
            "--log-key",
            envvar="DEEPNODE_LOG_KEY",
            help="The file of the log's secret key, of which the verifier key is taken; nothing is signed.",
            metavar="FILE",
        ),
    ] = None,
    unsigned: Annotated[
        bool, typer.Option("--unsigned", help="Make a bundle without a checkpoint, of a log that nobody signs.")
    ] = False,
    as_json: settings.AsJson = False,
) -> None:
    """Write the sealed log and all that is needed to check it as one directory of plain files.

    The same log gives the same bytes. Run again, it keeps what is right and adds what is missing. With --rpc every
    header and the receipts that concern the log are fetched from a node and put in as evidence.
    """
    from deepnode_cli.bundling.archive import pack
    from deepnode_cli.bundling.books import of_books
    from deepnode_ledger.bundle import writing

    key = _key(verifier, log_key, unsigned)
    described = load_manifest(manifest)
    asked, entries, epoch = _end(database, described, to, unsigned)
    writing.check(database, entries, key)
    say = Progress()
    books = of_books(database, described, entries, epoch, say)
    order = writing.Order(asked, entries, manifest, books.epochs, books.rulesets, key)
    gather = _gather(rpc, described, say) if rpc else None
    made = writing.create(
        database,
        directory,
        order,
        gather=gather,
        progress=lambda done, of: say(f"{done:,} of {of:,} entries".replace(",", " ")),
    )
    archive = pack(directory) if tar else None
    _told(directory, archive, made.contents, made.sha256, as_json)


@app.command()
def fetch(
    url: Annotated[str, typer.Argument(help="Where the bundle is served, such as https://example.org/bundle.")],
    directory: Directory,
    sha256: Annotated[
        str | None,
        typer.Option("--sha256", help="What bundle.json must have: it names the bundle.", metavar="DIGEST"),
    ] = None,
    as_json: settings.AsJson = False,
) -> None:
    """Bring a bundle from a server, and go on where an earlier run was cut off.

    Each file is checked against the list before it has its name; nothing that the server says leads outside DIRECTORY.
    What the bundle says is for `deepnode verify` to check.
    """
    from deepnode_cli.bundling.fetching import fetch as bring

    if sha256 is not None and not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise typer.BadParameter(f"--sha256 is 64 digits of 0-9 and a-f, not {sha256!r:.80}")
    say = Progress()
    fetched = bring(
        url,
        directory,
        sha256=sha256,
        progress=lambda done, of: say(f"{done:,} of {of:,} bytes".replace(",", " ")),
    )
    if not as_json:
        typer.echo(f"fetched {fetched.came_bytes} bytes, {fetched.kept_bytes} were there", err=True)
    _told(directory, None, fetched.contents, fetched.sha256, as_json)


def _key(verifier: str | None, log_key: Path | None, unsigned: bool) -> "Verifier | None":
    from deepnode_cli.keys import load_signer
    from deepnode_ledger.transparency import Verifier

    if unsigned:
        if verifier is not None:
            raise typer.BadParameter("--unsigned and --verifier contradict each other")
        return None
    if verifier is not None:
        return Verifier.parse(verifier)
    if log_key is not None:
        return load_signer(log_key).verifier
    raise typer.BadParameter("--verifier (or --log-key) says whose checkpoint goes in, --unsigned that none does")


def _end(database: str, manifest: Manifest, to: str | None, unsigned: bool) -> tuple[str, int, int | None]:
    """Return what was asked for, the position that it means, and the epoch if it was one."""
    from deepnode_cli.bundling.books import bundle_to_epoch
    from deepnode_ledger.bundle import points

    if to is None and unsigned:
        return "sealed", points.last_sealed(database), None
    if to is None:
        signed = points.last_signed(database)
        if signed is None:
            raise BadInput(
                "no checkpoint of this log was ever signed: run `deepnode log publish`, or ask for a bundle without "
                "one by --unsigned"
            )
        return "checkpoint", signed, None
    asked = points.Asked.parse(to)
    if asked.kind == "epoch":
        return str(asked), bundle_to_epoch(database, manifest, asked.number), asked.number
    if asked.kind == "block":
        return str(asked), points.position_of_block(database, manifest.chain_id, asked.number), None
    return str(asked), asked.number, None


def _gather(rpc: list[str], manifest: Manifest, say: Progress) -> "Gather":
    """Say how evidence is fetched: from the nodes that are named."""
    from deepnode_cli.bundling.evidence import gather
    from deepnode_cli.nodes import nodes_of
    from deepnode_indexer.pool import Providers
    from deepnode_indexer.provider import Provider
    from deepnode_indexer.rpc import JsonRpc

    nodes = nodes_of(rpc, manifest)
    providers = {
        chain_id: Providers([Provider(JsonRpc(url), manifest, chain_id) for url in urls])
        for chain_id, urls in nodes.items()
    }

    def gathered(directory: Path, chains: Sequence["ChainPart"], entries: "Entries") -> list[str]:
        return gather(directory, manifest, chains, entries, providers, say)

    return gathered


def _told(directory: Path, archive: Path | None, contents: "Contents", sha256: str, as_json: bool) -> None:
    """Say what was made."""
    size = sum(each.bytes for each in contents.files)
    if as_json:
        fields = {
            "directory": str(directory),
            "tar": None if archive is None else str(archive),
            "entries": contents.entries,
            "root": contents.root,
            "checkpointSize": contents.checkpoint_size,
            "epochs": len(contents.epochs),
            "files": len(contents.files) + 1,
            "bytes": size,
            "sha256": sha256,
        }
        typer.echo(json.dumps(fields))
        return
    signed = "unsigned" if contents.checkpoint_size is None else f"signed at size {contents.checkpoint_size}"
    typer.echo(
        f"{directory if archive is None else archive}: {contents.entries} entries, {len(contents.epochs)} epochs, "
        f"{len(contents.files) + 1} files, {size} bytes, {signed}"
    )
    typer.echo(f"root {contents.root}")
    typer.echo(f"sha256 of bundle.json {sha256}")
