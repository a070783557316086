"""``deepnode index repair``: one range of blocks fetched again, with proof, and compared with the log."""

import json
import re
from typing import Annotated

import typer

from deepnode_cli import settings
from deepnode_ledger.errors import BadInput
from deepnode_ledger.manifest import load_manifest

EXIT_DIFFERENT = 3

_RANGE = re.compile(r"^(\d{1,18})(?:\.\.(\d{1,18}))?\Z", re.ASCII)


def repair(
    blocks: Annotated[str, typer.Argument(help="Block numbers, both included.", metavar="FIRST..LAST")],
    rpc: settings.Rpc,
    database: settings.Database,
    manifest: settings.ManifestPath,
    chain: Annotated[int | None, typer.Option("--chain", help="The chain's id, if not the manifest's first.")] = None,
    as_json: settings.AsJson = False,
) -> None:
    """Fetch one range of blocks again, with the receipts of every block, and make the log agree.

    What waits in the tail is replaced where it differs, a range that was held before the tip is put in, and what is
    sealed is compared. Exits with 3 if something sealed differs: that cannot be mended, only begun anew.
    """
    from deepnode_cli.nodes import sources_of
    from deepnode_indexer.chain_intake import ChainIntake
    from deepnode_indexer.completeness import Examiner
    from deepnode_indexer.level import Level
    from deepnode_indexer.repair import Part, Repairer
    from deepnode_indexer.status import Status
    from deepnode_ledger.database import open_datastore
    from deepnode_ledger.log import Log

    first, last = _parsed(blocks)
    deployment = load_manifest(manifest)
    sources = sources_of(rpc, deployment, Level.RECEIPTS, 0)
    chain_id = deployment.chain_id if chain is None else chain
    if chain_id not in sources:
        raise BadInput(f"--chain must be one of {', '.join(map(str, sources))}, not {chain_id}")
    datastore = open_datastore(database)
    try:
        intake = ChainIntake(
            Log(datastore, chain_id),
            deployment,
            sources[chain_id],
            Status([chain_id]),
            poll_seconds=settings.POLL_SECONDS,
            report=lambda _change: None,
        )
        intake.check()
        different = False
        examiner = Examiner(intake.providers, level=Level.RECEIPTS)
        for part in Repairer(examiner, intake.log, deployment).run(first, last):
            different |= part.part is Part.SEALED and not part.same
            if as_json:
                fields = ("part", "first", "last", "before", "after", "same")
                typer.echo(json.dumps({name: getattr(part, name) for name in fields}))
            else:
                typer.echo(_told(part.part, part.first, part.last, part.before, part.after, same=part.same))
    finally:
        datastore.close()
    if different:
        raise typer.Exit(EXIT_DIFFERENT)


def _told(part: str, first: int, last: int, before: int, after: int, *, same: bool) -> str:
    blocks = f"blocks {first} to {last}"
    if part == "new":
        return f"{blocks}: {after} logs put in, as the receipts show"
    if same:
        return f"{blocks}: the {after} {part} logs are those that the receipts show"
    if part == "waiting":
        return f"{blocks}: {before} waiting logs replaced by the {after} that the receipts show"
    return (
        f"{blocks}: {before} logs are sealed, the receipts show {after}. What is sealed stays as it is: begin a new "
        "log, or restore one from before these blocks (deepnode log restore)"
    )


def _parsed(blocks: str) -> tuple[int, int]:
    found = _RANGE.match(blocks)
    if found is None:
        raise BadInput(f"a range of blocks is like 100..200 (both included), not {blocks!r:.80}")
    first = int(found[1])
    return first, first if found[2] is None else int(found[2])
