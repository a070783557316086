"""``deepnode devnet``: a chain of one's own with the reference contracts and people who use them, faults included."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Annotated, Final

import typer

from deepnode_cli import settings
from deepnode_cli.interruption import on_interrupt

if TYPE_CHECKING:
    from deepnode_indexer.devnet.delivery import Sink
    from deepnode_indexer.devnet.economy import Economy
    from deepnode_indexer.devnet.faults import FaultProxy

STATES_KEPT: Final = 128
"""Twice as many blocks as lie between the head and the final ones, and little enough memory for a long life."""

REORG_DEPTH_MAX: Final = 8
"""Reorgs of the devnet's own accord are as deep as a bad day's, far from the final blocks."""


class Size(StrEnum):
    """The sizes of the economy."""

    SMALL = "small"
    FULL = "full"


def devnet(
    port: Annotated[int, typer.Option("--port", help="The EVM node's port.", min=1)] = settings.NODE_PORT,
    out: Annotated[
        Path, typer.Option("--out", help="Where manifest.toml and the ABIs are written.", metavar="DIRECTORY")
    ] = Path("devnet"),
    seed: Annotated[int, typer.Option("--seed", help="Everything random comes from it: same seed, same chain.")] = 1,
    size: Annotated[
        Size, typer.Option("--size", help="How many people live on it: some fifty, or three hundred in six domains.")
    ] = Size.SMALL,
    pace: Annotated[float, typer.Option("--pace", help="Seconds between two blocks.", min=0)] = 1.0,
    warm_up: Annotated[int, typer.Option("--warm-up", help="Blocks played at once at the start.", min=0)] = 0,
    blocks: Annotated[int | None, typer.Option("--blocks", help="Stop playing after so many blocks.")] = None,
    reorg_every: Annotated[
        int, typer.Option("--reorg-every", help="Blocks between two reorgs of 1 to 8 blocks; 0 for none.", min=0)
    ] = 60,
    task_events: Annotated[
        str | None,
        typer.Option(
            "--task-events",
            help="Where signed task events go: an intake's URL, for which every block waits, or a JSON Lines file.",
        ),
    ] = None,
    faults: Annotated[
        str | None,
        typer.Option(
            "--faults",
            help="Serve the node a second time, with faults: the name of a profile or its TOML file (docs/devnet.md).",
            metavar="PROFILE",
        ),
    ] = None,
    faults_port: Annotated[
        int, typer.Option("--faults-port", help="Where the node with faults listens; 0 for any port.", min=0)
    ] = settings.FAULTS_PORT,
    before: Annotated[
        str | None,
        typer.Option("--before", help="Put the faults before this node and start none.", metavar="URL"),
    ] = None,
) -> None:
    """Start an EVM node, deploy the contracts, and play a seeded economy on it until told to stop.

    Paid inference with signed task events, splits, collateral cases and appeals, staking, epochs with roots and claims,
    funding, buybacks, governance, and reorgs. The manifest in the output directory is all that an indexer needs. With
    --faults the node can be had a second time, behaving like a bad provider; with --before too, any node can.
    """
    if before is not None:
        if faults is None:
            raise typer.BadParameter("it needs --faults PROFILE, the faults to put before the node")
        stopped = threading.Event()
        with on_interrupt(stopped.set), _faults_before(before, faults, faults_port, seed):
            stopped.wait()
        return
    from deepnode_indexer.devnet.anvil import Anvil
    from deepnode_indexer.devnet.cast_of_accounts import SIZES
    from deepnode_indexer.devnet.delivery import open_sink
    from deepnode_indexer.devnet.deployment import deploy
    from deepnode_indexer.devnet.economy import Economy

    stopped = threading.Event()
    sink = open_sink(task_events, stopped, partial(typer.echo, err=True)) if task_events is not None else None
    with on_interrupt(stopped.set), Anvil.start(port, states_kept=STATES_KEPT) as node:
        deployment = deploy(node.url, out, SIZES[size])
        typer.echo(f"node {node.url}, manifest {deployment.manifest}", err=True)
        economy = Economy(node.url, deployment, seed)
        rng = Random(seed)  # noqa: S311 (nothing is secret here, and the seed is what makes the chain repeatable)
        with _faults_before(node.url, faults, faults_port, seed):
            _play(economy, sink, stopped, rng, warm_up, pace, blocks, reorg_every)
            stopped.wait()


@contextmanager
def _faults_before(url: str, faults: str | None, port: int, seed: int) -> "Iterator[FaultProxy | None]":
    """Serve the node with faults, if any are asked for; says where, and in the end what was dealt out."""
    if faults is None:
        yield None
        return
    from deepnode_indexer.devnet.faults import FaultProxy

    with FaultProxy(url, faults, seed, port=port) as proxy:
        typer.echo(f"node {proxy.where}, with faults {proxy.url} ({faults})", err=True)
        yield proxy
        dealt = ", ".join(f"{kind} {times}" for kind, times in proxy.dealt.most_common()) or "none"
        typer.echo(f"requests {proxy.requests}, faults dealt: {dealt}", err=True)


def _play(
    economy: "Economy",
    sink: "Sink | None",
    stopped: threading.Event,
    rng: Random,
    warm_up: int,
    pace: float,
    blocks: int | None,
    reorg_every: int,
) -> None:
    played = 0
    while not stopped.is_set() and (blocks is None or played < blocks):
        # Not during the warm-up: a reorg needs blocks to replace, and the first ones found the economy.
        if reorg_every and played > warm_up and played % reorg_every == 0:
            economy.reorg(rng.randint(1, REORG_DEPTH_MAX))
            if sink is not None:
                sink.deliver([], economy.block_hash)
        envelopes = economy.step()
        if sink is not None:
            sink.deliver(envelopes, economy.block_hash)
        played += 1
        if played > warm_up:
            stopped.wait(pace)
        if played % 100 == 0:
            typer.echo(f"block {economy.block_number}", err=True)
