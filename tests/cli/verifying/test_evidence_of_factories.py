"""Evidence where factories make contracts: whose logs count begins at the log that announces them."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from deepnode_cli.verifying.finding import Severity
from deepnode_indexer.devnet.anvil import Anvil
from deepnode_ledger.log import Log
from tests.cli.verifying import evidenced
from tests.cli.verifying.evidenced import Row, renumbered
from tests.cli.verifying.test_against import compared
from tests.indexer.test_factories_on_a_node import Stage, follower
from tests.ledger import signed_log
from tests.ledger.bundle.bundles import sealed_entries
from tests.ledger.histories import CHAIN_ID, datastore

LOG = "log/000/000/000.arrow"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A node with a factory, a round that it announces, and a vault that the round announces."""
    with Anvil.start(chain_id=CHAIN_ID, slots_in_an_epoch=4) as node:
        yield Stage(node, tmp_path)


def test_children_count_from_their_announcement_on(stage: Stage, database_url: str, tmp_path: Path) -> None:
    """Children speak before, in and behind the announcing block; then a log or an announcement is lost."""
    stage.back(1)
    stage.open()
    stage.node.mine()
    stage.back(2)
    stage.announce()
    stage.back(3)
    stage.fill(4)
    stage.open()
    stage.fill(5)
    stage.node.mine()
    stage.fill(6)
    stage.node.mine(16)
    path = tmp_path / "bundle"
    with datastore(database_url) as store:
        log = Log(store, CHAIN_ID)
        log.create(stage.manifest.genesis_hash, stage.manifest.first_block)
        list(follower(stage, log).sync())
        entries = sealed_entries(log)
        signed_log.sign(log, entries)
        evidenced.make(database_url, path, tmp_path / "manifest.toml", entries, {CHAIN_ID: stage.node.url})
    assert entries == 5
    outcome = evidenced.examined(path)
    assert outcome.ok, outcome.findings
    assert outcome.stages[0].counted["logs"] == 5
    assert compared(path, stage.node.url).ok
    for dropped, expected in ((1, ["is missing"]), (0, ["is missing", "was added", "was added", "was added"])):
        forged = evidenced.copied(path, tmp_path / f"forged{dropped}")
        evidenced.rewrite(forged, LOG, partial(without, dropped=dropped))
        evidenced.shorten(forged, 1)
        for found in (evidenced.examined(forged), compared(forged, stage.node.url)):
            said = [each.said for each in found.findings if each.severity is Severity.ERROR]
            for words in expected:
                assert any(words in each for each in said), (words, said)


def without(rows: list[Row], dropped: int) -> list[Row]:
    """The rows but for one, with positions that close the gap."""
    del rows[dropped]
    return renumbered(rows)
