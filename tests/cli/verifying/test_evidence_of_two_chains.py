"""Evidence of a log of two chains: files are numbered chain by chain, and each chain has nodes of its own."""

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from deepnode_cli.verifying.against import STAGE, against
from deepnode_cli.verifying.driving import Planned, verify
from deepnode_cli.verifying.finding import Brought, Severity
from deepnode_indexer.chain_intake import ChainSource
from deepnode_indexer.devnet.anvil import Anvil
from deepnode_indexer.devnet.deployment import deploy
from deepnode_indexer.devnet.economy import Economy
from deepnode_indexer.service import Indexer
from deepnode_ledger.errors import BadInput
from deepnode_ledger.log import Log
from deepnode_ledger.manifest import Manifest, load_manifest
from tests.cli.verifying import evidenced
from tests.e2e.real_parts import Devnet
from tests.e2e.test_two_chains import FAR_CHAIN, both, wait_for_heads
from tests.ledger import signed_log
from tests.ledger.bundle.bundles import sealed_entries
from tests.ledger.histories import datastore


@pytest.fixture
def chains(tmp_path: Path) -> Iterator[tuple[Devnet, Devnet]]:
    """The home chain, and a far one whose contracts have addresses of their own."""
    with Anvil.start() as node, Anvil.start(chain_id=FAR_CHAIN) as far:
        far.rpc("anvil_setNonce", far.rpc("eth_accounts")[0], hex(1_000))
        made = []
        for name, each, seed in (("near", node, 7), ("far", far, 3)):
            deployment = deploy(each.url, tmp_path / name)
            economy = Economy(each.url, deployment, seed=seed)
            made.append(Devnet(each, deployment, economy, load_manifest(deployment.manifest)))
        yield made[0], made[1]


def test_each_chain_is_shown_by_its_own_headers(
    chains: tuple[Devnet, Devnet], database_url: str, tmp_path: Path
) -> None:
    """Verifies the bundle, compares it with both nodes, and drops a header of the far chain."""
    near, far = chains
    near.play(40)
    far.play(30)
    manifest = both(near, far, tmp_path)
    filled(database_url, manifest, near, far)
    path = tmp_path / "bundle"
    with datastore(database_url) as store:
        log = Log(store, manifest.chain_id)
        entries = sealed_entries(log)
        signed_log.sign(log, entries)
    nodes = {manifest.chain_id: near.node.url, FAR_CHAIN: far.node.url}
    make = partial(evidenced.make, database_url, manifest_path=near.deployment.manifest.with_name("both.toml"))
    make(path=path, entries=entries, nodes=nodes)
    outcome = evidenced.examined(path, jobs=1)
    assert outcome.ok, outcome.findings
    assert [each[0] for each in outcome.chains] == [manifest.chain_id, FAR_CHAIN]
    assert outcome.stages[0].counted["logs"] == entries
    urls = [near.node.url, f"{FAR_CHAIN}={far.node.url}"]
    compared = verify(path, [Planned(STAGE, against(urls))], Brought(against=urls))
    assert compared.ok
    assert compared.stages[0].counted["logs"] == entries
    crossed = verify(path, [Planned(STAGE, against([far.node.url]))], Brought())
    assert [each.severity for each in crossed.findings] == [Severity.ERROR, Severity.NOTE]
    evidenced.rewrite(path, "evidence/headers-000001.arrow", lambda rows: rows.pop(9))
    wrong = [each for each in evidenced.examined(path).findings if each.severity is Severity.ERROR]
    first = outcome.chains[1][1]
    assert [each.where for each in wrong if "are missing" in each.said] == [f"block {FAR_CHAIN}:{first + 9}"]
    with pytest.raises(BadInput, match="needs a node of it"):
        make(path=tmp_path / "again", entries=entries, nodes={})


def filled(url: str, manifest: Manifest, near: Devnet, far: Devnet) -> None:
    """Index both chains until all that they played is final and sealed."""
    for each in (near, far):
        each.node.mine(80)
    sources = {manifest.chain_id: ChainSource([near.node.url]), FAR_CHAIN: ChainSource([far.node.url])}
    indexer = Indexer(sources, url, manifest, poll_seconds=0.05, seal_entries=1, report=lambda _change: None)
    indexer.check()
    thread = threading.Thread(target=indexer.run, args=(None,))
    thread.start()
    try:
        wait_for_heads(indexer, {manifest.chain_id: near, FAR_CHAIN: far})
    finally:
        indexer.stop()
        thread.join()
