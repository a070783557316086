"""``deepnode demo``: everything at once, from a real chain to a query, on this machine and for as long as you look."""

import tempfile
from pathlib import Path
from typing import Annotated, Final

import typer

from deepnode_cli import settings
from deepnode_cli.display import Display
from deepnode_cli.process_tree import ProcessTree
from deepnode_cli.up import START_SECONDS, Ledger, command, has_entries, require_free, run, start_ledger
from deepnode_indexer.devnet.toolchain import anvil_binary

WARM_UP_BLOCKS: Final = 100
"""Enough that some blocks are final, so that sealed entries can be seen beside pending ones."""


def demo(
    port: settings.Port = settings.API_PORT,
    intake_port: settings.IntakePort = settings.INTAKE_PORT,
    node_port: Annotated[int, typer.Option("--node-port", help="The EVM node's port.", min=1)] = settings.NODE_PORT,
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same chain.")] = 1,
    pace: Annotated[float, typer.Option("--pace", help="Seconds between two blocks.", min=0.05)] = 1.0,
    seconds: Annotated[float | None, typer.Option("--for", help="Stop after so many seconds.", min=1)] = None,
) -> None:
    """Run an EVM node with a lively economy, the indexer, the books and the API; Ctrl-C stops all of it.

    Everything is kept in a temporary directory and gone afterwards.
    """
    scratch = tempfile.TemporaryDirectory(prefix="deepnode-demo-", ignore_cleanup_errors=True)
    with scratch as directory, Display() as display, ProcessTree(Path(directory) / "logs") as tree:
        data = Path(directory)
        out = data / "devnet"
        node = f"http://{settings.LOOPBACK}:{node_port}"
        ledger = Ledger(
            rpc=(node.replace("http", "ws", 1),),
            database=settings.EMBEDDED,
            manifest=out / "manifest.toml",
            data=data,
            host=settings.LOOPBACK,
            port=port,
            intake_host=settings.LOOPBACK,
            intake_port=intake_port,
            poll=0.2,
            seal_entries=100,
        )

        def start() -> None:
            display.doing("getting the EVM node, the first time from its package")
            anvil_binary()
            play = ["--port", str(node_port), "--out", str(out), "--seed", str(seed), "--pace", str(pace)]
            play += ["--warm-up", str(WARM_UP_BLOCKS), "--task-events", ledger.intake]
            tree.start("devnet", [*command("devnet"), *play])
            tree.wait_ready("devnet", ledger.manifest.exists, START_SECONDS)
            display.done(f"an EVM node runs at {node}, its contracts are deployed")
            start_ledger(tree, display, ledger)
            tree.wait_ready("projections", lambda: has_entries(ledger), START_SECONDS)
            display.done("the first blocks are in the books")

        require_free(settings.LOOPBACK, node_port, "--node-port")
        run(tree, display, start, ledger, seconds)
