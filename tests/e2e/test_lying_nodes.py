"""Logs that a node leaves out in silence are found by evidence, and never sealed as complete."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from deepnode_indexer.changes import Doubted, Repaired
from deepnode_indexer.completeness import Disputed
from deepnode_indexer.devnet.faults import HONEST, AlterReceipts, FaultProxy, HideLogs
from deepnode_indexer.level import Level
from deepnode_ledger.evidence import EvidenceKind
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.record import Finality
from tests.e2e.real_parts import Devnet, Ledger, open_ledger
from tests.e2e.simulation import fault_free, logs_of

BLOCKS = 110
HIDDEN = tuple(range(20, 30))
WITHOUT_RECEIPTS = AlterReceipts(lie="no-method", when="always")


@pytest.fixture
def played(devnet: Devnet) -> Devnet:
    """A chain of which some forty blocks are final."""
    devnet.play(BLOCKS)
    return devnet


@pytest.fixture
def opened(database_url: str) -> Iterator["Opener"]:
    """Opens ledgers in one database, and closes them."""
    with ExitStack() as stack:
        yield Opener(database_url, stack)


class Opener:
    """Opens the ledger of one database, as often as a test restarts."""

    def __init__(self, url: str, stack: ExitStack) -> None:
        self.url = url
        self._stack = stack

    def __call__(self, devnet: Devnet, *urls: str, level: Level) -> Ledger:
        ledger = open_ledger(self.url, urls, devnet.manifest, level=level, seal_entries=1)
        self._stack.callback(ledger.close)
        return ledger


def address_of(devnet: Devnet, name: str) -> str:
    return to_hex(devnet.manifest.by_name(name).address)


def hidden_in_full_blocks(devnet: Devnet) -> HideLogs:
    """Hides a share of a busy contract's logs: others of it come, so no bloom tells."""
    return HideLogs(addresses=(address_of(devnet, "DNToken"),), blocks=HIDDEN, share=0.5, when="always")


def sealed_blocks(ledger: Ledger) -> set[int]:
    from deepnode_ledger.snapshot import snapshot

    with snapshot(ledger.log.datastore) as view:
        return {entry.block.number for entry in view.entries(1) if entry.finality is Finality.SEALED}


def test_only_the_receipts_can_tell(played: Devnet, opened: Opener, second_database_url: str) -> None:
    """One node hides half of a contract's logs in ten blocks: neither ends, headers nor blooms tell; receipts do."""
    with FaultProxy(played.node.url, [hidden_in_full_blocks(played)]) as proxy:
        fooled = open_ledger(second_database_url, proxy.url, played.manifest, level=Level.ENDS, seal_entries=1)
        list(fooled.follower.sync())
        truth = logs_missing(played, fooled)
        fooled.close()
        assert truth > 0, "the lie must be one that weak evidence believes"
        ledger = opened(played, proxy.url, level=Level.RECEIPTS)
        doubts = [change for change in ledger.follower.sync() if isinstance(change, Doubted)]
        assert doubts
        assert all(doubt.settled and "by its receipts" in doubt.reason for doubt in doubts)
        assert logs_missing(played, ledger) == 0
        kinds = {each.kind for each in ledger.log.evidence(HIDDEN[0], HIDDEN[-1])}
        assert EvidenceKind.RECEIPTS in kinds


def test_only_the_second_provider_can_tell(played: Devnet, opened: Opener) -> None:
    """The same lie, and no node has receipts: two nodes disagree, so nothing more is sealed until they agree."""
    lie = [hidden_in_full_blocks(played), WITHOUT_RECEIPTS]
    with FaultProxy(played.node.url, lie) as proxy, FaultProxy(played.node.url, [WITHOUT_RECEIPTS]) as honest:
        ledger = opened(played, proxy.url, honest.url, level=Level.HEADERS)
        doubts, failure = until_failure(ledger)
        assert "two providers differ" in failure
        assert [doubt.settled for doubt in doubts] == [False]
        [held] = ledger.log.holds()
        assert held.first <= HIDDEN[-1]
        assert max(sealed_blocks(ledger)) < held.first
        proxy.set([WITHOUT_RECEIPTS])
        list(ledger.follower.sync())
        assert ledger.log.holds() == []
        assert logs_missing(played, ledger) == 0
        assert EvidenceKind.AGREEMENT in {each.kind for each in ledger.log.evidence(HIDDEN[0], HIDDEN[-1])}


