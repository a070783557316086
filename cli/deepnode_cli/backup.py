"""``deepnode log backup`` and ``deepnode log restore``: a copy of the log as plain files, and a log made of it."""

import json
from pathlib import Path
from typing import Annotated

import typer

from deepnode_cli import settings
from deepnode_cli.progress import Progress
from deepnode_ledger.backup import PointInTime
from deepnode_ledger.backup import backup as back_up
from deepnode_ledger.backup import restore as bring_back
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.transparency import Verifier

Directory = Annotated[Path, typer.Argument(help="The directory of the backups.", metavar="DIRECTORY")]


def backup(directory: Directory, database: settings.Database, as_json: settings.AsJson = False) -> None:
    """Write a consistent copy of the log as plain files; into a directory with backups, only what is new.

    The log can be written meanwhile. What is damaged is not backed up. Keep the directory on another machine.
    """
    say = Progress()
    made = back_up(database, directory, progress=lambda done, of: say(f"backed up {done} of {of} batches"))
    if as_json:
        fields = {"backup": made.number, "new": made.made, "batches": made.batches, "entries": made.entries}
        standing = {"lastPosition": made.head.last_position, "sealedPosition": made.head.sealed_position}
        typer.echo(json.dumps({**fields, **standing, "root": to_hex(made.root)}))
        return
    what = f"{made.batches} new batches with {made.entries} entries" if made.made else "nothing is new since then"
    typer.echo(
        f"backup {made.number}: {what}; the log has {made.head.sealed_position} sealed entries, root "
        f"{to_hex(made.root)}, and {made.head.last_position - made.head.sealed_position} pending"
    )


def restore(
    directory: Directory,
    database: settings.Database,
    position: Annotated[int | None, typer.Option("--position", help="Up to this position of the log.", min=0)] = None,
    block: Annotated[int | None, typer.Option("--block", help="Up to this block, by its number.", min=0)] = None,
    at_time: Annotated[
        str | None,
        typer.Option("--time", help="Up to this block time, such as 2026-01-31T12:00:00Z.", metavar="RFC3339"),
    ] = None,
    chain: Annotated[
        int | None, typer.Option("--chain", help="Which chain the block is of, if the log has several.", min=1)
    ] = None,
    sealing: Annotated[int | None, typer.Option("--sealing", help="Exactly this row of log.sealing.", min=1)] = None,
    verifier: Annotated[
        str | None,
        typer.Option("--verifier", help="The log's verifier key, to verify what it signed.", metavar="VKEY"),
    ] = None,
    as_json: settings.AsJson = False,
) -> None:
    """Make the log of a directory of backups, in a database that holds none.

    Without a point it is exactly what was backed up last. With one it is the log as it was sealed at that point or
    last before it. The log is checked before it is committed: a changed file is named, and then nothing is restored.
    """
    point = PointInTime.of(position=position, block=block, time=at_time, sealing=sealing, chain=chain)
    key = None if verifier is None else Verifier.parse(verifier)
    say = Progress()
    done = bring_back(
        directory,
        database,
        point=point,
        verifier=key,
        progress=lambda what, number, of: say(f"{what} {number} of {of} batches"),
    )
    if as_json:
        fields = {"entries": done.entries, "batches": done.batches, "pending": done.pending}
        blocks = {"blocks": {str(chain_id): number for chain_id, number in done.blocks.items()}}
        tree = {"root": to_hex(done.root), "checkpoints": done.checkpoints, "signedLater": done.left_out}
        typer.echo(json.dumps({**fields, **blocks, **tree}))
        return
    until = ", ".join(f"block {number} of chain {chain_id}" for chain_id, number in done.blocks.items())
    typer.echo(f"restored {done.entries} entries in {done.batches} batches and {done.pending} pending, up to {until}")
    typer.echo(
        f"size {done.entries}, root {to_hex(done.root)}, equal to the backup's and to {done.checkpoints} checkpoints"
    )
    if done.left_out is not None:
        typer.echo(
            f"a checkpoint of size {done.left_out} was signed later and is left out: read docs/backup.md before this "
            "log signs again",
            err=True,
        )
