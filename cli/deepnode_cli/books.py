"""``deepnode project``, ``root`` and ``rebuild``: keeping the books, hashing them, making them anew."""

import json
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepnode_cli import settings
from deepnode_cli.epoch_ends import end_of_epoch
from deepnode_cli.interruption import on_interrupt
from deepnode_ledger.errors import BadInput, TryAgain
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.manifest import load_manifest

if TYPE_CHECKING:
    from deepnode_projections.projector import Projector, Step

RETRY_SECONDS = 1.0
LINE_SECONDS = 1.0


def project(
    database: settings.Database,
    manifest: settings.ManifestPath,
    once: Annotated[bool, typer.Option("--once", help="Stop at the log's end instead of following it.")] = False,
    as_json: settings.AsJson = False,
) -> None:
    """Keep the books up to the log until told to stop."""
    # Here and below: the other commands start sooner without all that the books bring in.
    from deepnode_projections.projector import Projector

    projector = Projector(database, load_manifest(manifest))
    stopped = threading.Event()
    projector.open()
    with on_interrupt(stopped.set):
        try:
            if once:
                _Sayer(as_json)(projector.catch_up())
            while not once and not stopped.is_set():
                _follow(projector, stopped, _Sayer(as_json))
        finally:
            projector.close()


def root(
    database: settings.Database,
    manifest: settings.ManifestPath,
    position: Annotated[int | None, typer.Option("--at", help="A log position; the newest if left out.", min=0)] = None,
    epoch: Annotated[int | None, typer.Option("--epoch", help="The end of an epoch that is over.", min=0)] = None,
    as_json: settings.AsJson = False,
) -> None:
    """Print the state root of the books at a position: equal books have equal roots, however they came about."""
    from deepnode_projections.checkpoint import load_checkpoint
    from deepnode_projections.projector import connect
    from deepnode_projections.state_root import state_root
    from deepnode_projections.tables import SCHEMA

    described = load_manifest(manifest)
    connection = connect(database, SCHEMA)
    try:
        with connection.transaction():
            checkpoint = load_checkpoint(connection.cursor(), described)
            at = checkpoint.position if position is None else position
            if epoch is not None:
                at = end_of_epoch(connection, epoch)
            if at > checkpoint.position:
                raise BadInput(f"position {at} is ahead of the books, which are at {checkpoint.position}")
            value = to_hex(state_root(connection, at))
    finally:
        connection.close()
    typer.echo(json.dumps({"position": at, "stateRoot": value}) if as_json else f"{value} at position {at}")


def rebuild(
    database: settings.Database,
    manifest: settings.ManifestPath,
    decoded: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="A folder that keeps what was decoded, for the next time. It may be deleted at any time.",
        ),
    ] = None,
    as_json: settings.AsJson = False,
) -> None:
    """Make the books anew from the log beside the live ones, then swap. Stop `deepnode project` first."""
    from deepnode_projections.rebuild import rebuild as rebuild_books

    rebuilt = rebuild_books(database, load_manifest(manifest), decoded)
    old = None if rebuilt.old_root is None else to_hex(rebuilt.old_root)
    if as_json:
        typer.echo(json.dumps({"position": rebuilt.position, "stateRoot": to_hex(rebuilt.root), "oldStateRoot": old}))
        return
    same = "there were none to compare with" if old is None else "as before" if rebuilt.same else f"before: {old}"
    typer.echo(f"{to_hex(rebuilt.root)} at position {rebuilt.position} ({same})")


def _follow(projector: "Projector", stopped: threading.Event, say: "_Sayer") -> None:
    """Follow until told to stop, or until the database goes away: then come back to it."""
    try:
        for step in projector.follow(stopped):
            say(step)
    except TryAgain as error:
        typer.echo(f"waiting: {error}", err=True)
        projector.close()
        while not stopped.wait(RETRY_SECONDS):
            try:
                projector.open()
            except TryAgain:
                continue
            return


class _Sayer:
    """Writes the steps: as JSON every one, for people the rollbacks and once a second where the books are."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._shown_at = 0.0

    def __call__(self, step: "Step") -> None:
        """Write one step."""
        if self._as_json:
            fields = {"position": step.position, "entries": step.entries, "behind": step.behind}
            typer.echo(json.dumps({"event": "step", **fields, "rolledBackTo": step.rolled_back_to}))
            return
        if step.rolled_back_to is not None:
            typer.echo(f"rolled back to position {step.rolled_back_to}", err=True)
        if time.monotonic() - self._shown_at >= LINE_SECONDS:
            typer.echo(f"position {step.position}, {step.behind} behind", err=True)
            self._shown_at = time.monotonic()