def test_a_bloom_accuses_a_single_node_without_receipts(played: Devnet, opened: Opener) -> None:
    """All logs of ten blocks are hidden and there are no receipts: the headers' blooms speak, and the range is held."""
    with FaultProxy(played.node.url, [HideLogs(blocks=HIDDEN, when="always"), WITHOUT_RECEIPTS]) as proxy:
        ledger = opened(played, proxy.url, level=Level.HEADERS)
        with pytest.raises(Disputed, match="the bloom of block"):
            list(ledger.follower.sync())
        assert not sealed_blocks(ledger) & set(HIDDEN)


def test_ten_blocks_that_are_hidden_for_the_whole_backfill_are_never_sealed_and_repair_makes_them_whole(
    played: Devnet, opened: Opener
) -> None:
    """Hides the logs, in the receipts too, however often it is asked; then the node is mended, the range repaired."""
    with FaultProxy(played.node.url, [HideLogs(blocks=HIDDEN, receipts=True, when="always")]) as proxy:
        ledger = opened(played, proxy.url, level=Level.HEADERS)
        for _ in range(3):
            with pytest.raises(Disputed):
                list(ledger.follower.sync())
            assert len(ledger.log.holds()) == 1
            assert ledger.log.holds()[0].first <= HIDDEN[0]
            assert max(sealed_blocks(ledger), default=0) < ledger.log.holds()[0].first
        [held] = ledger.log.holds()
        failed = repair(played, proxy.url, opened.url, f"{held.first}..{held.last}")
        assert failed.returncode == 1, failed
        assert "are in doubt" in failed.stderr or "receipts" in failed.stderr
        proxy.set(HONEST)
        mended = repair(played, proxy.url, opened.url, f"{held.first}..{held.last}")
        assert mended.returncode == 0, mended
        assert "put in, as the receipts show" in mended.stdout
        assert ledger.log.holds() == []
        list(ledger.follower.sync())
        assert logs_missing(played, ledger) == 0
        again = repair(played, proxy.url, opened.url, f"{held.first}..{held.last}")
        assert again.returncode == 0, again
        assert "sealed logs are those that the receipts show" in again.stdout


def test_what_is_missing_in_the_tail_is_found_before_it_is_sealed(played: Devnet, opened: Opener) -> None:
    """Hides logs while their blocks are young; once they are final the node is honest, and the tail is mended."""
    young = range(BLOCKS - 20, BLOCKS + 20)
    with FaultProxy(played.node.url, [HideLogs(blocks=tuple(young), when="always")]) as proxy:
        ledger = opened(played, proxy.url, level=Level.HEADERS)
        list(ledger.follower.sync())
        assert logs_missing(played, ledger) > 0
        played.play(10)
        list(ledger.follower.sync())
        proxy.set(HONEST)
        played.node.mine(80)
        changes = list(ledger.follower.sync())
        assert [change for change in changes if isinstance(change, Repaired)]
        assert logs_missing(played, ledger) == 0


def test_repair_tells_of_sealed_logs_that_are_missing_and_changes_nothing(played: Devnet, opened: Opener) -> None:
    """A log that weak evidence let in is compared with the receipts: exit 3, and the log is as it was."""
    with FaultProxy(played.node.url, [hidden_in_full_blocks(played)]) as proxy:
        ledger = opened(played, proxy.url, level=Level.ENDS)
        list(ledger.follower.sync())
        before = logs_of(ledger.log)
        told = repair(played, played.node.url, opened.url, f"{HIDDEN[0]}..{HIDDEN[-1]}")
        assert told.returncode == 3, told
        assert "What is sealed stays as it is" in told.stdout
        assert logs_of(ledger.log) == before


def until_failure(ledger: Ledger) -> tuple[list[Doubted], str]:
    """Follow until a range is disputed: what was in doubt, and why the follower stopped."""
    doubts: list[Doubted] = []
    try:
        doubts.extend(change for change in ledger.follower.sync() if isinstance(change, Doubted))
    except Disputed as error:
        return doubts, str(error)
    return doubts, "nothing"


def logs_missing(devnet: Devnet, ledger: Ledger) -> int:
    """How many of the chain's logs the ledger lacks; it has none that the chain has not."""
    from tests.conftest import fresh_database

    held = logs_of(ledger.log)
    with fresh_database(ledger.url) as url:
        truth = fault_free(devnet, url).logs
    assert set(held) <= set(truth)
    return len(truth) - len(held)


def repair(devnet: Devnet, node: str, database: str, blocks: str) -> subprocess.CompletedProcess[str]:
    """Run the command as an operator does."""
    where = ["--rpc", node, "--database", database, "--manifest", str(devnet.deployment.manifest)]
    command = [sys.executable, "-m", "deepnode_cli.main", "index", "repair", blocks, *where]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
