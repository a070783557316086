"""A bundle of a real devnet: a real node, a log that followed it, its books, signed checkpoints, evidence.

``devnet_bundle(postgres url of an empty database, folder)`` takes some twelve seconds: one for a file of tests.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from deepnode_indexer.devnet.anvil import Anvil
from deepnode_indexer.devnet.deployment import deploy
from deepnode_indexer.devnet.economy import Economy
from deepnode_ledger.manifest import load_manifest
from deepnode_ledger.publishing import Publisher
from tests.command_line import app
from tests.e2e.real_parts import Devnet, Ledger, open_ledger
from tests.ledger.publishing.sealed_history import SIGNER, VKEY

BLOCKS = 120
"""Two epochs are over by then."""

FINAL_BLOCKS = 64
"""Empty blocks that make everything before them final."""


@dataclass
class DevnetBundle:
    """What is there: ``path`` is the bundle's directory, ``key`` the text of the log's verifier key."""

    devnet: Devnet
    ledger: Ledger
    folder: Path
    path: Path
    key: str = VKEY

    def create(self, path: Path, *more: str) -> dict[str, Any]:
        """Make another bundle of the same log; return what the command said."""
        return create(self.ledger, self.devnet, path, *more)

    def publish(self) -> int:
        """Sign what is sealed; return its size."""
        return publish(self.ledger, self.folder / "published")


def publish(ledger: Ledger, folder: Path) -> int:
    """Sign and publish what a ledger has sealed; return its size."""
    with Publisher(ledger.url, folder, SIGNER) as publisher:
        published = publisher.publish()
    assert published is not None
    return published.head.size


def create(ledger: Ledger, devnet: Devnet, path: Path, *more: str) -> dict[str, Any]:
    """Run `deepnode bundle create` on a ledger; return what it said."""
    settings = ["--database", ledger.url, "--manifest", str(devnet.deployment.manifest)]
    key = [] if "--unsigned" in more else ["--verifier", VKEY]
    done = CliRunner().invoke(app, ["bundle", "create", str(path), *settings, *key, "--json", *more])
    assert done.exit_code == 0, (done.exception, done.output)
    said: dict[str, Any] = json.loads(done.stdout)
    return said


@contextmanager
def devnet_bundle(
    database_url: str, folder: Path, *, blocks: int = BLOCKS, evidence: bool = True
) -> Iterator[DevnetBundle]:
    """Play a small economy, seal and sign it, and make a bundle of all of it in ``folder / "bundle"``."""
    with Anvil.start() as node:
        deployment = deploy(node.url, folder / "devnet")
        economy = Economy(node.url, deployment, seed=7)
        devnet = Devnet(node, deployment, economy, load_manifest(deployment.manifest))
        ledger = open_ledger(database_url, node.url, devnet.manifest)
        try:
            ledger.live(devnet, blocks)
            node.mine(FINAL_BLOCKS)
            ledger.sync()
            publish(ledger, folder / "published")
            create(ledger, devnet, folder / "bundle", *(["--rpc", node.url] if evidence else []))
            yield DevnetBundle(devnet, ledger, folder, folder / "bundle")
        finally:
            ledger.close()
