"""Two real chains in one log, followed side by side, each with reorgs of its own."""

import threading
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deepnode_indexer.chain_intake import ChainSource
from deepnode_indexer.devnet.anvil import Anvil
from deepnode_indexer.devnet.deployment import deploy
from deepnode_indexer.devnet.economy import Economy
from deepnode_indexer.service import Indexer
from deepnode_ledger.database import open_datastore
from deepnode_ledger.manifest import Manifest, load_manifest
from deepnode_ledger.record import BlockRef, ChainLog
from deepnode_ledger.snapshot import snapshot
from deepnode_projections.projector import Projector
from tests.conftest import fresh_database
from tests.e2e.real_parts import Devnet
from tests.e2e.simulation import fault_free

FAR_CHAIN = 31_338
WAIT_SECONDS = 60


@pytest.fixture
def far_devnet(tmp_path: Path) -> Iterator[Devnet]:
    """A second chain; its deployer begins with another nonce, so that its contracts have addresses of their own."""
    with Anvil.start(chain_id=FAR_CHAIN) as node:
        node.rpc("anvil_setNonce", node.rpc("eth_accounts")[0], hex(1_000))
        deployment = deploy(node.url, tmp_path / "far")
        economy = Economy(node.url, deployment, seed=3)
        yield Devnet(node, deployment, economy, load_manifest(deployment.manifest))


def test_two_chains_share_one_log(devnet: Devnet, far_devnet: Devnet, database_url: str, tmp_path: Path) -> None:
    """Backfills both, then plays and reorganises both at once; each chain's logs are those of an index of its own."""
    devnet.play(90)
    far_devnet.play(120)
    manifest = both(devnet, far_devnet, tmp_path)
    sources = {devnet.manifest.chain_id: ChainSource([devnet.node.url]), FAR_CHAIN: ChainSource([far_devnet.node.url])}
    indexer = Indexer(sources, database_url, manifest, poll_seconds=0.05, seal_entries=20, report=lambda _change: None)
    indexer.check()
    thread = threading.Thread(target=indexer.run, args=(None,))
    thread.start()
    try:
        for depth in (7, 20):
            devnet.play(15)
            far_devnet.economy.reorg(depth)
            far_devnet.play(10)
            devnet.economy.reorg(depth // 2)
            devnet.play(3)
        devnet.node.mine(80)
        far_devnet.node.mine(80)
        wait_for_heads(indexer, {devnet.manifest.chain_id: devnet, FAR_CHAIN: far_devnet})
    finally:
        indexer.stop()
        thread.join()
    for chain in (devnet, far_devnet):
        assert logs_of_chain(database_url, chain.manifest) == truth(chain, manifest, database_url)
    with projecting(database_url, manifest) as projector:
        assert projector.catch_up().behind == 0


def test_a_chain_of_the_manifest_without_a_node_is_refused(devnet: Devnet, far_devnet: Devnet, tmp_path: Path) -> None:
    """Names a node for one chain of two."""
    manifest = both(devnet, far_devnet, tmp_path)
    with pytest.raises(Exception, match="nodes are given for 31337"):
        Indexer(
            {devnet.manifest.chain_id: ChainSource([devnet.node.url])},
            "postgresql://nobody@127.0.0.1/none",
            manifest,
            poll_seconds=1,
            report=lambda _change: None,
        )


def both(near: Devnet, far: Devnet, tmp_path: Path) -> Manifest:
    """The near chain's manifest, and the far chain's tokens."""
    text = near.deployment.manifest.read_text("utf-8")
    lines = ["", "[[chains]]", f"id = {FAR_CHAIN}", f'genesis_hash = "0x{far.manifest.genesis_hash.hex()}"']
    for contract in tomllib.loads(far.deployment.manifest.read_text("utf-8"))["contracts"]:
        if contract["kind"] == "Token":
            lines += ["", "[[contracts]]", f'name = "Far{contract["name"]}"', 'kind = "Token"', f"chain = {FAR_CHAIN}"]
            lines += [f'address = "{contract["address"]}"', f"start_block = {contract['start_block']}"]
            lines += [f'abi = "{contract["abi"]}"', f'symbol = "F{contract["symbol"]}"']
            lines += [f"decimals = {contract['decimals']}"]
    path = near.deployment.manifest.with_name("both.toml")
    path.write_text(text + "\n".join(lines) + "\n", "utf-8")
    return load_manifest(path)


def wait_for_heads(indexer: Indexer, chains: dict[int, Devnet]) -> None:
    """Wait until the log stands at every chain's head and all of it that is final is sealed."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        tips = {chain.chain_id: chain.log.chain().tip for chain in indexer.chains}
        heads = {chain_id: int(chain.node.rpc("eth_blockNumber"), 16) for chain_id, chain in chains.items()}
        if all((tip := tips[chain_id]) is not None and tip.number == heads[chain_id] for chain_id in chains):
            return
        time.sleep(0.1)
    pytest.fail(f"not at the heads after {WAIT_SECONDS} s: {indexer.status.not_ready()}")


def logs_of_chain(url: str, manifest: Manifest) -> list[tuple[BlockRef, ChainLog]]:
    """One chain's logs as the shared log has them."""
    store = open_datastore(url)
    try:
        with snapshot(store) as view:
            entries = [entry for entry in view.entries(1) if entry.chain_id == manifest.chain_id]
    finally:
        store.close()
    return [(entry.block, entry.record) for entry in entries if isinstance(entry.record, ChainLog)]


def truth(chain: Devnet, manifest: Manifest, url: str) -> list[tuple[BlockRef, ChainLog]]:
    """What an index of that chain alone has of the shared manifest's contracts."""
    wanted = {contract.address for contract in manifest.on(chain.manifest.chain_id)}
    with fresh_database(url) as other:
        return [(block, log) for block, log in fault_free(chain, other).logs if log.address in wanted]


@contextmanager
def projecting(url: str, manifest: Manifest) -> Iterator[Projector]:
    """A projector for a while."""
    projector = Projector(url, manifest)
    projector.open()
    try:
        yield projector
    finally:
        projector.close()
